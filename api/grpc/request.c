/* A call: from its body to a message, and back. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/grpc/handlers.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/text.h"

/* --- what came --- */

static void state_free(void *state)
{
    struct call_state *s = state;
    arena_done(&s->arena);
    free(s);
}

static void refuse(struct exchange *x, int status, const char *code, const char *message)
{
    response_error(&x->response, status, code, "", message);
}

/* NULL: refused. */
static ProtobufCMessage *unpack(struct exchange *x, struct call_state *s,
                                const ProtobufCMessageDescriptor *type)
{
    const struct buffer *body = &x->request.body;
    const uint8_t *bytes;
    size_t len;
    switch (frame_scan(body->data, body->len, body->len, &bytes, &len)) {
    case FRAME_COMPRESSED:
        refuse(x, 501, "not_implemented", "messages must not be compressed");
        return NULL;
    case FRAME_MORE:
    case FRAME_TOO_LONG:
        refuse(x, 400, "malformed", "the message is not complete");
        return NULL;
    case FRAME_WHOLE:
        break;
    }
    if (FRAME_BODY(len) != body->len) {
        refuse(x, 400, "malformed", "there must be one message");
        return NULL;
    }
    arena_init(&s->arena, len);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &s->arena.allocator, len, bytes);
    if (message == NULL) {
        refuse(x, 400, "malformed", "the message is no valid protobuf");
    }
    return message;
}

/* "100m": a number of at most eight digits, and its unit. */
static void take_deadline(struct exchange *x)
{
    static const struct {
        char unit;
        uint64_t ms; /* or, of the small ones, so many to a millisecond */
    } units[] = {{'H', 3600000}, {'M', 60000}, {'S', 1000}, {'m', 1}};
    const char *text = request_header(&x->request, "grpc-timeout");
    char digits[9];
    uint64_t number;
    size_t len = text != NULL ? strspn(text, "0123456789") : 0;
    if (len == 0 || len >= sizeof digits || text[len] == '\0' || text[len + 1] != '\0') {
        return;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!text_parse_u64(digits, UINT64_MAX, &number)) {
        return;
    }
    uint64_t ms = text[len] == 'u' ? number / 1000 : number / 1000000;
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        ms = text[len] == units[i].unit ? number * units[i].ms : ms;
    }
    x->deadline_ms = clock_monotonic_ms() + ms;
}

void *call_begin(struct exchange *x, size_t size, const ProtobufCMessageDescriptor *type)
{
    struct call_state *s = mem_zalloc(1, size);
    x->state = s;
    x->state_free = state_free;
    arena_init(&s->arena, 0);
    take_deadline(x);
    s->message = unpack(x, s, type);
    return s->message != NULL ? s : NULL;
}

/* False: it is there, and no number. */
static bool take_number(struct exchange *x, const char *name, uint64_t *number)
{
    const char *text = request_header(&x->request, name);
    return text == NULL || text_parse_u64(text, UINT64_MAX, number);
}

bool call_must_read(struct exchange *x, bool linearizable, uint64_t min_index)
{
    const char *said = request_header(&x->request, "muster-consistency");
    if (x->was_read || x->late) {
        return x->late && !x->was_read; /* the node has the read still */
    }
    if (said != NULL && strcmp(said, "linearizable") != 0 && strcmp(said, "stale") != 0) {
        refuse(x, 400, "invalid", "muster-consistency must be linearizable or stale");
        return false;
    }
    if (!take_number(x, "muster-min-index", &min_index)) {
        refuse(x, 400, "invalid", "muster-min-index must be a whole number");
        return false;
    }
    x->read.linearizable = linearizable || (said != NULL && said[0] == 'l');
    x->read.min_index = min_index;
    return x->read.linearizable || min_index > 0;
}

/* --- what is said --- */

enum next call_respond(struct exchange *x, const ProtobufCMessage *message)
{
    x->response.status = 200;
    frame_put(&x->response.body, message);
    return NEXT_RESPOND;
}

enum next call_fail(struct exchange *x, enum status status)
{
    response_status(&x->response, status);
    return NEXT_RESPOND;
}

enum next call_refuse(struct exchange *x, const struct problem *problem)
{
    response_problem(&x->response, problem);
    return NEXT_RESPOND;
}

enum next call_conflict(struct exchange *x, uint64_t said, uint64_t present)
{
    char message[160];
    if (present == 0) {
        return call_fail(x, ST_CONFLICT);
    }
    (void)snprintf(message, sizeof message,
                   "%s incarnation of this id: it is %" PRIu64 " now, not %" PRIu64,
                   said < present ? "there is a newer" : "there has been no such", present, said);
    response_error(&x->response, 409, "conflict", "incarnation", message);
    return NEXT_RESPOND;
}

void call_headers(const struct exchange *x, struct response *response)
{
    struct node_status status;
    uint64_t written = x->late ? 0 : x->write.result.index;
    node_status(x->context->node, &status);
    uint64_t index = response->index != 0 ? response->index : status.applied_index;
    response_header_u64(response, "muster-index", written > index ? written : index);
    if (status.leader != 0) {
        response_header_u64(response, "muster-leader", status.leader);
    }
    response_header_u64(response, "muster-staleness-ms", status.last_contact_ms);
}
