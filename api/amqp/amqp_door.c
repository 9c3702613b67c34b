/* The door of AMQP: a sink that publishes every event to a topic exchange of a broker. */
#include <stdlib.h>
#include <string.h>

#include "api/amqp/amqp_broker.h"
#include "api/amqp/amqp_key.h"
#include "api/amqp/amqp_swarm.h"
#include "api/core/door.h"
#include "api/sink/sink.h"
#include "server/base/log.h"
#include "server/base/mem.h"

extern const struct door_kind amqp_door;

struct amqp {
    struct door door;
    struct sink sink;
    struct amqp_url url;
    const char *exchange, *ca; /* the options' */
    struct amqp_broker broker;
};

static_assert(SINK_KEY_SIZE == AMQP_SHORT_BYTES_MAX + 1, "a key is a short string");
static_assert(AMQP_BROKER_WINDOW >= SINK_WINDOW, "all that a sink sends may wait for a confirm");

static struct amqp *of_sink(struct sink *sink)
{
    return CONTAINER_OF(sink, struct amqp, sink);
}

static struct amqp *of_door(struct door *door)
{
    return CONTAINER_OF(door, struct amqp, door);
}

/* --- the sink --- */

static bool amqp_connect(struct sink *sink, char *error, size_t error_size)
{
    struct amqp *a = of_sink(sink);
    return amqp_broker_connect(&a->broker, &a->url, a->exchange, a->ca, error, error_size);
}

static bool amqp_accepts(struct sink *sink)
{
    return !of_sink(sink)->broker.blocked;
}

static bool amqp_send(struct sink *sink, const struct sink_message *m, char *error,
                      size_t error_size)
{
    struct amqp *a = of_sink(sink);
    char key[AMQP_SHORT_BYTES_MAX + 1];
    if (m->key[0] != '\0') {
        memcpy(key, m->key, sizeof key);
    } else {
        amqp_key(m->event, m->service, m->space, key);
    }
    const struct amqp_publication publication = {.key = key,
                                                 .message_id = m->id_text,
                                                 .wall_ms = m->wall_ms,
                                                 .body = m->body,
                                                 .body_len = m->body_len};
    return amqp_broker_publish(&a->broker, a->exchange, &publication, error, error_size);
}

static bool amqp_deliver(struct sink *sink, size_t *ret_confirmed, char *error, size_t error_size)
{
    return amqp_broker_take(&of_sink(sink)->broker, ret_confirmed, error, error_size);
}

static int amqp_descriptor(struct sink *sink)
{
    return of_sink(sink)->broker.fd;
}

static void amqp_close(struct sink *sink)
{
    amqp_broker_close(&of_sink(sink)->broker);
}

static void amqp_abort(struct sink *sink)
{
    amqp_broker_abort(&of_sink(sink)->broker);
}

static const struct sink_kind amqp_sink = {
    .name = "amqp",
    .connected = METRIC_amqp_connected,
    .sent_total = METRIC_amqp_sent_total,
    .failures_total = METRIC_amqp_failures_total,
    .resets_total = METRIC_amqp_resets_total,
    .waiting = METRIC_amqp_waiting_events,
    .connect = amqp_connect,
    .accepts = amqp_accepts,
    .send = amqp_send,
    .deliver = amqp_deliver,
    .descriptor = amqp_descriptor,
    .close = amqp_close,
    .translate = amqp_swarm_translate,
    .abort = amqp_abort,
};

/* --- the door --- */

static bool amqp_open(const struct door_options *options, struct door **ret_door, char *error,
                      size_t error_size)
{
    if (options->amqp_url == NULL || options->amqp_url[0] == '\0') {
        return true;
    }
    struct amqp *a = mem_zalloc(1, sizeof *a);
    a->door.kind = &amqp_door;
    a->sink.kind = &amqp_sink;
    a->exchange = options->amqp_exchange;
    a->ca = options->amqp_ca;
    amqp_broker_init(&a->broker);
    if (!amqp_url_parse(options->amqp_url, &a->url, error, error_size)) {
        free(a);
        return false;
    }
    *ret_door = &a->door;
    return true;
}

static bool amqp_start(struct door *door, struct node *node, char *error, size_t error_size)
{
    struct amqp *a = of_door(door);
    if (!sink_start(&a->sink, node, error, error_size)) {
        return false;
    }
    log_write(LOG_INFO, "amqp", "events go to a broker when this replica leads",
              "host=\"%s\" port=%d vhost=\"%s\" exchange=\"%s\" tls=%s", a->url.host, a->url.port,
              a->url.vhost, a->exchange, a->url.tls ? "yes" : "no");
    return true;
}

static void amqp_drain(struct door *door)
{
    sink_drain(&of_door(door)->sink);
}

static void amqp_stop(struct door *door)
{
    struct amqp *a = of_door(door);
    if (sink_stop(&a->sink)) { /* else its thread still uses it, and the process ends soon */
        amqp_broker_done(&a->broker);
        amqp_url_wipe(&a->url);
        free(a);
    }
}

const struct door_kind amqp_door = {
    .name = "amqp", .open = amqp_open, .start = amqp_start, .drain = amqp_drain, .stop = amqp_stop};
