/* Policies: what the holders of certificates may do, by the names in these. */
#include "api/native/handlers.h"

#include <stdlib.h>
#include <string.h>

#include "api/native/body_token.h"
#include "api/native/rights.h"
#include "server/base/mem.h"
#include "server/registry/policy.h"

static void render_policy(struct json_out *json, const struct view *view,
                          const struct token *policy)
{
    char subject[POLICY_KEY_SIZE];
    policy_subject((struct slice){token_id(policy), strlen(token_id(policy))}, subject);
    json_out_begin(json, '{');
    json_out_member_text(json, "subject", subject);
    rights_render(json, view, policy);
    json_out_end(json, '}');
}

/* --- make --- */

struct making {
    struct body_token body;
    char key[POLICY_KEY_SIZE];
};

static void making_free(void *state)
{
    struct making *m = state;
    body_token_done(&m->body);
    free(m);
}

static enum next finish_create(struct exchange *x, enum status status)
{
    const struct making *m = x->state;
    char subject[POLICY_KEY_SIZE];
    status = exchange_outcome(x, status);
    if (status == ST_OK) {
        struct json_out json = response_json(&x->response);
        policy_subject(slice_of(m->key), subject);
        x->response.status = 201;
        json_out_begin(&json, '{');
        json_out_member_text(&json, "subject", subject);
        json_out_member_u64(&json, "index", x->write.result.index);
        json_out_end(&json, '}');
    } else if (status == ST_CONFLICT) {
        response_error(&x->response, 409, "conflict", "",
                       "there is a policy for this subject: delete it first; or there was no token "
                       "yet: make the first one with POST /tokens/bootstrap from the replica's own "
                       "machine (muster token bootstrap)");
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

enum next handle_policy_create(struct exchange *x)
{
    struct making *m = mem_zalloc(1, sizeof *m);
    struct command *c = &x->scratch->command;
    struct problem problem;
    x->state = m;
    x->state_free = making_free;
    if (!body_policy_parse(&m->body, m->key, &c->policy_create.spec, &x->request.body, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    c->kind = COMMAND_POLICY_CREATE;
    c->space = c->policy_create.spec.space;
    c->policy_create.ttl_s = m->body.ttl_s;
    x->finish = finish_create;
    return NEXT_WRITE;
}

/* --- one --- */

/* The key of the subject in the path. */
static bool take_key(struct exchange *x, char ret_key[POLICY_KEY_SIZE])
{
    const char *subject = x->request.params[0];
    return policy_key(slice_of(subject), ret_key);
}

static enum next respond_missing(struct exchange *x)
{
    response_error(&x->response, 404, "not_found", "subject", "there is no such policy");
    return NEXT_RESPOND;
}

static enum next finish_delete(struct exchange *x, enum status status)
{
    return rights_respond_gone(x, status, "subject", "there is no such policy");
}

enum next handle_policy_delete(struct exchange *x)
{
    struct making *m = mem_zalloc(1, sizeof *m);
    struct command *c = &x->scratch->command;
    x->state = m;
    x->state_free = making_free;
    if (!take_key(x, m->key)) {
        return respond_missing(x);
    }
    c->kind = COMMAND_POLICY_DELETE;
    c->policy_delete.id = slice_of(m->key);
    x->finish = finish_delete;
    return NEXT_WRITE;
}

enum next handle_policy(struct exchange *x)
{
    char key[POLICY_KEY_SIZE];
    if (!take_key(x, key)) {
        return respond_missing(x);
    }
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct token *policy = view_token(view, key);
    x->response.index = view->index;
    if (policy != NULL) {
        render_policy(&json, view, policy);
    } else {
        (void)respond_missing(x);
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}

/* --- all --- */

enum next handle_policies(struct exchange *x)
{
    struct ptree_iterator it;
    const struct token *policy;
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    x->response.index = view->index;
    json_out_begin(&json, '{');
    json_out_key(&json, "policies");
    json_out_begin(&json, '[');
    ptree_iterate(&it, &view->tokens, 0);
    while (!json.out->overflowed && (policy = ptree_next(&it)) != NULL) {
        if (policy_is_id(token_id(policy))) {
            render_policy(&json, view, policy);
        }
    }
    json_out_end(&json, ']');
    json_out_end(&json, '}');
    view_unlock(&view);
    return NEXT_RESPOND;
}
