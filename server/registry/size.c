#include "server/registry/size.h"

#include <string.h>

#include "server/base/ptree.h"

#define ITEM_HEAD 4 /* the length before each item */

/* --- MessagePack, in its shortest form --- */

static uint64_t size_uint(uint64_t value)
{
    return value < 0x80 ? 1 : value <= 0xff ? 2 : value <= 0xffff ? 3 : value <= UINT32_MAX ? 5 : 9;
}

static uint64_t size_int(int64_t value)
{
    if (value >= 0) {
        return size_uint((uint64_t)value);
    }
    return value >= -0x20       ? 1
           : value >= INT8_MIN  ? 2
           : value >= INT16_MIN ? 3
           : value >= INT32_MIN ? 5
                                : 9;
}

static uint64_t size_text(const char *text)
{
    size_t len = strlen(text);
    return len + (len < 0x20 ? 1 : len <= 0xff ? 2 : len <= 0xffff ? 3 : 5);
}

static uint64_t size_texts(const char *text, unsigned count)
{
    uint64_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        size += size_text(text);
        text += strlen(text) + 1;
    }
    return size;
}

/* --- items --- */

static uint64_t size_record(const struct record *r)
{
    return size_text(record_id(r)) + size_text(record_name(r)) + size_text(record_type(r)) +
           size_text(record_host(r)) + size_text(record_zone(r)) + size_uint(r->port) +
           size_uint(r->weight) + size_uint(r->ttl_ms) + size_uint(r->reap_after_ms) +
           size_uint(r->tags_count) + size_texts(record_tags(r), r->tags_count) +
           size_uint(r->metadata_count) + size_texts(record_metadata(r), 2u * r->metadata_count) +
           size_text(record_note(r)) + size_text(record_reason(r)) + size_uint(r->incarnation) +
           size_uint(r->index) + size_int(r->registered_ms) + size_uint(r->slot) +
           size_uint(r->declared) + 2 /* expired, maintenance */ +
           (record_extra(r)[0] != '\0' || r->active ? size_text(record_extra(r)) : 0) +
           (r->active || r->node_health != HEALTH_PASSING ? 1 : 0);
}

uint64_t size_instance(const struct record *record)
{
    return ITEM_HEAD + size_record(record) + size_uint(record->generation);
}

uint64_t size_lease(uint64_t renewed_ms, uint64_t deadline_ms)
{
    return size_uint(renewed_ms) + size_uint(deadline_ms);
}

uint64_t size_service(const char *name, uint64_t index)
{
    return ITEM_HEAD + size_text(name) + size_uint(index);
}

uint64_t size_event(const struct event *event)
{
    return ITEM_HEAD + size_uint(event->index) + size_uint(event->position) +
           size_uint(event->type) + size_int(event->wall_ms) + size_record(event->record);
}

uint64_t size_token(const struct token *t)
{
    struct token_spec spec;
    token_spec_of(t, &spec);
    uint64_t size = ITEM_HEAD + size_text(token_id(t)) + 2 + spec.hash.len +
                    size_text(token_description(t)) + size_uint(t->grants) +
                    size_uint(t->scopes_count) + size_uint(t->index) + size_int(t->created_ms) +
                    size_uint(t->expires_ms);
    for (uint32_t i = 0; i < spec.scopes_count; i++) {
        size += size_text(spec.scopes[i].name.data) + 2; /* prefix, write */
    }
    return spec.space.len > 0 ? size + size_text(token_space(t)) : size;
}

uint64_t size_quota(const char *name, const struct namespace_quota *quota)
{
    return ITEM_HEAD + size_text(name) + size_uint(quota->instances) + size_uint(quota->bytes) +
           size_uint(quota->writes);
}

uint64_t size_sink(const struct sink_position *sink)
{
    return size_text(sink->name) + size_uint(sink->index) + size_uint(sink->position);
}

static uint64_t size_probers(const struct probers *probers)
{
    uint64_t size =
        size_uint(probers->epoch) + size_uint(probers->forgotten) + size_uint(probers->count);
    for (uint32_t i = 0; i < probers->count; i++) {
        const struct prober *row = &probers->rows[i];
        size += size_uint(row->member) + size_uint(row->since) + size_uint(row->until);
    }
    return size;
}

uint64_t size_head(const struct view *view)
{
    uint64_t size = ITEM_HEAD + size_text("MUSR") + 1 + size_uint(view->level);
#define X(limit, room, level_1) size += size_uint(view->limits.limit);
    REGISTRY_LIMITS(X)
#undef X
    size += size_uint(view->index) + size_uint(view->now_ms) + size_int(view->wall_ms) +
            size_uint(view->changed_index) + size_uint(view->services_index) +
            size_uint(view->extinct_index) + size_uint(view->events_last) +
            size_uint(view->events_kept) + size_uint(ptree_count(&view->instances)) +
            size_uint(view->services_count) + size_uint(view->events_last + 1 - view->events_first);
    if (view->level >= LEVEL_STATE_BYTES) {
        size += size_uint(view->state_bytes_max);
    }
    if (view->level >= LEVEL_TOKENS) {
#define X(limit, room, level_3) size += size_uint(view->limits.limit);
        TOKEN_LIMITS(X)
#undef X
        size += size_uint(view->tokens_begun) + size_uint(ptree_count(&view->tokens));
    }
    if (view->level >= LEVEL_NAMESPACES) {
#define X(limit, room, level_4) size += size_uint(view->limits.limit);
        NAMESPACE_LIMITS(X)
#undef X
        size += size_uint(view->quotas_count);
    }
    if (view->level >= LEVEL_SINKS) {
        size += size_uint(view->sinks.count);
        for (uint32_t i = 0; i < view->sinks.count; i++) {
            size += size_sink(&view->sinks.rows[i]);
        }
    }
    if (view->level >= LEVEL_CHECKS) {
#define X(limit, room, level_5) size += size_uint(view->limits.limit);
        CHECK_LIMITS(X)
#undef X
        size += size_uint(view->catalog_index) + size_uint(ptree_count(&view->checks)) +
                size_uint(view->active_index) + size_probers(&view->probers);
    }
    return size;
}
