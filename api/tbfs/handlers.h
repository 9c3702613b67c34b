/* The handler of each route in routes.def.
 *
 * Thread: an HTTP worker, outside of a read-side critical section. */
#ifndef MUSTER_API_TBFS_HANDLERS_H
#define MUSTER_API_TBFS_HANDLERS_H

#include "api/http/exchange.h"

#define ROUTE(method, pattern, needed, handler, ...) enum next tbfs_##handler(struct exchange *x);
#include "api/tbfs/routes.def"
#undef ROUTE

#endif
