#include "api/native/handlers.h"

#include <stdlib.h>

#include "api/http/check_beat.h"
#include "api/native/body.h"
#include "server/base/mem.h"

struct beating {
    struct body_heartbeat body;
    char *check_id; /* of a check, as it is in the registry; NULL: an instance's */
};

static void beating_free(void *state)
{
    struct beating *b = state;
    body_heartbeat_done(&b->body);
    free(b->check_id);
    free(b);
}

static void respond_renewed(struct exchange *x)
{
    const struct node_renewal *renewal = &x->renewal;
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_u64(&json, "renewed", renewal->renewed);
    json_out_key(&json, "unknown");
    json_out_begin(&json, '[');
    for (uint32_t i = 0; i < renewal->missed_count; i++) {
        const struct slice *id = &renewal->ids[renewal->missed[i]];
        json_out_text_n(&json, id->data, id->len);
    }
    json_out_end(&json, ']');
    json_out_member_u64(&json, "index", renewal->index);
    json_out_end(&json, '}');
}

static enum next finish_heartbeat(struct exchange *x, enum status status)
{
    const struct body_heartbeat *body = &((const struct beating *)x->state)->body;
    if (status == ST_OK && body->single && x->renewal.missed_count > 0) {
        status = ST_NOT_FOUND;
    }
    if (status == ST_CONFLICT) {
        respond_conflict(x, body->incarnation, x->renewal.present);
    } else if (status == ST_OK) {
        respond_renewed(x);
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

enum next handle_heartbeat(struct exchange *x)
{
    struct beating *b = mem_zalloc(1, sizeof *b);
    struct body_heartbeat *body = &b->body;
    struct problem problem;
    x->state = b;
    x->state_free = beating_free;
    if (!body_heartbeat_parse(body, &x->request.body, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    if (body->check.len > 0 && !check_beat_take(x, body->check.data, &body->ids[0], &b->check_id)) {
        return NEXT_RESPOND;
    }
    x->renewal = (struct node_renewal){.ids = body->ids,
                                       .count = body->count,
                                       .incarnation = body->incarnation,
                                       .health_given = body->status_given,
                                       .health = body->status,
                                       .note_given = body->note_given,
                                       .note = body->note};
    x->finish = finish_heartbeat;
    return NEXT_RENEW;
}
