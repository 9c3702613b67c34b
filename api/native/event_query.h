/* Which events a request to /events asks for, and how.
 *
 * Thread: one owner at a time. Owns: the filter's texts, until they are taken. */
#ifndef MUSTER_API_NATIVE_EVENT_QUERY_H
#define MUSTER_API_NATIVE_EVENT_QUERY_H

#include "api/http/request.h"
#include "server/base/problem.h"
#include "server/node/event_cursor.h"

struct event_query {
    struct event_filter filter;
    bool has_after;
    struct event_id after; /* of the header Last-Event-ID, or else the parameter */
    uint32_t cluster;      /* which that is of; 0: not said */
    bool snapshot;
    bool has_limit;
    uint64_t limit;
};

/* In the namespace `space`. On failure there is nothing to clean up. */
MUST_USE bool event_query_parse(struct event_query *query, const struct request *request,
                                const char *space, struct problem *problem);
/* Gives the filter, whose texts are the caller's then. */
struct event_filter event_query_take(struct event_query *query);
void event_query_done(struct event_query *query);

#endif
