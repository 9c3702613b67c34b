/* The parameters of a read that say how fresh it is, and what it waits for: consistency, min_index,
 * index and wait.
 *
 * Thread: any. */
#ifndef MUSTER_API_HTTP_READ_QUERY_H
#define MUSTER_API_HTTP_READ_QUERY_H

#include "api/http/request.h"
#include "api/http/site.h"
#include "server/node/read.h"

#define READ_QUERY_NO_WAIT UINT64_MAX

/* Fills in `read`, which borrows the request's texts, but for its deadline: *ret_wait_ms is how
 * long it waits for a change, or READ_QUERY_NO_WAIT. */
MUST_USE bool read_query_parse(struct node_read *read, uint64_t *ret_wait_ms,
                               const struct request *request, const struct route *route,
                               struct problem *problem);

#endif
