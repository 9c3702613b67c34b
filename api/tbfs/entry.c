#include "api/tbfs/entry.h"

#include <stdio.h>
#include <string.h>

#include "api/tbfs/body.h"
#include "server/base/check.h"
#include "server/base/text.h"

/* "http://[", the longest host, "]:65535" and NUL. */
#define MADE_URL_SIZE (HOST_BYTES_MAX + 24)

const char *tbfs_status(const struct record *record)
{
    return record_discoverable(record) ? "active" : "inactive";
}

void tbfs_time_render(struct json_out *json, int64_t wall_ms)
{
    char text[TEXT_TIME_SIZE + 3];
    text_format_time(wall_ms, text);
    char *fraction = strchr(text, '.');
    CHECK(fraction != NULL);
    if (strcmp(fraction, ".000Z") == 0) {
        *fraction = '\0';
    } else {
        memcpy(fraction + 4, "000", sizeof "000");
    }
    json_out_text(json, text);
}

/* The URL that was registered, or one of an instance that was registered without. */
static void render_url(struct json_out *json, const struct record *record)
{
    const char *url = record_metadata_value(record, TBFS_META_URL);
    if (url != NULL) {
        json_out_member_text(json, "url", url);
        return;
    }
    const char *host = record_host(record);
    bool ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    char made[MADE_URL_SIZE];
    (void)snprintf(made, sizeof made, "http://%s%s%s:%u", ipv6 ? "[" : "", host, ipv6 ? "]" : "",
                   (unsigned)record->port);
    json_out_member_text(json, "url", made);
}

void tbfs_entry_render(struct json_out *json, const struct view *view, const struct record *record,
                       int64_t wall_ms)
{
    const char *ip = record_metadata_value(record, TBFS_META_IP);
    uint64_t renewed_ms, deadline_ms;
    view_lease_times(view, record, &renewed_ms, &deadline_ms);
    int64_t up_ms = wall_ms - record->registered_ms;
    json_out_begin(json, '{');
    json_out_member_text(json, "server_id", namespace_bare(record_id(record)));
    render_url(json, record);
    json_out_key(json, "ip");
    if (ip != NULL) {
        json_out_text(json, ip);
    } else {
        json_out_null(json);
    }
    json_out_member_text(json, "status", tbfs_status(record));
    json_out_key(json, "last_heartbeat");
    tbfs_time_render(json, view_heard_ms(view, record, renewed_ms));
    json_out_key(json, "registered_at");
    tbfs_time_render(json, record->registered_ms);
    json_out_member_u64(json, "uptime_seconds", up_ms > 0 ? (uint64_t)up_ms / 1000 : 0);
    json_out_end(json, '}');
}
