/* What is sent to a client: frames, sealed under CURVE. */
#include <stdlib.h>
#include <string.h>

#include "api/zmq/zmq_client.h"
#include "server/base/check.h"
#include "server/base/limits.h"

#define HEAD_ROOM (OUTGOING_HEAD_BYTES - ZMTP_FRAME_HEAD_BYTES)
/* Before the text of an answer: an empty frame and a word. */
#define FRAMES_BEFORE_MAX 2

/* --- plain: the frames before a text go into the head of its piece --- */

static size_t add_frame(uint8_t *head, size_t at, unsigned flags, struct slice body)
{
    at += zmtp_frame_head(flags, body.len, head + at);
    CHECK(at + body.len <= HEAD_ROOM);
    if (body.len > 0) {
        memcpy(head + at, body.data, body.len);
    }
    return at + body.len;
}

static void send_plain(struct zmq_client *c, const struct slice *before, size_t count,
                       struct shared_text *text)
{
    uint8_t head[OUTGOING_HEAD_BYTES];
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        at = add_frame(head, at, ZMTP_MORE, before[i]);
    }
    at += zmtp_frame_head(0, text->len, head + at);
    outgoing_add(&c->out, head, at, text);
    zmq_client_ready(c);
}

/* --- under CURVE: all of it is a text of its own --- */

/* False: too much waits. */
static bool send_sealed(struct zmq_client *c, const struct slice *before, size_t count,
                        struct slice text)
{
    struct buffer sealed;
    size_t each = ZMTP_FRAME_HEAD_BYTES + CURVE_OVERHEAD_BYTES;
    size_t most = text.len + each;
    for (size_t i = 0; i < count; i++) {
        most += before[i].len + each;
    }
    buffer_init(&sealed, most);
    if (!budget_has(&c->all->waiting, most) && most > 2 * ZMQ_SMALL_BYTES) {
        return false; /* before the nonces are used */
    }
    for (size_t i = 0; i < count; i++) {
        curve_seal(c->curve, ZMTP_MORE, before[i].data, before[i].len, &sealed);
    }
    curve_seal(c->curve, 0, text.data, text.len, &sealed);
    CHECK(!sealed.overflowed);
    struct shared_text *shared = shared_text_add(&c->all->waiting, &sealed);
    outgoing_add(&c->out, NULL, 0, shared);
    shared_text_drop(shared);
    zmq_client_ready(c);
    return true;
}

/* --- commands, answers, events --- */

void zmq_client_command(struct zmq_client *c, const void *body, size_t len)
{
    uint8_t head[ZMTP_FRAME_HEAD_BYTES];
    struct buffer frame;
    buffer_init(&frame, ZMTP_FRAME_HEAD_BYTES + CURVE_OVERHEAD_BYTES + len);
    if (c->curve != NULL && c->state == ZMQ_OPEN) {
        curve_seal(c->curve, ZMTP_COMMAND, body, len, &frame);
    } else {
        buffer_append(&frame, head, zmtp_frame_head(ZMTP_COMMAND, len, head));
        buffer_append(&frame, body, len);
    }
    struct shared_text *shared = shared_text_add(&c->all->waiting, &frame);
    outgoing_add(&c->out, NULL, 0, shared);
    shared_text_drop(shared);
    zmq_client_ready(c);
}

enum zmq_sent zmq_client_answer(struct zmq_client *c, const struct envelope *to, const char *word,
                                struct buffer *text)
{
    struct slice before[FRAMES_BEFORE_MAX];
    size_t count = 0;
    if (c->state != ZMQ_OPEN) {
        buffer_done(text);
        return ZMQ_GONE;
    }
    if (to->is_delimited) {
        before[count++] = (struct slice){"", 0};
    }
    if (to->is_typed) {
        before[count++] = slice_of(word);
    }
    if (c->curve != NULL) {
        if (!send_sealed(c, before, count, (struct slice){(const char *)text->data, text->len})) {
            return ZMQ_FULL;
        }
        buffer_done(text);
        return ZMQ_SENT;
    }
    struct shared_text *shared = shared_text_new(&c->all->waiting, text);
    if (shared == NULL) {
        return ZMQ_FULL;
    }
    send_plain(c, before, count, shared);
    shared_text_drop(shared);
    return ZMQ_SENT;
}

static bool has_subscribed(const struct zmq_client *c, const char *topic)
{
    for (unsigned i = 0; i < c->topics_count; i++) {
        if (strncmp(topic, c->topics[i], strlen(c->topics[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool zmq_client_publish(struct zmq_client *c, const char *topic, struct shared_text *text)
{
    const struct slice before = {topic, strlen(topic)};
    if (c->state != ZMQ_OPEN || !has_subscribed(c, topic)) {
        return true;
    }
    if (c->out.count >= ZMQ_EVENTS_WAITING_MAX || !budget_has(c->out.budget, BUDGET_FREE_BYTES)) {
        return false;
    }
    if (c->curve != NULL) {
        return send_sealed(c, &before, 1, (struct slice){(const char *)text->data, text->len});
    }
    send_plain(c, &before, 1, text);
    return true;
}
