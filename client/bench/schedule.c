#include "client/bench/schedule.h"

#include "server/base/check.h"

#define SECOND_NS 1000000000u

/* Computed from the number and not by adding up, so that no error adds up either. */
static uint64_t due_ns(const struct schedule *schedule, uint64_t number)
{
    return schedule->begin_ns + number / schedule->rate * SECOND_NS +
           number % schedule->rate * SECOND_NS / schedule->rate;
}

void schedule_init(struct schedule *schedule, uint64_t begin_ns, uint64_t rate, uint32_t thread,
                   uint32_t threads)
{
    CHECK(rate > 0 && rate <= SCHEDULE_RATE_MAX);
    CHECK(thread < threads);
    *schedule =
        (struct schedule){.begin_ns = begin_ns, .rate = rate, .step = threads, .next = thread};
}

uint64_t schedule_due_ns(const struct schedule *schedule)
{
    return due_ns(schedule, schedule->next);
}

void schedule_advance(struct schedule *schedule)
{
    schedule->next += schedule->step;
}

uint64_t schedule_left(const struct schedule *schedule, uint64_t end_ns)
{
    if (end_ns <= due_ns(schedule, schedule->next)) {
        return 0;
    }
    uint64_t span_ns = end_ns - schedule->begin_ns;
    /* The number of the first request that is due at the end or later. */
    uint64_t end = span_ns / SECOND_NS * schedule->rate +
                   (span_ns % SECOND_NS * schedule->rate + SECOND_NS - 1) / SECOND_NS;
    while (due_ns(schedule, end) < end_ns) {
        end++;
    }
    while (end > 0 && due_ns(schedule, end - 1) >= end_ns) {
        end--;
    }
    return end > schedule->next ? (end - schedule->next + schedule->step - 1) / schedule->step : 0;
}
