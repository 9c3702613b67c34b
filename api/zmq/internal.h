/* What the parts of the ZeroMQ door share: its thread, and a request on its way.
 *
 * Thread: the worker, unless stated otherwise. */
#ifndef MUSTER_API_ZMQ_INTERNAL_H
#define MUSTER_API_ZMQ_INTERNAL_H

#include <stdatomic.h>

#include <urcu/list.h>

#include "api/core/door.h"
#include "api/core/lane.h"
#include "api/zmq/cgse_request.h"
#include "api/zmq/endpoint.h"
#include "api/zmq/publisher.h"
#include "server/base/log.h"
#include "server/base/thread.h"

enum zmq_port { ZMQ_PORT_REQUESTS, ZMQ_PORT_HEARTBEATS, ZMQ_PORT_EVENTS, ZMQ_PORTS };

struct zmq_worker {
    /* immutable once it runs */
    struct door_options options;
    struct node *node;
    struct thread thread;
    /* any thread */
    struct lane lane;
    atomic_bool draining, stopping;
    struct curve_keys *_Atomic fresh_keys; /* to be taken; NULL: none */
    /* the worker's */
    struct curve_keys keys;
    struct zmq_clients clients;
    struct endpoint ports[2][ZMQ_PORTS]; /* plain ones, and those under CURVE */
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
    struct zmq_client *client; /* held by who keeps it for later */
    struct envelope envelope;
};

struct ask {
    struct asker asker;
    struct principal principal;
    struct cgse_request request;
};

#endif
