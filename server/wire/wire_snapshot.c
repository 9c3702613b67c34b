#include "server/wire/wire_snapshot.h"

#include <assert.h>
#include <string.h>

#include "server/base/check.h"
#include "server/wire/pack.h"
#include "server/wire/wire_registration.h"
#include "server/wire/wire_token.h"

/* No value is longer than its text and the text's length, or a number of 8 bytes. */
#define TEXT_HEAD_MAX 5
#define NUMBER_MAX    9
#define NUMBERS_MAX   24 /* in an event and its record */

static_assert(NUMBERS_MAX * NUMBER_MAX + 4 * (NAME_BYTES_MAX + TEXT_HEAD_MAX) + HOST_BYTES_MAX +
                      TEXT_HEAD_MAX + TAGS_MAX * (TAG_BYTES_MAX + TEXT_HEAD_MAX) +
                      METADATA_MAX *
                          (METADATA_KEY_BYTES_MAX + METADATA_VALUE_BYTES_MAX + 2 * TEXT_HEAD_MAX) +
                      NOTE_BYTES_MAX + OUTPUT_BYTES_MAX + EXTRA_BYTES_MAX + 3 * TEXT_HEAD_MAX <
                  WIRE_ITEM_BYTES_MAX,
              "an item holds any event");
static_assert(NUMBERS_MAX * NUMBER_MAX + TOKEN_HASH_BYTES +
                      (TOKEN_SCOPES_MAX + 2) * (NAME_BYTES_MAX + TEXT_HEAD_MAX + 2) <
                  WIRE_ITEM_BYTES_MAX,
              "an item holds any token");

struct writer {
    void (*write)(void *sink, const void *data, size_t len);
    void *sink;
    struct buffer piece;
    size_t item_at; /* where the present item starts */
};

/* --- items --- */

static void flush(struct writer *w)
{
    CHECK(!w->piece.overflowed);
    if (w->piece.len > 0) {
        w->write(w->sink, w->piece.data, w->piece.len);
        buffer_clear(&w->piece);
    }
}

static struct buffer *item_begin(struct writer *w)
{
    w->item_at = w->piece.len;
    buffer_append_u32(&w->piece, 0); /* set at its end */
    return &w->piece;
}

static void item_end(struct writer *w)
{
    size_t len = w->piece.len - w->item_at - WIRE_ITEM_HEAD_BYTES;
    CHECK(!w->piece.overflowed && len <= WIRE_ITEM_BYTES_MAX);
    store_u32(w->piece.data + w->item_at, (uint32_t)len);
    if (w->piece.len >= WIRE_PIECE_BYTES) {
        flush(w);
    }
}

/* --- their content --- */

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
    pack_bool(out, r->expired);
    pack_bool(out, r->maintenance);
}

/* At the end of an item; nothing where there is none, as below LEVEL_CHECKS. */
static void encode_extra(const struct record *r, struct buffer *out)
{
    if (record_extra(r)[0] != '\0' || r->active) {
        pack_text(out, record_extra(r), strlen(record_extra(r)));
    }
    if (r->active) {
        pack_bool(out, true);
    } else if (r->node_health != HEALTH_PASSING) {
        pack_uint(out, r->node_health);
    }
}

static void encode_instance(void *ctx, const struct snapshot_instance *instance)
{
    struct writer *w = ctx;
    struct buffer *out = item_begin(w);
    encode_record(instance->record, out);
    pack_uint(out, instance->record->generation);
    pack_uint(out, instance->renewed_ms);
    pack_uint(out, instance->deadline_ms);
    encode_extra(instance->record, out);
    item_end(w);
}

static void encode_service(void *ctx, const char *name, uint64_t index)
{
    struct writer *w = ctx;
    struct buffer *out = item_begin(w);
    pack_text(out, name, strlen(name));
    pack_uint(out, index);
    item_end(w);
}

static void encode_event(void *ctx, const struct event *event)
{
    struct writer *w = ctx;
    struct buffer *out = item_begin(w);
    pack_uint(out, event->index);
    pack_uint(out, event->position);
    pack_uint(out, event->type);
    pack_int(out, event->wall_ms);
    encode_record(event->record, out);
    encode_extra(event->record, out);
    item_end(w);
}

static void encode_token(void *ctx, const struct token *token)
{
    struct writer *w = ctx;
    struct token_spec spec;
    struct buffer *out = item_begin(w);
    token_spec_of(token, &spec);
    wire_token_encode(&spec, out);
    pack_uint(out, token->index);
    pack_int(out, token->created_ms);
    pack_uint(out, token->expires_ms);
    if (spec.space.len > 0) {
        pack_text(out, spec.space.data, spec.space.len);
    }
    item_end(w);
}

static void encode_quota(void *ctx, const struct namespace_use *use)
{
    struct writer *w = ctx;
    struct buffer *out = item_begin(w);
    pack_text(out, use->name, strlen(use->name));
    pack_uint(out, use->quota.instances);
    pack_uint(out, use->quota.bytes);
    pack_uint(out, use->quota.writes);
    item_end(w);
}

static void encode_sinks(const struct sinks *sinks, struct buffer *out)
{
    pack_uint(out, sinks->count);
    for (uint32_t i = 0; i < sinks->count; i++) {
        pack_text(out, sinks->rows[i].name, strlen(sinks->rows[i].name));
        pack_uint(out, sinks->rows[i].index);
        pack_uint(out, sinks->rows[i].position);
    }
}

static void encode_probers(const struct probers *probers, struct buffer *out)
{
    pack_uint(out, probers->epoch);
    pack_uint(out, probers->forgotten);
    pack_uint(out, probers->count);
    for (uint32_t i = 0; i < probers->count; i++) {
        pack_uint(out, probers->rows[i].member);
        pack_uint(out, probers->rows[i].since);
        pack_uint(out, probers->rows[i].until);
    }
}

static void encode_head(struct writer *w, const struct snapshot_head *head)
{
    struct buffer *out = item_begin(w);
    pack_text(out, WIRE_SNAPSHOT_MAGIC, strlen(WIRE_SNAPSHOT_MAGIC));
    pack_uint(out, WIRE_SNAPSHOT_VERSION);
    pack_uint(out, head->level);
#define X(limit, room, level_1) pack_uint(out, head->limits.limit);
    REGISTRY_LIMITS(X)
#undef X
    pack_uint(out, head->index);
    pack_uint(out, head->now_ms);
    pack_int(out, head->wall_ms);
    pack_uint(out, head->changed_index);
    pack_uint(out, head->services_index);
    pack_uint(out, head->extinct_index);
    pack_uint(out, head->events_last);
    pack_uint(out, head->events_kept);
    pack_uint(out, head->instances);
    pack_uint(out, head->services);
    pack_uint(out, head->events);
    if (head->level >= LEVEL_STATE_BYTES) {
        pack_uint(out, head->state_bytes_max);
    }
    if (head->level >= LEVEL_TOKENS) {
#define X(limit, room, level_3) pack_uint(out, head->limits.limit);
        TOKEN_LIMITS(X)
#undef X
        pack_uint(out, head->tokens_begun);
        pack_uint(out, head->tokens);
    }
    if (head->level >= LEVEL_NAMESPACES) {
#define X(limit, room, level_4) pack_uint(out, head->limits.limit);
        NAMESPACE_LIMITS(X)
#undef X
        pack_uint(out, head->quotas);
    }
    if (head->level >= LEVEL_SINKS) {
        encode_sinks(&head->sinks, out);
    }
    if (head->level >= LEVEL_CHECKS) {
#define X(limit, room, level_5) pack_uint(out, head->limits.limit);
        CHECK_LIMITS(X)
#undef X
        pack_uint(out, head->catalog_index);
        pack_uint(out, head->checks);
        pack_uint(out, head->active_index);
        encode_probers(&head->probers, out);
    }
    item_end(w);
}

void wire_snapshot_encode(const struct registry_snapshot *snapshot,
                          void (*write)(void *sink, const void *data, size_t len), void *sink)
{
    struct writer w = {.write = write, .sink = sink};
    struct snapshot_head head;
    buffer_init(&w.piece, WIRE_PIECE_BYTES + WIRE_ITEM_HEAD_BYTES + WIRE_ITEM_BYTES_MAX);
    registry_snapshot_head(snapshot, &head);
    encode_head(&w, &head);
    const struct snapshot_visitor visitor = {
        .instance = encode_instance,
        .service = encode_service,
        .event = encode_event,
        .token = encode_token,
        .quota = encode_quota,
        .check = encode_instance,
        .ctx = &w,
    };
    registry_snapshot_walk(snapshot, &visitor);
    flush(&w);
    buffer_done(&w.piece);
}
