/* What a request is told that comes too fast: api/core/rate_limit.h, with a sentence.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_HTTP_THROTTLE_H
#define MUSTER_API_HTTP_THROTTLE_H

#include "api/core/rate_limit.h"
#include "api/http/permit.h"
#include "api/http/request.h"
#include "server/base/log.h"
#include "server/node/node.h"

#define THROTTLE_LOGINS      "too many wrong tokens of this address; try again later"
#define THROTTLE_CONNECTIONS "too many new connections of this address; try again later"

/* Whose. Nobody has no token and no certificate, and most namespaces no quota of writes: then there
 * is no limit. */
enum throttle_bucket { THROTTLE_ADDRESS, THROTTLE_PRINCIPAL, THROTTLE_NAMESPACE };

/* A request. All borrowed. */
struct throttle {
    struct rate_limits *limits;
    const struct node *node;
    uint64_t client;
    const struct permit *permit;
};

/* Takes one from the bucket. NULL: it had one; else why there is none, and *ret_wait_s. Outside of
 * a critical section. */
const char *throttle_take(const struct throttle *t, enum rate rate, enum throttle_bucket bucket,
                          unsigned *ret_wait_s);
/* Into the log. `who`: principal_name(). */
void throttle_report(struct log_gate *gate, const struct request *request, const char *who,
                     const char *why);

#endif
