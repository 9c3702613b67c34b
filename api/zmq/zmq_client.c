#include "api/zmq/zmq_client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/core/client_address.h"
#include "api/core/rate_limit.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* Requests that a client sent ahead are taken so many at a time. */
#define REQUESTS_A_TURN 32
/* One that has not read so many answers is not read from; and large ones are made one at a time. */
#define UNREAD_MAX       64
#define UNREAD_BYTES_MAX (1024 * 1024)
#define PING             "\4PING\0\0" /* without a time to live */
#define PING_BYTES       7

static void event(struct pollee *pollee, uint32_t events);

static bool is_paused(const struct zmq_client *c)
{
    return c->out.count >= UNREAD_MAX || c->out.bytes >= UNREAD_BYTES_MAX;
}

void zmq_client_ready(struct zmq_client *c)
{
    if (cds_list_empty(&c->ready)) {
        cds_list_add_tail(&c->ready, &c->all->ready);
    }
}

static const char *mechanism(const struct zmq_client *c)
{
    return c->curve != NULL ? "CURVE" : "NULL";
}

/* --- its life --- */

void zmq_client_open(struct zmq_clients *all, struct cds_list_head *place,
                     const struct zmq_service *service, int fd, const struct sockaddr_storage *peer)
{
    struct zmq_client *c = mem_zalloc(1, sizeof *c);
    struct epoll_event on = {.events = EPOLLIN, .data.ptr = &c->pollee};
    uint8_t greeting[ZMTP_GREETING_BYTES];
    c->pollee.event = event;
    c->all = all;
    c->type = service->type;
    c->curve = service->keys != NULL ? curve_new(service->keys) : NULL;
    c->name = "";
    c->fd = fd;
    c->interest = on.events;
    c->peer = *peer;
    c->opened_ms = c->heard_ms = all->now_ms;
    c->client = rate_limits_client(all->limits, (const struct sockaddr *)peer);
    client_address_text((const struct sockaddr *)peer, c->address);
    CDS_INIT_LIST_HEAD(&c->ready);
    buffer_init(&c->in, ZMQ_MESSAGE_BYTES_MAX + ZMQ_INPUT_BYTES);
    buffer_count_in(&c->in, &all->unread);
    outgoing_init(&c->out, &all->waiting);
    cds_list_add_tail(&c->place, place);
    metric_add(METRIC_zmq_connections, 1);
    zmtp_greeting_write(mechanism(c), greeting);
    outgoing_add(&c->out, greeting, sizeof greeting, NULL);
    zmq_client_ready(c);
    if (epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, fd, &on) != 0) {
        zmq_client_close(c);
    }
}

void zmq_client_close(struct zmq_client *c)
{
    struct zmq_clients *all = c->all;
    if (c->state == ZMQ_CLOSED) {
        return;
    }
    c->state = ZMQ_CLOSED;
    (void)close(c->fd);
    crowd_leave(&all->crowd, (const struct sockaddr *)&c->peer, CROWD_FINE);
    metric_add(METRIC_zmq_connections, -1);
    buffer_done(&c->in);
    outgoing_done(&c->out);
    curve_free(c->curve);
    c->curve = NULL;
    c->name = "";
    while (c->topics_count > 0) {
        free(c->topics[--c->topics_count]);
    }
    cds_list_del_init(&c->ready);
    cds_list_move(&c->place, &all->closed);
}

/* For what its peer did. */
static void cut(struct zmq_client *c)
{
    metric_add(METRIC_zmq_connections_cut_total, 1);
    zmq_client_close(c);
}

bool zmq_client_check_key(struct zmq_client *c)
{
    /* One that still shakes hands is asked for its key afterwards. */
    if (c->state != ZMQ_OPEN || c->curve == NULL || curve_is_known(c->curve)) {
        return false;
    }
    cut(c);
    return true;
}

void zmq_clients_reap(struct zmq_clients *all)
{
    struct zmq_client *c, *next;
    cds_list_for_each_entry_safe(c, next, &all->closed, place)
    {
        if (c->holders == 0) {
            cds_list_del(&c->place);
            free(c);
        }
    }
}

struct zmq_client *zmq_client_hold(struct zmq_client *c)
{
    c->holders++;
    return c;
}

void zmq_client_release(struct zmq_client *c)
{
    CHECK(c->holders > 0);
    c->holders--;
}

/* False: it is closed. */
static bool flush(struct zmq_client *c)
{
    size_t bytes;
    enum outgoing_result result = outgoing_send(&c->out, c->fd, &bytes);
    if (bytes > 0 && c->is_blocked) {
        /* So it has read something. */
        c->heard_ms = c->all->now_ms;
    }
    if (result == OUTGOING_NOBODY) {
        zmq_client_close(c);
        return false;
    }
    c->is_blocked = result == OUTGOING_SOME;
    return true;
}

static void send_ready(struct zmq_client *c)
{
    uint8_t body[6 + ZMTP_METADATA_BYTES_MAX] = "\5READY";
    zmq_client_command(c, body, 6 + zmtp_metadata_write(c->type, body + 6));
}

/* --- what comes: each of these returns how many bytes it used; 0: more are needed --- */

static size_t take_greeting(struct zmq_client *c, const uint8_t *data, size_t len)
{
    switch (zmtp_greeting_parse(mechanism(c), data, len)) {
    case ZMTP_PARTIAL:
        return 0;
    case ZMTP_WHOLE:
        c->state = ZMQ_HANDSHAKE;
        if (c->curve == NULL) {
            send_ready(c);
        }
        return ZMTP_GREETING_BYTES;
    case ZMTP_BROKEN:
        break;
    }
    cut(c);
    return 0;
}

/* False: the connection is to be cut. */
static bool take_ready(struct zmq_client *c, struct slice body)
{
    struct zmtp_command command;
    struct slice type;
    if (!zmtp_command_parse(body, &command) || !zmtp_command_is(&command, "READY") ||
        !zmtp_metadata_parse(command.data, &type) || !zmtp_types_match(c->type, type)) {
        return false;
    }
    c->state = ZMQ_OPEN;
    return true;
}

/* The same. `body` lies in the input, which is this side's to change. */
static bool take_curve(struct zmq_client *c, struct slice body)
{
    uint8_t answer[CURVE_ANSWER_BYTES_MAX];
    size_t len = 0;
    struct slice type = {"", 0};
    uint64_t held;
    switch (curve_take(c->curve, c->type, (uint8_t *)(uintptr_t)body.data, body.len, answer, &len,
                       &type)) {
    case CURVE_MORE:
        zmq_client_command(c, answer, len);
        return true;
    case CURVE_DONE:
        if (!zmtp_types_match(c->type, type)) {
            return false;
        }
        zmq_client_command(c, answer, len);
        c->name = curve_name(c->curve);
        c->state = ZMQ_OPEN;
        return true;
    case CURVE_UNKNOWN:
        if (log_gate_open(&c->all->gate, &held)) {
            log_write(LOG_WARN, "zmq", "a client's key is none of --zmq-curve-clients",
                      "address=\"%s\" held_back=%" PRIu64, c->address, held);
        }
        return false;
    case CURVE_BAD:
        break;
    }
    return false;
}

static size_t take_handshake(struct zmq_client *c, const uint8_t *data, size_t len)
{
    struct zmtp_frame frame;
    enum zmtp_parsed parsed = zmtp_frame_parse(data, len, ZMQ_HANDSHAKE_BYTES_MAX, &frame);
    if (parsed == ZMTP_PARTIAL) {
        return 0;
    }
    if (parsed == ZMTP_BROKEN || (frame.flags & ZMTP_COMMAND) == 0 ||
        !(c->curve != NULL ? take_curve(c, frame.body) : take_ready(c, frame.body))) {
        cut(c);
        return 0;
    }
    return frame.bytes;
}

/* False: it asks for too much. */
static bool subscribe(struct zmq_client *c, struct slice topic)
{
    if (c->topics_count == ZMQ_SUBSCRIPTIONS_MAX || topic.len > ZMQ_TOPIC_BYTES_MAX) {
        return false;
    }
    /* One with a NUL fits none of the topics that there are. */
    if (memchr(topic.data, 0, topic.len) == NULL) {
        c->topics[c->topics_count++] = mem_strndup(topic.data, topic.len);
    }
    return true;
}

static void unsubscribe(struct zmq_client *c, struct slice topic)
{
    for (unsigned i = 0; i < c->topics_count; i++) {
        if (strlen(c->topics[i]) == topic.len && memcmp(c->topics[i], topic.data, topic.len) == 0) {
            free(c->topics[i]);
            c->topics[i] = c->topics[--c->topics_count];
            return;
        }
    }
}

/* False: the connection is to be cut. */
static bool take_command(struct zmq_client *c, struct slice body)
{
    struct zmtp_command command;
    uint8_t pong[5 + ZMTP_CONTEXT_BYTES_MAX] = "\4PONG";
    if (!zmtp_command_parse(body, &command)) {
        return false;
    }
    if (zmtp_command_is(&command, "SUBSCRIBE")) {
        return subscribe(c, command.data);
    }
    if (zmtp_command_is(&command, "CANCEL")) {
        unsubscribe(c, command.data);
    } else if (zmtp_command_is(&command, "PING")) {
        /* Two bytes of time to live, and a context for the answer. */
        if (command.data.len < 2 || command.data.len - 2 > ZMTP_CONTEXT_BYTES_MAX) {
            return false;
        }
        memcpy(pong + 5, command.data.data + 2, command.data.len - 2);
        zmq_client_command(c, pong, 5 + command.data.len - 2);
    }
    return !zmtp_command_is(&command, "ERROR");
}

/* Of a subscriber. */
static bool take_subscription(struct zmq_client *c, const struct incoming *in)
{
    struct slice frame = in->frames[0];
    if (in->count == 1 && frame.len > 0 && frame.data[0] == 1) {
        return subscribe(c, (struct slice){frame.data + 1, frame.len - 1});
    }
    if (in->count == 1 && frame.len > 0 && frame.data[0] == 0) {
        unsubscribe(c, (struct slice){frame.data + 1, frame.len - 1});
    }
    return true;
}

static void take_message(struct zmq_client *c, const uint8_t *data)
{
    struct incoming in = {.count = c->partial.count, .is_cut = c->partial.is_cut};
    for (size_t i = 0; i < in.count; i++) {
        in.frames[i] =
            (struct slice){(const char *)data + c->partial.frames[i].at, c->partial.frames[i].len};
    }
    c->partial = (struct partial){0};
    c->partial_since_ms = 0;
    if (strcmp(c->type, "ROUTER") == 0) {
        c->all->take(c, &in);
    } else if (!take_subscription(c, &in)) {
        cut(c);
    }
}

static void add_to_partial(struct partial *p, const uint8_t *data, struct slice body)
{
    if (p->count == ENVELOPE_FRAMES_MAX) {
        p->is_cut = true;
        return;
    }
    p->frames[p->count].at = (size_t)((const uint8_t *)body.data - data);
    p->frames[p->count++].len = body.len;
}

static size_t frame_bytes_max(const struct zmq_client *c)
{
    return ZMQ_FRAME_BYTES_MAX + (c->curve != NULL ? CURVE_OVERHEAD_BYTES : 0);
}

/* Under CURVE a frame is a MESSAGE, with what it is within. False: the connection is to be cut. */
static bool decrypt(struct zmq_client *c, struct zmtp_frame *frame)
{
    unsigned flags;
    struct slice content;
    if (c->curve == NULL) {
        return true;
    }
    if (!curve_open(c->curve, (uint8_t *)(uintptr_t)frame->body.data, frame->body.len, &flags,
                    &content)) {
        return false;
    }
    frame->flags = (uint8_t)flags;
    frame->body = content;
    return true;
}

/* `data` begins with the first byte of a message. Commands may come between its frames. */
static size_t take_traffic(struct zmq_client *c, uint8_t *data, size_t len)
{
    struct partial *p = &c->partial;
    struct zmtp_frame frame;
    enum zmtp_parsed parsed;
    while ((parsed = zmtp_frame_parse(data + p->scanned, len - p->scanned, frame_bytes_max(c),
                                      &frame)) == ZMTP_WHOLE) {
        p->scanned += frame.bytes;
        if (!decrypt(c, &frame)) {
            cut(c);
            return 0;
        }
        size_t used = p->scanned;
        if ((frame.flags & ZMTP_COMMAND) != 0) {
            if (!take_command(c, frame.body)) {
                cut(c);
                return 0;
            }
            if (p->count == 0) {
                p->scanned = 0;
                return used;
            }
            continue;
        }
        add_to_partial(p, data, frame.body);
        if ((frame.flags & ZMTP_MORE) == 0) {
            take_message(c, data);
            return used;
        }
    }
    if (parsed == ZMTP_BROKEN || len > ZMQ_MESSAGE_BYTES_MAX) {
        cut(c);
    }
    return 0;
}

static size_t take(struct zmq_client *c, uint8_t *data, size_t len)
{
    switch (c->state) {
    case ZMQ_GREETING:
        return take_greeting(c, data, len);
    case ZMQ_HANDSHAKE:
        return take_handshake(c, data, len);
    case ZMQ_OPEN:
        return take_traffic(c, data, len);
    case ZMQ_CLOSED:
        break;
    }
    return 0;
}

/* Returns how many bytes were used. Others get their turn, and one who does not read waits. */
static size_t consume(struct zmq_client *c, uint8_t *data, size_t len)
{
    size_t used = 0;
    c->is_stalled = false;
    for (unsigned i = 0; used < len && c->state != ZMQ_CLOSED; i++) {
        if (i == REQUESTS_A_TURN || is_paused(c)) {
            c->is_stalled = true;
            break;
        }
        size_t taken = take(c, data + used, len - used);
        if (taken == 0) {
            break;
        }
        used += taken;
    }
    return used;
}

/* --- reading --- */

static void note_partial(struct zmq_client *c)
{
    if (c->in.len == 0 || c->is_stalled) {
        c->partial_since_ms = 0;
    } else if (c->partial_since_ms == 0) {
        c->partial_since_ms = c->all->now_ms;
    }
}

static void consume_own(struct zmq_client *c)
{
    size_t used = consume(c, c->in.data, c->in.len);
    if (c->state == ZMQ_CLOSED) {
        return;
    }
    if (used == c->in.len) {
        buffer_done(&c->in);
    } else if (used > 0) {
        memmove(c->in.data, c->in.data + used, c->in.len - used);
        c->in.len -= used;
    }
    note_partial(c);
}

static void keep(struct zmq_client *c, const uint8_t *data, size_t len)
{
    buffer_append(&c->in, data, len);
    if (c->in.overflowed) {
        cut(c);
    }
}

static void receive(struct zmq_client *c)
{
    struct zmq_clients *all = c->all;
    ssize_t got = recv(c->fd, all->input, sizeof all->input, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            zmq_client_close(c);
        }
        return;
    }
    c->heard_ms = all->now_ms;
    c->is_pinged = false;
    if (c->in.len > 0) {
        keep(c, all->input, (size_t)got);
        if (c->state != ZMQ_CLOSED) {
            consume_own(c);
        }
        return;
    }
    size_t used = consume(c, all->input, (size_t)got);
    if (c->state != ZMQ_CLOSED && used < (size_t)got) {
        keep(c, all->input + used, (size_t)got - used);
    }
    if (c->state != ZMQ_CLOSED) {
        note_partial(c);
    }
}

/* --- its turns --- */

static void event(struct pollee *pollee, uint32_t events)
{
    struct zmq_client *c = CONTAINER_OF(pollee, struct zmq_client, pollee);
    if (c->state == ZMQ_CLOSED) {
        return;
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) {
        receive(c);
    }
    if (c->state != ZMQ_CLOSED) {
        zmq_client_ready(c);
    }
}

static void update_interest(struct zmq_client *c)
{
    uint32_t interest =
        (c->is_stalled || is_paused(c) ? 0 : EPOLLIN) | (c->is_blocked ? (uint32_t)EPOLLOUT : 0);
    struct epoll_event on = {.events = interest, .data.ptr = &c->pollee};
    if (interest != c->interest) {
        c->interest = interest;
        CHECK(epoll_ctl(c->all->epoll_fd, EPOLL_CTL_MOD, c->fd, &on) == 0);
    }
}

static void run(struct zmq_client *c)
{
    if (!flush(c)) {
        return;
    }
    if (c->is_stalled && !is_paused(c)) {
        consume_own(c);
        if (c->state == ZMQ_CLOSED || !flush(c)) {
            return;
        }
    }
    cds_list_del_init(&c->ready);
    if (c->is_stalled && !is_paused(c)) {
        zmq_client_ready(c);
    }
    update_interest(c);
}

bool zmq_clients_run(struct zmq_clients *all)
{
    struct cds_list_head now;
    CDS_INIT_LIST_HEAD(&now);
    cds_list_splice(&all->ready, &now);
    CDS_INIT_LIST_HEAD(&all->ready);
    while (!cds_list_empty(&now)) {
        struct zmq_client *c = cds_list_first_entry(&now, struct zmq_client, ready);
        cds_list_del_init(&c->ready);
        run(c);
    }
    return !cds_list_empty(&all->ready);
}

void zmq_client_look(struct zmq_client *c)
{
    uint64_t now_ms = c->all->now_ms;
    if ((c->state != ZMQ_OPEN && now_ms - c->opened_ms >= ZMQ_HANDSHAKE_MS) ||
        (c->partial_since_ms != 0 && now_ms - c->partial_since_ms >= ZMQ_MESSAGE_MS) ||
        now_ms - c->heard_ms >= ZMQ_PING_MS + ZMQ_PING_TIMEOUT_MS) {
        cut(c);
    } else if (c->state == ZMQ_OPEN && !c->is_pinged && now_ms - c->heard_ms >= ZMQ_PING_MS) {
        c->is_pinged = true;
        zmq_client_command(c, PING, PING_BYTES);
    }
}
