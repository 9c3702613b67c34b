#include "api/zmq/cgse_entry.h"

#include <string.h>

#include "api/core/render.h"
#include "api/zmq/cgse_metadata.h"

bool cgse_entry_has_type(const struct record *record, const char *type)
{
    return strcmp(record_type(record), type) == 0 || record_has_tag(record, type);
}

static void member_tags(struct json_out *json, const struct record *record)
{
    const char *type = record_type(record);
    json_out_key(json, "tags");
    json_out_begin(json, '[');
    render_tags(json, record);
    if (type[0] != '\0' && !record_has_tag(record, type)) {
        json_out_text(json, type);
    }
    json_out_end(json, ']');
}

static void member_metadata(struct json_out *json, const struct record *record)
{
    const char *type = record_type(record);
    const char *key = record_metadata(record);
    json_out_key(json, "metadata");
    json_out_begin(json, '{');
    for (unsigned i = 0; i < record->metadata_count; i++) {
        const char *value = key + strlen(key) + 1;
        if (type[0] == '\0' || strcmp(key, "type") != 0) {
            json_out_key_text(json, key);
            cgse_metadata_render(json, value);
        }
        key = value + strlen(value) + 1;
    }
    if (type[0] != '\0') {
        json_out_member_text(json, "type", type);
    }
    json_out_end(json, '}');
}

int64_t cgse_entry_heard_ms(const struct view *view, const struct record *record)
{
    uint64_t renewed_ms, deadline_ms;
    view_lease_times(view, record, &renewed_ms, &deadline_ms);
    return view_heard_ms(view, record, renewed_ms);
}

void cgse_entry_render(struct json_out *json, const struct record *record, int64_t heard_ms)
{
    json_out_begin(json, '{');
    json_out_member_text(json, "id", record_id(record));
    json_out_member_text(json, "name", record_name(record));
    json_out_member_text(json, "host", record_host(record));
    json_out_member_u64(json, "port", record->port);
    if (record_type(record)[0] != '\0') {
        json_out_member_text(json, "type", record_type(record));
    }
    member_tags(json, record);
    member_metadata(json, record);
    json_out_member_u64(json, "ttl", (record->ttl_ms + 999) / 1000);
    json_out_member_u64(json, "last_heartbeat", heard_ms > 0 ? (uint64_t)heard_ms / 1000 : 0);
    json_out_member_text(json, "health", record_discoverable(record) ? "passing" : "critical");
    json_out_end(json, '}');
}
