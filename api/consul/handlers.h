/* The handler of each route in routes.def.
 *
 * Thread: an HTTP worker, outside of a read-side critical section. */
#ifndef MUSTER_API_CONSUL_HANDLERS_H
#define MUSTER_API_CONSUL_HANDLERS_H

#include "api/http/exchange.h"

/* What its clients were allowed; a registration that is taken is much smaller. */
#define CONSUL_BODY_BYTES_MAX (512 * 1024)

#define ROUTE(method, pattern, needed, handler, ...) enum next consul_##handler(struct exchange *x);
#include "api/consul/routes.def"
#undef ROUTE

#endif
