/* The health, type, zone, tag and meta.KEY parameters of a read.
 *
 * Thread: any. */
#ifndef MUSTER_API_NATIVE_FILTER_QUERY_H
#define MUSTER_API_NATIVE_FILTER_QUERY_H

#include "api/http/request.h"
#include "server/registry/filter.h"

/* `health` is what is wanted when the request does not say. The filter borrows from the request. */
MUST_USE bool filter_parse(struct filter *filter, const struct request *request, unsigned health,
                           struct problem *problem);

#endif
