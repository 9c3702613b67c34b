/* Which site has a route for a request.
 *
 * Thread: any. */
#ifndef MUSTER_API_HTTP_ROUTE_FIND_H
#define MUSTER_API_HTTP_ROUTE_FIND_H

#include "api/http/router.h"
#include "api/http/site.h"

/* The first of `sites` that has a route, into *ret_site. *methods: those that all of them have for
 * the path; ROUTE_NO_METHOD is of the last that has the path, ROUTE_NO_PATH of the site whose
 * prefix it is below, or whose type the body has (*ret_site is left alone if there is none). */
MUST_USE enum route_result route_find(const struct site *const *sites, struct request *request,
                                      const struct site **ret_site, const struct route **ret_route,
                                      unsigned *methods, struct problem *problem);

#endif
