/* What a check that replicas run asks, how often, and how its results count. Doors read one from
 * what their clients say; it is kept with the check's record as JSON, in the words of the native
 * API, and whoever runs it loads it from there (check_kept.h).
 *
 * Thread: any; values. */
#ifndef MUSTER_API_CORE_CHECK_DEFINITION_H
#define MUSTER_API_CORE_CHECK_DEFINITION_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "server/base/limits.h"
#include "server/base/problem.h"

enum check_kind {
    CHECK_HTTP, /* 2xx is passing, 429 warning, all else critical */
    CHECK_TCP,  /* connected is passing */
    CHECK_GRPC, /* grpc.health.v1.Health/Check: SERVING is passing */
};

struct check_header {
    const char *name, *value;
};

/* All texts end with NUL, are valid UTF-8, and have no control characters, but for tabs and line
 * ends in the body. They are borrowed, unless it comes from check_definition_copy(). */
struct check_definition {
    enum check_kind kind;
    /* HTTP: http://host[:port][/path] or https://; TCP: host:port; GRPC: host:port[/service]. */
    const char *target;
    /* Parts of it, as check_definition_settle() has found them. */
    char host[HOST_BYTES_MAX + 1]; /* a name or an address, without brackets */
    uint16_t port;                 /* 1 to 65535 */
    const char *path;              /* of HTTP, with its query: from '/' on, never empty */
    const char *service;           /* of GRPC; "": the server as a whole */

    uint32_t interval_ms; /* CHECK_INTERVAL_MS_MIN to _MAX: from the begin of a run to the next */
    uint32_t timeout_ms;  /* of a run: CHECK_TIMEOUT_MS_MIN to _MAX, at most the interval */
    /* So many in a row, 1 to CHECK_RESULTS_MAX: good ones before it is passing, bad ones before it
     * is warning (at most `fall`; `fall`: never), and critical. The very first result of a check
     * counts at once. */
    uint16_t rise, warn, fall;

    /* HTTP */
    const char *method; /* a token of RFC 9110 */
    const char *body;   /* "": none */
    bool disable_redirects;
    uint8_t headers_count;
    struct check_header headers[CHECK_HEADERS_MAX]; /* none that frames a message; Host once */
    /* HTTP and GRPC */
    bool tls; /* HTTP: https */
    bool skip_verify;
    const char *server_name; /* "": the host */
};

/* The members of its JSON, for lists of known ones. */
#define CHECK_DEFINITION_FIELDS                                                                    \
    "http", "tcp", "grpc", "interval", "timeout", "rise", "warn", "fall", "method", "headers",     \
        "body", "disable_redirects", "tls"

/* With the defaults of everything but kind and target. interval_ms 0: the default; timeout_ms 0:
 * the default. */
void check_definition_init(struct check_definition *d, enum check_kind kind, const char *target);
/* Takes the target apart, fills in what is 0, and checks everything. False with the field, as the
 * native API calls it, and a sentence. */
MUST_USE bool check_definition_settle(struct check_definition *d, struct problem *problem);
/* From JSON: {"http": URL, "interval": "10s", ...}. Borrows from it. Other members than those above
 * are the caller's. Settled. */
MUST_USE bool check_definition_parse(const json_t *json, struct check_definition *ret,
                                     struct problem *problem);
/* Adds headers, {"Name": "value"} or {"Name": ["value", ...]}; NULL and null: none. Borrows. */
MUST_USE bool check_definition_take_headers(struct check_definition *d, const json_t *headers,
                                            struct problem *problem);
/* Its JSON, without what is as it is by default: parsed again it is
 * the same. The caller's, for json_decref. */
json_t *check_definition_json(const struct check_definition *d);
/* A copy with texts of its own, in one piece: the caller's, for free(). */
struct check_definition *check_definition_copy(const struct check_definition *d);
/* "http", "tcp" or "grpc". */
const char *check_kind_name(enum check_kind kind);

#endif
