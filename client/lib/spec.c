#include "client/lib/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/random.h"

#define NAME_PART_BYTES_MAX (NAME_BYTES_MAX - 37)

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

/* NULL when a text is not UTF-8, or without memory. */
static json_t *make_body(const struct muster_spec *spec, const char *id, uint16_t port)
{
    json_t *body = json_object();
    if (set_text(body, "id", id) && set_text(body, "name", spec->name) &&
        set_text(body, "type", spec->type) && set_text(body, "zone", spec->zone) &&
        set_text(body, "host", spec->host) && set_number(body, "port", port) &&
        set_weight(body, spec->weight) && set_seconds(body, "ttl", spec->ttl_ms) &&
        set_seconds(body, "reap_after", spec->reap_after_ms) && set_lists(body, spec)) {
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

bool spec_is_bounded(const char *text, size_t max)
{
    return text == NULL || strlen(text) <= max;
}

bool spec_is_valid(const struct settings *settings, const struct muster_spec *spec)
{
    if (spec == NULL || spec->size < sizeof *spec || spec->name == NULL || *spec->name == '\0' ||
        (spec->port == 0 && settings->port == 0) || (spec->id == NULL && settings->id_unusable) ||
        (spec->interval_ms == 0 && settings->interval_unusable) || spec->health > MUSTER_CRITICAL ||
        spec->weight < MUSTER_WEIGHT_NONE || spec->weight > WEIGHT_MAX ||
        spec->tags_count > TAGS_MAX || spec->metadata_count > METADATA_MAX ||
        (spec->ttl_ms > 0 && spec->ttl_ms < TTL_MS_MIN) || spec->ttl_ms > TTL_MS_MAX ||
        spec->reap_after_ms > REAP_AFTER_MS_MAX) {
        return false;
    }
    for (size_t i = 0; i < spec->tags_count; i++) {
        if (spec->tags[i] == NULL || !spec_is_bounded(spec->tags[i], TAG_BYTES_MAX)) {
            return false;
        }
    }
    for (size_t i = 0; i < spec->metadata_count; i++) {
        const struct muster_pair *pair = &spec->metadata[i];
        if (pair->key == NULL || pair->value == NULL ||
            !spec_is_bounded(pair->key, METADATA_KEY_BYTES_MAX) ||
            !spec_is_bounded(pair->value, METADATA_VALUE_BYTES_MAX)) {
            return false;
        }
    }
    return spec_is_bounded(spec->name, NAME_BYTES_MAX) &&
           spec_is_bounded(spec->type, NAME_BYTES_MAX) &&
           spec_is_bounded(spec->zone, NAME_BYTES_MAX) &&
           spec_is_bounded(spec->host, HOST_BYTES_MAX) && (spec->id == NULL || *spec->id != '\0') &&
           spec_is_bounded(spec->id, NAME_BYTES_MAX) && spec_is_bounded(spec->note, NOTE_BYTES_MAX);
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
        return MUSTER_INVALID;
    }
    made->on_state = spec->on_state;
    made->ctx = spec->ctx;
    made->interval_ms = spec->interval_ms > 0 ? spec->interval_ms : settings->interval_ms;
    made->ttl_ms = spec->ttl_ms;
    made->declared = spec->health;
    registration_set_note(made->note, spec->note);
    made->health.version = 1;
    made->state_told = true;
    *ret_registration = made;
    return MUSTER_OK;
}
