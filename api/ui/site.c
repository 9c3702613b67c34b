/* The page as a site: its table of routes, and its errors, which are those of the native API. */
#include "api/http/site.h"

#include "api/ui/handlers.h"

extern const struct site ui_site;

static const struct route routes[] = {
#define ROUTE(METHOD, PATTERN, handler)                                                            \
    {.method = METHOD_##METHOD,                                                                    \
     .name = "ui_" #handler,                                                                       \
     .permission = PERMISSION_OPEN,                                                                \
     .pattern = (PATTERN),                                                                         \
     .handle = ui_##handler,                                                                       \
     .watch = WATCH_NONE,                                                                          \
     .params = ""},
#include "api/ui/routes.def"
#undef ROUTE
};

/* Those of files are added with them: what browsers keep them back from does not change. */
static void ui_headers(const struct exchange *x, struct response *response)
{
    (void)x;
    response_header_static(response, "X-Content-Type-Options", "nosniff");
    response_header_static(response, "Cache-Control",
                           response->status < 400 ? "no-cache" : "no-store");
}

const struct site ui_site = {.name = "ui",
                             .routes = routes,
                             .count = ARRAY_LENGTH(routes),
                             .strict = false,
                             .headers = ui_headers,
                             .error = response_error_object};
