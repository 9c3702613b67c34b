#include "api/grpc/talk.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

/* The window of a stream, and more: what is not taken by a turn waits here. */
#define WAITING_BYTES_MAX (256u * 1024)
/* Longer answers are sent before more is taken. */
#define ANSWERS_BYTES_MAX (8u * 1024 * 1024)

static void state_free(void *state)
{
    struct talk *t = state;
    if (t->done != NULL) {
        t->done(state);
    }
    arena_done(&t->arena);
    buffer_done(&t->in);
    buffer_done(&t->out);
    free(t);
}

void *talk_turn(struct exchange *x, size_t size, size_t longest, void (*done)(void *state))
{
    struct talk *t = x->state;
    if (t == NULL) {
        t = mem_zalloc(1, size);
        x->state = t;
        x->state_free = state_free;
        t->longest = longest;
        t->done = done;
        buffer_init(&t->in, FRAME_BODY(longest) + WAITING_BYTES_MAX);
        buffer_init(&t->out, ANSWERS_BYTES_MAX);
        buffer_count_in(&t->in, &x->context->bodies);
        buffer_count_in(&t->out, &x->context->answers);
    }
    arena_done(&t->arena);
    arena_init(&t->arena, t->in.len - t->in_at);
    return t;
}

static enum frame_scan scan(const struct talk *t, const uint8_t **ret_message, size_t *ret_len)
{
    return frame_scan(t->in.data != NULL ? t->in.data + t->in_at : NULL, t->in.len - t->in_at,
                      t->longest, ret_message, ret_len);
}

ProtobufCMessage *talk_next(struct exchange *x, const ProtobufCMessageDescriptor *type)
{
    struct talk *t = x->state;
    const uint8_t *bytes;
    size_t len;
    switch (scan(t, &bytes, &len)) {
    case FRAME_MORE:
        return NULL;
    case FRAME_COMPRESSED:
        response_error(&x->response, 501, "not_implemented", "", "messages must not be compressed");
        return NULL;
    case FRAME_TOO_LONG:
        response_error(&x->response, 413, "too_large", "", "the message is too long");
        return NULL;
    case FRAME_WHOLE:
        break;
    }
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &t->arena.allocator, len, bytes);
    t->in_at += FRAME_BODY(len);
    if (message == NULL) {
        response_error(&x->response, 400, "malformed", "", "the message is no valid protobuf");
    }
    return message;
}

/* There may be thousands of these. */
static void release(struct buffer *b, struct budget *budget)
{
    if (b->capacity > 0) {
        buffer_done(b);
        buffer_count_in(b, budget);
    }
}

bool talk_take(struct exchange *x, const void *data, size_t len)
{
    struct talk *t = x->state;
    if (t->in_at > 0 && t->in_at == t->in.len) {
        release(&t->in, &x->context->bodies);
        t->in_at = 0;
    } else if (t->in_at > 0) {
        memmove(t->in.data, t->in.data + t->in_at, t->in.len - t->in_at);
        t->in.len -= t->in_at;
        t->in_at = 0;
    }
    buffer_append(&t->in, data, len);
    if (t->in.overflowed) {
        response_error(&x->response, 413, "too_large", "", "too much is waiting");
    }
    return !t->in.overflowed;
}

bool talk_has_work(struct exchange *x)
{
    const uint8_t *bytes;
    size_t len;
    return scan(x->state, &bytes, &len) != FRAME_MORE;
}

size_t talk_read(struct exchange *x, char *out, size_t max)
{
    struct talk *t = x->state;
    size_t now = buffer_read(&t->out, &t->out_at, out, max);
    if (t->out_at == t->out.len) {
        release(&t->out, &x->context->answers);
        t->out_at = 0;
    }
    return now;
}
