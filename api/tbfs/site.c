/* The older HTTP registry as a site: its table of routes, and its errors, which carry the native
 * members as well. */
#include "api/http/site.h"

#include "api/http/replica_headers.h"
#include "api/tbfs/handlers.h"
#include "server/base/limits.h"

extern const struct site tbfs_site;

static const struct route routes[] = {
#define ROUTE(METHOD, PATTERN, NEEDED, handler, BODY)                                              \
    {.method = METHOD_##METHOD,                                                                    \
     .name = #handler,                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = (PATTERN),                                                                         \
     .handle = tbfs_##handler,                                                                     \
     .body_limit = (BODY),                                                                         \
     .watch = WATCH_NONE,                                                                          \
     .params = ""},
#include "api/tbfs/routes.def"
#undef ROUTE
};

/* Of a body that is not as it should be: a list, as FastAPI makes it. */
static void render_details(struct json_out *json, const char *field, const char *message)
{
    json_out_begin(json, '[');
    json_out_begin(json, '{');
    json_out_member_text(json, "type", "value_error");
    json_out_key(json, "loc");
    json_out_begin(json, '[');
    json_out_text(json, "body");
    if (field[0] != '\0') {
        json_out_text(json, field);
    }
    json_out_end(json, ']');
    json_out_member_text(json, "msg", message);
    json_out_end(json, '}');
    json_out_end(json, ']');
}

static void tbfs_error(struct response *response, int status, const char *code, const char *field,
                       const char *message)
{
    struct json_out json = response_json(response);
    response->status = status;
    json_out_begin(&json, '{');
    response_error_members(&json, code, field, message);
    json_out_key(&json, "detail");
    if (status == 422) {
        render_details(&json, field, message);
    } else {
        json_out_text(&json, message);
    }
    json_out_end(&json, '}');
}

const struct site tbfs_site = {.name = "tbfs",
                               .routes = routes,
                               .count = ARRAY_LENGTH(routes),
                               .strict = false,
                               .headers = replica_headers,
                               .error = tbfs_error};
