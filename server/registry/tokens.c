/* The tokens of the registry: their commands, their expiry, and the check of a command's guard. */
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
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
    if (token->expires_ms < r->tokens_due_ms) {
        r->tokens_due_ms = token->expires_ms;
    }
}

static void remove_token(struct registry *r, struct token *token)
{
    r->tokens_sum -= token_hash(token);
    r->tokens_size -= size_token(token);
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
static bool is_its_turn(const struct registry *r, uint32_t turn)
{
    switch ((enum token_turn)turn) {
    case TOKEN_TURN_LATER:
        return r->work.tokens_begun != 0;
    case TOKEN_TURN_FIRST:
        return r->work.tokens_begun == 0;
    case TOKEN_TURN_ONLY:
        return ptree_count(&r->work.tokens) == 0;
    }
    return false;
}

void tokens_apply_create(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    struct token_spec spec = command->token_create.spec;
    uint64_t ttl_ms = (uint64_t)command->token_create.ttl_s * 1000;
    if (!is_its_turn(r, command->token_create.turn) || find(r, &spec.id) != NULL) {
        ret_result->status = ST_CONFLICT;
        return;
    }
    spec.space = command->space;
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

void tokens_apply_revoke(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    struct token *token = find(r, &command->token_revoke.id);
    if (token == NULL) {
        ret_result->status = ST_NOT_FOUND;
        return;
    }
    remove_token(r, token);
    find_due(r);
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
        return true;
    case COMMAND_EXPIRE:
    case COMMAND_KEEP_EVENTS:
    case COMMAND_STATE_BYTES:
    case COMMAND_TOKEN_CREATE:
    case COMMAND_TOKEN_REVOKE:
    case COMMAND_QUOTA_SET:
    case COMMAND_QUOTA_DELETE:
        return false;
    }
    return false;
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
    case GUARD_TOKEN:
        break;
    }
    r->holder = find(r, &guard->token);
    if (r->holder == NULL) {
        return ST_UNAUTHENTICATED;
    }
    return is_of_services(command->kind) || token_grants(r->holder, TOKEN_OPERATOR_WRITE)
               ? ST_OK
               : ST_FORBIDDEN;
}

bool tokens_let(const struct registry *r, const struct instance *instance)
{
    return r->holder == NULL || token_may(r->holder, record_name(instance->record), true);
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
    return ptree_count(&r->work.tokens);
}

bool registry_tokens_due(const struct registry *r, uint64_t now_ms)
{
    return now_ms >= r->tokens_due_ms;
}
