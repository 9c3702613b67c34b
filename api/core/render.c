#include "api/core/render.h"

#include <string.h>

#include "api/core/event_id.h"

void render_tags(struct json_out *json, const struct record *record)
{
    const char *tag = record_tags(record);
    for (unsigned i = 0; i < record->tags_count; i++) {
        json_out_text(json, tag);
        tag += strlen(tag) + 1;
    }
}

void render_metadata(struct json_out *json, const struct record *record)
{
    const char *key = record_metadata(record);
    for (unsigned i = 0; i < record->metadata_count; i++) {
        const char *value = key + strlen(key) + 1;
        json_out_key_text(json, key);
        json_out_text(json, value);
        key = value + strlen(value) + 1;
    }
}

void render_namespace(struct json_out *json, const char *stored)
{
    struct slice space = namespace_of(stored);
    if (space.len > 0) {
        json_out_key(json, "namespace");
        json_out_text_n(json, space.data, space.len);
    }
}

void render_instance_members(struct json_out *json, const struct record *record)
{
    json_out_member_text(json, "id", namespace_bare(record_id(record)));
    json_out_member_text(json, "name", namespace_bare(record_name(record)));
    render_namespace(json, record_id(record));
    json_out_member_text(json, "type", record_type(record));
    json_out_member_text(json, "host", record_host(record));
    json_out_member_u64(json, "port", record->port);
    json_out_key(json, "tags");
    json_out_begin(json, '[');
    render_tags(json, record);
    json_out_end(json, ']');
    json_out_key(json, "metadata");
    json_out_begin(json, '{');
    render_metadata(json, record);
    json_out_end(json, '}');
    json_out_member_u64(json, "weight", record->weight);
    json_out_member_text(json, "zone", record_zone(record));
    json_out_member_seconds(json, "ttl", record->ttl_ms);
    json_out_member_seconds(json, "reap_after", record->reap_after_ms);
    json_out_member_text(json, "health", health_name(record_health(record)));
    json_out_member_text(json, "note", record_note(record));
    if (record->maintenance) {
        json_out_member_text(json, "reason", record_reason(record));
    }
    json_out_key(json, "registered_at");
    json_out_time(json, record->registered_ms);
    json_out_member_u64(json, "incarnation", record->incarnation);
    json_out_member_u64(json, "index", record->index);
}

void render_instance(struct json_out *json, const struct record *record)
{
    json_out_begin(json, '{');
    render_instance_members(json, record);
    json_out_end(json, '}');
}

void render_counts(struct json_out *json, const uint32_t counts[HEALTH_COUNT])
{
    for (unsigned h = 0; h < HEALTH_COUNT; h++) {
        json_out_member_u64(json, health_name((enum health)h), counts[h]);
    }
}

void render_event(struct json_out *json, const struct event *event, uint32_t cluster)
{
    char id[EVENT_ID_SIZE];
    event_id_format(event_id_of(event), cluster, id);
    json_out_begin(json, '{');
    json_out_member_text(json, "id", id);
    json_out_member_text(json, "event", event_type_name(event->type));
    json_out_key(json, "time");
    json_out_time(json, event->wall_ms);
    json_out_key(json, "instance");
    render_instance(json, event->record);
    json_out_end(json, '}');
}
