/* The door of ZeroMQ: requests, heartbeats and events of the older registry's clients, each on a
 * port of its own. */
#include <stdlib.h>

#include "api/core/door.h"
#include "api/zmq/zmq_worker.h"
#include "server/base/log.h"
#include "server/base/mem.h"

extern const struct door_kind zmq_door;

struct zmq {
    struct door door;
    struct zmq_worker worker;
};

static struct zmq *zmq_of(struct door *door)
{
    return CONTAINER_OF(door, struct zmq, door);
}

static void zmq_stop(struct door *door)
{
    struct zmq *zmq = zmq_of(door);
    zmq_worker_stop(&zmq->worker);
    free(zmq);
}

static const char *text_of(const char *address)
{
    return address != NULL ? address : "";
}

static bool zmq_open(const struct door_options *options, struct door **ret_door, char *error,
                     size_t error_size)
{
    const char *requests = text_of(options->zmq_requests);
    const char *heartbeats = text_of(options->zmq_heartbeats);
    const char *events = text_of(options->zmq_events);
    if (requests[0] == '\0' && heartbeats[0] == '\0' && events[0] == '\0') {
        return true;
    }
    struct zmq *zmq = mem_zalloc(1, sizeof *zmq);
    struct zmq_worker *worker = &zmq->worker;
    zmq->door.kind = &zmq_door;
    worker->options = *options;
    worker->requests.fd = worker->heartbeats.fd = worker->events.fd = -1;
    if (!endpoint_listen(&worker->requests, "--zmq-requests", requests, "ROUTER", error,
                         error_size) ||
        !endpoint_listen(&worker->heartbeats, "--zmq-heartbeats", heartbeats, "ROUTER", error,
                         error_size) ||
        !endpoint_listen(&worker->events, "--zmq-events", events, "PUB", error, error_size)) {
        zmq_stop(&zmq->door);
        return false;
    }
    *ret_door = &zmq->door;
    return true;
}

static bool zmq_start(struct door *door, struct node *node, char *error, size_t error_size)
{
    struct zmq_worker *worker = &zmq_of(door)->worker;
    if (!zmq_worker_start(worker, node, error, error_size)) {
        return false;
    }
    log_write(LOG_INFO, "zmq", "listening", "requests=\"%s\" heartbeats=\"%s\" events=\"%s\"",
              worker->requests.address, worker->heartbeats.address, worker->events.address);
    return true;
}

static void zmq_drain(struct door *door)
{
    zmq_worker_drain(&zmq_of(door)->worker);
}

const struct door_kind zmq_door = {
    .name = "zmq", .open = zmq_open, .start = zmq_start, .drain = zmq_drain, .stop = zmq_stop};
