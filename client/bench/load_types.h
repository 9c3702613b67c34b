/* The options and the result of a load.
 *
 * Thread: values. Owns: nothing. */
#ifndef MUSTER_BENCH_LOAD_TYPES_H
#define MUSTER_BENCH_LOAD_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/bench/latency.h"
#include "client/bench/target.h"
#include "client/bench/work.h"

#define LOAD_CONNECTIONS_MAX 16384
#define LOAD_THREADS_MAX     64
#define LOAD_STATUS_MAX      599
/* An open loop's request that leaves later than this after it was due is counted as late. */
#define LOAD_LATE_NS 1000000u
/* For answers after the end. Those that take longer are cut off. */
#define LOAD_GRACE_MS 1000u

struct load_options {
    const struct work *work;
    const struct target *targets;
    uint32_t targets_count;
    uint32_t connections; /* spread over the targets in turn */
    uint32_t threads;
    uint64_t requests;       /* ends after this number; 0: only by time */
    uint64_t duration_ms;    /* 0: only by number */
    uint64_t warmup_ms;      /* before the measurement */
    uint64_t rate;           /* requests a second; 0: closed loop */
    uint64_t timeout_ms;     /* of a request */
    const atomic_bool *stop; /* ends the load early; may be NULL */
    /* What stands before the figures of the line of progress; NULL: none is shown. */
    const char *progress;
};

/* What became of the requests to one target. */
struct load_target {
    uint64_t succeeded;
    uint64_t failed;
    uint64_t unfinished;
    uint64_t connect_failures;
};

/* All figures but `numbers` are of the measurement alone, without the warm-up. */
struct load_result {
    uint64_t sent;
    uint64_t succeeded;                     /* answered with 2xx */
    uint64_t statuses[LOAD_STATUS_MAX + 1]; /* answers by status, 2xx as well */
    uint64_t broken;                        /* the connection ended before the answer */
    uint64_t timed_out;
    uint64_t malformed;        /* the answer was no HTTP that is understood */
    uint64_t unfinished;       /* cut off LOAD_GRACE_MS after the end: neither of the others */
    uint64_t connect_failures; /* not requests */
    uint64_t reconnects;       /* connections opened again, not requests */
    uint64_t renewed;          /* leases, by the heartbeats' answers */
    uint64_t body_bytes;
    uint64_t late;   /* open loop: sent LOAD_LATE_NS or more after they were due */
    uint64_t unsent; /* open loop: due, but no connection was free until the end */
    uint64_t gap_ns; /* longest time without a success */
    uint64_t elapsed_ns;
    uint64_t cpu_ns;        /* of the load generator's threads */
    uint64_t numbers;       /* work numbers used, from 0, the warm-up's as well */
    struct latency latency; /* of what succeeded */
    struct load_target targets[TARGETS_MAX];
};

#endif
