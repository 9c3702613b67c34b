/* The thread of the ZeroMQ door, which all its sockets belong to: receives, answers, publishes.
 *
 *     requests, heartbeats -> ask.c -> answered at once, or handed to the node (pending.c)
 *     the node's loop -> lane -> pending.c -> answered, unless it was answered at its time
 *     the node's events -> publisher.c
 *
 * Thread: all calls: main. */
#ifndef MUSTER_API_ZMQ_ZMQ_WORKER_H
#define MUSTER_API_ZMQ_ZMQ_WORKER_H

#include "api/zmq/internal.h"

/* With the endpoints listening. False with a sentence; zmq_worker_stop in any case. */
MUST_USE bool zmq_worker_start(struct zmq_worker *worker, struct node *node, char *error,
                               size_t error_size);
void zmq_worker_drain(struct zmq_worker *worker);
/* From now on these keys count; connections of those who are not among them are closed. `keys` is
 * the worker's from here on, and malloced. */
void zmq_worker_give_keys(struct zmq_worker *worker, struct curve_keys *keys);
/* The node has answered all. Closes the endpoints, too. */
void zmq_worker_stop(struct zmq_worker *worker);

#endif
