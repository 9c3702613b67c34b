/* A heartbeat of one of an instance's checks, in place of the instance.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_HTTP_CHECK_BEAT_H
#define MUSTER_API_HTTP_CHECK_BEAT_H

#include "api/http/exchange.h"

/* Makes *id, that of an instance, the one by which its check is heard from: it borrows from
 * *ret_owned, the caller's for free() in any case. False: the response is an error, as there can be
 * no such check, or the replicas run it, so that nobody else says how it is. */
MUST_USE bool check_beat_take(struct exchange *x, const char *check, struct slice *id,
                              char **ret_owned);

#endif
