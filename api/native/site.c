/* The native API (api/openapi.yaml) as a site: its table of routes, its headers, its errors. */
#include "api/http/site.h"

#include "api/http/replica_headers.h"
#include "api/native/handlers.h"
#include "server/base/limits.h"

extern const struct site native_site;

static const struct route routes[] = {
#define ROUTE(METHOD, PATTERN, NEEDED, handler, BODY, WATCH, PARAMS)                               \
    {.method = METHOD_##METHOD,                                                                    \
     .name = #handler,                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = (PATTERN),                                                                         \
     .handle = handle_##handler,                                                                   \
     .body_limit = (BODY),                                                                         \
     .watch = WATCH_##WATCH,                                                                       \
     .params = (PARAMS)},
#define EFFECTS(METHOD, PATTERN, NEEDED, handler, PARAMS)                                          \
    {.method = METHOD_##METHOD,                                                                    \
     .name = #handler,                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = (PATTERN),                                                                         \
     .handle = handle_##handler,                                                                   \
     .params = (PARAMS),                                                                           \
     .effects = true},
#define CHECKED(METHOD, PATTERN, NEEDED, CHECK, handler, BODY, WATCH, PARAMS)                      \
    {.method = METHOD_##METHOD,                                                                    \
     .name = #handler,                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = (PATTERN),                                                                         \
     .check = check_##CHECK,                                                                       \
     .handle = handle_##handler,                                                                   \
     .body_limit = (BODY),                                                                         \
     .watch = WATCH_##WATCH,                                                                       \
     .params = (PARAMS)},
#define VITAL(METHOD, PATTERN, NEEDED, handler)                                                    \
    {.method = METHOD_##METHOD,                                                                    \
     .name = #handler,                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = (PATTERN),                                                                         \
     .handle = handle_##handler,                                                                   \
     .params = "",                                                                                 \
     .vital = true},
#include "api/native/routes.def"
#undef VITAL
#undef CHECKED
#undef EFFECTS
#undef ROUTE
};

const struct site native_site = {.name = "native",
                                 .routes = routes,
                                 .count = ARRAY_LENGTH(routes),
                                 .strict = true,
                                 .headers = replica_headers,
                                 .error = response_error_object};
