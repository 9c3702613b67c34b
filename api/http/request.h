/* One HTTP request as the handlers see it: no sockets, no HTTP library. The target is taken apart
 * strictly: bad escapes, NUL and text that is not printable UTF-8 are refused.
 *
 * Thread: one owner at a time.
 * Owns: its texts and body; borrows the header values and the peer's address. */
#ifndef MUSTER_API_HTTP_REQUEST_H
#define MUSTER_API_HTTP_REQUEST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "server/base/buffer.h"
#include "server/base/problem.h"

/* Of one request: all tags and metadata that a filter may name, and the rest. */
#define QUERY_PAIRS_MAX 160
/* {variables} in one pattern. */
#define REQUEST_PARAMS_MAX 4

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};

struct query_pair {
    const char *name;
    const char *value;
};

struct request {
    enum method method;
    char *path; /* still escaped, until a route has been found */
    /* The route's {variables}, decoded, in their order; they point into `path`. */
    const char *params[REQUEST_PARAMS_MAX];
    char *query_text;
    struct query_pair *query;
    size_t query_count;
    struct buffer body;
    bool can_trail; /* the wire has fields behind the body of an answer */
    /* The transport's way to a header; NULL: there are none. */
    const char *(*find_header)(const void *transport, const char *name);
    const void *transport;
    const struct sockaddr *peer;
};

void request_init(struct request *request);
void request_done(struct request *request);

enum method request_method(const char *text);
/* The value of a header, whatever the case of its name; borrowed. NULL when it is not there. */
const char *request_header(const struct request *request, const char *name);
/* Takes "/path?query" apart. */
MUST_USE bool request_parse_target(struct request *request, const char *target,
                                   struct problem *problem);
/* Decodes %XX in place, and '+' as a space where `plus`. False for bad escapes and text that is not
 * printable. */
MUST_USE bool request_unescape(char *text, bool plus);

/* The value of a parameter that is given at most once; NULL when it is not there. */
const char *request_query(const struct request *request, const char *name);
/* False when the parameter is there and no number up to UINT64_MAX; else sets *ret_value if there.
 */
MUST_USE bool request_query_u64(const struct request *request, const char *name,
                                uint64_t *ret_value, struct problem *problem);
/* False when it is neither true nor false; *ret_value is false when it is not there. */
MUST_USE bool request_query_bool(const struct request *request, const char *name, bool *ret_value,
                                 struct problem *problem);

/* Whether the body is empty, or JSON without content: some clients send that with every request. */
bool request_has_no_body(const struct request *request);
/* Whether the body may be read as JSON: also what plain curl says of it. */
bool request_has_json_type(const struct request *request);
/* Whether a header names HTML, and before JSON. */
bool request_wants_html(const struct request *request);
bool request_wants_stream(const struct request *request);

#endif
