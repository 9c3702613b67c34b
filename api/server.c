#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "api/worker.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

struct api {
    struct api_context context;
    unsigned count;
    struct worker workers[];
};

static void stop_workers(struct api *api)
{
    for (unsigned i = 0; i < api->count; i++) {
        worker_stop(&api->workers[i]);
    }
    for (unsigned i = 0; i < api->count; i++) {
        worker_join(&api->workers[i]);
    }
    free(api);
}

struct api *api_start(int listen_fd, const struct api_options *options, struct node *node,
                      char *error, size_t error_size)
{
    CHECK(options->threads >= 1 && options->threads <= HTTP_THREADS_MAX);
    CHECK(options->connections >= options->threads && options->connections <= HTTP_CONNECTIONS_MAX);
    struct api *api = mem_zalloc(1, sizeof *api + options->threads * sizeof api->workers[0]);
    api->context.node = node;
    api->context.ttl_ms = options->ttl_ms;
    api->context.reap_after_ms = options->reap_after_ms;
    api->context.connections_max = options->connections;
    metric_set(METRIC_http_connections_max, options->connections);
    api->context.started_ms = clock_monotonic_ms();
    json_set_alloc_funcs(mem_alloc, free);
    bool started = true;
    for (unsigned i = 0; started && i < options->threads; i++) {
        started = worker_start(&api->workers[i], i, listen_fd,
                               options->connections / options->threads + options->spare,
                               &api->context, error, error_size);
        api->count += started;
    }
    /* Each worker has a duplicate. */
    (void)close(listen_fd);
    if (!started) {
        stop_workers(api);
        return NULL;
    }
    log_write(LOG_INFO, "http", "listening", "address=\"%s\" threads=%u", options->listen,
              options->threads);
    return api;
}

void api_drain(struct api *api)
{
    atomic_store(&api->context.draining, true);
    for (unsigned i = 0; i < api->count; i++) {
        worker_wake(&api->workers[i]);
    }
}

void api_stop(struct api *api)
{
    stop_workers(api);
}
