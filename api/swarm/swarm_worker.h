/* The thread of the swarm door: watches a daemon, and writes what it says when it is this replica's
 * turn.
 *
 * Each replica with the socket of a manager says so in the registry (a lease of ten seconds). Of
 * these the leader writes, or if it is none of them, the one with the lowest id: so who writes
 * follows from the log. Each of them reports what the containers of its own node use.
 *
 * Thread: the calls: main, or any where stated. */
#ifndef MUSTER_API_SWARM_SWARM_WORKER_H
#define MUSTER_API_SWARM_SWARM_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/swarm/docker.h"
#include "api/swarm/swarm_listing.h"
#include "api/swarm/swarm_stats.h"
#include "api/swarm/swarm_writer.h"
#include "server/base/thread.h"
#include "server/node/node.h"

/* What clients ask for; any replica takes it, and says it in the registry. */
enum swarm_call { SWARM_REFRESH, SWARM_CLEAR, SWARM_METRICS, SWARM_CALLS };

struct swarm_options {
    const char *docker; /* URL of the daemon; NULL or "": this replica has none */
    uint32_t refresh_ms, metrics_ms;
    struct swarm_labels labels;
};

struct swarm_worker {
    /* immutable after start */
    struct swarm_options options;
    struct node *node;
    uint64_t member;
    struct thread thread;
    /* any thread */
    struct node_listener listener;
    atomic_bool stopping, woken;
    atomic_bool asked[SWARM_CALLS]; /* here, and not said in the registry yet */
    /* the thread's */
    struct docker docker;
    struct swarm_writer writer;
    struct swarm_listing listing;
    bool has_listing;       /* the last one was complete */
    bool has_daemon;        /* it answers; said in the registry */
    bool writes;            /* at the last look */
    bool changed;           /* the listing is to be made again */
    bool dirty;             /* it is to be written again */
    unsigned failures;      /* of listings, in a row */
    uint64_t listed_ms;     /* monotonic, like the next ones: begun, the last time */
    uint64_t said_ms;       /* that there is a daemon */
    uint64_t held_until_ms; /* nothing is written: it was cleared */
    uint64_t metrics_due_ms, health_due_ms;
    uint64_t nonces[SWARM_CALLS]; /* of the calls that were last seen */
    bool has_nonces;
    char node_id[NAME_BYTES_MAX + 1]; /* Docker's, of this machine; "": not known */
    struct swarm_samples samples;     /* of the last round */
    unsigned parts;                   /* records of metrics that it has */
    char trouble[DOCKER_ERROR_SIZE];  /* the last that was logged; "": none */
};

/* False with a sentence in `error`; swarm_worker_done follows. */
MUST_USE bool swarm_worker_start(struct swarm_worker *w, const struct swarm_options *options,
                                 struct node *node, char *error, size_t error_size);
/* Any thread. */
void swarm_worker_ask(struct swarm_worker *w, enum swarm_call call);
/* Makes and writes nothing new; waits for what is on its way. While the node still runs. */
void swarm_worker_stop(struct swarm_worker *w);
/* Frees what it has. The node has stopped, or it was never started. */
void swarm_worker_done(struct swarm_worker *w);

/* --- swarm_metrics.c: the thread's --- */

/* Takes a sample of each container of this node whose service is scaled, and says what they use. */
void swarm_metrics_take(struct swarm_worker *w);

/* --- swarm_turn.c: the thread's --- */

void *swarm_worker_run(void *worker);

#endif
