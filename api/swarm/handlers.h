/* The handler of each route in routes.def.
 *
 * Thread: an HTTP worker, outside of a read-side critical section. */
#ifndef MUSTER_API_SWARM_HANDLERS_H
#define MUSTER_API_SWARM_HANDLERS_H

#include "api/http/exchange.h"
#include "api/swarm/swarm_worker.h"

/* What they have of the door, as `own` of their context. */
struct swarm_own {
    struct swarm_worker *worker;
    const char *exchange; /* of the broker that gets the events; NULL: there is none */
};

#define ROUTE(method, pattern, needed, handler, ...) enum next swarm_##handler(struct exchange *x);
#include "api/swarm/routes.def"
#undef ROUTE

#endif
