/* From method and path to a handler. All there is to know of a call stands in routes.def.
 *
 * Thread: any. */
#ifndef MUSTER_API_ROUTER_H
#define MUSTER_API_ROUTER_H

#include <stddef.h>

#include "api/exchange.h"
#include "api/request.h"

/* What a read with index=N waits for. */
enum watch {
    WATCH_NONE,
    WATCH_SERVICE,
    WATCH_SERVICES,
    WATCH_INSTANCE,
    WATCH_CHANGED,
    WATCH_EVENTS, /* as CHANGED for a listing; a stream waits by itself */
};

struct route {
    enum method method;
    const char *pattern;
    enum next (*handle)(struct exchange *x);
    size_t body_limit; /* 0: takes no body */
    enum watch watch;
    const char *params;
};

#define ROUTER_ALLOW_SIZE 48

enum route_result {
    ROUTE_FOUND,
    ROUTE_NO_PATH,
    ROUTE_NO_METHOD, /* `ret_allow` has the methods that there are */
    ROUTE_BAD_PARAM, /* the {variable} cannot be decoded or is too long */
};
/* What says how a replica is: answered also when it has no room for others. */
bool router_is_for_operators(const struct route *route);
/* Decodes the {variable} into request->param. */
enum route_result router_find(struct request *request, const struct route **ret_route,
                              char ret_allow[ROUTER_ALLOW_SIZE], struct fault *fault);
/* Refuses parameters that the route does not have, and repeated ones that it has once. */
MUST_USE bool router_check_params(const struct route *route, const struct request *request,
                                  struct fault *fault);
/* For tests: the rows of the table, NULL behind the last. */
const struct route *router_row(size_t row);

#endif
