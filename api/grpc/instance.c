#include "api/grpc/instance.h"

#include <stdio.h>
#include <string.h>

#include <sys/random.h>

#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/registry/check.h"
#include "server/registry/namespace.h"

static_assert((int)MUSTER__V1__HEALTH__HEALTH_PASSING == (int)HEALTH_PASSING + 1 &&
                  (int)MUSTER__V1__HEALTH__HEALTH_MAINTENANCE == (int)HEALTH_MAINTENANCE + 1,
              "the same order");

/* --- out --- */

static void make_lists(struct instance_out *out, const struct record *record)
{
    Muster__V1__Instance *m = &out->message;
    const char *text = record_tags(record);
    for (unsigned i = 0; i < record->tags_count; i++) {
        out->tags[i] = frame_text(text);
        text += out->tags[i].len + 1;
    }
    text = record_metadata(record);
    for (unsigned i = 0; i < record->metadata_count; i++) {
        muster__v1__pair__init(&out->pairs[i]);
        out->pairs[i].key = frame_text(text);
        text += out->pairs[i].key.len + 1;
        out->pairs[i].value = frame_text(text);
        text += out->pairs[i].value.len + 1;
        out->metadata[i] = &out->pairs[i];
    }
    m->n_tags = record->tags_count;
    m->tags = out->tags;
    m->n_metadata = record->metadata_count;
    m->metadata = out->metadata;
}

void instance_make(struct instance_out *out, const struct record *record)
{
    Muster__V1__Instance *m = &out->message;
    muster__v1__instance__init(m);
    m->id = frame_text(namespace_bare(record_id(record)));
    m->name = frame_text(namespace_bare(record_name(record)));
    m->type = frame_text(record_type(record));
    m->host = frame_text(record_host(record));
    m->port = record->port;
    m->weight = record->weight;
    m->zone = frame_text(record_zone(record));
    m->ttl_ms = record->ttl_ms;
    m->reap_after_ms = record->reap_after_ms;
    m->health = (Muster__V1__Health)((int)record_health(record) + 1);
    m->note = frame_text(record_note(record));
    m->incarnation = record->incarnation;
    m->index = record->index;
    m->registered_unix_ms = record->registered_ms;
    make_lists(out, record);
}

/* --- in --- */

bool instance_health(Muster__V1__Health said, enum health *ret_health)
{
    if ((int)said < 1 || (int)said > HEALTH_COUNT) {
        return false;
    }
    *ret_health = (enum health)((int)said - 1);
    return true;
}

static bool refuse(struct problem *problem, const char *field, const char *message)
{
    problem_set(problem, field, "%s", message);
    return false;
}

/* "<name>-<version 4 UUID of RFC 9562>". */
static bool make_id(struct arena *arena, struct registration *r, struct problem *problem)
{
    uint8_t u[16];
    CHECK(getrandom(u, sizeof u, 0) == (ssize_t)sizeof u);
    u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    char *id = r->name.len + 37 <= NAME_BYTES_MAX ? arena_take(arena, NAME_BYTES_MAX + 1) : NULL;
    if (id == NULL) {
        return refuse(problem, "id", "must be given, as the name is too long to make one from");
    }
    int len = snprintf(id, NAME_BYTES_MAX + 1,
                       "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                       (int)r->name.len, r->name.data, u[0], u[1], u[2], u[3], u[4], u[5], u[6],
                       u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
    r->id = (struct slice){id, (size_t)len};
    return true;
}

static int compare(const struct slice *a, const struct slice *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int order = len > 0 ? memcmp(a->data, b->data, len) : 0;
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Sorted, as a map has no order; of two with the same key the last counts, as protobuf has it. */
static void add_pair(struct registration *r, struct pair pair)
{
    uint32_t at = 0;
    while (at < r->metadata_count && compare(&r->metadata[at].key, &pair.key) < 0) {
        at++;
    }
    if (at < r->metadata_count && compare(&r->metadata[at].key, &pair.key) == 0) {
        r->metadata[at] = pair;
        return;
    }
    memmove(&r->metadata[at + 1], &r->metadata[at],
            (r->metadata_count - at) * sizeof r->metadata[0]);
    r->metadata[at] = pair;
    r->metadata_count++;
}

static bool parse_lists(const Muster__V1__Instance *m, struct registration *r,
                        struct problem *problem)
{
    if (m->n_tags > TAGS_MAX) {
        problem_set(problem, "tags", "must be at most %d", TAGS_MAX);
        return false;
    }
    if (m->n_metadata > METADATA_MAX) {
        problem_set(problem, "metadata", "must have at most %d keys", METADATA_MAX);
        return false;
    }
    for (size_t i = 0; i < m->n_tags; i++) {
        r->tags[i] = frame_slice(m->tags[i]);
    }
    r->tags_count = (uint32_t)m->n_tags;
    for (size_t i = 0; i < m->n_metadata; i++) {
        add_pair(
            r, (struct pair){frame_slice(m->metadata[i]->key), frame_slice(m->metadata[i]->value)});
    }
    return true;
}

static bool parse_numbers(const Muster__V1__Instance *m, const struct instance_defaults *defaults,
                          struct registration *r, struct problem *problem)
{
    if (m->port < 1 || m->port > UINT16_MAX) {
        return refuse(problem, "port", "must be a number from 1 to 65535");
    }
    if (m->weight > WEIGHT_MAX) {
        return refuse(problem, "weight", "must be a number from 0 to 65535");
    }
    if (m->ttl_ms != 0 && (m->ttl_ms < TTL_MS_MIN || m->ttl_ms > TTL_MS_MAX)) {
        return refuse(problem, "ttl_ms", "must be from a second to a day, or 0");
    }
    if (m->reap_after_ms > REAP_AFTER_MS_MAX) {
        return refuse(problem, "reap_after_ms", "must be at most a week");
    }
    r->port = (uint16_t)m->port;
    r->weight = m->weight > 0 ? (uint16_t)m->weight : 1; /* proto3 knows no 'not given' */
    r->ttl_ms = m->ttl_ms != 0 ? (uint32_t)m->ttl_ms : defaults->ttl_ms;
    r->reap_after_ms = m->reap_after_ms != 0 ? (uint32_t)m->reap_after_ms : defaults->reap_after_ms;
    return true;
}

static bool parse_health(const Muster__V1__Instance *m, struct command *c, struct problem *problem)
{
    c->register_.health_given = instance_health(m->health, &c->register_.health);
    if (!c->register_.health_given) {
        return m->health == MUSTER__V1__HEALTH__HEALTH_UNSPECIFIED ||
               refuse(problem, "health", "must be one of the enumeration");
    }
    return c->register_.health != HEALTH_MAINTENANCE ||
           refuse(problem, "health", "must be passing, warning or critical");
}

bool instance_parse(const Muster__V1__Instance *m, struct arena *arena,
                    const struct instance_defaults *defaults, struct command *c,
                    struct problem *problem)
{
    struct registration *r = &c->register_.registration;
    memset(c, 0, sizeof *c);
    c->kind = COMMAND_REGISTER;
    r->id = frame_slice(m->id);
    r->name = frame_slice(m->name);
    r->type = frame_slice(m->type);
    r->host = frame_slice(m->host);
    r->zone = frame_slice(m->zone);
    r->extra = (struct slice){"", 0};
    c->register_.incarnation = m->incarnation;
    if (!registration_check_name("name", r->name, problem) ||
        !parse_numbers(m, defaults, r, problem) || !parse_health(m, c, problem) ||
        !parse_lists(m, r, problem) || (r->id.len == 0 && !make_id(arena, r, problem))) {
        return false;
    }
    if (r->host.len == 0) {
        if (defaults->caller[0] == '\0') {
            return refuse(problem, "host", "is required on this connection");
        }
        r->host = slice_of(defaults->caller);
    }
    registration_normalise(r);
    return registration_check(r, problem);
}

/* --- filters --- */

/* An empty text is none. */
static bool take_text(struct arena *arena, const ProtobufCBinaryData *data, const char *field,
                      const char **ret_text, struct problem *problem)
{
    *ret_text = NULL;
    if (data->len > 0) {
        *ret_text = arena_text(arena, data);
    }
    return data->len == 0 || *ret_text != NULL ||
           refuse(problem, field, "must have no control characters");
}

static bool take_metadata(const Muster__V1__Filter *m, struct arena *arena, struct filter *filter,
                          struct problem *problem)
{
    if (m->n_metadata > METADATA_MAX) {
        problem_set(problem, "metadata", "at most %d can be given", METADATA_MAX);
        return false;
    }
    for (size_t i = 0; i < m->n_metadata; i++) {
        const char *key = arena_text(arena, &m->metadata[i]->key);
        const char *value = arena_text(arena, &m->metadata[i]->value);
        if (key == NULL || value == NULL) {
            return refuse(problem, "metadata", "must have no control characters");
        }
        filter->metadata[i].key = key;
        filter->metadata[i].value = value;
    }
    filter->metadata_count = m->n_metadata;
    return true;
}

static bool take_tags(const Muster__V1__Filter *m, struct arena *arena, struct filter *filter,
                      struct problem *problem)
{
    if (m->n_tags > TAGS_MAX) {
        problem_set(problem, "tags", "at most %d can be given", TAGS_MAX);
        return false;
    }
    for (size_t i = 0; i < m->n_tags; i++) {
        filter->tags[i] = arena_text(arena, &m->tags[i]);
        if (filter->tags[i] == NULL) {
            return refuse(problem, "tags", "must have no control characters");
        }
    }
    filter->tags_count = m->n_tags;
    return true;
}

static bool take_health(const Muster__V1__Filter *m, struct filter *filter, unsigned health,
                        struct problem *problem)
{
    filter->health = 0;
    for (size_t i = 0; i < m->n_health; i++) {
        enum health one;
        if (instance_health(m->health[i], &one)) {
            filter->health |= 1u << one;
        } else if (m->health[i] == MUSTER__V1__HEALTH__HEALTH_UNSPECIFIED) {
            filter->health |= FILTER_DISCOVERABLE;
        } else {
            return refuse(problem, "health", "must be of the enumeration");
        }
    }
    if (filter->health == 0) {
        filter->health = health;
    }
    return true;
}

bool instance_filter(const Muster__V1__Filter *m, struct arena *arena, struct filter *filter,
                     const char **ret_service, unsigned health, struct problem *problem)
{
    static const Muster__V1__Filter empty = MUSTER__V1__FILTER__INIT;
    m = m != NULL ? m : &empty;
    filter->viewer = NULL;
    return take_text(arena, &m->service, "service", ret_service, problem) &&
           take_text(arena, &m->type, "type", &filter->type, problem) &&
           take_text(arena, &m->zone, "zone", &filter->zone, problem) &&
           take_tags(m, arena, filter, problem) && take_metadata(m, arena, filter, problem) &&
           take_health(m, filter, health, problem);
}
