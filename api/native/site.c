/* The native API (api/openapi.yaml) as a site: its table of routes, its headers, its errors. */
#include "api/http/site.h"

#include "api/http/replica_headers.h"
#include "api/native/handlers.h"
#include "server/base/limits.h"

extern const struct site native_site;

static const struct route routes[] = {
#define ROUTE(method, pattern, handler, body, watch, params)                                       \
    {METHOD_##method, pattern, NULL, handle_##handler, body, WATCH_##watch, params, false, false},
#define EFFECTS(method, pattern, handler, params)                                                  \
    {METHOD_##method, pattern, NULL, handle_##handler, 0, WATCH_NONE, params, true, false},
#define CHECKED(method, pattern, check, handler, body, watch, params)                              \
    {METHOD_##method, pattern, check_##check, handle_##handler, body, WATCH_##watch,               \
     params,          false,   false},
#define VITAL(method, pattern, handler)                                                            \
    {METHOD_##method, pattern, NULL, handle_##handler, 0, WATCH_NONE, "", false, true},
#include "api/native/routes.def"
#undef VITAL
#undef CHECKED
#undef EFFECTS
#undef ROUTE
};

static void native_error(struct response *response, int status, const char *code, const char *field,
                         const char *message)
{
    struct json_out json = response_json(response);
    response->status = status;
    json_out_begin(&json, '{');
    response_error_members(&json, code, field, message);
    json_out_end(&json, '}');
}

const struct site native_site = {.name = "native",
                                 .routes = routes,
                                 .count = ARRAY_LENGTH(routes),
                                 .strict = true,
                                 .headers = replica_headers,
                                 .error = native_error};
