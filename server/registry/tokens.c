/* The tokens of the registry, and its policies among them: their commands, their expiry, and the
 * check of a command's guard. */
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/policy.h"
#include "server/registry/size.h"

/* Finds a token by an id that need not be NUL-terminated. */
static struct token *find(const struct registry *r, const struct slice *id)
{
    char text[NAME_BYTES_MAX + 1];
    if (id->len > NAME_BYTES_MAX) {
        return NULL;
    }
    if (id->len > 0) {
        memcpy(text, id->data, id->len);
    }
    text[id->len] = '\0';
    return ptree_find(&r->work.tokens, &r->tokens_kind, text);
}

/* Computes when the next token expires. A scan is enough: tokens are few and change seldom. */
static void find_due(struct registry *r)
{
    struct ptree_iterator it;
    r->tokens_due_ms = NEVER;
    ptree_iterate(&it, &r->work.tokens, 0);
    for (const struct token *t; (t = ptree_next(&it)) != NULL;) {
        if (t->expires_ms < r->tokens_due_ms) {
            r->tokens_due_ms = t->expires_ms;
        }
    }
}

void tokens_count(struct registry *r, const struct token *token)
{
    r->tokens_sum += token_hash(token);
    r->tokens_size += size_token(token);
    r->policies_count += policy_is_id(token_id(token));
    if (token->expires_ms < r->tokens_due_ms) {
        r->tokens_due_ms = token->expires_ms;
    }
}

static void remove_token(struct registry *r, struct token *token)
{
    r->tokens_sum -= token_hash(token);
    r->tokens_size -= size_token(token);
    r->policies_count -= policy_is_id(token_id(token));
    ptree_remove(&r->work.tokens, &r->tokens_kind, token_id(token));
    retire_memory(r, token, RETIRED_PLAIN, retire_must_keep_index(r, token->index));
}

void tokens_expire(struct registry *r)
{
    struct ptree_iterator it;
    size_t count = 0;
    if (r->work.now_ms < r->tokens_due_ms) {
        return;
    }
    struct token **due = mem_alloc(ptree_count(&r->work.tokens) * sizeof *due);
    ptree_iterate(&it, &r->work.tokens, 0);
    for (struct token *t; (t = ptree_next(&it)) != NULL;) {
        if (t->expires_ms <= r->work.now_ms) {
            due[count++] = t;
        }
    }
    for (size_t i = 0; i < count; i++) {
        remove_token(r, due[i]);
    }
    free(due);
    find_due(r);
}

void tokens_destroy(struct registry *r)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &r->work.tokens, 0);
    for (struct token *token; (token = ptree_next(&it)) != NULL;) {
        retire_memory(r, token, RETIRED_PLAIN, false);
    }
    ptree_clear(&r->work.tokens, &r->tokens_kind);
}

/* --- commands --- */

/* The first token ends open access, so it is created by an explicit request; later ones need a
 * token of their creator. */
static bool is_its_turn(const struct registry *r, enum token_turn turn)
{
    switch (turn) {
    case TOKEN_TURN_LATER:
        return r->work.tokens_begun != 0;
    case TOKEN_TURN_FIRST:
        return r->work.tokens_begun == 0;
    case TOKEN_TURN_ONLY:
        return registry_tokens(r) == 0;
    }
    return false;
}

static void create(struct registry *r, struct token_spec spec, struct slice space, uint32_t ttl_s,
                   enum token_turn turn, struct result *ret_result)
{
    uint64_t ttl_ms = (uint64_t)ttl_s * 1000;
    if (!is_its_turn(r, turn) || find(r, &spec.id) != NULL) {
        ret_result->status = ST_CONFLICT;
        return;
    }
    spec.space = space;
    struct token *token = token_create(&spec);
    token->index = r->work.index;
    token->created_ms = r->work.wall_ms;
    token->expires_ms =
        ttl_ms == 0 || ttl_ms >= NEVER - r->work.now_ms ? NEVER : r->work.now_ms + ttl_ms;
    if (ptree_count(&r->work.tokens) >= r->work.limits.tokens ||
        !registry_has_room(r, size_token(token))) {
        free(token);
        ret_result->status = ST_FULL;
        return;
    }
    ptree_put(&r->work.tokens, &r->tokens_kind, token);
    tokens_count(r, token);
    if (r->work.tokens_begun == 0) {
        r->work.tokens_begun = r->work.index;
    }
    ret_result->created = true;
}

/* One or the other by its id. */
static void remove_one(struct registry *r, const struct slice *id, bool is_policy,
                       struct result *ret_result)
{
    struct token *token = find(r, id);
    if (token == NULL || policy_is_id(token_id(token)) != is_policy) {
        ret_result->status = ST_NOT_FOUND;
        return;
    }
    remove_token(r, token);
    find_due(r);
}

void tokens_apply_create(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    create(r, command->token_create.spec, command->space, command->token_create.ttl_s,
           (enum token_turn)command->token_create.turn, ret_result);
}

void tokens_apply_revoke(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    remove_one(r, &command->token_revoke.id, false, ret_result);
}

/* Never the first: who ends open access must have the secret that opens it again. */
void policies_apply_create(struct registry *r, const struct command *command,
                           struct result *ret_result)
{
    create(r, command->policy_create.spec, command->space, command->policy_create.ttl_s,
           TOKEN_TURN_LATER, ret_result);
}

void policies_apply_delete(struct registry *r, const struct command *command,
                           struct result *ret_result)
{
    remove_one(r, &command->policy_delete.id, true, ret_result);
}

/* --- guards --- */

/* Whether a command is about instances: it is then checked for each instance (tokens_let). */
static bool is_of_services(enum command_kind kind)
{
    switch (kind) {
    case COMMAND_REGISTER:
    case COMMAND_RENEW:
    case COMMAND_HEARTBEAT:
    case COMMAND_DEREGISTER:
    case COMMAND_MAINTENANCE:
    case COMMAND_ENROL:
    case COMMAND_CHECK_PUT:
        return true;
    case COMMAND_EXPIRE:
    case COMMAND_KEEP_EVENTS:
    case COMMAND_STATE_BYTES:
    case COMMAND_TOKEN_CREATE:
    case COMMAND_TOKEN_REVOKE:
    case COMMAND_QUOTA_SET:
    case COMMAND_QUOTA_DELETE:
    case COMMAND_POLICY_CREATE:
    case COMMAND_POLICY_DELETE:
    case COMMAND_SINK_CONFIRM:
    case COMMAND_PROBERS:
    case COMMAND_CHECK_RESULT:
        return false;
    }
    return false;
}

/* The policy for a name, which is not NUL-terminated. */
static const struct token *find_policy(const struct registry *r, const struct slice *name)
{
    char text[CERTIFICATE_NAME_BYTES_MAX + 1];
    if (name->len >= sizeof text) {
        return NULL;
    }
    memcpy(text, name->data, name->len);
    text[name->len] = '\0';
    return policy_match(&r->work.tokens, &r->tokens_kind, text);
}

enum status tokens_admit(struct registry *r, const struct command *command)
{
    const struct guard *guard = &command->guard;
    r->holder = NULL;
    switch (guard->kind) {
    case GUARD_NONE:
        return ST_OK;
    case GUARD_UNTIL_FIRST:
        return r->work.tokens_begun == 0 ? ST_OK : ST_UNAUTHENTICATED;
    case GUARD_CERTIFICATE:
        if (r->work.tokens_begun == 0) {
            return ST_OK;
        }
        r->holder = find_policy(r, &guard->who);
        break;
    case GUARD_TOKEN:
        r->holder = find(r, &guard->who);
        break;
    }
    if (r->holder == NULL) {
        return guard->kind == GUARD_TOKEN ? ST_UNAUTHENTICATED : ST_FORBIDDEN;
    }
    return is_of_services(command->kind) || token_grants(r->holder, TOKEN_OPERATOR_WRITE)
               ? ST_OK
               : ST_FORBIDDEN;
}

bool tokens_let(const struct registry *r, const struct instance *instance)
{
    char room[STORED_NAME_SIZE];
    return r->holder == NULL ||
           token_may(r->holder, checks_guarded_name(r, instance->record, room), true);
}

bool tokens_let_register(const struct registry *r, const struct instance *instance,
                         const struct registration *registration)
{
    char name[NAME_BYTES_MAX + 1];
    if (r->holder == NULL) {
        return true;
    }
    CHECK(registration->name.len < sizeof name);
    memcpy(name, registration->name.data, registration->name.len);
    name[registration->name.len] = '\0';
    return token_may(r->holder, name, true) && (instance == NULL || tokens_let(r, instance));
}

size_t registry_tokens(const struct registry *r)
{
    return ptree_count(&r->work.tokens) - r->policies_count;
}

bool registry_tokens_due(const struct registry *r, uint64_t now_ms)
{
    return now_ms >= r->tokens_due_ms;
}
