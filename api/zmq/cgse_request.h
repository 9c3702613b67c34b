/* A request of the older ZeroMQ registry (CGSE): a JSON object with an `action`. Its errors are
 * that registry's, word for word where it had one.
 *
 * Thread: any. Owns: the JSON, and texts made of it, until cgse_request_done. */
#ifndef MUSTER_API_ZMQ_CGSE_REQUEST_H
#define MUSTER_API_ZMQ_CGSE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "api/core/access.h"
#include "server/base/problem.h"
#include "server/registry/command.h"

/* X(action, its name, what it needs, a text that must be there) */
#define CGSE_ACTIONS(X)                                                                            \
    X(REGISTER, "register", WRITE, NULL)                                                           \
    X(DEREGISTER, "deregister", WRITE, "service_id")                                               \
    X(RENEW, "renew", WRITE, "service_id")                                                         \
    X(GET, "get", READ, "service_id")                                                              \
    X(LIST, "list", READ, NULL)                                                                    \
    X(DISCOVER, "discover", READ, "service_type")                                                  \
    X(INFO, "info", READ, NULL)                                                                    \
    X(HEALTH, "health", OPEN, NULL)                                                                \
    X(TERMINATE, "terminate", OPEN, NULL)

enum cgse_action {
#define X(action, name, needed, text) CGSE_##action,
    CGSE_ACTIONS(X)
#undef X
};

struct cgse_request {
    enum cgse_action action;
    const char *name; /* of the action; static */
    enum permission needed;
    const char *service_id; /* NULL: not given; likewise the type */
    const char *service_type;
    /* private */
    json_t *root;
    char made_id[NAME_BYTES_MAX + 1];
    unsigned made_count;
    char *made[METADATA_MAX]; /* texts of metadata */
};

/* False with the error as its message alone. cgse_request_done in any case. */
MUST_USE bool cgse_request_parse(struct cgse_request *r, struct slice body,
                                 struct problem *problem);
struct cgse_registration_options {
    uint32_t ttl_ms;        /* of one that names none */
    uint32_t reap_after_ms; /* it is kept critical for so long (0: for good), but at least for
                               another ttl: older clients go on renewing what has expired */
    bool unique_types;      /* each is to be the only one of its type that does not say otherwise */
};
/* Of CGSE_REGISTER, once: fills the command, which borrows from the request. `random` is for an id.
 * False with a problem. */
MUST_USE bool cgse_request_registration(struct cgse_request *r,
                                        const struct cgse_registration_options *options,
                                        const uint8_t random[16], struct command *ret_command,
                                        struct problem *problem);
void cgse_request_done(struct cgse_request *r);

#endif
