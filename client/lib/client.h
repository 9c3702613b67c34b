/* The parts of a client (struct muster of the public header), and what they share.
 *
 * Thread: fields say. Functions of the parts come on the background thread unless they say else. */
#ifndef MUSTER_LIB_CLIENT_H
#define MUSTER_LIB_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/include/muster.h"
#include "client/lib/call.h"
#include "client/lib/event_stream.h"
#include "client/lib/instance_set.h"
#include "client/lib/loop.h"
#include "server/base/limits.h"

#define REGISTRATIONS_MAX 100000
#define SERVICES_MAX      256
#define FOLLOWS_MAX       1024
#define CLIENT_WHY_SIZE   512

struct registration_request;
struct service;

/* What is kept registered. */
struct renewer {
    /* under the mutex */
    struct muster_registration *first;
    size_t count;
    struct muster_registration *queue, *queue_end; /* those that something is to be done for */
    /* background thread */
    struct registration_request *requests;
    size_t requests_count;
    bool news;          /* under the mutex: there is a state to be told */
    bool renewing;      /* a common heartbeat is under way */
    unsigned failures;  /* in a row */
    uint64_t resume_ms; /* nothing is asked before, after a failure */
    struct loop_timer timer;
};

/* What is known of others. */
struct discovery {
    /* under the mutex */
    struct service *services;
    size_t count;
    size_t follows;
};

struct muster {
    /* immutable after the start */
    pid_t pid;
    pthread_t thread;
    struct servers servers;
    uint32_t request_timeout_ms;
    uint64_t interval_ms;   /* HEARTBEAT_INTERVAL; 0: none */
    uint16_t port;          /* SERVER_PORT; 0: none that can be used */
    bool interval_unusable; /* what HEARTBEAT_INTERVAL or SERVER_ID says */
    bool id_unusable;
    char fallback_host[HOST_BYTES_MAX + 1]; /* "": none */
    uint16_t fallback_port;

    /* under the mutex; `changed` is told of all that somebody may wait for */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    char *id; /* SERVER_ID, until somebody takes it */
    struct renewer renewer;
    struct discovery discovery;

    /* background thread */
    struct loop loop;
    struct failover failover;
};

/* MUSTER_FORKED in the child of a fork; MUSTER_INVALID where waiting would wait for itself. Any
 * thread. */
MUST_USE enum muster_error client_check(const struct muster *muster, uint32_t timeout_ms);
/* With the mutex: waits for `changed`. False when the deadline of clock_monotonic_ms() has passed.
 */
MUST_USE bool client_await(struct muster *muster, uint64_t deadline_ms);
bool client_is_own_thread(const struct muster *muster);

/* --- renewer.c --- */
void renewer_init(struct muster *muster);
/* With the mutex, any thread: something is to be done for it. */
void renewer_queue(struct renewer *renewer, struct muster_registration *registration);
/* Starts what is to be done. */
void renewer_work(struct muster *muster);
/* Drops all requests and registrations. */
void renewer_stop(struct muster *muster);

/* --- discovery.c --- */
void discovery_work(struct muster *muster);
void discovery_stop(struct muster *muster);

#endif
