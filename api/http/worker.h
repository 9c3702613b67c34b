/* One HTTP thread: its loop, its connections, and the lane on which stopped requests come back from
 * the node. All workers accept from the same listening socket.
 *
 * Thread: start, stop and join: the main thread. worker_wake: any.
 * Owns: its thread, descriptors and connections. */
#ifndef MUSTER_API_HTTP_WORKER_H
#define MUSTER_API_HTTP_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <urcu/list.h>

#include "api/core/lane.h"
#include "api/core/subscriptions.h"
#include "api/http/exchange.h"
#include "server/base/log.h"
#include "server/base/thread.h"

#define WORKER_INPUT_BYTES  (64 * 1024)
#define WORKER_PIECE_BYTES  (16 * 1024)
#define WORKER_OUTPUT_BYTES (64 * 1024)
/* The addresses of the door: --http and --consul-http. */
#define HTTP_LISTENERS_MAX 2

struct worker {
    /* immutable after start */
    struct api_context *context;
    /* Its own duplicates; closed once it has stopped accepting. -1: none. */
    int listen_fds[HTTP_LISTENERS_MAX];
    int epoll_fd;
    struct thread thread;
    unsigned number;
    unsigned connections_max; /* what it takes */
    unsigned spare;           /* of them, those over a limit */
    /* atomic */
    _Atomic uint64_t stop_ms; /* monotonic: when to stop at the latest; 0: not to */
    struct lane lane;         /* calls that the node is done with; any thread -> this one */
    /* worker only */
    struct worker_scratch scratch;
    uint64_t now_ms;          /* monotonic, of this turn */
    bool accepting;           /* connections are taken, */
    bool listening;           /* and there is room for them */
    uint64_t paused_until_ms; /* monotonic: no new ones before */
    unsigned count;           /* of connections */
    struct cds_list_head connections;
    struct cds_list_head crowded; /* over a limit, and have not asked yet; the oldest first */
    struct cds_list_head ready;   /* to be run */
    struct cds_list_head closed;  /* to be freed */
    struct cds_list_head held;    /* calls: with the node */
    uint64_t late_seen_ms;        /* when they were last looked at */
    uint64_t due_seen_ms;         /* likewise the connections' times */
    struct subscriptions subscriptions;
    struct cds_list_head downloads; /* that are being sent */
    unsigned handshakes_left;       /* of TLS, in this turn */
    struct log_gate accept_gate, crowd_gate, slow_gate, handshake_gate;
    time_t date_s;
    char date[64];
    struct buffer head;             /* of the answer that is being made */
    char input[WORKER_INPUT_BYTES]; /* of the connection that runs */
    char piece[WORKER_PIECE_BYTES + 16];
    /* Of the protocol's (protocol.h). */
    unsigned streams;                 /* requests of its connections, */
    char output[WORKER_OUTPUT_BYTES]; /* and what the one that runs sends */
};

/* Takes a duplicate of each of listen_fds that is not -1. `connections` with the `spare` ones.
 * False with a sentence in `error`. */
MUST_USE bool worker_start(struct worker *worker, unsigned number,
                           const int listen_fds[HTTP_LISTENERS_MAX], unsigned connections,
                           unsigned spare, struct api_context *context, char *error,
                           size_t error_size);
/* Makes the worker look at what has changed: context->draining, stop_ms. */
void worker_wake(struct worker *worker);
/* Has it answer for a moment what is on its way, then close all connections. The node must have
 * stopped. */
void worker_stop(struct worker *worker);
/* Waits for that, and frees what it owns. */
void worker_join(struct worker *worker);

#endif
