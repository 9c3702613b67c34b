#include "server/wire/wire_snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "server/wire/pack.h"
#include "server/wire/wire_registration.h"

#define MAGIC   "MUSR"
#define VERSION 2
/* Did not say how many events are kept. */
#define VERSION_WITHOUT_KEPT 1

/* --- writing --- */

static void encode_record(const struct record *r, struct buffer *out)
{
    struct registration registration;
    record_registration(r, &registration);
    wire_registration_encode(&registration, out);
    pack_text(out, record_note(r), strlen(record_note(r)));
    pack_text(out, record_reason(r), strlen(record_reason(r)));
    pack_uint(out, r->incarnation);
    pack_uint(out, r->index);
    pack_int(out, r->registered_ms);
    pack_uint(out, r->slot);
    pack_uint(out, r->declared);
    pack_bool(out, r->lapsed);
    pack_bool(out, r->maintenance);
}

static void encode_instance(void *ctx, const struct snapshot_instance *instance)
{
    struct buffer *out = ctx;
    encode_record(instance->record, out);
    pack_uint(out, instance->stamp);
    pack_uint(out, instance->renewed_ms);
    pack_uint(out, instance->deadline_ms);
}

static void encode_service(void *ctx, const char *name, uint64_t index)
{
    pack_text(ctx, name, strlen(name));
    pack_uint(ctx, index);
}

static void encode_event(void *ctx, const struct event *event)
{
    struct buffer *out = ctx;
    pack_uint(out, event->index);
    pack_uint(out, event->position);
    pack_uint(out, event->type);
    pack_int(out, event->wall_ms);
    encode_record(event->record, out);
}

void wire_snapshot_encode(const struct registry_snapshot *snapshot, struct buffer *out)
{
    struct snapshot_head head;
    registry_snapshot_head(snapshot, &head);
    pack_text(out, MAGIC, strlen(MAGIC));
    pack_uint(out, VERSION);
    pack_uint(out, head.index);
    pack_uint(out, head.now_ms);
    pack_int(out, head.wall_ms);
    pack_uint(out, head.changed_index);
    pack_uint(out, head.services_index);
    pack_uint(out, head.extinct_index);
    pack_uint(out, head.events_last);
    pack_uint(out, head.events_kept);
    pack_uint(out, head.instances);
    pack_uint(out, head.services);
    pack_uint(out, head.events);
    const struct snapshot_visitor visitor = {
        .instance = encode_instance,
        .service = encode_service,
        .event = encode_event,
        .ctx = out,
    };
    registry_snapshot_walk(snapshot, &visitor);
}

/* --- reading --- */

/* NULL when malformed. */
static struct record *decode_record(struct unpack *in)
{
    struct registration registration;
    wire_registration_decode(in, &registration);
    struct slice note = unpack_text(in, NOTE_BYTES_MAX);
    struct slice reason = unpack_text(in, NOTE_BYTES_MAX);
    uint64_t incarnation = unpack_uint(in, UINT64_MAX);
    uint64_t index = unpack_uint(in, UINT64_MAX);
    int64_t registered_ms = unpack_int(in);
    uint32_t slot = (uint32_t)unpack_uint(in, UINT32_MAX);
    uint8_t declared = (uint8_t)unpack_uint(in, HEALTH_CRITICAL);
    bool lapsed = unpack_bool(in);
    bool maintenance = unpack_bool(in);
    if (in->bad) {
        return NULL;
    }
    struct record *plain = record_create(&registration);
    struct record *r = record_copy(plain, &note, &reason);
    free(plain);
    r->incarnation = incarnation;
    r->index = index;
    r->registered_ms = registered_ms;
    r->slot = slot;
    r->declared = declared;
    r->lapsed = lapsed;
    r->maintenance = maintenance;
    return r;
}

static enum status decode_instance(struct unpack *in, struct registry *registry)
{
    struct record *record = decode_record(in);
    uint32_t stamp = (uint32_t)unpack_uint(in, UINT32_MAX);
    uint64_t renewed_ms = unpack_uint(in, UINT64_MAX);
    uint64_t deadline_ms = unpack_uint(in, UINT64_MAX);
    if (in->bad ||
        registry_restore_instance(registry, record, stamp, renewed_ms, deadline_ms) != ST_OK) {
        free(record);
        return ST_CORRUPT;
    }
    return ST_OK;
}

static enum status decode_service(struct unpack *in, struct registry *registry)
{
    char name[NAME_BYTES_MAX + 1];
    struct slice text = unpack_text(in, NAME_BYTES_MAX);
    uint64_t index = unpack_uint(in, UINT64_MAX);
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return in->bad ? ST_CORRUPT : registry_restore_service(registry, name, index);
}

static enum status decode_event(struct unpack *in, struct registry *registry, uint64_t sequence)
{
    struct event event = {.sequence = sequence};
    event.index = unpack_uint(in, UINT64_MAX);
    event.position = (uint32_t)unpack_uint(in, UINT32_MAX);
    event.type = (enum event_type)unpack_uint(in, EVENT_TYPES - 1);
    event.wall_ms = unpack_int(in);
    event.record = decode_record(in);
    if (in->bad || registry_restore_event(registry, &event) != ST_OK) {
        free(event.record);
        return ST_CORRUPT;
    }
    return ST_OK;
}

static bool decode_head(struct unpack *in, struct snapshot_head *ret_head)
{
    struct slice magic = unpack_text(in, strlen(MAGIC));
    uint64_t version = unpack_uint(in, VERSION);
    if (magic.len != strlen(MAGIC) || memcmp(magic.data, MAGIC, magic.len) != 0 ||
        version < VERSION_WITHOUT_KEPT) {
        return false;
    }
    ret_head->index = unpack_uint(in, UINT64_MAX);
    ret_head->now_ms = unpack_uint(in, UINT64_MAX);
    ret_head->wall_ms = unpack_int(in);
    ret_head->changed_index = unpack_uint(in, UINT64_MAX);
    ret_head->services_index = unpack_uint(in, UINT64_MAX);
    ret_head->extinct_index = unpack_uint(in, UINT64_MAX);
    ret_head->events_last = unpack_uint(in, UINT64_MAX);
    ret_head->events_kept = version == VERSION_WITHOUT_KEPT
                                ? EVENTS_KEPT_DEFAULT
                                : (uint32_t)unpack_uint(in, EVENTS_KEPT_MAX);
    ret_head->instances = unpack_uint(in, UINT64_MAX);
    ret_head->services = unpack_uint(in, UINT64_MAX);
    ret_head->events = unpack_uint(in, UINT64_MAX);
    return !in->bad;
}

enum status wire_snapshot_decode(const uint8_t *data, size_t len, struct registry *registry)
{
    struct unpack in = unpack_begin(data, len);
    struct snapshot_head head;
    if (!decode_head(&in, &head) || registry_restore_head(registry, &head) != ST_OK) {
        return ST_CORRUPT;
    }
    for (uint64_t i = 0; i < head.instances; i++) {
        if (decode_instance(&in, registry) != ST_OK) {
            return ST_CORRUPT;
        }
    }
    for (uint64_t i = 0; i < head.services; i++) {
        if (decode_service(&in, registry) != ST_OK) {
            return ST_CORRUPT;
        }
    }
    uint64_t first = head.events_last + 1 - head.events;
    for (uint64_t i = 0; i < head.events; i++) {
        if (decode_event(&in, registry, first + i) != ST_OK) {
            return ST_CORRUPT;
        }
    }
    return unpack_finished(&in) ? registry_restore_end(registry, &head) : ST_CORRUPT;
}
