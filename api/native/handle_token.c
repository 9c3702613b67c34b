/* Tokens: made, listed, revoked. A secret is said once, in the answer to who made it; what is
 * replicated is its hash. */
#include "api/native/handlers.h"

#include <stdlib.h>
#include <string.h>

#include "api/core/token_text.h"
#include "api/native/body_token.h"
#include "api/native/rights.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/net/loopback.h"
#include "server/registry/policy.h"

/* --- make --- */

struct making {
    struct body_token body;
    bool first;
    char text[TOKEN_TEXT_SIZE];
    char id[TOKEN_ID_SIZE];
    uint8_t hash[TOKEN_HASH_BYTES];
};

static void making_free(void *state)
{
    struct making *m = state;
    body_token_done(&m->body);
    token_text_wipe(m, sizeof *m);
    free(m);
}

static void respond_made(struct exchange *x, const struct making *m)
{
    struct json_out json = response_json(&x->response);
    x->response.status = 201;
    x->response.is_secret = true;
    json_out_begin(&json, '{');
    json_out_member_text(&json, "id", m->id);
    json_out_member_text(&json, "token", m->text);
    json_out_member_u64(&json, "index", x->write.result.index);
    json_out_end(&json, '}');
}

static enum next finish_create(struct exchange *x, enum status status)
{
    const struct making *m = x->state;
    status = exchange_outcome(x, status);
    if (status == ST_OK) {
        respond_made(x, m);
    } else if (status == ST_CONFLICT && m->first) {
        response_error(&x->response, 409, "conflict", "",
                       "there was a token before: who holds one that may write what is the "
                       "operator's makes others");
    } else if (status == ST_CONFLICT) {
        response_error(&x->response, 409, "conflict", "",
                       "there was no token yet: make the first one with POST /tokens/bootstrap "
                       "from the replica's own machine (muster token bootstrap)");
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

/* The command; its spec says all but id and hash. */
static enum next submit(struct exchange *x, struct making *m, enum token_turn turn)
{
    struct command *c = &x->scratch->command;
    struct token_spec *spec = &c->token_create.spec;
    token_text_make(m->text);
    CHECK(token_text_parse(m->text, strlen(m->text), m->id));
    token_text_hash(m->text, strlen(m->text), m->hash);
    spec->id = slice_of(m->id);
    spec->hash = (struct slice){(const char *)m->hash, sizeof m->hash};
    c->kind = COMMAND_TOKEN_CREATE;
    c->space = spec->space;
    c->token_create.ttl_s = m->body.ttl_s;
    c->token_create.turn = turn;
    m->first = turn == TOKEN_TURN_FIRST;
    x->finish = finish_create;
    return NEXT_WRITE;
}

static struct making *begin_making(struct exchange *x)
{
    struct making *m = mem_zalloc(1, sizeof *m);
    x->state = m;
    x->state_free = making_free;
    return m;
}

enum next handle_token_create(struct exchange *x)
{
    struct making *m = begin_making(x);
    struct problem problem;
    if (!body_token_parse(&m->body, &x->scratch->command.token_create.spec, &x->request.body,
                          &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    return submit(x, m, TOKEN_TURN_LATER);
}

/* The address of a proxy on this machine is no proof: it says whom it speaks for. */
static bool is_from_here(const struct request *request)
{
    if (request_header(request, "Forwarded") != NULL ||
        request_header(request, "X-Forwarded-For") != NULL ||
        request_header(request, "X-Real-IP") != NULL || request_header(request, "Via") != NULL) {
        return false;
    }
    return loopback_has(request->peer);
}

/* Once, and then it may do everything. */
enum next handle_token_bootstrap(struct exchange *x)
{
    if (!is_from_here(&x->request)) {
        response_error(&x->response, 403, "forbidden", "",
                       "the first token is made from the replica's own machine");
        return NEXT_RESPOND;
    }
    struct making *m = begin_making(x);
    token_spec_everything("bootstrap", &x->scratch->command.token_create.spec);
    return submit(x, m, TOKEN_TURN_FIRST);
}

/* --- revoke --- */

static enum next finish_revoke(struct exchange *x, enum status status)
{
    return rights_respond_gone(x, status, "id", "there is no such token");
}

enum next handle_token_revoke(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_TOKEN_REVOKE;
    c->token_revoke.id = slice_of(x->request.params[0]);
    x->finish = finish_revoke;
    return NEXT_WRITE;
}

/* --- read --- */

static void render_token(struct json_out *json, const struct view *view, const struct token *token)
{
    json_out_begin(json, '{');
    json_out_member_text(json, "id", token_id(token));
    rights_render(json, view, token);
    json_out_end(json, '}');
}

enum next handle_tokens(struct exchange *x)
{
    struct ptree_iterator it;
    const struct token *token;
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    x->response.index = view->index;
    json_out_begin(&json, '{');
    json_out_key(&json, "tokens");
    json_out_begin(&json, '[');
    ptree_iterate(&it, &view->tokens, 0);
    while (!json.out->overflowed && (token = ptree_next(&it)) != NULL) {
        if (!policy_is_id(token_id(token))) {
            render_token(&json, view, token);
        }
    }
    json_out_end(&json, ']');
    json_out_end(&json, '}');
    view_unlock(&view);
    return NEXT_RESPOND;
}

enum next handle_token(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct token *token = view_token(view, x->request.params[0]);
    x->response.index = view->index;
    if (token != NULL && !policy_is_id(token_id(token))) {
        render_token(&json, view, token);
    } else {
        response_error(&x->response, 404, "not_found", "id", "there is no such token");
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}
