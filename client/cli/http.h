/* One HTTP exchange with one replica, and what became of it.
 *
 * Owns: the connection (struct http); an answer owns its body. */
#ifndef MUSTER_CLI_HTTP_H
#define MUSTER_CLI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "server/base/compiler.h"

#define HTTP_ANSWER_BYTES_MAX (256u * 1024 * 1024)

struct http;

struct http_request {
    const char *method;
    const char *path;   /* with its query, encoded */
    const json_t *body; /* NULL: none */
    bool read;          /* changes nothing: may be asked anywhere, any number of times */
    bool repeatable;    /* a write whose second time changes nothing */
};

struct http_answer {
    long status;
    json_t *body;           /* NULL when there was none */
    int64_t index;          /* X-Muster-Index, -1 when absent */
    int64_t staleness_ms;   /* X-Muster-Staleness-Ms, -1 when absent */
    char leader[24];        /* X-Muster-Leader, "" when absent */
    int64_t retry_after_ms; /* -1 when absent */
};

enum http_outcome {
    HTTP_ANSWERED, /* *ret_answer is filled, whatever its status */
    HTTP_NOT_SENT, /* the replica surely has not seen the request */
    HTTP_BROKEN,   /* it may have; there is no answer that can be understood */
};

struct http *http_open(void);
void http_close(struct http *http);
/* `why` is a few words when there is no answer. */
enum http_outcome http_exchange(struct http *http, const char *server,
                                const struct http_request *request, uint64_t connect_ms,
                                uint64_t timeout_ms, struct http_answer *ret_answer, char *why,
                                size_t why_size);
void http_answer_done(struct http_answer *answer);
/* "no_leader" and the like of an error's body, "" when there is none. */
const char *http_answer_code(const struct http_answer *answer);

#endif
