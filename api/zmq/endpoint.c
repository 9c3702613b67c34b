#include "api/zmq/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/net/listen.h"

bool endpoint_listen(struct endpoint *e, const char *option, const char *address, char *error,
                     size_t error_size)
{
    *e = (struct endpoint){.option = option, .address = address, .fd = -1};
    if (address[0] == '\0') {
        return true;
    }
    e->fd = listen_open(address, option, error, error_size);
    return e->fd >= 0;
}

static bool set_options(void *socket, int type)
{
    static const struct {
        int type; /* 0: of every socket */
        int option;
        int value;
    } options[] = {
        {0, ZMQ_LINGER, 0},
        {0, ZMQ_IPV6, 1},
        {0, ZMQ_TCP_KEEPALIVE, 1},
        {0, ZMQ_HANDSHAKE_IVL, ZMQ_HANDSHAKE_MS},
        {0, ZMQ_HEARTBEAT_IVL, ZMQ_PING_MS},
        {0, ZMQ_HEARTBEAT_TIMEOUT, ZMQ_PING_TIMEOUT_MS},
        {0, ZMQ_RCVHWM, ZMQ_REQUESTS_WAITING_MAX},
        {ZMQ_ROUTER, ZMQ_SNDHWM, ZMQ_ANSWERS_WAITING_MAX},
        {ZMQ_PUB, ZMQ_SNDHWM, ZMQ_EVENTS_WAITING_MAX},
        /* What cannot be sent is an error, and not silently lost. */
        {ZMQ_ROUTER, ZMQ_ROUTER_MANDATORY, 1},
        /* A client that comes back under its name gets its answers on the new connection. */
        {ZMQ_ROUTER, ZMQ_ROUTER_HANDOVER, 1},
    };
    const int64_t bytes_max = ZMQ_FRAME_BYTES_MAX;
    for (size_t i = 0; i < ARRAY_LENGTH(options); i++) {
        if ((options[i].type == 0 || options[i].type == type) &&
            zmq_setsockopt(socket, options[i].option, &options[i].value, sizeof options[i].value) !=
                0) {
            return false;
        }
    }
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &bytes_max, sizeof bytes_max) == 0;
}

bool endpoint_start(struct endpoint *e, void *zmq, int type, struct budget *budget, char *error,
                    size_t error_size)
{
    e->budget = budget;
    if (e->fd < 0) {
        return true;
    }
    e->socket = zmq_socket(zmq, type);
    /* The address is only for the name: the descriptor listens already. */
    if (e->socket == NULL || !set_options(e->socket, type) ||
        zmq_setsockopt(e->socket, ZMQ_USE_FD, &e->fd, sizeof e->fd) != 0 ||
        zmq_bind(e->socket, "tcp://127.0.0.1:0") != 0) {
        (void)snprintf(error, error_size, "cannot start %s on %s: %s", e->option, e->address,
                       zmq_strerror(zmq_errno()));
        return false;
    }
    e->fd = -1;
    return true;
}

void endpoint_close(struct endpoint *e)
{
    if (e->socket != NULL) {
        (void)zmq_close(e->socket);
        e->socket = NULL;
    }
    if (e->fd >= 0) {
        (void)close(e->fd);
        e->fd = -1;
    }
}

/* --- in --- */

bool endpoint_receive(struct endpoint *e, struct incoming *ret)
{
    bool more = true;
    ret->count = 0;
    ret->is_cut = false;
    while (more) {
        zmq_msg_t frame;
        (void)zmq_msg_init(&frame);
        /* Only whole messages come, so only the first can be missing. */
        if (zmq_msg_recv(&frame, e->socket, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&frame);
            break;
        }
        more = zmq_msg_more(&frame) != 0;
        if (ret->count == ARRAY_LENGTH(ret->frames)) {
            ret->is_cut = true;
            (void)zmq_msg_close(&frame);
        } else {
            (void)zmq_msg_init(&ret->frames[ret->count]);
            (void)zmq_msg_move(&ret->frames[ret->count++], &frame);
            (void)zmq_msg_close(&frame);
        }
    }
    return ret->count > 0;
}

void incoming_done(struct incoming *in)
{
    for (size_t i = 0; i < in->count; i++) {
        (void)zmq_msg_close(&in->frames[i]);
    }
    in->count = 0;
}

const char *incoming_peer(struct incoming *in)
{
    /* The identity is a frame that the socket has made. */
    const char *peer =
        in->count > 1 ? zmq_msg_gets(&in->frames[in->count - 1], "Peer-Address") : NULL;
    return peer != NULL ? peer : "";
}

/* --- out --- */

struct sent {
    struct budget *budget;
    size_t bytes;
};

/* On any thread of libzmq. */
static void sent_done(void *data, void *hint)
{
    struct sent *sent = hint;
    budget_give(sent->budget, sent->bytes);
    free(sent);
    free(data);
}

/* False: too much waits. Small ones always find room: how many there are is bounded. */
static bool fill(zmq_msg_t *frame, struct budget *budget, struct buffer *text)
{
    size_t len = text->len, bytes = text->capacity;
    if (len <= ZMQ_SMALL_BYTES) {
        budget_add(budget, bytes);
    } else if (!budget_take(budget, bytes)) {
        return false;
    }
    struct sent *sent = mem_alloc(sizeof *sent);
    *sent = (struct sent){budget, bytes};
    uint8_t *data = buffer_take(text, &len);
    CHECK(zmq_msg_init_data(frame, data, len, sent_done, sent) == 0);
    return true;
}

enum endpoint_result endpoint_answer(struct endpoint *e, const struct envelope *to,
                                     const char *word, struct buffer *text)
{
    const int rest = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    zmq_msg_t body;
    if (!fill(&body, e->budget, text)) {
        return ENDPOINT_FULL;
    }
    /* Once the identity is taken, so is the rest: the room is that of messages. */
    bool sent = zmq_send(e->socket, to->identity, to->identity_len, rest) >= 0 &&
                (!to->is_delimited || zmq_send(e->socket, "", 0, rest) >= 0) &&
                (!to->is_typed || zmq_send(e->socket, word, strlen(word), rest) >= 0) &&
                zmq_msg_send(&body, e->socket, ZMQ_DONTWAIT) >= 0;
    if (!sent) {
        (void)zmq_msg_close(&body);
    }
    return sent ? ENDPOINT_SENT : ENDPOINT_GONE;
}

bool endpoint_publish(struct endpoint *e, const char *topic, struct buffer *text)
{
    zmq_msg_t body;
    if (!fill(&body, e->budget, text)) {
        buffer_done(text);
        return false;
    }
    if (zmq_send(e->socket, topic, strlen(topic), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
        zmq_msg_send(&body, e->socket, ZMQ_DONTWAIT) < 0) {
        (void)zmq_msg_close(&body);
    }
    return true;
}
