/* How long it takes until watchers know: many watchers of one service, and one writer that changes
 * it again and again. The time runs from the write's acknowledgement until a watcher is told, and
 * until the last one is; a watcher that knows before the writer does has waited for 0.
 *
 * Thread: the caller's; watch_run returns when it is over. Owns: nothing after that. */
#ifndef MUSTER_BENCH_WATCH_H
#define MUSTER_BENCH_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/bench/latency.h"
#include "client/bench/target.h"
#include "client/bench/work.h"

struct watch_options {
    const struct work *work; /* registrations that change the first service */
    const struct target *targets;
    uint32_t targets_count;
    uint32_t watchers;    /* spread over the targets in turn */
    bool stream;          /* GET /events; else long-polls of the service */
    uint64_t requests;    /* writes; 0: only by time */
    uint64_t duration_ms; /* 0: only by number */
    uint64_t rate;        /* writes a second at most: each waits until the last was told */
    uint64_t timeout_ms;  /* of a write, and until all watchers are told; cut short by the end */
    const atomic_bool *stop;
    bool progress;
};

struct watch_result {
    uint32_t ready;                      /* watchers that were in place before the first write */
    uint32_t targets_ready[TARGETS_MAX]; /* of each target */
    uint64_t writes;                     /* acknowledged */
    uint64_t failed;                     /* writes that were not */
    uint64_t told;                       /* times that a watcher was told of a write */
    uint64_t missed;                     /* times that one was not, until the time was over */
    uint64_t refused;                    /* answers other than 200 to a watcher */
    uint64_t reconnects;
    uint64_t elapsed_ns;
    uint64_t cpu_ns;
    struct latency each;  /* of every watcher told */
    struct latency write; /* from sending a write to its acknowledgement */
    struct latency whole; /* from sending it until the last watcher was told */
    struct latency last;  /* of the last watcher of a write, where all were told */
};

void watch_run(const struct watch_options *options, struct watch_result *ret_result);

#endif
