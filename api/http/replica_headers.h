/* The headers that say how the replica stood that answered: index, leader, staleness.
 *
 * Thread: any. */
#ifndef MUSTER_API_HTTP_REPLICA_HEADERS_H
#define MUSTER_API_HTTP_REPLICA_HEADERS_H

#include "api/http/response.h"

struct exchange;

/* To a complete response; with Retry-After where it is a 503. */
void replica_headers(const struct exchange *x, struct response *response);

#endif
