/* One request: who asks, whether he may, and what he is told. Reads are answered from the view at
 * once; writes are handed on (pending.h).
 *
 * Thread: the worker. */
#ifndef MUSTER_API_ZMQ_ASK_H
#define MUSTER_API_ZMQ_ASK_H

#include "api/zmq/internal.h"

void ask_run(struct zmq_client *from, const struct incoming *in);

#endif
