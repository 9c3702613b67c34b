#include "api/consul/body.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/keep.h"
#include "api/consul/query.h"
#include "server/base/mem.h"
#include "server/base/naming.h"
#include "server/registry/check.h"

#define NS_PER_MS 1000000u

/* --- keys and values --- */

static bool is_key(const char *said, const char *key)
{
    while (*said != '\0' || *key != '\0') {
        if (*said == '_') {
            said++;
            continue;
        }
        if (tolower((unsigned char)*said) != tolower((unsigned char)*key)) {
            return false;
        }
        said++;
        key++;
    }
    return true;
}

json_t *body_get(const json_t *object, const char *key)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (is_key(name, key)) {
            return json_is_null(value) ? NULL : value;
        }
    }
    return NULL;
}

json_t *body_parse(const struct request *request, struct problem *problem)
{
    json_error_t error;
    const struct buffer *body = &request->body;
    json_t *json =
        body->len > 0 ? json_loadb((const char *)body->data, body->len, 0, &error) : NULL;
    if (json_is_object(json)) {
        return json;
    }
    problem_set(problem, "", "Request decode failed: %s",
                body->len == 0 ? "EOF"
                : json == NULL ? "it is not valid JSON"
                               : "it is no JSON object");
    json_decref(json);
    return NULL;
}

static bool bad_type(const char *key, const char *type, struct problem *problem)
{
    problem_set(problem, "",
                "Request decode failed: json: cannot unmarshal into field %s of type %s", key,
                type);
    return false;
}

bool body_text(const json_t *object, const char *key, const char **ret_text,
               struct problem *problem)
{
    const json_t *value = body_get(object, key);
    *ret_text = value != NULL ? json_string_value(value) : "";
    return *ret_text != NULL || bad_type(key, "string", problem);
}

bool body_integer(const json_t *object, const char *key, int64_t *ret_value,
                  struct problem *problem)
{
    const json_t *value = body_get(object, key);
    *ret_value = json_integer_value(value);
    return value == NULL || json_is_integer(value) || bad_type(key, "int", problem);
}

bool body_duration_ms(const json_t *object, const char *key, uint32_t max_ms, uint32_t *ret_ms,
                      struct problem *problem)
{
    const json_t *value = body_get(object, key);
    uint64_t ns = 0;
    bool negative = false;
    *ret_ms = 0;
    if (json_is_number(value)) {
        double number = json_number_value(value);
        ns = number > 0 && number < 1e18 ? (uint64_t)number : 0;
    } else if (json_is_string(value)) {
        if (json_string_value(value)[0] != '\0' &&
            !query_parse_duration(json_string_value(value), &ns, &negative)) {
            problem_set(
                problem, "",
                "Request decode failed: time: invalid duration %.40s of %s, such as \"30s\"",
                json_string_value(value), key);
            return false;
        }
    } else if (value != NULL) {
        return bad_type(key, "duration", problem);
    }
    uint64_t ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
    if (ms > max_ms) {
        problem_set(problem, "", "%s must be at most %u hours", key, max_ms / 3600000);
        return false;
    }
    *ret_ms = (uint32_t)ms;
    return true;
}

bool body_status(const char *text, enum health *ret_status)
{
    static const char *const names[] = {"passing", "warning", "critical"};
    static const enum health statuses[] = {HEALTH_PASSING, HEALTH_WARNING, HEALTH_CRITICAL};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_status = statuses[i];
            return true;
        }
    }
    return false;
}

/* --- enrolments --- */

void enrolment_done(struct enrolment *e)
{
    for (size_t i = 0; i < e->texts_count; i++) {
        free(e->texts[i]);
    }
    json_decref(e->json);
    memset(e, 0, sizeof *e);
}

char *enrolment_own(struct enrolment *e, char *text)
{
    e->texts[e->texts_count++] = text;
    return text;
}

static bool keep_into(struct enrolment *e, json_t *keep, struct slice *ret_extra,
                      struct problem *problem)
{
    char *text = keep_dump(keep);
    if (text == NULL) {
        problem_set(problem, "",
                    "what is said beside the service's own fields has at most %d bytes",
                    EXTRA_BYTES_MAX);
        return false;
    }
    *ret_extra = slice_of(enrolment_own(e, text));
    return true;
}

/* --- fields of a service --- */

static bool is_listed(const struct registration *g, const char *tag)
{
    for (uint32_t i = 0; i < g->tags_count; i++) {
        if (strlen(tag) == g->tags[i].len && memcmp(tag, g->tags[i].data, g->tags[i].len) == 0) {
            return true;
        }
    }
    return false;
}

/* Each once, and none that is empty. */
static bool take_tags(const json_t *json, struct registration *g, struct problem *problem)
{
    const json_t *tags = body_get(json, "Tags");
    size_t i;
    json_t *tag;
    if (tags != NULL && !json_is_array(tags)) {
        return bad_type("Tags", "[]string", problem);
    }
    json_array_foreach(tags, i, tag)
    {
        const char *text = json_string_value(tag);
        if (text == NULL) {
            return bad_type("Tags", "[]string", problem);
        }
        if (text[0] == '\0' || is_listed(g, text)) {
            continue;
        }
        if (g->tags_count == TAGS_MAX) {
            problem_set(problem, "", "a service has at most %d tags", TAGS_MAX);
            return false;
        }
        g->tags[g->tags_count++] = slice_of(text);
    }
    return true;
}

static bool is_meta_key(const char *key)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return key[0] != '\0' && strlen(key) <= METADATA_KEY_BYTES_MAX &&
           key[strspn(key, letters)] == '\0' && strncmp(key, "consul-", 7) != 0;
}

bool body_meta(const json_t *meta, struct registration *g, struct problem *problem)
{
    const char *key;
    json_t *value;
    if (meta != NULL && !json_is_object(meta)) {
        return bad_type("Meta", "map[string]string", problem);
    }
    if (json_object_size(meta) > METADATA_MAX) {
        problem_set(
            problem, "",
            "Invalid Service Meta: Node metadata cannot contain more than %d key/value pairs",
            METADATA_MAX);
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)meta, key, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL) {
            return bad_type("Meta", "map[string]string", problem);
        }
        if (!is_meta_key(key) || strlen(text) > METADATA_VALUE_BYTES_MAX) {
            problem_set(problem, "",
                        "Invalid Service Meta: a key has 1 to %d letters, digits, '-' and '_', and "
                        "does not begin with \"consul-\"; a value has at most %d bytes",
                        METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX);
            return false;
        }
        g->metadata[g->metadata_count++] = (struct pair){slice_of(key), slice_of(text)};
    }
    return true;
}

static bool take_weights(const json_t *json, struct registration *g, json_t *keep,
                         struct problem *problem)
{
    const json_t *weights = body_get(json, "Weights");
    int64_t passing, warning;
    g->weight = 1;
    if (weights == NULL) {
        return true;
    }
    if (!json_is_object(weights)) {
        return bad_type("Weights", "Weights", problem);
    }
    if (!body_integer(weights, "Passing", &passing, problem) ||
        !body_integer(weights, "Warning", &warning, problem)) {
        return false;
    }
    if (passing < 1 || passing > WEIGHT_MAX || warning < 0 || warning > WEIGHT_MAX) {
        problem_set(problem, "",
                    "Invalid Weights: Passing must be from 1 to %d, and Warning from 0",
                    WEIGHT_MAX);
        return false;
    }
    g->weight = (uint16_t)passing;
    if (warning != 1) {
        json_object_set_new(keep, KEEP_WARNING, json_integer(warning));
    }
    return true;
}

static bool take_tagged(const json_t *json, json_t *keep, struct problem *problem)
{
    json_t *tagged = body_get(json, "TaggedAddresses");
    json_t *ours = json_object();
    const char *key;
    json_t *value;
    bool good = tagged == NULL || json_is_object(tagged);
    json_object_foreach(tagged, key, value)
    {
        const char *address = "";
        int64_t port = 0;
        good = good && json_is_object(value) && body_text(value, "Address", &address, problem) &&
               body_integer(value, "Port", &port, problem);
        json_t *row = json_object();
        json_object_set_new(row, "Address", json_string(good ? address : ""));
        json_object_set_new(row, "Port", json_integer(port));
        json_object_set_new(ours, key, row);
    }
    if (good && json_object_size(ours) > 0) {
        json_object_set(keep, KEEP_TAGGED, ours);
    }
    json_decref(ours);
    return good || bad_type("TaggedAddresses", "map[string]ServiceAddress", problem);
}

static bool take_others(const json_t *json, json_t *keep, struct problem *problem)
{
    const char *kind, *socket;
    const json_t *override = body_get(json, "EnableTagOverride");
    if (!body_text(json, "Kind", &kind, problem) ||
        !body_text(json, "SocketPath", &socket, problem)) {
        return false;
    }
    if (override != NULL && !json_is_boolean(override)) {
        return bad_type("EnableTagOverride", "bool", problem);
    }
    if (kind[0] != '\0') {
        problem_set(problem, "", "Kind \"%.40s\" is not for discovery, and not served here", kind);
        return false;
    }
    if (socket[0] != '\0') {
        json_object_set_new(keep, KEEP_SOCKET, json_string(socket));
    }
    if (json_is_true(override)) {
        json_object_set_new(keep, KEEP_OVERRIDE, json_true());
    }
    return true;
}

static bool take_port(const json_t *json, struct registration *g, struct problem *problem)
{
    int64_t port;
    if (!body_integer(json, "Port", &port, problem)) {
        return false;
    }
    if (port < 0 || port > UINT16_MAX) {
        problem_set(problem, "", "Invalid port: must be from 0 to %d", UINT16_MAX);
        return false;
    }
    g->port = (uint16_t)port;
    return true;
}

/* As every door does, but for what this one alone allows: no port, and a lease without an end. */
static bool check_registration(const struct registration *g, struct problem *problem)
{
    struct registration strict = *g;
    struct problem found;
    strict.port = 1;
    strict.ttl_ms = TTL_MS_MIN;
    if (registration_check(&strict, &found)) {
        return true;
    }
    if (strcmp(found.field, "host") == 0) {
        problem_set(problem, "", "Invalid service address: %s", found.message);
    } else {
        problem_set(problem, "", "Invalid service %s: %s", found.field, found.message);
    }
    return false;
}

static bool take_place(struct enrolment *e, const json_t *json, const struct place *place,
                       const char *service_id, json_t *keep, struct problem *problem)
{
    struct registration *g = &e->registration;
    const char *address;
    char id[2 * STORED_NAME_SIZE + 4];
    if (!body_text(json, "Address", &address, problem)) {
        return false;
    }
    const char *node = place->node != NULL  ? place->node
                       : address[0] != '\0' ? address
                                            : place->agent;
    const char *at = place->node_address != NULL ? place->node_address : node;
    g->host = slice_of(address[0] != '\0' ? address : at);
    if (address[0] == '\0') {
        json_object_set_new(keep, KEEP_ADDRESS, json_string(""));
    }
    if (strcmp(at, node) != 0) {
        json_object_set_new(keep, KEEP_NODE_ADDRESS, json_string(at));
    }
    (void)snprintf(id, sizeof id, "%.*s@%.*s", STORED_NAME_SIZE, service_id, STORED_NAME_SIZE - 1,
                   node);
    g->id = slice_of(enrolment_own(e, mem_strdup(id)));
    return true;
}

bool body_service(struct enrolment *e, const json_t *json, const struct place *place,
                  struct problem *problem)
{
    struct registration *g = &e->registration;
    const char *name, *service_id;
    json_t *keep = json_object();
    json_object_set_new(keep, KEEP_AGENT, json_string(place->agent));
    g->type = g->zone = (struct slice){"", 0};
    bool good = body_text(json, "Name", &name, problem) &&
                (name[0] != '\0' || body_text(json, "Service", &name, problem)) &&
                body_text(json, "ID", &service_id, problem);
    if (good && name[0] == '\0') {
        problem_set(problem, "", "Missing service name");
        good = false;
    }
    if (!good) {
        json_decref(keep);
        return false;
    }
    g->name = slice_of(name);
    service_id = service_id[0] != '\0' ? service_id : name;
    if (!take_place(e, json, place, service_id, keep, problem) || !take_port(json, g, problem) ||
        !take_tags(json, g, problem) || !body_meta(body_get(json, "Meta"), g, problem) ||
        !take_weights(json, g, keep, problem) || !take_tagged(json, keep, problem) ||
        !take_others(json, keep, problem)) {
        json_decref(keep);
        return false;
    }
    return keep_into(e, keep, &g->extra, problem) && check_registration(g, problem);
}
