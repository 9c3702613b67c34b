#include "api/amqp/amqp_swarm.h"

#include <stdio.h>
#include <string.h>

#include "api/core/json_out.h"
#include "api/core/swarm_entry.h"

static struct json_out begin(struct buffer *body, const char *name, const struct event *event)
{
    struct json_out json = json_out_to(body);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "event", name);
    json_out_member_u64(&json, "timestamp",
                        event->wall_ms > 0 ? (uint64_t)event->wall_ms / 1000 : 0);
    return json;
}

static void set_key(char key[SINK_KEY_SIZE], const char *text)
{
    (void)snprintf(key, SINK_KEY_SIZE, "%s", text);
}

/* NULL: nothing that its listeners know of. */
static const char *service_event(enum event_type type)
{
    switch (type) {
    case EVENT_REGISTERED:
        return "service.added";
    case EVENT_UPDATED:
        return "service.updated";
    case EVENT_DEREGISTERED:
    case EVENT_REAPED:
        return "service.removed";
    default:
        return NULL;
    }
}

static bool translate_service(const struct event *event, size_t nth, char key[SINK_KEY_SIZE],
                              struct buffer *body)
{
    const char *name = service_event(event->type);
    if (name == NULL || nth > 0) {
        return false;
    }
    struct json_out json = begin(body, name, event);
    if (strcmp(name, "service.removed") == 0) {
        json_out_member_text(&json, "service_id", namespace_bare(record_id(event->record)));
        json_out_member_text(&json, "service_name", namespace_bare(record_name(event->record)));
    } else {
        json_out_key(&json, "service");
        swarm_entry_render(&json, event->record);
    }
    json_out_end(&json, '}');
    set_key(key, name);
    return true;
}

/* The list is that of the view: what has changed since is in it, and is told again. */
static bool translate_list(const struct view *view, const struct event *event, size_t nth,
                           char key[SINK_KEY_SIZE], struct buffer *body)
{
    if (nth > 0 || (event->type != EVENT_REGISTERED && event->type != EVENT_UPDATED)) {
        return false;
    }
    struct json_out json = begin(body, "services.updated", event);
    json_out_member_u64(&json, "services_count", swarm_entries_count(view));
    json_out_key(&json, "services");
    json_out_begin(&json, '[');
    (void)swarm_entries_render(&json, view, NULL, NULL);
    json_out_end(&json, ']');
    json_out_end(&json, '}');
    set_key(key, "services.updated");
    return true;
}

/* One message for each service that the record is about. */
static bool translate_metrics(const struct view *view, const struct event *event, size_t nth,
                              char key[SINK_KEY_SIZE], struct buffer *body)
{
    const char *name = record_metadata(event->record);
    struct swarm_usage usage;
    if (nth >= event->record->metadata_count ||
        (event->type != EVENT_REGISTERED && event->type != EVENT_UPDATED)) {
        return false;
    }
    for (size_t i = 0; i < nth; i++) {
        name += strlen(name) + 1;
        name += strlen(name) + 1;
    }
    bool is_known = swarm_usage_find(view, name, &usage);
    struct json_out json = begin(body, "metrics.updated", event);
    json_out_member_text(&json, "service_name", name);
    json_out_key(&json, "metrics");
    if (is_known) {
        swarm_usage_render(&json, &usage);
    } else {
        json_out_null(&json);
    }
    json_out_end(&json, '}');
    (void)snprintf(key, SINK_KEY_SIZE, "metrics.%s", name);
    return true;
}

static bool translate_health(const struct event *event, size_t nth, char key[SINK_KEY_SIZE],
                             struct buffer *body)
{
    if (nth > 0 || (event->type != EVENT_REGISTERED && event->type != EVENT_UPDATED)) {
        return false;
    }
    struct json_out json = begin(body, "health.check", event);
    json_out_member_text(&json, "service", "service-registry");
    json_out_end(&json, '}');
    set_key(key, "health.check");
    return true;
}

bool amqp_swarm_translate(const struct view *view, const struct event *event, size_t nth,
                          char key[SINK_KEY_SIZE], struct buffer *body)
{
    const struct record *record = event->record;
    if (swarm_entry_is(record, SWARM_TYPE_SERVICE)) {
        return translate_service(event, nth, key, body);
    }
    if (swarm_entry_is(record, SWARM_TYPE_CACHE)) {
        return translate_list(view, event, nth, key, body);
    }
    if (swarm_entry_is(record, SWARM_TYPE_METRICS)) {
        return translate_metrics(view, event, nth, key, body);
    }
    return swarm_entry_is(record, SWARM_TYPE_HEALTH) && translate_health(event, nth, key, body);
}
