/* The writes of the older registry, as commands of the registry that the native ones also are. */
#include "api/tbfs/handlers.h"

#include <stdlib.h>
#include <string.h>

#include "api/tbfs/body.h"
#include "server/base/mem.h"
#include "server/registry/check.h"

/* Other registrations of the same id may come in between. */
#define TRIES_MAX 4
/* Below every incarnation: who says it is refused where the id is known, and told the true one. */
#define INCARNATION_BELOW_ALL 1

static void reply_bad(struct exchange *x, const struct problem *problem)
{
    struct buffer message;
    buffer_init(&message, PROBLEM_FIELD_SIZE + PROBLEM_MESSAGE_SIZE + 2);
    if (problem->field[0] != '\0') {
        buffer_printf(&message, "%s: ", problem->field);
    }
    /* With its NUL. */
    buffer_append(&message, problem->message, strlen(problem->message) + 1);
    response_error(&x->response, 422, "invalid", problem->field, (const char *)message.data);
    buffer_done(&message);
}

static enum next reply_status(struct exchange *x, enum status status)
{
    if (status == ST_NOT_FOUND) {
        response_error(&x->response, 404, "not_found", "server_id",
                       "server_id: is not registered; register it first");
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

static struct json_out begin_success(struct exchange *x, const char *message)
{
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_bool(&json, "success", true);
    json_out_member_text(&json, "message", message);
    return json;
}

/* --- register --- */

struct registering {
    struct tbfs_registration body;
    unsigned tries;
};

static void registering_free(void *state)
{
    struct registering *r = state;
    tbfs_registration_done(&r->body);
    free(r);
}

static enum next finish_register(struct exchange *x, enum status status);

static struct command *fill_command(struct exchange *x, const struct registering *r)
{
    struct command *c = &x->scratch->command;
    tbfs_registration_command(&r->body, x->context->tbfs_service, x->context->ttl_ms,
                              x->context->tbfs_reap_after_ms, c);
    return c;
}

/* As every door does. */
static bool check(struct exchange *x, const struct registering *r, struct problem *problem)
{
    return registration_check(&fill_command(x, r)->register_.registration, problem);
}

/* Registers again under the incarnation that is there, so that it counts as the same server: it
 * keeps its `registered_at`. The last try takes the id, whatever is there. */
static enum next submit(struct exchange *x, uint64_t incarnation)
{
    struct registering *r = x->state;
    struct command *c = fill_command(x, r);
    c->register_.incarnation = ++r->tries < TRIES_MAX ? incarnation : 0;
    x->finish = finish_register;
    return NEXT_WRITE;
}

static enum next finish_register(struct exchange *x, enum status status)
{
    const struct registering *r = x->state;
    const struct result *result = &x->write.result;
    status = exchange_outcome(x, status);
    if (status == ST_CONFLICT && r->tries < TRIES_MAX) {
        return submit(x, result->incarnation);
    }
    if (status != ST_OK) {
        return reply_status(x, status);
    }
    struct json_out json = begin_success(x, result->created ? "the server is registered"
                                                            : "the registration is updated");
    json_out_key(&json, "server_id");
    json_out_text_n(&json, r->body.server_id.data, r->body.server_id.len);
    json_out_member_text(&json, "url", r->body.url);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

/* What this replica knows of the id may be out of date; then the first try says so. One that was
 * registered by the native API is replaced. */
static uint64_t known_incarnation(const struct exchange *x, const char *id)
{
    uint64_t incarnation = INCARNATION_BELOW_ALL;
    char stored[STORED_NAME_SIZE];
    namespace_store(permit_space(&x->permit), id, stored);
    const struct view *view = node_view_lock(x->context->node);
    const struct record *record = view_instance(view, stored);
    if (record != NULL) {
        bool ours = record_metadata_value(record, TBFS_META_URL) != NULL;
        incarnation = ours ? record->incarnation : 0;
    }
    view_unlock(&view);
    return incarnation;
}

enum next tbfs_register(struct exchange *x)
{
    struct problem problem;
    if (!tbfs_body_may_be(&x->request.body)) {
        return NEXT_DECLINE;
    }
    struct registering *r = mem_zalloc(1, sizeof *r);
    enum tbfs_body found = tbfs_registration_parse(&r->body, &x->request.body, &problem);
    if (found == TBFS_BODY_OTHER) {
        registering_free(r);
        return NEXT_DECLINE;
    }
    x->state = r;
    x->state_free = registering_free;
    if (found == TBFS_BODY_BAD || !check(x, r, &problem)) {
        reply_bad(x, &problem);
        return NEXT_RESPOND;
    }
    return submit(x, known_incarnation(x, r->body.server_id.data));
}

/* --- heartbeat --- */

static void heartbeat_free(void *state)
{
    tbfs_heartbeat_done(state);
    free(state);
}

static enum next finish_heartbeat(struct exchange *x, enum status status)
{
    if (status == ST_OK && x->renewal.missed_count > 0) {
        status = ST_NOT_FOUND;
    }
    if (status != ST_OK) {
        return reply_status(x, status);
    }
    struct json_out json = begin_success(x, "the heartbeat is taken");
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

/* It says more than that the lease is renewed: the server is active, whatever was said of it
 * before. */
enum next tbfs_heartbeat(struct exchange *x)
{
    struct problem problem;
    if (!tbfs_body_may_be(&x->request.body)) {
        return NEXT_DECLINE;
    }
    struct tbfs_heartbeat *body = mem_zalloc(1, sizeof *body);
    enum tbfs_body found = tbfs_heartbeat_parse(body, &x->request.body, &problem);
    if (found != TBFS_BODY_GOOD) {
        heartbeat_free(body);
        if (found == TBFS_BODY_OTHER) {
            return NEXT_DECLINE;
        }
        reply_bad(x, &problem);
        return NEXT_RESPOND;
    }
    x->state = body;
    x->state_free = heartbeat_free;
    x->renewal = (struct node_renewal){.ids = &body->server_id,
                                       .count = 1,
                                       .health_given = true,
                                       .health = HEALTH_PASSING,
                                       .note = {"", 0}};
    x->finish = finish_heartbeat;
    return NEXT_RENEW;
}

/* --- delete --- */

static enum next finish_deregister(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    if (status != ST_OK) {
        return reply_status(x, status);
    }
    struct json_out json = begin_success(x, "the server is removed");
    json_out_member_text(&json, "server_id", x->request.params[0]);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next tbfs_deregister(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_DEREGISTER;
    c->deregister.id = slice_of(x->request.params[0]);
    c->deregister.incarnation = 0;
    x->finish = finish_deregister;
    return NEXT_WRITE;
}
