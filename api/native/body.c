#include "api/native/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/core/json_in.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/registry/check.h"

/* Beyond what JSON numbers hold exactly. */
#define INCARNATION_MAX ((1ull << 53) - 1)

/* How many there are is checked here, as a registration has no room for more. */
static bool parse_tags(const json_t *root, struct registration *r, struct problem *problem)
{
    const json_t *tags = json_object_get(root, "tags");
    if (!json_in_is_given(tags)) {
        return true;
    }
    if (!json_is_array(tags)) {
        problem_set(problem, "tags", "must be an array of strings");
        return false;
    }
    if (json_array_size(tags) > TAGS_MAX) {
        problem_set(problem, "tags", "must be at most %d", TAGS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *tag = json_array_get(tags, i);
        if (!json_is_string(tag)) {
            problem_set(problem, "tags", "must be an array of strings");
            return false;
        }
        r->tags[i] = (struct slice){json_string_value(tag), json_string_length(tag)};
    }
    r->tags_count = (uint32_t)json_array_size(tags);
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    return strcmp(left->key.data, right->key.data);
}

static bool parse_metadata(json_t *root, struct registration *r, struct problem *problem)
{
    json_t *metadata = json_object_get(root, "metadata");
    if (!json_in_is_given(metadata)) {
        return true;
    }
    if (!json_is_object(metadata)) {
        problem_set(problem, "metadata", "must be an object of strings");
        return false;
    }
    if (json_object_size(metadata) > METADATA_MAX) {
        problem_set(problem, "metadata", "must have at most %d keys", METADATA_MAX);
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (json_is_null(value)) {
            continue;
        }
        if (!json_is_string(value)) {
            char field[PROBLEM_FIELD_SIZE];
            bool fits = snprintf(field, sizeof field, "metadata.%s", key) < (int)sizeof field;
            problem_set_named(problem, fits ? field : "metadata", "must be a string");
            return false;
        }
        r->metadata[r->metadata_count++] = (struct pair){
            {key, strlen(key)}, {json_string_value(value), json_string_length(value)}};
    }
    /* An object has no order: the same content is the same registration. */
    qsort(r->metadata, r->metadata_count, sizeof r->metadata[0], compare_keys);
    return true;
}

/* The texts. */
static bool parse_names(struct body_register *body, struct registration *r, struct problem *problem)
{
    const json_t *root = body->root;
    bool present;
    return json_in_string(root, "name", &r->name, NULL, problem) &&
           json_in_string(root, "id", &r->id, &body->has_id, problem) &&
           json_in_string(root, "host", &r->host, &body->has_host, problem) &&
           json_in_string(root, "type", &r->type, &present, problem) &&
           json_in_string(root, "zone", &r->zone, &present, problem);
}

static bool parse_numbers(const json_t *root, struct command *c, struct problem *problem)
{
    struct registration *r = &c->register_.registration;
    uint64_t port, weight = 1;
    bool present;
    if (!json_in_integer(root, "port", 1, UINT16_MAX, &port, NULL, problem) ||
        !json_in_integer(root, "weight", 0, WEIGHT_MAX, &weight, &present, problem) ||
        !json_in_duration(root, "reap_after", 0, REAP_AFTER_MS_MAX, &r->reap_after_ms, &present,
                          problem) ||
        !json_in_integer(root, "incarnation", 1, INCARNATION_MAX, &c->register_.incarnation,
                         &present, problem)) {
        return false;
    }
    r->port = (uint16_t)port;
    r->weight = (uint16_t)weight;
    return true;
}

/* A ttl of 0 is that of an instance that has checks alone. */
static bool parse_ttl(struct body_register *body, struct registration *r, struct problem *problem)
{
    uint32_t ttl_ms = 0;
    bool with_checks = body->checks.count > 0;
    if (!json_in_duration(body->root, "ttl", with_checks ? 0 : TTL_MS_MIN, TTL_MS_MAX, &ttl_ms,
                          &body->has_ttl, problem)) {
        return false;
    }
    body->has_ttl = ttl_ms > 0;
    r->ttl_ms = body->has_ttl ? ttl_ms : r->ttl_ms;
    return true;
}

/* With checks, its health follows from them; and it has no lease that would end. */
static bool check_fit(const struct command *c, struct problem *problem)
{
    bool has_health = c->register_.health_given;
    if (has_health || c->register_.unique_type) {
        problem_set(problem, has_health ? "health" : "unique_type", "does not go with checks");
        return false;
    }
    return true;
}

/* The condition that no other instance of its type is alive. */
static bool parse_unique(const json_t *root, struct command *c, struct problem *problem)
{
    bool present;
    if (!json_in_bool(root, "unique_type", &c->register_.unique_type, &present, problem)) {
        return false;
    }
    if (c->register_.unique_type && c->register_.registration.type.len == 0) {
        problem_set(problem, "unique_type", "needs a type");
        return false;
    }
    return true;
}

bool body_register_parse(struct body_register *body, struct command *ret_command,
                         const struct buffer *text, uint32_t ttl_ms, uint32_t reap_after_ms,
                         struct problem *problem)
{
    static const char *const known[] = {
#define TEXT(field, name, limit)        name,
#define NUMBER(field, name, type, most) name,
#include "server/registry/fields.def"
        "tags", "metadata", "health", "incarnation", "unique_type", "checks", NULL};
    memset(body, 0, sizeof *body);
    memset(ret_command, 0, sizeof *ret_command);
    struct registration *r = &ret_command->register_.registration;
    ret_command->kind = COMMAND_REGISTER;
    r->type = r->zone = (struct slice){"", 0};
    r->ttl_ms = ttl_ms;
    r->reap_after_ms = reap_after_ms;
    body->root = json_in_object(text->data, text->len, known, problem);
    return body->root != NULL && parse_names(body, r, problem) &&
           parse_numbers(body->root, ret_command, problem) &&
           json_in_health(body->root, "health", &ret_command->register_.health,
                          &ret_command->register_.health_given, problem) &&
           parse_tags(body->root, r, problem) && parse_metadata(body->root, r, problem) &&
           parse_unique(body->root, ret_command, problem) &&
           check_list_parse(&body->checks, json_object_get(body->root, "checks"), problem) &&
           (!body->checks.given || check_fit(ret_command, problem)) && parse_ttl(body, r, problem);
}

/* "<name>-<version 4 UUID of RFC 9562>". False when the name is too long for that. */
static bool make_id(struct body_register *body, struct registration *r, const uint8_t random[16],
                    struct problem *problem)
{
    uint8_t u[16];
    memcpy(u, random, sizeof u);
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    int len = snprintf(body->made_id, sizeof body->made_id,
                       "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                       (int)r->name.len, r->name.data, u[0], u[1], u[2], u[3], u[4], u[5], u[6],
                       u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    if (len < 0 || (size_t)len >= sizeof body->made_id) {
        problem_set(problem, "id", "must be given, as the name is too long to make one from");
        return false;
    }
    r->id = (struct slice){body->made_id, (size_t)len};
    return true;
}

bool body_register_complete(struct body_register *body, struct registration *r,
                            const uint8_t random[16], const char *caller, struct problem *problem)
{
    if (!registration_check_name("name", r->name, problem) ||
        (!body->has_id && !make_id(body, r, random, problem))) {
        return false;
    }
    if (!body->has_host) {
        if (caller[0] == '\0') {
            problem_set(problem, "host", "is required on this connection");
            return false;
        }
        r->host = slice_of(caller);
    }
    registration_normalise(r);
    return registration_check(r, problem);
}

void body_register_enrol(const struct body_register *body, struct command *c)
{
    check_list_put(&body->checks, body->has_ttl, c);
}

void body_register_done(struct body_register *body)
{
    check_list_done(&body->checks);
    json_decref(body->root);
    body->root = NULL;
}

static bool parse_ids(struct body_heartbeat *body, const json_t *ids, struct problem *problem)
{
    size_t count = json_array_size(ids); /* 0 when it is no array */
    if (count == 0 || count > HEARTBEAT_IDS_MAX) {
        problem_set(problem, "ids", "must be an array of 1 to %d strings", HEARTBEAT_IDS_MAX);
        return false;
    }
    body->ids = mem_zalloc(count, sizeof *body->ids);
    body->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        if (!json_in_item(json_array_get(ids, i), "ids", NAME_BYTES_MAX, &body->ids[i], problem)) {
            return false;
        }
    }
    return true;
}

bool body_heartbeat_parse(struct body_heartbeat *body, const struct buffer *text,
                          struct problem *problem)
{
    static const char *const known[] = {"id",   "ids",   "incarnation", "status",
                                        "note", "check", NULL};
    bool incarnation_given, check_given;
    memset(body, 0, sizeof *body);
    json_t *root = body->root = json_in_object(text->data, text->len, known, problem);
    if (root == NULL ||
        !json_in_integer(root, "incarnation", 1, INCARNATION_MAX, &body->incarnation,
                         &incarnation_given, problem) ||
        !json_in_health(root, "status", &body->status, &body->status_given, problem) ||
        !json_in_note(root, "note", NOTE_BYTES_MAX, &body->note, &body->note_given, problem) ||
        !registration_check_text("note", body->note, NOTE_BYTES_MAX, problem) ||
        !json_in_text(root, "check", NAME_BYTES_MAX, &body->check, &check_given, problem)) {
        return false;
    }
    body->details = check_given || incarnation_given || body->status_given || body->note_given;
    const json_t *ids = json_object_get(root, "ids");
    const json_t *id = json_object_get(root, "id");
    body->single = !json_in_is_given(ids);
    if (!body->single && json_in_is_given(id)) {
        problem_set(problem, "ids", "give either id or ids");
        return false;
    }
    if (!body->single && body->details) {
        problem_set(problem, "ids", "check, incarnation, status and note go with a single id only");
        return false;
    }
    if (!body->single) {
        return parse_ids(body, ids, problem);
    }
    body->ids = mem_zalloc(1, sizeof *body->ids);
    body->count = 1;
    if (!json_in_text(root, "id", NAME_BYTES_MAX, &body->ids[0], NULL, problem)) {
        return false;
    }
    if (check_given && incarnation_given) {
        problem_set(problem, "incarnation", "does not go with check");
        return false;
    }
    return true;
}

void body_heartbeat_done(struct body_heartbeat *body)
{
    free(body->ids);
    json_decref(body->root);
    *body = (struct body_heartbeat){.root = NULL};
}

bool body_maintenance_parse(struct body_maintenance *body, const struct buffer *text,
                            struct problem *problem)
{
    static const char *const known[] = {"enabled", "reason", NULL};
    bool present;
    memset(body, 0, sizeof *body);
    body->root = json_in_object(text->data, text->len, known, problem);
    return body->root != NULL &&
           json_in_bool(body->root, "enabled", &body->enabled, NULL, problem) &&
           json_in_note(body->root, "reason", NOTE_BYTES_MAX, &body->reason, &present, problem) &&
           registration_check_text("reason", body->reason, NOTE_BYTES_MAX, problem);
}

void body_maintenance_done(struct body_maintenance *body)
{
    json_decref(body->root);
    body->root = NULL;
}

bool body_quota_parse(struct namespace_quota *ret_quota, const struct buffer *text,
                      struct problem *problem)
{
    static const char *const known[] = {"instances_max", "bytes_max", "writes_max", NULL};
    uint64_t instances = 0, bytes = 0, writes = 0;
    bool present;
    json_t *root = json_in_object(text->data, text->len, known, problem);
    bool parsed =
        root != NULL &&
        json_in_integer(root, "instances_max", 1, INSTANCES_MAX, &instances, &present, problem) &&
        json_in_integer(root, "bytes_max", 1, STATE_BOUND_MAX, &bytes, &present, problem) &&
        json_in_integer(root, "writes_max", 1, NAMESPACE_WRITES_MAX, &writes, &present, problem);
    json_decref(root);
    *ret_quota = (struct namespace_quota){
        .bytes = bytes, .instances = (uint32_t)instances, .writes = (uint32_t)writes};
    return parsed;
}
