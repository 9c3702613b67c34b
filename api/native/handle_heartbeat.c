/* Heartbeats: up to two commands. First COMMAND_RENEW, for the ids that this replica knows, as
 * packed lease references; then COMMAND_HEARTBEAT by id, for those that it does not know (it may
 * lag) and those whose reference was stale. Only the second can say that an id is unknown. */
#include "api/native/handlers.h"

#include <stdlib.h>

#include "api/native/body.h"
#include "server/base/mem.h"

#define REF_BYTES 8

struct beating {
    struct body_heartbeat body;
    uint8_t *refs;       /* of COMMAND_RENEW */
    uint32_t *ref_ids;   /* which id each reference is of */
    struct slice *by_id; /* of COMMAND_HEARTBEAT */
    uint32_t refs_count, by_id_count;
    uint64_t renewed;
    uint64_t index;
};

static void beating_free(void *state)
{
    struct beating *b = state;
    body_heartbeat_done(&b->body);
    free(b->refs);
    free(b->ref_ids);
    free(b->by_id);
    free(b);
}

static void resolve(struct beating *b, const struct node *node)
{
    const struct view *view = node_view_lock(node);
    for (uint32_t i = 0; i < b->body.count; i++) {
        const struct slice *id = &b->body.ids[i];
        struct lease_ref ref;
        if (!b->body.details && view_find_lease(view, id->data, id->len, &ref)) {
            uint8_t *packed = b->refs + (size_t)b->refs_count * REF_BYTES;
            store_u32(packed, ref.slot);
            store_u32(packed + 4, ref.stamp);
            b->ref_ids[b->refs_count++] = i;
        } else {
            b->by_id[b->by_id_count++] = *id;
        }
    }
    view_unlock(&view);
}

/* `missed` are positions in by_id. */
static void reply_renewed(struct exchange *x, const uint32_t *missed, uint32_t missed_count)
{
    const struct beating *b = x->state;
    if (b->body.single && missed_count > 0) {
        response_status(&x->response, ST_NOT_FOUND);
        return;
    }
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_u64(&json, "renewed", b->renewed);
    json_out_key(&json, "unknown");
    json_out_begin(&json, '[');
    for (uint32_t i = 0; i < missed_count; i++) {
        const struct slice *id = &b->by_id[missed[i]];
        json_out_text_n(&json, id->data, id->len);
    }
    json_out_end(&json, ']');
    json_out_member_u64(&json, "index", b->index);
    json_out_end(&json, '}');
}

/* A refusal says that nothing was done: not true once the first command was. */
static void reply_refused(struct exchange *x, enum status status)
{
    const struct beating *b = x->state;
    response_status(&x->response, b->renewed > 0 ? ST_UNKNOWN : status);
}

static void count_result(struct beating *b, const struct result *result)
{
    b->renewed += result->renewed;
    b->index = result->index > b->index ? result->index : b->index;
}

static enum next finish_by_id(struct exchange *x, enum status status)
{
    struct beating *b = x->state;
    struct result *result = &x->write.result;
    if (status == ST_OK) {
        status = result->status;
    }
    /* Of a single id NOT_FOUND says what `missed` says. */
    if (status == ST_OK || (status == ST_NOT_FOUND && result->missed_count > 0)) {
        count_result(b, result);
        reply_renewed(x, result->missed, result->missed_count);
    } else {
        reply_refused(x, status);
    }
    free(result->missed);
    return NEXT_RESPOND;
}

static enum next send_by_id(struct exchange *x)
{
    const struct beating *b = x->state;
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_HEARTBEAT;
    c->heartbeat.ids = b->by_id;
    c->heartbeat.count = b->by_id_count;
    c->heartbeat.incarnation = b->body.incarnation;
    c->heartbeat.status_given = b->body.status_given;
    c->heartbeat.status = b->body.status;
    c->heartbeat.note_given = b->body.note_given;
    c->heartbeat.note = b->body.note_given ? b->body.note : (struct slice){"", 0};
    x->finish = finish_by_id;
    return NEXT_WRITE;
}

static enum next finish_by_ref(struct exchange *x, enum status status)
{
    struct beating *b = x->state;
    struct result *result = &x->write.result;
    if (status != ST_OK || result->status != ST_OK) {
        free(result->missed);
        response_status(&x->response, status != ST_OK ? status : result->status);
        return NEXT_RESPOND;
    }
    count_result(b, result);
    for (uint32_t i = 0; i < result->missed_count; i++) {
        b->by_id[b->by_id_count++] = b->body.ids[b->ref_ids[result->missed[i]]];
    }
    free(result->missed);
    if (b->by_id_count > 0) {
        return send_by_id(x);
    }
    reply_renewed(x, NULL, 0);
    return NEXT_RESPOND;
}

enum next handle_heartbeat(struct exchange *x)
{
    struct beating *b = mem_zalloc(1, sizeof *b);
    struct command *c = &x->scratch->command;
    struct problem problem;
    x->state = b;
    x->state_free = beating_free;
    if (!body_heartbeat_parse(&b->body, &x->request.body, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    b->refs = mem_alloc((size_t)b->body.count * REF_BYTES);
    b->ref_ids = mem_alloc(b->body.count * sizeof *b->ref_ids);
    b->by_id = mem_alloc(b->body.count * sizeof *b->by_id);
    resolve(b, x->context->node);
    if (b->refs_count == 0) {
        return send_by_id(x);
    }
    c->kind = COMMAND_RENEW;
    c->renew.refs = b->refs;
    c->renew.count = b->refs_count;
    x->finish = finish_by_ref;
    return NEXT_WRITE;
}
