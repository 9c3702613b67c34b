/* What the parts of the ZeroMQ door share: its thread, and a request on its way.
 *
 * Thread: the worker, unless stated otherwise. */
#ifndef MUSTER_API_ZMQ_INTERNAL_H
#define MUSTER_API_ZMQ_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <urcu/list.h>

#include "api/core/door.h"
#include "api/core/lane.h"
#include "api/zmq/cgse_request.h"
#include "api/zmq/endpoint.h"
#include "api/zmq/publisher.h"
#include "server/base/log.h"

struct zmq_worker {
    /* immutable once it runs */
    struct door_options options;
    struct node *node;
    void *zmq;
    pthread_t thread;
    bool runs;
    /* any thread */
    struct budget budget; /* of answers and events that are not sent yet */
    struct lane lane;
    atomic_bool draining, stopping;
    /* the worker's */
    struct endpoint requests, heartbeats, events;
    struct publisher publisher;
    struct cds_list_head waiting; /* writes to be answered, the oldest first */
    unsigned writes;              /* that the node has, answered ones included */
    uint64_t random;
    struct log_gate rate_gate, audit_gate;
    struct command command; /* scratch */
};

/* Where an answer goes. */
struct asker {
    struct zmq_worker *worker;
    struct endpoint *endpoint;
    struct envelope envelope;
};

struct ask {
    struct asker asker;
    const char *address; /* borrowed */
    uint64_t client;     /* for rate limits */
    struct principal principal;
    struct cgse_request request;
};

#endif
