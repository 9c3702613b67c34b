#include "server/wire/wire_restore.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/registry/check_id.h"
#include "server/wire/pack.h"
#include "server/wire/wire_registration.h"
#include "server/wire/wire_snapshot.h"
#include "server/wire/wire_token.h"

void wire_restore_init(struct wire_restore *w, struct registry *registry)
{
    *w = (struct wire_restore){.registry = registry, .stage = WIRE_RESTORE_HEAD};
    buffer_init(&w->whole, WIRE_ITEM_HEAD_BYTES + WIRE_ITEM_BYTES_MAX);
}

void wire_restore_done(struct wire_restore *w)
{
    buffer_done(&w->whole);
}

/* --- items --- */

/* NULL if malformed. A record may be from a level with other limits: it only has to fit. */
static struct record *decode_record(struct unpack *in)
{
    const struct registry_limits *room = limits_room();
    struct registration registration;
    wire_registration_decode(in, room, &registration);
    bool is_check = !in->bad && registration.tags_count == 0 &&
                    memchr(registration.id.data, CHECK_MARK, registration.id.len) != NULL;
    struct slice note = unpack_text(in, is_check ? room->output_bytes : room->note_bytes);
    struct slice reason = unpack_text(in, room->note_bytes);
    uint64_t incarnation = unpack_uint(in, UINT64_MAX);
    uint64_t index = unpack_uint(in, UINT64_MAX);
    int64_t registered_ms = unpack_int(in);
    uint32_t slot = (uint32_t)unpack_uint(in, UINT32_MAX);
    uint8_t declared = (uint8_t)unpack_uint(in, HEALTH_CRITICAL);
    bool expired = unpack_bool(in);
    bool maintenance = unpack_bool(in);
    if (in->bad) {
        return NULL;
    }
    struct record *r = record_build(&registration, note, reason);
    r->incarnation = incarnation;
    r->index = index;
    r->registered_ms = registered_ms;
    r->slot = slot;
    r->declared = declared;
    r->expired = expired;
    r->maintenance = maintenance;
    return r;
}

/* What a door keeps with a record stands at the end of its item, and behind that whether a check is
 * active, or how healthy the nodes of an instance are. NULL if malformed. */
static struct record *with_extra(const struct wire_restore *w, struct unpack *in,
                                 struct record *record)
{
    if (record == NULL || in->bad || in->at >= in->end) {
        return record;
    }
    struct registration registration;
    struct slice extra = unpack_text(in, limits_room()->extra_bytes);
    bool has_more = !in->bad && in->at < in->end;
    bool is_check = checks_is_check(record_id(record));
    bool active = is_check && has_more && unpack_bool(in);
    uint64_t node_health = !is_check && has_more ? unpack_uint(in, HEALTH_MAINTENANCE) : 0;
    if (in->bad || (extra.len == 0 && !active) || w->head.level < LEVEL_CHECKS ||
        has_more != (active || node_health > 0)) {
        in->bad = true;
        return record;
    }
    record_registration(record, &registration);
    registration.extra = extra;
    registration.active = active;
    struct slice note = {record_note(record), strlen(record_note(record))};
    struct slice reason = {record_reason(record), strlen(record_reason(record))};
    struct record *whole = record_build(&registration, note, reason);
    record_take_state(whole, record);
    whole->node_health = (uint8_t)node_health;
    free(record);
    return whole;
}

static enum status restore_instance(struct wire_restore *w, struct unpack *in)
{
    struct record *record = decode_record(in);
    uint32_t generation = (uint32_t)unpack_uint(in, UINT32_MAX);
    uint64_t renewed_ms = unpack_uint(in, UINT64_MAX);
    uint64_t deadline_ms = unpack_uint(in, UINT64_MAX);
    record = with_extra(w, in, record);
    if (!unpack_finished(in)) {
        free(record);
        return ST_CORRUPT;
    }
    record->generation = generation;
    enum status status =
        w->stage == WIRE_RESTORE_CHECKS
            ? registry_restore_check(w->registry, record, renewed_ms, deadline_ms)
            : registry_restore_instance(w->registry, record, renewed_ms, deadline_ms);
    if (status != ST_OK) {
        free(record);
        return ST_CORRUPT;
    }
    return ST_OK;
}

static enum status restore_service(struct wire_restore *w, struct unpack *in)
{
    char name[NAME_BYTES_MAX + 1];
    struct slice text = unpack_text(in, NAME_BYTES_MAX);
    uint64_t index = unpack_uint(in, UINT64_MAX);
    if (!unpack_finished(in)) {
        return ST_CORRUPT;
    }
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return registry_restore_service(w->registry, name, index);
}

static enum status restore_event(struct wire_restore *w, struct unpack *in)
{
    struct event event = {.sequence = w->head.events_last + 1 - w->head.events + w->done};
    event.index = unpack_uint(in, UINT64_MAX);
    event.position = (uint32_t)unpack_uint(in, UINT32_MAX);
    event.type = (enum event_type)unpack_uint(in, EVENT_TYPES - 1);
    event.wall_ms = unpack_int(in);
    event.record = with_extra(w, in, decode_record(in));
    if (!unpack_finished(in) || registry_restore_event(w->registry, &event) != ST_OK) {
        free(event.record);
        return ST_CORRUPT;
    }
    return ST_OK;
}

static enum status restore_token(struct wire_restore *w, struct unpack *in)
{
    struct token_spec spec;
    wire_token_decode(in, limits_room(), &spec);
    uint64_t index = unpack_uint(in, UINT64_MAX);
    int64_t created_ms = unpack_int(in);
    uint64_t expires_ms = unpack_uint(in, UINT64_MAX);
    bool is_bound = !in->bad && in->at < in->end;
    if (is_bound) {
        spec.space = unpack_text(in, NAMESPACE_BYTES_MAX);
    }
    if (!unpack_finished(in) || (is_bound && !namespace_is_other(spec.space)) ||
        (is_bound && w->head.level < LEVEL_NAMESPACES)) {
        return ST_CORRUPT;
    }
    struct token *token = token_create(&spec);
    token->index = index;
    token->created_ms = created_ms;
    token->expires_ms = expires_ms;
    if (registry_restore_token(w->registry, token) != ST_OK) {
        free(token);
        return ST_CORRUPT;
    }
    return ST_OK;
}

static enum status restore_quota(struct wire_restore *w, struct unpack *in)
{
    char name[NAMESPACE_SIZE];
    struct slice text = unpack_text(in, NAMESPACE_BYTES_MAX);
    struct namespace_quota quota;
    quota.instances = (uint32_t)unpack_uint(in, UINT32_MAX);
    quota.bytes = unpack_uint(in, UINT64_MAX);
    quota.writes = (uint32_t)unpack_uint(in, UINT32_MAX);
    if (!unpack_finished(in)) {
        return ST_CORRUPT;
    }
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return registry_restore_quota(w->registry, name, &quota);
}

static void restore_sinks(struct unpack *in, struct sinks *ret_sinks)
{
    ret_sinks->count = (uint32_t)unpack_uint(in, SINKS_MAX);
    for (uint32_t i = 0; i < ret_sinks->count; i++) {
        struct sink_position *row = &ret_sinks->rows[i];
        struct slice name = unpack_text(in, SINK_NAME_BYTES_MAX);
        memcpy(row->name, name.data, name.len);
        row->index = unpack_uint(in, UINT64_MAX);
        row->position = (uint32_t)unpack_uint(in, UINT32_MAX);
    }
}

static void restore_probers(struct unpack *in, struct probers *ret_probers)
{
    ret_probers->epoch = unpack_uint(in, UINT64_MAX);
    ret_probers->forgotten = unpack_uint(in, UINT64_MAX);
    ret_probers->count = (uint32_t)unpack_uint(in, PROBERS_MAX);
    for (uint32_t i = 0; i < ret_probers->count; i++) {
        struct prober *row = &ret_probers->rows[i];
        row->member = unpack_uint(in, UINT64_MAX);
        row->since = unpack_uint(in, UINT64_MAX);
        row->until = unpack_uint(in, UINT64_MAX);
    }
}

static enum status restore_head(struct wire_restore *w, struct unpack *in)
{
    struct snapshot_head *head = &w->head;
    struct slice magic = unpack_text(in, strlen(WIRE_SNAPSHOT_MAGIC));
    uint64_t version = unpack_uint(in, UINT64_MAX);
    if (magic.len != strlen(WIRE_SNAPSHOT_MAGIC) ||
        memcmp(magic.data, WIRE_SNAPSHOT_MAGIC, magic.len) != 0 ||
        version != WIRE_SNAPSHOT_VERSION) {
        return ST_CORRUPT;
    }
    head->level = (uint16_t)unpack_uint(in, UINT16_MAX);
#define X(limit, room, level_1) head->limits.limit = (uint32_t)unpack_uint(in, UINT32_MAX);
    REGISTRY_LIMITS(X)
#undef X
    head->index = unpack_uint(in, UINT64_MAX);
    head->now_ms = unpack_uint(in, UINT64_MAX);
    head->wall_ms = unpack_int(in);
    head->changed_index = unpack_uint(in, UINT64_MAX);
    head->services_index = unpack_uint(in, UINT64_MAX);
    head->extinct_index = unpack_uint(in, UINT64_MAX);
    head->events_last = unpack_uint(in, UINT64_MAX);
    head->events_kept = (uint32_t)unpack_uint(in, UINT32_MAX);
    head->instances = unpack_uint(in, UINT64_MAX);
    head->services = unpack_uint(in, UINT64_MAX);
    head->events = unpack_uint(in, UINT64_MAX);
    head->state_bytes_max = head->level >= LEVEL_STATE_BYTES ? unpack_uint(in, UINT64_MAX) : 0;
    if (head->level >= LEVEL_TOKENS) {
#define X(limit, room, level_3) head->limits.limit = (uint32_t)unpack_uint(in, UINT32_MAX);
        TOKEN_LIMITS(X)
#undef X
        head->tokens_begun = unpack_uint(in, UINT64_MAX);
        head->tokens = unpack_uint(in, TOKENS_MAX);
    }
    if (head->level >= LEVEL_NAMESPACES) {
#define X(limit, room, level_4) head->limits.limit = (uint32_t)unpack_uint(in, UINT32_MAX);
        NAMESPACE_LIMITS(X)
#undef X
        head->quotas = unpack_uint(in, NAMESPACES_MAX);
    }
    if (head->level >= LEVEL_SINKS) {
        restore_sinks(in, &head->sinks);
    }
    if (head->level >= LEVEL_CHECKS) {
#define X(limit, room, level_5) head->limits.limit = (uint32_t)unpack_uint(in, UINT32_MAX);
        CHECK_LIMITS(X)
#undef X
        head->catalog_index = unpack_uint(in, UINT64_MAX);
        head->checks = unpack_uint(in, INSTANCES_MAX);
        head->active_index = unpack_uint(in, UINT64_MAX);
        restore_probers(in, &head->probers);
    }
    return unpack_finished(in) ? registry_restore_head(w->registry, head) : ST_CORRUPT;
}

/* --- item by item --- */

static uint64_t items_of(const struct wire_restore *w)
{
    switch (w->stage) {
    case WIRE_RESTORE_HEAD:
        return 1;
    case WIRE_RESTORE_INSTANCES:
        return w->head.instances;
    case WIRE_RESTORE_SERVICES:
        return w->head.services;
    case WIRE_RESTORE_EVENTS:
        return w->head.events;
    case WIRE_RESTORE_TOKENS:
        return w->head.tokens;
    case WIRE_RESTORE_QUOTAS:
        return w->head.quotas;
    case WIRE_RESTORE_CHECKS:
        return w->head.checks;
    case WIRE_RESTORE_COMPLETE:
    case WIRE_RESTORE_CORRUPT:
        break;
    }
    return UINT64_MAX;
}

static enum status restore_item(struct wire_restore *w, const uint8_t *content, size_t len)
{
    struct unpack in = unpack_begin(content, len);
    switch (w->stage) {
    case WIRE_RESTORE_HEAD:
        return restore_head(w, &in);
    case WIRE_RESTORE_INSTANCES:
        return restore_instance(w, &in);
    case WIRE_RESTORE_SERVICES:
        return restore_service(w, &in);
    case WIRE_RESTORE_EVENTS:
        return restore_event(w, &in);
    case WIRE_RESTORE_TOKENS:
        return restore_token(w, &in);
    case WIRE_RESTORE_QUOTAS:
        return restore_quota(w, &in);
    case WIRE_RESTORE_CHECKS:
        return restore_instance(w, &in);
    case WIRE_RESTORE_COMPLETE:
    case WIRE_RESTORE_CORRUPT:
        break;
    }
    return ST_CORRUPT; /* bytes after the end */
}

static void go_on(struct wire_restore *w, enum status status)
{
    if (status != ST_OK) {
        w->stage = WIRE_RESTORE_CORRUPT;
        return;
    }
    w->done++;
    while (w->done == items_of(w)) {
        w->stage++;
        w->done = 0;
    }
}

/* The length of the item that starts there; false if it is not known yet. */
static bool item_length(struct wire_restore *w, const uint8_t *data, size_t len, size_t *ret_len)
{
    if (len < WIRE_ITEM_HEAD_BYTES) {
        return false;
    }
    *ret_len = load_u32(data);
    if (*ret_len > WIRE_ITEM_BYTES_MAX) {
        w->stage = WIRE_RESTORE_CORRUPT;
    }
    return true;
}

/* Adds to a partial item; returns the number of bytes consumed. */
static size_t complete(struct wire_restore *w, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    size_t item_len = 0;
    while (taken < len && w->stage != WIRE_RESTORE_CORRUPT) {
        bool known = item_length(w, w->whole.data, w->whole.len, &item_len);
        size_t wanted = WIRE_ITEM_HEAD_BYTES + (known ? item_len : 0) - w->whole.len;
        size_t now = wanted < len - taken ? wanted : len - taken;
        buffer_append(&w->whole, data + taken, now);
        taken += now;
        if (known && now == wanted) {
            go_on(w, restore_item(w, w->whole.data + WIRE_ITEM_HEAD_BYTES, item_len));
            buffer_clear(&w->whole);
            break;
        }
    }
    return taken;
}

enum status wire_restore_feed(struct wire_restore *w, const uint8_t *data, size_t len)
{
    size_t item_len;
    if (w->whole.len > 0) {
        size_t taken = complete(w, data, len);
        data += taken;
        len -= taken;
    }
    while (w->stage != WIRE_RESTORE_CORRUPT && item_length(w, data, len, &item_len) &&
           item_len <= len - WIRE_ITEM_HEAD_BYTES) {
        go_on(w, restore_item(w, data + WIRE_ITEM_HEAD_BYTES, item_len));
        data += WIRE_ITEM_HEAD_BYTES + item_len;
        len -= WIRE_ITEM_HEAD_BYTES + item_len;
    }
    if (w->stage == WIRE_RESTORE_CORRUPT) {
        return ST_CORRUPT;
    }
    buffer_append(&w->whole, data, len);
    CHECK(!w->whole.overflowed);
    return ST_OK;
}

enum status wire_restore_end(struct wire_restore *w)
{
    if (w->stage != WIRE_RESTORE_COMPLETE || w->whole.len > 0) {
        return ST_CORRUPT;
    }
    return registry_restore_end(w->registry);
}
