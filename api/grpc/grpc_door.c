/* A port of its own for gRPC, beside that of HTTP, which serves it too: its programs expect one. */
#include "api/core/door.h"
#include "api/http/http_door.h"
#include "server/base/limits.h"

extern const struct door_kind grpc_door;
extern const struct site grpc_site;

static bool grpc_open(const struct door_options *options, struct door **ret_door, char *error,
                      size_t error_size)
{
    static const struct site *const sites[] = {&grpc_site, NULL};
    const struct http_port port = {.kind = &grpc_door,
                                   .option = "--grpc",
                                   .address = options->grpc,
                                   .sites = sites,
                                   .threads = GRPC_THREADS,
                                   .connections = options->grpc_connections,
                                   .connections_of_one = options->grpc_connections};
    *ret_door = NULL;
    if (options->grpc == NULL || options->grpc[0] == '\0') {
        return true;
    }
    return http_port_open(&port, options, ret_door, error, error_size);
}

const struct door_kind grpc_door = {.name = "grpc",
                                    .open = grpc_open,
                                    .start = http_port_start,
                                    .drain = http_port_drain,
                                    .stop = http_port_stop};
