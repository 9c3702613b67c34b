/* One HTTP thread: a libmicrohttpd daemon without a thread of its own, run from our loop, and the
 * queue through which stopped requests come back from the node.
 *
 * Why our own loop: libmicrohttpd's internal epoll thread stalls when the number of ready
 * connections is a multiple of 128, and a suspended connection is resumed most cheaply by the
 * thread that owns it.
 *
 * Thread: start, stop and join: the main thread. worker_wake: any.
 * Owns: its thread, daemon, descriptors. */
#ifndef MUSTER_API_HTTP_WORKER_H
#define MUSTER_API_HTTP_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>
#include <urcu/list.h>
#include <urcu/wfcqueue.h>

#include "api/core/subscriptions.h"
#include "api/http/crowd.h"
#include "api/http/exchange.h"
#include "server/base/log.h"

struct call_queue {
    struct cds_wfcq_head head;
    struct cds_wfcq_tail tail;
};

struct call;

struct worker {
    /* immutable after start */
    struct api_context *context;
    struct MHD_Daemon *daemon;
    int listen_fd; /* its own duplicate; the worker's to close once it has stopped accepting */
    int epoll_fd;  /* the daemon's */
    int wake_fd;   /* eventfd */
    int watch_fd;  /* epoll: suspended connections whose client may go away */
    pthread_t thread;
    unsigned number;
    unsigned connections_max; /* what the daemon takes */
    /* atomic */
    _Atomic uint64_t stop_ms; /* monotonic: when to stop at the latest; 0: not to */
    /* calls that the node is done with; any thread -> this one. Writes pass the reads, of which
     * ten thousand may have waited for one of them. */
    struct call_queue finished_writes, finished_reads;
    /* worker only */
    struct worker_scratch scratch;
    bool accepting;
    struct call *suspended; /* with the node */
    uint64_t late_seen_ms;  /* when they were last looked at */
    struct crowd crowd;
    struct subscriptions subscriptions;
    struct cds_list_head downloads; /* that are being sent */
    struct log_gate gate;
};

/* Takes a duplicate of listen_fd. False with a sentence in `error`. */
MUST_USE bool worker_start(struct worker *worker, unsigned number, int listen_fd,
                           unsigned connections, struct api_context *context, char *error,
                           size_t error_size);
/* Makes the worker look at what has changed: context->draining, stop_ms. */
void worker_wake(struct worker *worker);
/* Has it answer for a moment what is on its way, then close all connections. The node must have
 * stopped. */
void worker_stop(struct worker *worker);
/* Waits for that, and frees what it owns. */
void worker_join(struct worker *worker);

#endif
