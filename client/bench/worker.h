/* A thread of a load: its connections, and what it shares with the other threads.
 *
 * Thread: fields say. Owns: its channels and buffers; load.c sets it up and tears it down. */
#ifndef MUSTER_BENCH_WORKER_H
#define MUSTER_BENCH_WORKER_H

#include <pthread.h>

#include "client/bench/channel.h"
#include "client/bench/load_types.h"
#include "client/bench/schedule.h"

struct load {
    /* constant */
    const struct load_options *options;
    uint64_t begin_ns;
    uint64_t measure_ns; /* the warm-up is over */
    uint64_t end_ns;     /* no request is sent from here on */
    /* atomic */
    atomic_uint_fast64_t next; /* work number */
    atomic_uint_fast64_t last_success_ns;
    atomic_uint_fast64_t gap_ns;
};

struct worker {
    pthread_t thread;
    struct load *load;
    /* of the thread alone while it runs */
    int epoll;
    struct channel *channels;
    uint32_t channels_count;
    uint32_t busy;
    /* First in, first out: the replicas are asked in turn, also by an open loop at a low rate. */
    struct channel *idle;
    struct channel **idle_end;
    struct schedule schedule;
    bool ended; /* nothing more is sent */
    uint64_t sweep_ns;
    uint64_t cut_ns;   /* after the end by time; 0: not yet */
    uint64_t ended_ns; /* the last answer */
    struct buffer body;
    char *scratch;
    struct load_result result;
    /* atomic: for the line of progress */
    atomic_uint_fast64_t succeeded;
    atomic_uint_fast64_t failed;
};

/* The thread's life, from connecting to the last answer. */
void *worker_run(void *worker);

#endif
