#include "server/exposure_log.h"

#include "server/base/compiler.h"
#include "server/base/log.h"
#include "server/net/loopback.h"

static bool is_reached(const char *const addresses[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (addresses[i][0] != '\0' && !loopback_listens(addresses[i])) {
            return true;
        }
    }
    return false;
}

struct exposure exposure_of(const struct config *config)
{
    const char *const plain[] = {config->zmq_requests, config->zmq_heartbeats, config->zmq_events};
    const char *const curve[] = {config->zmq_curve_requests, config->zmq_curve_heartbeats,
                                 config->zmq_curve_events};
    const char *const grpc[] = {config->grpc};
    bool zmq_reached = is_reached(plain, ARRAY_LENGTH(plain));
    bool curve_reached = is_reached(curve, ARRAY_LENGTH(curve));
    return (struct exposure){
        .clients_reach = zmq_reached || curve_reached || is_reached(grpc, 1) ||
                         !loopback_listens(config->http) ||
                         (config->consul_http[0] != '\0' && !loopback_listens(config->consul_http)),
        .members_reach = !loopback_listens(config->peer),
        .is_encrypted = config->tls_cert[0] != '\0' && !zmq_reached,
        .members_prove = (config->cluster_secret[0] != '\0' || config->peer_ca[0] != '\0') &&
                         config->peer_tls == 0,
        .anonymous = config->anonymous,
    };
}

static void tell(const struct warning *warning)
{
    log_write(LOG_WARN, "main", "this replica is exposed", "code=%s what=\"%s\"", warning->code,
              warning->message);
}

void exposure_log_options(const struct exposure *exposure)
{
    struct warning warnings[EXPOSURE_WARNINGS_MAX];
    size_t count = exposure_find(exposure, warnings);
    for (size_t i = 0; i < count; i++) {
        tell(&warnings[i]);
    }
}

bool exposure_log_tokens(const struct exposure *exposure, const struct node *node)
{
    const char *reason;
    struct warning warning;
    if (!exposure->clients_reach) {
        return true;
    }
    if (!node_ready(node, &reason)) {
        return false;
    }
    const struct view *view = node_view_lock(node);
    bool is_open = exposure_find_open(exposure, view, &warning);
    view_unlock(&view);
    if (is_open) {
        tell(&warning);
    }
    return true;
}
