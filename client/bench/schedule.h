/* When each request of an open loop is due: evenly spaced, fixed before the run, and shared out
 * over threads so that together they keep the rate. A request's time never depends on how the ones
 * before it fared.
 *
 * Thread: one owner at a time. */
#ifndef MUSTER_BENCH_SCHEDULE_H
#define MUSTER_BENCH_SCHEDULE_H

#include <stdint.h>

#define SCHEDULE_RATE_MAX 10000000

struct schedule {
    uint64_t begin_ns;
    uint64_t rate; /* requests a second of all threads together */
    uint64_t step; /* threads */
    uint64_t next; /* number of this thread's next request among those of all */
};

/* For thread `thread` of `threads`. */
void schedule_init(struct schedule *schedule, uint64_t begin_ns, uint64_t rate, uint32_t thread,
                   uint32_t threads);
/* When the next request is due. */
uint64_t schedule_due_ns(const struct schedule *schedule);
/* The next one has been taken. */
void schedule_advance(struct schedule *schedule);
/* How many of this thread's that were not taken yet are due before `end_ns`. */
uint64_t schedule_left(const struct schedule *schedule, uint64_t end_ns);

#endif
