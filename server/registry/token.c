#include "server/registry/token.h"

#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/mix.h"

/* A scope in the text: a byte of these, then the name. */
#define SCOPE_PREFIX 1
#define SCOPE_WRITE  2

static_assert(2 * (NAME_BYTES_MAX + 1) + NAMESPACE_SIZE + TOKEN_SCOPES_MAX * (NAME_BYTES_MAX + 2) <=
                  UINT16_MAX,
              "a token's text has 16-bit offsets");

static size_t text_size(const struct token_spec *spec)
{
    size_t size = spec->id.len + 1 + spec->description.len + 1;
    for (uint32_t i = 0; i < spec->scopes_count; i++) {
        size += 1 + spec->scopes[i].name.len + 1;
    }
    return spec->space.len > 0 ? size + spec->space.len + 1 : size;
}

static uint16_t add_text(struct token *t, struct slice text)
{
    uint16_t at = t->text_len;
    if (text.len > 0) {
        memcpy(t->text + at, text.data, text.len);
    }
    t->text[at + text.len] = '\0';
    t->text_len = (uint16_t)(at + text.len + 1);
    return at;
}

struct token *token_create(const struct token_spec *spec)
{
    CHECK(spec->scopes_count <= TOKEN_SCOPES_MAX);
    CHECK(spec->hash.len == TOKEN_HASH_BYTES || spec->hash.len == 0);
    struct token *t = mem_zalloc(1, sizeof *t + text_size(spec));
    if (spec->hash.len > 0) {
        memcpy(t->hash, spec->hash.data, TOKEN_HASH_BYTES);
    }
    t->grants = (uint8_t)spec->grants;
    t->scopes_count = (uint8_t)spec->scopes_count;
    (void)add_text(t, spec->id);
    t->description = add_text(t, spec->description);
    t->scopes = t->text_len;
    for (uint32_t i = 0; i < spec->scopes_count; i++) {
        const struct token_scope *scope = &spec->scopes[i];
        t->text[t->text_len++] =
            (char)((scope->prefix ? SCOPE_PREFIX : 0) | (scope->write ? SCOPE_WRITE : 0));
        (void)add_text(t, scope->name);
    }
    /* Of one that is bound to none this is the end of its text, which is the same as below the
     * level of namespaces, and with it its hash. */
    t->space = (uint16_t)(t->text_len - 1);
    if (spec->space.len > 0) {
        t->space = add_text(t, spec->space);
    }
    return t;
}

/* The scope that begins there; returns where the next one does. */
static const char *scope_at(const char *text, struct token_scope *ret_scope)
{
    size_t len = strlen(text + 1);
    *ret_scope = (struct token_scope){
        .name = {.data = text + 1, .len = len},
        .prefix = (*text & SCOPE_PREFIX) != 0,
        .write = (*text & SCOPE_WRITE) != 0,
    };
    return text + 1 + len + 1;
}

void token_spec_everything(const char *description, struct token_spec *ret_spec)
{
    *ret_spec = (struct token_spec){
        .description = {description, strlen(description)},
        .grants = TOKEN_GRANTS_ALL,
        .scopes_count = 1,
    };
    ret_spec->scopes[0] = (struct token_scope){.name = {"", 0}, .prefix = true, .write = true};
}

void token_spec_of(const struct token *t, struct token_spec *ret_spec)
{
    const char *at = t->text + t->scopes;
    ret_spec->id = (struct slice){.data = token_id(t), .len = strlen(token_id(t))};
    ret_spec->hash = (struct slice){.data = (const char *)t->hash,
                                    .len = policy_is_id(token_id(t)) ? 0 : TOKEN_HASH_BYTES};
    ret_spec->description =
        (struct slice){.data = token_description(t), .len = strlen(token_description(t))};
    ret_spec->space = (struct slice){.data = token_space(t), .len = strlen(token_space(t))};
    ret_spec->grants = t->grants;
    ret_spec->scopes_count = t->scopes_count;
    for (uint32_t i = 0; i < t->scopes_count; i++) {
        at = scope_at(at, &ret_spec->scopes[i]);
    }
}

uint64_t token_hash(const struct token *t)
{
    uint64_t h = mix_bytes(t->text, t->text_len);
    h = mix64(h ^ mix_bytes(t->hash, sizeof t->hash));
    h = mix64(h ^ t->index);
    h = mix64(h ^ (uint64_t)t->created_ms);
    h = mix64(h ^ t->expires_ms);
    return mix64(h ^ ((uint64_t)t->grants << 8 | t->scopes_count));
}

static bool covers(const struct token_scope *scope, const char *service, size_t len)
{
    return (scope->prefix ? len >= scope->name.len : len == scope->name.len) &&
           memcmp(service, scope->name.data, scope->name.len) == 0;
}

bool token_reaches(const struct token *t, struct slice space, bool write)
{
    const char *own = token_space(t);
    if (own[0] != '\0') {
        return strlen(own) == space.len && memcmp(own, space.data, space.len) == 0;
    }
    return space.len == 0 || token_grants(t, write ? TOKEN_OPERATOR_WRITE : TOKEN_OPERATOR_READ);
}

bool token_may(const struct token *t, const char *stored, bool write)
{
    const char *at = t->text + t->scopes;
    const char *service = namespace_bare(stored);
    size_t len = strlen(service);
    if (!token_reaches(t, namespace_of(stored), write)) {
        return false;
    }
    for (unsigned i = 0; i < t->scopes_count; i++) {
        struct token_scope scope;
        at = scope_at(at, &scope);
        if ((scope.write || !write) && covers(&scope, service, len)) {
            return true;
        }
    }
    return false;
}

bool token_may_all(const struct token *t, bool write)
{
    const char *at = t->text + t->scopes;
    for (unsigned i = 0; i < t->scopes_count; i++) {
        struct token_scope scope;
        at = scope_at(at, &scope);
        if (scope.prefix && scope.name.len == 0 && (scope.write || !write)) {
            return true;
        }
    }
    return false;
}

bool token_may_some(const struct token *t, bool write)
{
    const char *at = t->text + t->scopes;
    for (unsigned i = 0; i < t->scopes_count; i++) {
        struct token_scope scope;
        at = scope_at(at, &scope);
        if (scope.write || !write) {
            return true;
        }
    }
    return false;
}

bool token_grants(const struct token *t, enum token_grant grant)
{
    if (grant == TOKEN_OPERATOR_READ && (t->grants & TOKEN_OPERATOR_WRITE) != 0) {
        return true;
    }
    return (t->grants & grant) != 0;
}
