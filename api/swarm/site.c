/* The older registry of Docker Swarm as a site, on a port of its own: its table of routes, and its
 * errors. */
#include "api/http/site.h"

#include "api/http/replica_headers.h"
#include "api/swarm/handlers.h"
#include "server/base/limits.h"

extern const struct site swarm_site;

#define BODY_BYTES_MAX 4096 /* of calls that take none: some clients send one */

static const struct route routes[] = {
#define ROUTE(METHOD, PATTERN, NEEDED, handler, VITAL)                                             \
    {.method = METHOD_##METHOD,                                                                    \
     .name = "swarm_" #handler,                                                                    \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = (PATTERN),                                                                         \
     .handle = swarm_##handler,                                                                    \
     .body_limit = METHOD_##METHOD == METHOD_POST ? BODY_BYTES_MAX : 0,                            \
     .watch = WATCH_NONE,                                                                          \
     .params = "",                                                                                 \
     .vital = (VITAL)},
#include "api/swarm/routes.def"
#undef ROUTE
};

/* It had one text. What is native, such as `message`, stands beside it for people. */
static void swarm_error(struct response *response, int status, const char *code, const char *field,
                        const char *message)
{
    struct json_out json = response_json(response);
    response->status = status;
    response->code = code;
    (void)field;
    json_out_begin(&json, '{');
    json_out_member_text(&json, "error", status == 500 ? "internal server error" : message);
    json_out_end(&json, '}');
}

const struct site swarm_site = {.name = "swarm",
                                .routes = routes,
                                .count = ARRAY_LENGTH(routes),
                                .strict = false,
                                .headers = replica_headers,
                                .error = swarm_error};
