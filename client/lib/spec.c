#include "client/lib/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/random.h"
#include "server/base/text.h"

#define NAME_PART_BYTES_MAX (NAME_BYTES_MAX - 37)
#define LIMIT_COUNT(max)    LIMIT_COUNT_(max)
#define LIMIT_COUNT_(max)   #max

/* --- the body of POST /register --- */

static bool set_text(json_t *body, const char *member, const char *text)
{
    return text == NULL || *text == '\0' ||
           json_object_set_new(body, member, json_string(text)) == 0;
}

static bool set_number(json_t *body, const char *member, uint64_t value)
{
    return value == 0 || json_object_set_new(body, member, json_integer((json_int_t)value)) == 0;
}

static bool set_weight(json_t *body, int32_t weight)
{
    int32_t value = weight == MUSTER_WEIGHT_NONE ? 0 : weight;
    return weight == 0 || json_object_set_new(body, "weight", json_integer(value)) == 0;
}

static bool set_seconds(json_t *body, const char *member, uint32_t ms)
{
    if (ms == 0) {
        return true;
    }
    json_t *seconds =
        ms % 1000 == 0 ? json_integer((json_int_t)ms / 1000) : json_real((double)ms / 1000.0);
    return json_object_set_new(body, member, seconds) == 0;
}

static bool set_lists(json_t *body, const struct muster_spec *spec)
{
    json_t *tags = json_array(), *metadata = json_object();
    bool good = true;
    for (size_t i = 0; good && i < spec->tags_count; i++) {
        good = json_array_append_new(tags, json_string(spec->tags[i])) == 0;
    }
    for (size_t i = 0; good && i < spec->metadata_count; i++) {
        good = json_object_set_new(metadata, spec->metadata[i].key,
                                   json_string(spec->metadata[i].value)) == 0;
    }
    good = json_object_set_new(body, "tags", tags) == 0 && good;
    return json_object_set_new(body, "metadata", metadata) == 0 && good;
}

static bool set_checks(json_t *body, const char *checks)
{
    return checks == NULL || json_object_set_new(body, "checks", json_loads(checks, 0, NULL)) == 0;
}

/* NULL without memory. */
static json_t *make_body(const struct muster_spec *spec, const char *id, uint16_t port)
{
    json_t *body = json_object();
    if (set_text(body, "id", id) && set_text(body, "name", spec->name) &&
        set_text(body, "type", spec->type) && set_text(body, "zone", spec->zone) &&
        set_text(body, "host", spec->host) && set_number(body, "port", port) &&
        set_weight(body, spec->weight) && set_seconds(body, "ttl", spec->ttl_ms) &&
        set_seconds(body, "reap_after", spec->reap_after_ms) && set_lists(body, spec) &&
        set_checks(body, spec->checks)) {
        return body;
    }
    json_decref(body);
    return NULL;
}

/* Of a name as the first part of an id: not more than leaves room for the other, and whole letters.
 */
static size_t cut_len(const char *name)
{
    size_t len = strnlen(name, NAME_PART_BYTES_MAX);
    while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

/* Requires the mutex. The id of the environment is one, and for one instance. */
static char *make_id(struct settings *settings, const struct muster_spec *spec)
{
    char *id = NULL;
    if (spec->id != NULL) {
        return strdup(spec->id);
    }
    if (settings->id != NULL) {
        id = settings->id;
        settings->id = NULL;
        return id;
    }
    /* A UUID of random numbers (RFC 4122, section 4.4), as the registry would make one. */
    uint64_t high = random_u64(), low = random_u64();
    int len = asprintf(&id, "%.*s-%08x-%04x-4%03x-%04x-%012llx", (int)cut_len(spec->name),
                       spec->name, (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff),
                       (unsigned)(high & 0xfff), (unsigned)(low >> 48 & 0x3fff) | 0x8000,
                       (unsigned long long)(low & 0xffffffffffff));
    return len > 0 ? id : NULL;
}

/* --- what is wrong with it --- */

static bool is_utf8(const char *text)
{
    if (text == NULL || text_is_printable(text, strlen(text))) {
        return true;
    }
    json_t *made = json_string(text);
    json_decref(made);
    return made != NULL;
}

const char *spec_find_text_fault(const char *text, size_t max, const char *too_long,
                                 const char *not_utf8)
{
    if (text != NULL && strlen(text) > max) {
        return too_long;
    }
    return is_utf8(text) ? NULL : not_utf8;
}

#define TEXT_FAULT(spec, member, max)                                                              \
    spec_find_text_fault((spec)->member, max, "spec->" #member " is longer than " LIMIT(max),      \
                         "spec->" #member " is not UTF-8")
#define LIMIT(max)  LIMIT_(max)
#define LIMIT_(max) #max " bytes"

static const char *find_text_fault(const struct muster_spec *spec)
{
    const char *const faults[] = {
        TEXT_FAULT(spec, name, NAME_BYTES_MAX), TEXT_FAULT(spec, id, NAME_BYTES_MAX),
        TEXT_FAULT(spec, type, NAME_BYTES_MAX), TEXT_FAULT(spec, zone, NAME_BYTES_MAX),
        TEXT_FAULT(spec, host, HOST_BYTES_MAX), TEXT_FAULT(spec, note, NOTE_BYTES_MAX),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(faults); i++) {
        if (faults[i] != NULL) {
            return faults[i];
        }
    }
    return NULL;
}

const char *spec_find_lists_fault(const char *const *tags, size_t tags_count,
                                  const struct muster_pair *metadata, size_t metadata_count)
{
    const char *fault = NULL;
    if (tags_count > TAGS_MAX) {
        return "tags_count is more than " LIMIT_COUNT(TAGS_MAX);
    }
    if (metadata_count > METADATA_MAX) {
        return "metadata_count is more than " LIMIT_COUNT(METADATA_MAX);
    }
    for (size_t i = 0; i < tags_count && fault == NULL; i++) {
        fault = tags[i] == NULL
                    ? "tags: an entry is NULL"
                    : spec_find_text_fault(tags[i], TAG_BYTES_MAX,
                                           "tags: an entry is longer than " LIMIT(TAG_BYTES_MAX),
                                           "tags: an entry is not UTF-8");
    }
    for (size_t i = 0; i < metadata_count && fault == NULL; i++) {
        const char *key = metadata[i].key, *value = metadata[i].value;
        fault = key == NULL || value == NULL ? "metadata: a key or a value is NULL" : NULL;
        if (fault == NULL) {
            fault = spec_find_text_fault(
                key, METADATA_KEY_BYTES_MAX,
                "metadata: a key is longer than " LIMIT(METADATA_KEY_BYTES_MAX),
                "metadata: a key is not UTF-8");
        }
        if (fault == NULL) {
            fault = spec_find_text_fault(
                value, METADATA_VALUE_BYTES_MAX,
                "metadata: a value is longer than " LIMIT(METADATA_VALUE_BYTES_MAX),
                "metadata: a value is not UTF-8");
        }
    }
    return fault;
}

/* What the environment was to give and does not. */
static const char *find_default_fault(const struct settings *settings,
                                      const struct muster_spec *spec)
{
    if (spec->port == 0 && settings->port == 0) {
        return settings->port_unusable ? "spec->port is 0, and SERVER_PORT is no port"
                                       : "spec->port is 0";
    }
    if (spec->id == NULL && settings->id_unusable) {
        return "spec->id is NULL, and SERVER_ID is longer than " LIMIT(NAME_BYTES_MAX);
    }
    if (spec->interval_ms == 0 && settings->interval_unusable) {
        return "spec->interval_ms is 0, and HEARTBEAT_INTERVAL is no number of seconds";
    }
    return NULL;
}

static const char *find_number_fault(const struct muster_spec *spec)
{
    if (spec->health > MUSTER_CRITICAL) {
        return "spec->health is none of passing, warning, critical";
    }
    if (spec->weight < MUSTER_WEIGHT_NONE || spec->weight > WEIGHT_MAX) {
        return "spec->weight is over " LIMIT_COUNT(WEIGHT_MAX) ", or negative";
    }
    if ((spec->ttl_ms > 0 && spec->ttl_ms < TTL_MS_MIN) || spec->ttl_ms > TTL_MS_MAX) {
        return "spec->ttl_ms is not from 1,000 to 86,400,000";
    }
    if (spec->reap_after_ms > REAP_AFTER_MS_MAX) {
        return "spec->reap_after_ms is over 604,800,000";
    }
    return NULL;
}

static const char *find_checks_fault(const char *checks)
{
    json_t *json = checks != NULL ? json_loads(checks, 0, NULL) : NULL;
    bool good = checks == NULL || json_is_array(json);
    json_decref(json);
    return good ? NULL : "spec->checks is no JSON array";
}

const char *spec_find_fault(const struct settings *settings, const struct muster_spec *spec)
{
    if (spec->name == NULL || *spec->name == '\0') {
        return "spec->name is missing";
    }
    if (spec->id != NULL && *spec->id == '\0') {
        return "spec->id is empty";
    }
    const char *fault = find_default_fault(settings, spec);
    if (fault == NULL) {
        fault = find_number_fault(spec);
    }
    if (fault == NULL) {
        fault = find_text_fault(spec);
    }
    if (fault == NULL) {
        fault = find_checks_fault(spec->checks);
    }
    if (fault == NULL) {
        fault = spec_find_lists_fault(spec->tags, spec->tags_count, spec->metadata,
                                      spec->metadata_count);
    }
    return fault;
}

/* Requires the mutex. */
enum muster_error spec_make(struct settings *settings, const struct muster_spec *spec,
                            struct muster_registration **ret_registration)
{
    struct muster_registration *made = calloc(1, sizeof *made);
    char *id = made != NULL ? make_id(settings, spec) : NULL;
    if (id == NULL) {
        free(made);
        return MUSTER_NO_MEMORY;
    }
    made->id = id;
    made->body = make_body(spec, id, spec->port > 0 ? spec->port : settings->port);
    if (made->body == NULL) {
        registration_free(made);
        return MUSTER_NO_MEMORY;
    }
    made->on_state = spec->on_state;
    made->ctx = spec->ctx;
    made->interval_ms = spec->interval_ms > 0 ? spec->interval_ms : settings->interval_ms;
    made->ttl_ms = spec->ttl_ms;
    made->declared = spec->health;
    registration_set_note(made->note, spec->note);
    made->health.version = 1;
    made->state_told = made->state_logged = true;
    *ret_registration = made;
    return MUSTER_OK;
}
