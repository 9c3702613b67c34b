/* The door of ZeroMQ: requests, heartbeats and events of the older registry's clients, each on a
 * port of its own. */
#include <stddef.h>
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

/* A port of the table below, in the options. */
static const char *address_of(const struct door_options *options, size_t at)
{
    const char *address = *(const char *const *)(const void *)((const char *)options + at);
    return address != NULL ? address : "";
}

static const struct {
    size_t address; /* in the options */
    const char *option;
    const char *type;
} ports[2][ZMQ_PORTS] = {
    {{offsetof(struct door_options, zmq_requests), "--zmq-requests", "ROUTER"},
     {offsetof(struct door_options, zmq_heartbeats), "--zmq-heartbeats", "ROUTER"},
     {offsetof(struct door_options, zmq_events), "--zmq-events", "PUB"}},
    {{offsetof(struct door_options, zmq_curve_requests), "--zmq-curve-requests", "ROUTER"},
     {offsetof(struct door_options, zmq_curve_heartbeats), "--zmq-curve-heartbeats", "ROUTER"},
     {offsetof(struct door_options, zmq_curve_events), "--zmq-curve-events", "PUB"}},
};

static bool is_on(const struct door_options *options, bool curve)
{
    for (size_t i = 0; i < ZMQ_PORTS; i++) {
        if (address_of(options, ports[curve][i].address)[0] != '\0') {
            return true;
        }
    }
    return false;
}

static bool open_ports(struct zmq_worker *worker, char *error, size_t error_size)
{
    for (size_t i = 0; i < 2 * ZMQ_PORTS; i++) {
        bool curve = i >= ZMQ_PORTS;
        size_t port = i % ZMQ_PORTS;
        const struct zmq_service service = {.type = ports[curve][port].type,
                                            .keys = curve ? &worker->keys : NULL};
        if (!endpoint_listen(&worker->ports[curve][port], ports[curve][port].option,
                             address_of(&worker->options, ports[curve][port].address), &service,
                             error, error_size)) {
            return false;
        }
    }
    return true;
}

static bool zmq_open(const struct door_options *options, struct door **ret_door, char *error,
                     size_t error_size)
{
    bool curve = is_on(options, true);
    if (!is_on(options, false) && !curve) {
        return true;
    }
    struct zmq *zmq = mem_zalloc(1, sizeof *zmq);
    struct zmq_worker *worker = &zmq->worker;
    zmq->door.kind = &zmq_door;
    worker->options = *options;
    for (size_t i = 0; i < ZMQ_PORTS; i++) {
        worker->ports[false][i].fd = worker->ports[true][i].fd = -1;
    }
    if ((curve && !curve_keys_load(&worker->keys, options->zmq_curve_key,
                                   options->zmq_curve_clients, error, error_size)) ||
        !open_ports(worker, error, error_size)) {
        zmq_stop(&zmq->door);
        return false;
    }
    *ret_door = &zmq->door;
    return true;
}

static bool zmq_start(struct door *door, struct node *node, char *error, size_t error_size)
{
    struct zmq_worker *worker = &zmq_of(door)->worker;
    char key[Z85_KEY_CHARS + 1] = "";
    if (!zmq_worker_start(worker, node, error, error_size)) {
        return false;
    }
    if (is_on(&worker->options, true)) {
        z85_key_text(worker->keys.public, key);
    }
    for (size_t i = 0; i < 2 * ZMQ_PORTS; i++) {
        const struct endpoint *e = &worker->ports[i >= ZMQ_PORTS][i % ZMQ_PORTS];
        if (e->fd >= 0) {
            log_write(LOG_INFO, "zmq", "listening", "address=\"%s\" option=%s public_key=\"%s\"",
                      e->address, e->option, e->service.keys != NULL ? key : "");
        }
    }
    return true;
}

static bool zmq_reload(struct door *door, char *error, size_t error_size)
{
    struct zmq_worker *worker = &zmq_of(door)->worker;
    const struct door_options *options = &worker->options;
    if (!is_on(options, true)) {
        return true;
    }
    struct curve_keys *keys = mem_zalloc(1, sizeof *keys);
    if (!curve_keys_load(keys, options->zmq_curve_key, options->zmq_curve_clients, error,
                         error_size)) {
        curve_keys_done(keys);
        free(keys);
        return false;
    }
    zmq_worker_give_keys(worker, keys);
    return true;
}

static void zmq_drain(struct door *door)
{
    zmq_worker_drain(&zmq_of(door)->worker);
}

const struct door_kind zmq_door = {.name = "zmq",
                                   .open = zmq_open,
                                   .start = zmq_start,
                                   .reload = zmq_reload,
                                   .drain = zmq_drain,
                                   .stop = zmq_stop};
