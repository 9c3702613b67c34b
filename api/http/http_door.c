/* The door of HTTP: its socket, and the threads that serve it. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "api/core/door.h"
#include "api/http/http_door.h"
#include "api/http/worker.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/net/listen.h"

extern const struct door_kind http_door;

struct http {
    struct door door;
    struct door_options options;
    struct http_port port;
    /* -1: closed, and all once the workers have their duplicates. */
    int listen_fds[HTTP_LISTENERS_MAX];
    struct api_context context;
    unsigned count; /* of workers that run */
    struct worker workers[];
};

static struct http *http_of(struct door *door)
{
    return CONTAINER_OF(door, struct http, door);
}

static void close_all(int fds[HTTP_LISTENERS_MAX])
{
    for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
            fds[i] = -1;
        }
    }
}

static bool listen_all(const struct http_port *port, int fds[HTTP_LISTENERS_MAX], char *error,
                       size_t error_size)
{
    const char *const addresses[HTTP_LISTENERS_MAX] = {port->address, port->also};
    const char *const options[HTTP_LISTENERS_MAX] = {port->option, port->also_option};
    for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
        if (addresses[i] == NULL || addresses[i][0] == '\0') {
            continue;
        }
        fds[i] = listen_open(addresses[i], options[i], error, error_size);
        if (fds[i] < 0) {
            return false;
        }
        /* The connections that it accepts have it from their beginning. */
        int unsent = HTTP_UNSENT_BYTES;
        (void)setsockopt(fds[i], IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    }
    return true;
}

bool http_port_open(const struct http_port *port, const struct door_options *options,
                    struct door **ret_door, char *error, size_t error_size)
{
    CHECK(port->threads >= 1 && port->threads <= HTTP_THREADS_MAX);
    CHECK(port->connections >= port->threads && port->connections <= HTTP_CONNECTIONS_MAX);
    CHECK(port->connections_of_one >= 1);
    int fds[HTTP_LISTENERS_MAX] = {-1, -1};
    if (!listen_all(port, fds, error, error_size)) {
        close_all(fds);
        return false;
    }
    struct http *http = mem_zalloc(1, sizeof *http + port->threads * sizeof http->workers[0]);
    http->door.kind = port->kind;
    http->options = *options;
    http->port = *port;
    memcpy(http->listen_fds, fds, sizeof fds);
    *ret_door = &http->door;
    return true;
}

static bool http_open(const struct door_options *options, struct door **ret_door, char *error,
                      size_t error_size)
{
    const struct http_port port = {.kind = &http_door,
                                   .option = "--http",
                                   .address = options->http,
                                   .also_option = "--consul-http",
                                   .also = options->consul_http,
                                   .threads = options->threads,
                                   .connections = options->connections,
                                   .connections_of_one = options->connections_of_one};
    metric_set(METRIC_http_connections_max, options->connections);
    return http_port_open(&port, options, ret_door, error, error_size);
}

bool http_port_start(struct door *door, struct node *node, char *error, size_t error_size)
{
    struct http *http = http_of(door);
    const struct door_options *options = &http->options;
    const struct http_port *port = &http->port;
    http->context.node = node;
    http->context.sites = port->sites;
    http->context.own = port->own;
    http->context.tls = options->tls;
    http->context.limits = options->limits;
    http->context.audit = options->audit;
    origins_init(&http->context.origins, options);
    http->context.anonymous = options->anonymous;
    http->context.exposure = options->exposure;
    http->context.ttl_ms = options->ttl_ms;
    http->context.reap_after_ms = options->reap_after_ms;
    http->context.tbfs_reap_after_ms = options->tbfs_reap_after_ms;
    http->context.tbfs_service = options->tbfs_service;
    http->context.datacenter = options->datacenter;
    crowd_init(&http->context.crowd, port->connections, port->connections_of_one);
    budget_init(&http->context.answers, HTTP_ANSWERS_BYTES_MAX, METRIC_http_answers_bytes);
    budget_init(&http->context.bodies, HTTP_BODIES_BYTES_MAX, METRIC_http_bodies_bytes);
    http->context.started_ms = clock_monotonic_ms();
    json_set_alloc_funcs(mem_alloc, free);
    for (unsigned i = 0; i < port->threads; i++) {
        if (!worker_start(&http->workers[i], i, http->listen_fds,
                          port->connections / port->threads + options->spare, options->spare,
                          &http->context, error, error_size)) {
            return false;
        }
        http->count++;
    }
    /* Each worker has a duplicate. */
    close_all(http->listen_fds);
    log_write(LOG_INFO, port->kind->name, "listening", "address=\"%s\" tls=%s threads=%u%s%s",
              port->address, options->tls != NULL ? "yes" : "no", port->threads,
              port->also != NULL && port->also[0] != '\0' ? " also=" : "",
              port->also != NULL ? port->also : "");
    return true;
}

void http_port_drain(struct door *door)
{
    struct http *http = http_of(door);
    atomic_store(&http->context.draining, true);
    for (unsigned i = 0; i < http->count; i++) {
        worker_wake(&http->workers[i]);
    }
}

void http_port_stop(struct door *door)
{
    struct http *http = http_of(door);
    for (unsigned i = 0; i < http->count; i++) {
        worker_stop(&http->workers[i]);
    }
    for (unsigned i = 0; i < http->count; i++) {
        worker_join(&http->workers[i]);
    }
    close_all(http->listen_fds);
    free(http);
}

const struct door_kind http_door = {.name = "http",
                                    .open = http_open,
                                    .start = http_port_start,
                                    .drain = http_port_drain,
                                    .stop = http_port_stop};
