#include "server/registry/record.h"

#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/mix.h"

/* Texts that every record has once: those of fields.def, note, reason. */
enum single_text {
#define TEXT(field, name, limit) SINGLE_##field,
#include "server/registry/fields.def"
    SINGLE_note,
    SINGLE_reason,
    SINGLE_TEXTS
};

/* The largest text of a record must fit the 16-bit offsets. */
static_assert((SINGLE_TEXTS - 2) * (NAME_BYTES_MAX + 1) + 2 * (NOTE_BYTES_MAX + 1) +
                      TAGS_MAX * (TAG_BYTES_MAX + 1) +
                      METADATA_MAX * (METADATA_KEY_BYTES_MAX + METADATA_VALUE_BYTES_MAX + 2) +
                      EXTRA_BYTES_MAX + 1 <
                  UINT16_MAX,
              "16-bit offsets reach all of a record");
static_assert((SINGLE_TEXTS - 1) * (NAME_BYTES_MAX + 1) + OUTPUT_BYTES_MAX + 1 + NOTE_BYTES_MAX +
                      1 + METADATA_MAX * (METADATA_KEY_BYTES_MAX + METADATA_VALUE_BYTES_MAX + 2) +
                      EXTRA_BYTES_MAX + 1 <
                  UINT16_MAX,
              "also of a check, which has no tags");

enum health record_health(const struct record *r)
{
    if (r->expired) {
        return HEALTH_CRITICAL;
    }
    if (r->maintenance) {
        return HEALTH_MAINTENANCE;
    }
    return (enum health)(r->declared > r->node_health ? r->declared : r->node_health);
}

bool record_discoverable(const struct record *r)
{
    return record_health(r) <= HEALTH_WARNING;
}

bool record_has_tag(const struct record *r, const char *tag)
{
    const char *text = record_tags(r);
    for (unsigned i = 0; i < r->tags_count; i++) {
        if (strcmp(text, tag) == 0) {
            return true;
        }
        text += strlen(text) + 1;
    }
    return false;
}

const char *record_metadata_value(const struct record *r, const char *key)
{
    const char *text = record_metadata(r);
    for (unsigned i = 0; i < r->metadata_count; i++) {
        const char *value = text + strlen(text) + 1;
        if (strcmp(text, key) == 0) {
            return value;
        }
        text = value + strlen(value) + 1;
    }
    return NULL;
}

/* A cursor that lays texts down one after the other, each with a NUL. */
struct layout {
    char *start;
    char *at;
};

static uint16_t lay(struct layout *l, struct slice text)
{
    size_t offset = (size_t)(l->at - l->start);
    memcpy(l->at, text.data, text.len);
    l->at[text.len] = '\0';
    l->at += text.len + 1;
    return (uint16_t)offset;
}

static size_t text_size(const struct registration *g, size_t note_len, size_t reason_len)
{
    size_t size = note_len + reason_len + SINGLE_TEXTS;
#define TEXT(field, name, limit) size += g->field.len;
#include "server/registry/fields.def"
    for (uint32_t i = 0; i < g->tags_count; i++) {
        size += g->tags[i].len + 1;
    }
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        size += g->metadata[i].key.len + g->metadata[i].value.len + 2;
    }
    return g->extra.len > 0 ? size + g->extra.len + 1 : size;
}

struct record *record_build(const struct registration *g, struct slice note, struct slice reason)
{
    size_t size = text_size(g, note.len, reason.len);
    CHECK(size <= UINT16_MAX);
    struct record *r = mem_alloc(sizeof *r + size);
    *r = (struct record){
        .references = 1,
#define NUMBER(field, name, type, most) .field = g->field,
#include "server/registry/fields.def"
        .declared = HEALTH_PASSING,
        .tags_count = (uint8_t)g->tags_count,
        .metadata_count = (uint8_t)g->metadata_count,
        .active = g->active,
        .text_len = (uint16_t)size,
    };
    struct layout l = {.start = r->text, .at = r->text};
#define FIRST_TEXT(field, name, limit) lay(&l, g->field);
#define TEXT(field, name, limit)       r->field = lay(&l, g->field);
#include "server/registry/fields.def"
    r->note = lay(&l, note);
    r->reason = lay(&l, reason);
    r->tags = (uint16_t)(l.at - l.start);
    for (uint32_t i = 0; i < g->tags_count; i++) {
        lay(&l, g->tags[i]);
    }
    r->metadata = (uint16_t)(l.at - l.start);
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        lay(&l, g->metadata[i].key);
        lay(&l, g->metadata[i].value);
    }
    /* Without it the text is as it was before there was any: empty is the last NUL. */
    r->extra = g->extra.len > 0 ? lay(&l, g->extra) : (uint16_t)(size - 1);
    return r;
}

struct record *record_create(const struct registration *registration)
{
    struct slice empty = {.data = "", .len = 0};
    return record_build(registration, empty, empty);
}

void record_registration(const struct record *r, struct registration *ret_registration)
{
    struct registration *g = ret_registration;
#define TEXT(field, name, limit)        g->field = slice_of(record_##field(r));
#define NUMBER(field, name, type, most) g->field = r->field;
#include "server/registry/fields.def"
    g->extra = slice_of(record_extra(r));
    g->active = r->active;
    g->tags_count = r->tags_count;
    g->metadata_count = r->metadata_count;
    const char *text = record_tags(r);
    for (uint32_t i = 0; i < g->tags_count; i++) {
        g->tags[i] = slice_of(text);
        text += g->tags[i].len + 1;
    }
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        g->metadata[i].key = slice_of(text);
        text += g->metadata[i].key.len + 1;
        g->metadata[i].value = slice_of(text);
        text += g->metadata[i].value.len + 1;
    }
}

void record_take_state(struct record *r, const struct record *from)
{
    r->incarnation = from->incarnation;
    r->index = from->index;
    r->registered_ms = from->registered_ms;
    r->slot = from->slot;
    r->generation = from->generation;
    r->declared = from->declared;
    r->expired = from->expired;
    r->maintenance = from->maintenance;
    r->node_health = from->node_health;
}

struct record *record_copy(const struct record *r, const struct slice *note,
                           const struct slice *reason)
{
    struct record *copy;
    if (note == NULL && reason == NULL) {
        copy = mem_alloc(record_size(r));
        memcpy(copy, r, record_size(r));
    } else {
        struct registration g;
        record_registration(r, &g);
        copy = record_build(&g, note != NULL ? *note : slice_of(record_note(r)),
                            reason != NULL ? *reason : slice_of(record_reason(r)));
        record_take_state(copy, r);
    }
    copy->references = 1;
    return copy;
}

static bool same(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool record_same_content(const struct record *r, const struct registration *registration)
{
    const struct registration *b = registration;
    struct registration a;
    record_registration(r, &a);
    bool all = a.tags_count == b->tags_count && a.metadata_count == b->metadata_count &&
               same(a.extra, b->extra) && a.active == b->active;
#define TEXT(field, name, limit)        all = all && same(a.field, b->field);
#define NUMBER(field, name, type, most) all = all && a.field == b->field;
#include "server/registry/fields.def"
    if (!all) {
        return false;
    }
    for (uint32_t i = 0; i < a.tags_count; i++) {
        if (!same(a.tags[i], b->tags[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < a.metadata_count; i++) {
        if (!same(a.metadata[i].key, b->metadata[i].key) ||
            !same(a.metadata[i].value, b->metadata[i].value)) {
            return false;
        }
    }
    return true;
}

uint64_t record_hash(const struct record *r)
{
    uint64_t h = mix64(r->incarnation);
    h = mix64(h ^ r->index);
    h = mix64(h ^ (uint64_t)r->registered_ms);
    h = mix64(h ^ ((uint64_t)r->ttl_ms << 32 | r->reap_after_ms));
    h = mix64(h ^ ((uint64_t)r->port << 48 | (uint64_t)r->weight << 32 |
                   (uint64_t)r->declared << 16 | (uint64_t)r->node_health << 10 |
                   (uint64_t)r->active << 9 | (uint64_t)r->expired << 8 | r->maintenance));
    h = mix64(h ^ ((uint64_t)r->tags_count << 8 | r->metadata_count));
    return mix64(h ^ mix_bytes(r->text, r->text_len));
}

size_t record_size(const struct record *r)
{
    return sizeof *r + r->text_len;
}

size_t record_text_bytes(const struct record *r)
{
    size_t ends =
        SINGLE_TEXTS + r->tags_count + 2u * r->metadata_count + (record_extra(r)[0] != '\0');
    return r->text_len - ends;
}
