/* From method and path to a route of a site.
 *
 * Thread: any. */
#ifndef MUSTER_API_HTTP_ROUTER_H
#define MUSTER_API_HTTP_ROUTER_H

#include <stddef.h>

#include "api/http/request.h"
#include "api/http/site.h"

#define ROUTER_ALLOW_SIZE 64

enum route_result {
    ROUTE_FOUND,
    ROUTE_NO_PATH,
    ROUTE_NO_METHOD, /* the path is there with others */
    ROUTE_BAD_PARAM, /* a {variable} cannot be decoded or is too long */
};

/* Decodes the {variables} into request->params when it is found. Adds the methods that the path has
 * to `methods`, a bit for each, when it is not. */
enum route_result router_find(const struct site *site, struct request *request,
                              const struct route **ret_route, unsigned *methods,
                              struct problem *problem);
/* As the header Allow has them. */
void router_allow(unsigned methods, char out[ROUTER_ALLOW_SIZE]);
/* For a path that has these methods and not this one: 405, or what OPTIONS asks for, with that
 * status (0: 204). */
void router_answer_methods(struct response *response, enum method method, unsigned methods,
                           int options_status);
/* Refuses parameters that the route does not have, and repeated ones that it has once. */
MUST_USE bool router_check_params(const struct route *route, const struct request *request,
                                  struct problem *problem);

#endif
