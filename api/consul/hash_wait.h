/* A read of one service that waits until it is another one: ?hash=.
 *
 * Thread: the worker, outside of a critical section. */
#ifndef MUSTER_API_CONSUL_HASH_WAIT_H
#define MUSTER_API_CONSUL_HASH_WAIT_H

#include "api/http/exchange.h"

/* Sets up the read, and *ret_wait_ms, if what the request has seen is what there is. */
bool hash_wait(struct exchange *x, uint64_t wait_ms, uint64_t *ret_wait_ms);

#endif
