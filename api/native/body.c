#include "api/native/body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/json_in.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/text.h"

/* Beyond what JSON numbers hold exactly. */
#define INCARNATION_MAX ((1ull << 53) - 1)

/* Segments that clients take out of a path, so that such an id could never be named in one. */
static bool check_addressable(const char *field, const struct slice *text, struct problem *problem)
{
    if ((text->len == 1 || text->len == 2) && strspn(text->data, ".") == text->len) {
        problem_set(problem, field, "must not be \".\" or \"..\"");
        return false;
    }
    return true;
}

static bool parse_tags(const json_t *root, struct registration *r, struct problem *problem)
{
    const json_t *tags = json_object_get(root, "tags");
    if (tags == NULL) {
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
        struct slice *tag = &r->tags[i];
        if (!json_in_item(json_array_get(tags, i), "tags", TAG_BYTES_MAX, tag, problem)) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (r->tags[j].len == tag->len && memcmp(r->tags[j].data, tag->data, tag->len) == 0) {
                problem_set(problem, "tags", "number %zu is there twice", i + 1);
                return false;
            }
        }
    }
    r->tags_count = (uint32_t)json_array_size(tags);
    return true;
}

/* One metadata field's key and value. */
static bool parse_pair(const char *key, const json_t *value, struct pair *pair,
                       struct problem *problem)
{
    char field[sizeof "metadata." + METADATA_KEY_BYTES_MAX];
    size_t len = strlen(key);
    if (len == 0) {
        problem_set(problem, "metadata", "a key must not be empty");
        return false;
    }
    if (len > METADATA_KEY_BYTES_MAX) {
        problem_set(problem, "metadata", "a key must be at most %d bytes", METADATA_KEY_BYTES_MAX);
        return false;
    }
    if (!text_is_printable(key, len)) {
        problem_set(problem, "metadata",
                    "a key must be printable UTF-8, without control characters");
        return false;
    }
    (void)snprintf(field, sizeof field, "metadata.%s", key);
    if (!json_in_value(value, field, METADATA_VALUE_BYTES_MAX, &pair->value, problem)) {
        return false;
    }
    pair->key = (struct slice){key, len};
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
    if (metadata == NULL) {
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
        if (!parse_pair(key, value, &r->metadata[r->metadata_count], problem)) {
            return false;
        }
        r->metadata_count++;
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
    return json_in_text(root, "name", NAME_BYTES_MAX, &r->name, NULL, problem) &&
           check_addressable("name", &r->name, problem) &&
           json_in_text(root, "id", NAME_BYTES_MAX, &r->id, &body->has_id, problem) &&
           (!body->has_id || check_addressable("id", &r->id, problem)) &&
           json_in_text(root, "host", HOST_BYTES_MAX, &r->host, &body->has_host, problem) &&
           json_in_note(root, "type", NAME_BYTES_MAX, &r->type, &present, problem) &&
           json_in_note(root, "zone", NAME_BYTES_MAX, &r->zone, &present, problem);
}

static bool parse_numbers(const json_t *root, struct command *c, struct problem *problem)
{
    struct registration *r = &c->register_.registration;
    uint64_t port, weight = 1;
    bool present;
    if (!json_in_integer(root, "port", 1, UINT16_MAX, &port, NULL, problem) ||
        !json_in_integer(root, "weight", 0, WEIGHT_MAX, &weight, &present, problem) ||
        !json_in_duration(root, "ttl", TTL_MS_MIN, TTL_MS_MAX, &r->ttl_ms, &present, problem) ||
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

bool body_register_parse(struct body_register *body, struct command *ret_command,
                         const struct buffer *text, uint32_t ttl_ms, uint32_t reap_after_ms,
                         struct problem *problem)
{
    static const char *const known[] = {"id",   "name",     "type",        "host",       "port",
                                        "tags", "metadata", "ttl",         "reap_after", "weight",
                                        "zone", "health",   "incarnation", NULL};
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
           parse_tags(body->root, r, problem) && parse_metadata(body->root, r, problem);
}

bool body_register_make_id(struct body_register *body, struct registration *r,
                           const uint8_t random[16], struct problem *problem)
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

void body_register_done(struct body_register *body)
{
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
    static const char *const known[] = {"id", "ids", "incarnation", "status", "note", NULL};
    bool incarnation_given;
    memset(body, 0, sizeof *body);
    json_t *root = body->root = json_in_object(text->data, text->len, known, problem);
    if (root == NULL ||
        !json_in_integer(root, "incarnation", 1, INCARNATION_MAX, &body->incarnation,
                         &incarnation_given, problem) ||
        !json_in_health(root, "status", &body->status, &body->status_given, problem) ||
        !json_in_note(root, "note", NOTE_BYTES_MAX, &body->note, &body->note_given, problem)) {
        return false;
    }
    body->details = incarnation_given || body->status_given || body->note_given;
    const json_t *ids = json_object_get(root, "ids");
    body->single = ids == NULL;
    if (!body->single && json_object_get(root, "id") != NULL) {
        problem_set(problem, "ids", "give either id or ids");
        return false;
    }
    if (!body->single && body->details) {
        problem_set(problem, "ids", "incarnation, status and note go with a single id only");
        return false;
    }
    if (!body->single) {
        return parse_ids(body, ids, problem);
    }
    body->ids = mem_zalloc(1, sizeof *body->ids);
    body->count = 1;
    return json_in_text(root, "id", NAME_BYTES_MAX, &body->ids[0], NULL, problem);
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
           json_in_note(body->root, "reason", NOTE_BYTES_MAX, &body->reason, &present, problem);
}

void body_maintenance_done(struct body_maintenance *body)
{
    json_decref(body->root);
    body->root = NULL;
}
