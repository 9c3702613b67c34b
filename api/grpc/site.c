/* gRPC as a site: its table of calls, its headers, its errors. */
#include "api/http/site.h"

#include "api/grpc/handlers.h"
#include "api/grpc/outcome.h"
#include "server/base/limits.h"

extern const struct site grpc_site;

static const struct route routes[] = {
#define CALL(SERVICE, METHOD, handler, NEEDED, BYTES, VITAL)                                       \
    {.method = METHOD_POST,                                                                        \
     .name = (METHOD),                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = "/" SERVICE "/" METHOD,                                                            \
     .handle = grpc_##handler,                                                                     \
     .body_limit = FRAME_BODY(BYTES),                                                              \
     .params = "",                                                                                 \
     .vital = (VITAL)},
#define TALK(SERVICE, METHOD, handler, NEEDED)                                                     \
    {.method = METHOD_POST,                                                                        \
     .name = (METHOD),                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = "/" SERVICE "/" METHOD,                                                            \
     .handle = grpc_##handler,                                                                     \
     .body_limit = 1,                                                                              \
     .params = "",                                                                                 \
     .duplex = &handler##_duplex},
#include "api/grpc/calls.def"
};

const struct site grpc_site = {.name = "grpc",
                               .routes = routes,
                               .count = ARRAY_LENGTH(routes),
                               .headers = call_headers,
                               .error = outcome_error,
                               .content_type = "application/grpc",
                               .trailers = outcome_trailers};
