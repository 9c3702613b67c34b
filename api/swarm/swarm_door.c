/* The door of Docker Swarm: a port for the clients of the older registry, and a thread that keeps
 * the registry as the swarm's manager says. */
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "api/http/http_door.h"
#include "api/swarm/handlers.h"
#include "api/swarm/swarm_worker.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/mem.h"

extern const struct door_kind swarm_door;
extern const struct site swarm_site;

static const struct site *const sites[] = {&swarm_site, NULL};

struct swarm {
    struct door door;
    struct door_options options;
    struct swarm_own own;
    struct swarm_worker worker;
    struct door *port; /* NULL: closed */
};

static struct swarm *of_door(struct door *door)
{
    return CONTAINER_OF(door, struct swarm, door);
}

static bool is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

static bool swarm_open(const struct door_options *options, struct door **ret_door, char *error,
                       size_t error_size)
{
    if (!is_given(options->swarm_http) && !is_given(options->docker)) {
        return true;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)snprintf(error, error_size, "libcurl cannot be set up for --docker");
        return false;
    }
    struct swarm *s = mem_zalloc(1, sizeof *s);
    s->door.kind = &swarm_door;
    s->options = *options;
    s->own.worker = &s->worker;
    s->own.exchange = is_given(options->amqp_url) ? options->amqp_exchange : NULL;
    const struct http_port port = {.kind = &swarm_door,
                                   .option = "--swarm-http",
                                   .address = options->swarm_http,
                                   .sites = sites,
                                   .threads = 1,
                                   .connections = SWARM_CONNECTIONS_MAX,
                                   .connections_of_one = SWARM_CONNECTIONS_MAX,
                                   .own = &s->own};
    if (is_given(options->swarm_http) &&
        !http_port_open(&port, options, &s->port, error, error_size)) {
        free(s);
        return false;
    }
    *ret_door = &s->door;
    return true;
}

static bool swarm_start(struct door *door, struct node *node, char *error, size_t error_size)
{
    struct swarm *s = of_door(door);
    const struct door_options *o = &s->options;
    const struct swarm_options options = {
        .docker = o->docker,
        .refresh_ms = o->swarm_refresh_ms,
        .metrics_ms = o->swarm_metrics_ms,
        .labels = {.enabled = o->swarm_label_enabled,
                   .metric = o->swarm_label_metric,
                   .cpu_threshold = o->swarm_label_cpu,
                   .memory_threshold = o->swarm_label_memory,
                   .min = o->swarm_label_min,
                   .max = o->swarm_label_max},
    };
    if (!swarm_worker_start(&s->worker, &options, node, error, error_size)) {
        return false;
    }
    if (is_given(o->docker)) {
        log_write(LOG_INFO, "swarm", "watching a daemon", "docker=\"%s\"", o->docker);
    }
    return s->port == NULL || http_port_start(s->port, node, error, error_size);
}

static void swarm_drain(struct door *door)
{
    struct swarm *s = of_door(door);
    if (s->port != NULL) {
        http_port_drain(s->port);
    }
    swarm_worker_stop(&s->worker);
}

static void swarm_stop(struct door *door)
{
    struct swarm *s = of_door(door);
    if (s->port != NULL) {
        http_port_stop(s->port);
    }
    swarm_worker_done(&s->worker);
    free(s);
}

const struct door_kind swarm_door = {.name = "swarm",
                                     .open = swarm_open,
                                     .start = swarm_start,
                                     .drain = swarm_drain,
                                     .stop = swarm_stop};
