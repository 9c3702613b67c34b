/* The handler and the check of each route in routes.def. A handler looks at the request and the
 * view, and fills in the response or a command. A check says what is wrong with a request before it
 * waits; the handler reads the parameters again, so that a waiting call holds none of them.
 *
 * Thread: an HTTP worker, outside of a read-side critical section. */
#ifndef MUSTER_API_NATIVE_HANDLERS_H
#define MUSTER_API_NATIVE_HANDLERS_H

#include "api/http/exchange.h"

#define ROUTE(method, pattern, needed, handler, ...) enum next handle_##handler(struct exchange *x);
#define EFFECTS(method, pattern, needed, handler, ...)                                             \
    enum next handle_##handler(struct exchange *x);
#define VITAL(method, pattern, needed, handler) enum next handle_##handler(struct exchange *x);
#define CHECKED(method, pattern, needed, check, handler, ...)                                      \
    bool check_##check(struct exchange *x, struct problem *problem);                               \
    enum next handle_##handler(struct exchange *x);
#include "api/native/routes.def"
#undef CHECKED
#undef VITAL
#undef EFFECTS
#undef ROUTE

/* 409: `said` is not the incarnation that holds the id. Both count up, and never come again. */
void respond_conflict(struct exchange *x, uint64_t said, uint64_t present);

#endif
