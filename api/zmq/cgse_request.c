#include "api/zmq/cgse_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/core/json_in.h"
#include "api/zmq/cgse_metadata.h"
#include "server/base/limits.h"
#include "server/registry/check.h"

static const struct {
    const char *name;
    enum permission needed;
    const char *text;
} actions[] = {
#define X(action, name, needed, text) [CGSE_##action] = {(name), PERMISSION_##needed, (text)},
    CGSE_ACTIONS(X)
#undef X
};

static struct slice slice_of_json(const json_t *text)
{
    return (struct slice){json_string_value(text), json_string_length(text)};
}

static bool find_action(struct cgse_request *r, struct problem *problem)
{
    const json_t *action = json_object_get(r->root, "action");
    if (!json_in_is_given(action)) {
        problem_set(problem, "", "Missing required field: action");
        return false;
    }
    const char *name = json_is_string(action) ? json_string_value(action) : "(not a text)";
    for (size_t i = 0; i < ARRAY_LENGTH(actions); i++) {
        if (strcmp(name, actions[i].name) == 0) {
            r->action = (enum cgse_action)i;
            r->name = actions[i].name;
            r->needed = actions[i].needed;
            return true;
        }
    }
    problem_set(problem, "", "Unknown action: %s", strlen(name) <= NAME_BYTES_MAX ? name : "...");
    return false;
}

/* *ret_text NULL: it is not there. */
static bool find_text(const struct cgse_request *r, const char *field, bool required,
                      const char **ret_text, struct problem *problem)
{
    const json_t *value = json_object_get(r->root, field);
    bool is_given = json_in_is_given(value);
    *ret_text = json_string_value(value);
    if (required && (!is_given || (*ret_text != NULL && (*ret_text)[0] == '\0'))) {
        problem_set(problem, "", "Missing required field: %s", field);
        return false;
    }
    if (is_given && (*ret_text == NULL || json_string_length(value) > NAME_BYTES_MAX)) {
        problem_set(problem, "", "%s: must be a text of at most %d bytes", field, NAME_BYTES_MAX);
        return false;
    }
    if (*ret_text != NULL && (*ret_text)[0] == '\0') {
        *ret_text = NULL;
    }
    return true;
}

bool cgse_request_parse(struct cgse_request *r, struct slice body, struct problem *problem)
{
    memset(r, 0, sizeof *r);
    r->root = json_loadb(body.len > 0 ? body.data : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(r->root)) {
        problem_set(problem, "", "Invalid JSON format");
        return false;
    }
    if (!find_action(r, problem)) {
        return false;
    }
    const char *text = actions[r->action].text;
    bool needs_id = text != NULL && strcmp(text, "service_id") == 0;
    bool needs_type = text != NULL && !needs_id;
    return r->action == CGSE_REGISTER ||
           (find_text(r, "service_id", needs_id, &r->service_id, problem) &&
            find_text(r, "service_type", needs_type, &r->service_type, problem));
}

/* --- a registration --- */

static bool take_text(const json_t *info, const char *field, struct slice *ret,
                      struct problem *problem)
{
    const json_t *value = json_object_get(info, field);
    *ret = (struct slice){"", 0};
    if (json_in_is_given(value)) {
        if (!json_is_string(value)) {
            problem_set(problem, field, "must be a text");
            return false;
        }
        *ret = slice_of_json(value);
    }
    return true;
}

static bool take_flag(const json_t *info, const char *field)
{
    return json_is_true(json_object_get(info, field));
}

static bool has_tag(const struct registration *r, struct slice tag)
{
    for (uint32_t i = 0; i < r->tags_count; i++) {
        if (r->tags[i].len == tag.len && memcmp(r->tags[i].data, tag.data, tag.len) == 0) {
            return true;
        }
    }
    return false;
}

/* A tag that is said twice counts once. */
static bool take_tags(const json_t *info, struct registration *r, struct problem *problem)
{
    const json_t *tags = json_object_get(info, "tags");
    if (!json_in_is_given(tags)) {
        return true;
    }
    if (!json_is_array(tags) || json_array_size(tags) > TAGS_MAX) {
        problem_set(problem, "tags", "must be a list of at most %d texts", TAGS_MAX);
        return false;
    }
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *tag = json_array_get(tags, i);
        if (!json_is_string(tag)) {
            problem_set(problem, "tags", "must be a list of texts");
            return false;
        }
        if (!has_tag(r, slice_of_json(tag))) {
            r->tags[r->tags_count++] = slice_of_json(tag);
        }
    }
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    return strcmp(left->key.data, right->key.data);
}

static bool take_metadata(struct cgse_request *request, json_t *info, struct registration *r,
                          struct problem *problem)
{
    json_t *metadata = json_object_get(info, "metadata");
    if (!json_in_is_given(metadata)) {
        return true;
    }
    if (!json_is_object(metadata) || json_object_size(metadata) > METADATA_MAX) {
        problem_set(problem, "metadata", "must be an object of at most %d members", METADATA_MAX);
        return false;
    }
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        struct pair *pair = &r->metadata[r->metadata_count++];
        pair->key = slice_of(key);
        char **made = &request->made[request->made_count];
        if (!cgse_metadata_pack(value, &pair->value, made)) {
            problem_set(problem, "metadata", "has a value that cannot be kept");
            return false;
        }
        request->made_count += *made != NULL;
    }
    /* An object has no order: the same content is the same registration. */
    qsort(r->metadata, r->metadata_count, sizeof r->metadata[0], compare_keys);
    return true;
}

/* "name-in-lower-case-<version 4 UUID>", blanks as "-". */
static bool make_id(struct cgse_request *request, struct registration *r, const uint8_t random[16],
                    struct problem *problem)
{
    uint8_t u[16];
    char *out = request->made_id;
    size_t len = 0;
    memcpy(u, random, sizeof u);
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    if (r->name.len > NAME_BYTES_MAX - 37) {
        problem_set(problem, "id", "must be given, as the name is too long to make one from");
        return false;
    }
    for (; len < r->name.len; len++) {
        char c = r->name.data[len];
        out[len] = (char)(c == ' ' ? '-' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    for (size_t i = 0; i < sizeof u; i++) {
        bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
        len += (size_t)snprintf(out + len, sizeof request->made_id - len, "%s%02x", dash ? "-" : "",
                                u[i]);
    }
    r->id = (struct slice){out, len};
    return true;
}

static bool take_numbers(const struct cgse_request *request, const json_t *info, uint32_t ttl_ms,
                         struct registration *r, struct problem *problem)
{
    const json_t *port = json_object_get(info, "port");
    const json_t *ttl = json_object_get(request->root, "ttl");
    if (!json_is_integer(port) || json_integer_value(port) < 1 ||
        json_integer_value(port) > UINT16_MAX) {
        problem_set(problem, "port", "must be a whole number from 1 to %d", UINT16_MAX);
        return false;
    }
    r->port = (uint16_t)json_integer_value(port);
    r->ttl_ms = ttl_ms;
    if (json_in_is_given(ttl)) {
        double ms = json_is_number(ttl) ? json_number_value(ttl) * 1000 : -1;
        if (!(ms >= TTL_MS_MIN && ms <= TTL_MS_MAX)) {
            problem_set(problem, "ttl", "must be from %d to %d seconds", TTL_MS_MIN / 1000,
                        TTL_MS_MAX / 1000);
            return false;
        }
        r->ttl_ms = (uint32_t)(ms + 0.5);
    }
    return true;
}

/* Whether it is to be the only one of its type. */
static bool take_policy(const json_t *info, bool unique_types, struct command *c,
                        struct problem *problem)
{
    bool singleton = take_flag(info, "singleton");
    bool shares = take_flag(info, "allow_duplicate_service_type");
    if (singleton && shares) {
        problem_set(problem, "",
                    "invalid_service_type_policy: singleton and allow_duplicate_service_type "
                    "cannot both be true.");
        return false;
    }
    if (singleton && c->register_.registration.type.len == 0) {
        problem_set(problem, "singleton", "needs a type");
        return false;
    }
    c->register_.unique_type =
        (singleton || (unique_types && !shares)) && c->register_.registration.type.len > 0;
    return true;
}

static json_t *find_info(const struct cgse_request *request, struct problem *problem)
{
    static const char *const required[] = {"name", "host", "port"};
    json_t *info = json_object_get(request->root, "service_info");
    if (!json_is_object(info)) {
        problem_set(problem, "", "Missing required field: service_info");
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(required); i++) {
        if (json_object_get(info, required[i]) == NULL) {
            problem_set(problem, "", "Missing required field in service_info: %s", required[i]);
            return NULL;
        }
    }
    return info;
}

/* Without a type of its own, it has that of its metadata. */
static bool take_type(const json_t *info, struct registration *r, struct problem *problem)
{
    if (!take_text(info, "type", &r->type, problem)) {
        return false;
    }
    const json_t *of_metadata = json_object_get(json_object_get(info, "metadata"), "type");
    if (r->type.len == 0 && json_is_string(of_metadata)) {
        r->type = slice_of_json(of_metadata);
    }
    return true;
}

bool cgse_request_registration(struct cgse_request *request,
                               const struct cgse_registration_options *options,
                               const uint8_t random[16], struct command *ret_command,
                               struct problem *problem)
{
    uint32_t reap_after_ms = options->reap_after_ms;
    struct registration *r = &ret_command->register_.registration;
    memset(ret_command, 0, sizeof *ret_command);
    ret_command->kind = COMMAND_REGISTER;
    ret_command->register_.health = HEALTH_PASSING;
    ret_command->register_.health_given = true; /* whoever registers is passing */
    r->zone = (struct slice){"", 0};
    r->weight = 1;
    json_t *info = find_info(request, problem);
    if (info == NULL || !take_text(info, "name", &r->name, problem) ||
        !take_text(info, "host", &r->host, problem) || !take_text(info, "id", &r->id, problem) ||
        !take_type(info, r, problem) ||
        !take_policy(info, options->unique_types, ret_command, problem) ||
        !take_numbers(request, info, options->ttl_ms, r, problem) || !take_tags(info, r, problem) ||
        !take_metadata(request, info, r, problem) ||
        !registration_check_name("name", r->name, problem) ||
        (r->id.len == 0 && !make_id(request, r, random, problem))) {
        return false;
    }
    r->reap_after_ms = reap_after_ms == 0 || reap_after_ms > r->ttl_ms ? reap_after_ms : r->ttl_ms;
    registration_normalise(r);
    return registration_check(r, problem);
}

void cgse_request_done(struct cgse_request *r)
{
    for (unsigned i = 0; i < r->made_count; i++) {
        free(r->made[i]);
    }
    r->made_count = 0;
    json_decref(r->root);
    r->root = NULL;
}
