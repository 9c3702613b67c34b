#include "api/native/body_token.h"

#include <string.h>

#include "api/core/json_in.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/naming.h"
#include "server/registry/check.h"

/* "read" or "write"; false when it is something else. */
static bool parse_access(const json_t *value, const char *field, bool *ret_write,
                         struct problem *problem)
{
    const char *text = json_string_value(value);
    *ret_write = text != NULL && strcmp(text, "write") == 0;
    if (!*ret_write && (text == NULL || strcmp(text, "read") != 0)) {
        problem_set(problem, field, "must be read or write (which includes read)");
        return false;
    }
    return true;
}

/* A whole name, or a prefix, which may be empty: then it is all services. */
static bool parse_scope(const json_t *value, struct token_scope *ret_scope, struct problem *problem)
{
    const json_t *name = json_object_get(value, "name");
    const json_t *prefix = json_object_get(value, "prefix");
    const char *key;
    json_t *member;
    if (!json_is_object(value) || json_in_is_given(name) == json_in_is_given(prefix)) {
        problem_set(problem, "services", "each must be an object with either name or prefix");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        if (strcmp(key, "name") != 0 && strcmp(key, "prefix") != 0 && strcmp(key, "access") != 0) {
            problem_set(problem, "services", "each has name or prefix, and access; nothing else");
            return false;
        }
    }
    const json_t *text = json_in_is_given(name) ? name : prefix;
    ret_scope->prefix = text == prefix;
    if (!json_is_string(text)) {
        problem_set(problem, "services", "name and prefix must be strings");
        return false;
    }
    ret_scope->name = (struct slice){json_string_value(text), json_string_length(text)};
    if (!(ret_scope->prefix && ret_scope->name.len == 0) &&
        !registration_check_name("services", ret_scope->name, problem)) {
        return false;
    }
    return parse_access(json_object_get(value, "access"), "services", &ret_scope->write, problem);
}

static bool parse_scopes(const json_t *services, struct token_spec *spec, struct problem *problem)
{
    if (!json_in_is_given(services)) {
        return true;
    }
    if (!json_is_array(services) || json_array_size(services) > TOKEN_SCOPES_MAX) {
        problem_set(problem, "services", "must be an array of at most %d", TOKEN_SCOPES_MAX);
        return false;
    }
    for (size_t i = 0; i < json_array_size(services); i++) {
        if (!parse_scope(json_array_get(services, i), &spec->scopes[i], problem)) {
            return false;
        }
    }
    spec->scopes_count = (uint32_t)json_array_size(services);
    return true;
}

static bool parse_grants(const json_t *root, struct token_spec *spec, struct problem *problem)
{
    const json_t *operator= json_object_get(root, "operator");
    bool write = false, metrics = false, events = false, present;
    if (!json_in_bool(root, "metrics", &metrics, &present, problem) ||
        !json_in_bool(root, "events", &events, &present, problem)) {
        return false;
    }
    if (json_in_is_given(operator)) {
        if (!parse_access(operator, "operator", &write, problem)) {
            return false;
        }
        spec->grants |= write ? TOKEN_OPERATOR_WRITE : TOKEN_OPERATOR_READ;
    }
    spec->grants |= (metrics ? TOKEN_METRICS : 0u) | (events ? TOKEN_EVENTS : 0u);
    return true;
}

/* It is bound to that; `default` is where one is that is bound to none. */
static bool parse_namespace(const json_t *root, struct token_spec *spec, struct problem *problem)
{
    bool present = false;
    if (!json_in_text(root, "namespace", NAMESPACE_BYTES_MAX, &spec->space, &present, problem)) {
        return false;
    }
    if (!present) {
        return true;
    }
    if (!naming_is_namespace(spec->space.data, spec->space.len)) {
        problem_set(problem, "namespace",
                    "must be lower-case letters, digits, '-', '_' and '.', the first a letter or "
                    "digit");
        return false;
    }
    if (!namespace_is_other(spec->space)) {
        spec->space.len = 0;
    }
    if (spec->space.len > 0 && (spec->grants & ~(unsigned)TOKEN_EVENTS) != 0) {
        problem_set(
            problem, "namespace",
            "what is bound to a namespace is for services and events: operator and metrics are "
            "of the whole cluster");
        return false;
    }
    return true;
}

/* What tokens and policies have in common. */
static bool parse_rights(struct body_token *body, struct token_spec *ret_spec,
                         const char *const *known, const struct buffer *text,
                         struct problem *problem)
{
    uint64_t ttl_s = 0;
    bool present;
    *body = (struct body_token){.root = json_in_object(text->data, text->len, known, problem)};
    memset(ret_spec, 0, sizeof *ret_spec);
    ret_spec->description = (struct slice){"", 0};
    if (body->root == NULL ||
        !json_in_note(body->root, "description", NAME_BYTES_MAX, &ret_spec->description, &present,
                      problem) ||
        !registration_check_text("description", ret_spec->description, NAME_BYTES_MAX, problem) ||
        !json_in_integer(body->root, "ttl", 1, TOKEN_TTL_S_MAX, &ttl_s, &present, problem) ||
        !parse_scopes(json_object_get(body->root, "services"), ret_spec, problem) ||
        !parse_grants(body->root, ret_spec, problem) ||
        !parse_namespace(body->root, ret_spec, problem)) {
        return false;
    }
    body->ttl_s = (uint32_t)ttl_s;
    if (ret_spec->scopes_count == 0 && ret_spec->grants == 0) {
        problem_set(problem, "services",
                    "it must allow something: give services, operator, metrics or events");
        return false;
    }
    return true;
}

bool body_token_parse(struct body_token *body, struct token_spec *ret_spec,
                      const struct buffer *text, struct problem *problem)
{
    static const char *const known[] = {"description", "ttl",    "services",  "operator",
                                        "metrics",     "events", "namespace", NULL};
    return parse_rights(body, ret_spec, known, text, problem);
}

bool body_policy_parse(struct body_token *body, char key[POLICY_KEY_SIZE],
                       struct token_spec *ret_spec, const struct buffer *text,
                       struct problem *problem)
{
    static const char *const known[] = {"subject",  "description", "ttl",
                                        "services", "operator",    "metrics",
                                        "events",   "namespace",   NULL};
    if (!parse_rights(body, ret_spec, known, text, problem)) {
        return false;
    }
    const json_t *value = json_object_get(body->root, "subject");
    const struct slice subject = {json_string_value(value), json_string_length(value)};
    if (!json_is_string(value)) {
        problem_set(problem, "subject", "must be a string");
        return false;
    }
    if (!registration_check_name("subject", subject, problem)) {
        return false;
    }
    if (!policy_key(subject, key)) {
        problem_set(problem, "subject",
                    "must be the name of a certificate, or how names begin and a *: printable "
                    "ASCII without quotes, backslashes and other *, at most %d bytes",
                    POLICY_SUBJECT_BYTES_MAX);
        return false;
    }
    ret_spec->id = slice_of(key);
    return true;
}

void body_token_done(struct body_token *body)
{
    json_decref(body->root);
    body->root = NULL;
}
