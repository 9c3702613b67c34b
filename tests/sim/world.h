/* Virtual time: a heap of events, run one after the other. A member's event is a call into that
 * member; it is postponed while the member is paused, and dropped when its process has ended.
 *
 * Also the results of a run: its trace hash, figures and verdict.
 *
 * Thread: the only one. Owns: the events given to it. */
#ifndef MUSTER_SIM_WORLD_H
#define MUSTER_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

#define US     UINT64_C(1000)
#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

struct sim_member;

/* Must be first in a structure from malloc. */
struct sim_event {
    uint64_t at_ns;
    uint64_t order; /* among events at the same time */
    struct sim_member *member;
    uint32_t process;                     /* of the member */
    void (*run)(struct sim_event *event); /* takes over the event */
    void (*drop)(
        struct sim_event *event); /* called instead of run if that process is over; NULL: free() */
};

struct options {
    uint64_t seed;
    uint64_t steps; /* events during the faults */
    unsigned replicas;
    bool trace;
    const char *mutant; /* NULL: none */
    const char *name;   /* of the run, besides its seed; NULL: none */
};
extern struct options options;

/* Figures counted by a run. */
#define FIGURES(X)                                                                                 \
    X(steps)                                                                                       \
    X(simulated_ms)                                                                                \
    X(faults)                                                                                      \
    X(crashes)                                                                                     \
    X(power_losses)                                                                                \
    X(pauses)                                                                                      \
    X(cuts)                                                                                        \
    X(disk_faults)                                                                                 \
    X(deaths_in_calls)                                                                             \
    X(damaged)                                                                                     \
    X(replaced)                                                                                    \
    X(changes)                                                                                     \
    X(joined)                                                                                      \
    X(removed)                                                                                     \
    X(clock_faults)                                                                                \
    X(elections)                                                                                   \
    X(votes_split)                                                                                 \
    X(entries)                                                                                     \
    X(snapshots_stored)                                                                            \
    X(snapshots_installed)                                                                         \
    X(writes)                                                                                      \
    X(writes_acknowledged)                                                                         \
    X(writes_refused)                                                                              \
    X(writes_unknown)                                                                              \
    X(new_kinds)                                                                                   \
    X(reads)                                                                                       \
    X(events_streamed)                                                                             \
    X(expirations)                                                                                 \
    X(checks)
struct figures {
#define X(name) uint64_t name;
    FIGURES(X)
#undef X
};
extern struct figures figures;

uint64_t world_now_ns(void);
/* Runs the event in `delay_ns`, as a call into `member` (NULL: none). */
void world_at(struct sim_event *event, uint64_t delay_ns, struct sim_member *member);
/* An event without content. */
void world_call(void (*run)(struct sim_event *event), uint64_t delay_ns, struct sim_member *member);
/* Runs events until `until_ns`, or `steps` of them (0: no limit). */
void world_run(uint64_t until_ns, uint64_t steps);

/* Adds a line to the history: hashed, and printed with --trace. */
void world_trace(const char *format, ...) PRINTF_LIKE(1, 2);
/* Adds to the hash only. */
void world_hash(uint64_t value);
uint64_t world_trace_hash(void);
uint64_t world_hash_bytes(const void *data, size_t len);

/* An invariant is broken: reports it, prints the verdict and ends the process. */
NORETURN void world_violation(const char *invariant, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints the last line of a run. */
void world_verdict(const char *verdict);
/* Where figures go, for the process that sums them; -1: nowhere. */
extern int figures_fd;

#endif
