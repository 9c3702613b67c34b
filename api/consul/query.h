/* The parameters of calls: how long a read waits, how fresh it is, and what it selects.
 *
 * Thread: any. */
#ifndef MUSTER_API_CONSUL_QUERY_H
#define MUSTER_API_CONSUL_QUERY_H

#include "api/http/exchange.h"

/* A duration as Go writes it: "1h30m", "120000ms", "1.5s"; without a unit only "0". Negative ones
 * come out as 0 with *ret_negative. In nanoseconds, at most INT64_MAX. */
MUST_USE bool query_parse_duration(const char *text, uint64_t *ret_ns, bool *ret_negative);

/* Of a route that may wait: as read_query_parse(). */
MUST_USE bool query_parse_read(struct exchange *x, uint64_t *ret_wait_ms, struct problem *problem);
/* Of any route: what does not depend on its handler. */
MUST_USE bool query_check(struct exchange *x, struct problem *problem);
/* "leader", "stale" or "consistent". */
const char *query_consistency(const struct request *request);
/* Whether a parameter is there, with or without a value. */
bool query_has(const struct request *request, const char *name);
/* Whether it is there and true: empty, or as Go reads a bool. False: it is neither. */
MUST_USE bool query_bool(const struct request *request, const char *name, bool *ret_value);
/* Whether the datacenter that is asked for is this one. */
bool query_is_here(const struct exchange *x);

#endif
