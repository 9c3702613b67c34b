/* A run of `muster bench`: prepares the data that the load needs, puts the load on, takes the data
 * away again.
 *
 * Thread: one run a process at a time; SIGINT and SIGTERM end it early, with its figures. */
#ifndef MUSTER_BENCH_BENCH_H
#define MUSTER_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/bench/load.h"
#include "client/bench/watch.h"

enum bench_kind { BENCH_REGISTER, BENCH_HEARTBEAT, BENCH_DISCOVER, BENCH_WATCH };

struct bench_options {
    enum bench_kind kind;
    const char *const *urls; /* http://host:port */
    uint32_t urls_count;
    const char *headers; /* of each request, each with its end of line; "": none */
    uint32_t connections;
    uint32_t threads;
    uint64_t requests;
    uint64_t duration_ms;
    uint64_t warmup_ms;
    uint64_t rate;
    uint64_t timeout_ms;
    uint64_t instances; /* of each service; 0: registrations are all new */
    uint64_t services;
    uint64_t ttl_ms;
    uint32_t batch;
    uint32_t limit;
    bool linearizable;
    uint32_t watchers;
    bool stream;        /* watchers have event streams, not long-polls */
    const char *prefix; /* of all names; NULL: a random one */
    bool reuse;         /* the data is there already: none is prepared */
    bool keep;          /* the data stays */
    bool progress;      /* shown on stderr while it runs */
    /* Gets a sentence about a replica that does not respond, before and after the load. */
    void (*on_notice)(const char *sentence);
};

enum bench_outcome {
    BENCH_DONE,
    BENCH_USAGE,       /* an option that cannot be */
    BENCH_REFUSED,     /* the data could not be prepared, or nothing at all succeeded */
    BENCH_UNREACHABLE, /* no replica takes connections */
};

struct bench_result {
    char prefix[WORK_PREFIX_BYTES_MAX + 1];
    struct load_result load;   /* of all kinds but watch */
    struct watch_result watch; /* of watch */
    uint64_t left;             /* instances that could not be removed */
};

/* Anything but BENCH_DONE leaves a sentence in `error`; BENCH_REFUSED because nothing succeeded
 * fills *ret_result all the same. */
MUST_USE enum bench_outcome bench_run(const struct bench_options *options,
                                      struct bench_result *ret_result, char *error,
                                      size_t error_size);

#endif
