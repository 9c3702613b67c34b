/* A site: the calls of one HTTP API. All sites share the door, its port and its threads; each has
 * its own routes, its own headers and its own shape of errors, and may be strict or lenient about
 * parameters that it does not know. api/sites.def lists them.
 *
 * Thread: any; immutable. */
#ifndef MUSTER_API_HTTP_SITE_H
#define MUSTER_API_HTTP_SITE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/core/access.h"
#include "api/http/request.h"
#include "api/http/response.h"

struct exchange;
struct duplex_kind;

/* Takes one field of a head or of trailers; the texts are borrowed until it returns. */
typedef void field_add_fn(void *ctx, const char *name, const char *value);

/* What a handler wants next. */
enum next {
    NEXT_RESPOND, /* the response is complete */
    NEXT_DECLINE, /* the request is not for this site: the next one that has the route gets it */
    NEXT_WRITE,   /* the scratch's command is to be submitted, then `finish` called */
    NEXT_RENEW,   /* `renewal` is to be made, then `finish` called */
    NEXT_PROOF,   /* a leader proof, then the handler once more */
    NEXT_READ,    /* what `read` says, filled in, then the handler once more */
    NEXT_CHANGE,  /* `change` of the members is to be made, then `finish` called */
    NEXT_BACKUP,  /* a backup is to be taken, then `finish` called */
};

/* What a read with index=N waits for. */
enum watch {
    WATCH_NONE,
    WATCH_SERVICE,
    WATCH_SERVICES,
    WATCH_CATALOG,
    WATCH_INSTANCE,
    WATCH_CHANGED,
    WATCH_EVENTS, /* as CHANGED for a listing; a stream waits by itself */
};

struct route {
    enum method method;
    const char *name; /* of the call, as in the audit log: "register" */
    enum permission permission;
    /* With at most REQUEST_PARAMS_MAX {variables}. A last {one*} may have slashes. */
    const char *pattern;
    /* Whether all that the request says is valid, before it waits for anything: of a route that
     * waits before its handler runs, and has more to look at than the parameters of waiting. NULL:
     * nothing. */
    bool (*check)(struct exchange *x, struct problem *problem);
    enum next (*handle)(struct exchange *x);
    size_t body_limit; /* 0: takes no body */
    enum watch watch;
    const char
        *params;  /* names between spaces; `name*` may be repeated, `prefix.*` is any such name */
    bool effects; /* a GET that does something beside answering */
    bool vital;   /* says how the replica is: answered also when there is no room for other calls */
    const struct duplex_kind *duplex; /* both sides speak at the same time; NULL: they do not */
};

/* Whether it may change something, or hand out all that is stored. */
static inline bool route_changes(const struct route *route)
{
    return route->method != METHOD_GET || route->effects;
}

struct site {
    const char *name;
    const struct route *routes;
    size_t count;
    bool strict; /* unknown and repeated parameters are refused */
    /* All paths below it are this site's, also those that it has no route for. NULL: none. */
    const char *prefix;
    bool any_type;      /* of a body: whatever Content-Type says, it is what the route takes */
    int options_status; /* of an answer to OPTIONS; 0: 204 */
    /* Into the read, and how long it waits, as read_query_parse() does. NULL: that. */
    bool (*parse_read)(struct exchange *x, uint64_t *ret_wait_ms, struct problem *problem);
    /* The text of the token, if the request has one in another place than the header Authorization;
     * borrows from the request. NULL: it has none; or there is no other place. */
    const char *(*find_token)(const struct request *request);
    /* Adds the site's headers to a complete response. NULL: none. */
    void (*headers)(const struct exchange *x, struct response *response);
    response_error_fn *error;
    const char *content_type; /* of its bodies; NULL: JSON */
    /* Its answers end with fields behind the body, which tell how it went in place of the status:
     * that is 200, and of an error these fields are all. Such a site is asked only where the wire
     * has them (HTTP/2). NULL: it has none. */
    void (*trailers)(const struct exchange *x, field_add_fn *add, void *ctx);
};

/* Of the door's own port; others have a table of their own (http_door.h). Ends with NULL. The first
 * site that has a route for a request gets it, and may decline it. Sites that share a route with a
 * body take bodies of the same length. What is refused before a handler has looked at it is told in
 * the shape of the last site that has the route, or of the last. */
extern const struct site *const http_sites[];

#endif
