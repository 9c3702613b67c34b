/* What a request is told that comes too fast: api/core/rate_limit.h, with a sentence.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_HTTP_THROTTLE_H
#define MUSTER_API_HTTP_THROTTLE_H

#include "api/core/rate_limit.h"
#include "api/http/request.h"
#include "server/base/log.h"

#define THROTTLE_LOGINS      "too many wrong tokens of this address; try again later"
#define THROTTLE_CONNECTIONS "too many new connections of this address; try again later"

/* Takes one from the bucket of the client's address, or with a token from that of this. NULL: it
 * had one; else why there is none, and *ret_wait_s. */
const char *throttle_take(struct rate_limits *limits, enum rate rate, uint64_t client,
                          const char *token, unsigned *ret_wait_s);
/* Into the log. `token`: "" for none. */
void throttle_report(struct log_gate *gate, const struct request *request, const char *token,
                     const char *why);

#endif
