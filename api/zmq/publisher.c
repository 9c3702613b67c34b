#include "api/zmq/publisher.h"

#include <inttypes.h>

#include "api/core/json_out.h"
#include "api/zmq/cgse_entry.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/metric.h"

#define EVENTS_A_TURN 256

static void wake(struct node_listener *listener)
{
    lane_wake(CONTAINER_OF(listener, struct publisher, listener)->lane);
}

static bool is_on(const struct publisher *p)
{
    return p->endpoints[0]->fd >= 0 || p->endpoints[1]->fd >= 0;
}

void publisher_listen(struct publisher *p)
{
    if (is_on(p)) {
        p->listener.told = wake;
        node_listen(p->node, &p->listener);
    }
}

static void begin(struct publisher *p, bool present, const struct view *view)
{
    const struct event_filter all = {.events = EVENT_FILTER_ALL};
    event_cursor_begin(&p->cursor, &all, present, view);
    p->has_begun = true;
}

/* NULL: nothing that these clients know of. */
static const char *topic_of(enum event_type type)
{
    switch (type) {
    case EVENT_REGISTERED:
    case EVENT_UPDATED:
    case EVENT_RECOVERED:
        return "register";
    case EVENT_DEREGISTERED:
        return "deregister";
    case EVENT_EXPIRED:
        return "expire";
    default:
        return NULL;
    }
}

/* Who may get an event, and follow its service. */
struct audience {
    const struct publisher *publisher;
    const struct view *view;
    const char *service;
};

static bool may_follow(const struct zmq_client *c, void *data)
{
    const struct audience *a = data;
    struct principal who;
    if (principal_find(&who, a->publisher->anonymous, NULL, c->name, "", a->view) != ST_OK ||
        principal_may(&who, a->view, PERMISSION_EVENTS, NULL) != ST_OK) {
        return false;
    }
    const struct viewer viewer = principal_viewer(&who, a->view, PERMISSION_EVENTS);
    return viewer_may(&viewer, a->service);
}

static void render(struct buffer *text, const char *topic, const struct record *record,
                   int64_t wall_ms, bool with_info)
{
    buffer_init(text, EVENT_TEXT_BYTES_MAX);
    struct json_out json = json_out_to(text);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "type", topic);
    json_out_member_u64(&json, "timestamp", wall_ms > 0 ? (uint64_t)wall_ms / 1000 : 0);
    json_out_key(&json, "data");
    json_out_begin(&json, '{');
    json_out_member_text(&json, "service_id", record_id(record));
    if (with_info) {
        json_out_key(&json, "service_info");
        cgse_entry_render(&json, record, wall_ms);
    }
    json_out_end(&json, '}');
    json_out_end(&json, '}');
    CHECK(!text->overflowed); /* EVENT_TEXT_BYTES_MAX holds any record */
}

static bool has_clients(const struct publisher *p)
{
    return !cds_list_empty(&p->endpoints[0]->clients) || !cds_list_empty(&p->endpoints[1]->clients);
}

static void publish(struct publisher *p, const struct view *view, const char *topic,
                    const struct record *record, int64_t wall_ms, bool with_info)
{
    struct buffer text;
    struct audience audience = {p, view, record_name(record)};
    if (!namespace_has("", record_name(record))) {
        return;
    }
    if (!has_clients(p)) {
        metric_add(METRIC_zmq_events_total, 1);
        return;
    }
    render(&text, topic, record, wall_ms, with_info);
    struct shared_text *shared = shared_text_new(&p->endpoints[0]->all->waiting, &text);
    bool to_all = shared != NULL;
    for (size_t i = 0; shared != NULL && i < ARRAY_LENGTH(p->endpoints); i++) {
        to_all &= endpoint_publish(p->endpoints[i], topic, shared, may_follow, &audience);
    }
    if (shared != NULL) {
        shared_text_drop(shared);
    }
    buffer_done(&text);
    metric_add(to_all ? METRIC_zmq_events_total : METRIC_zmq_events_dropped_total, 1);
}

static void publish_event(struct publisher *p, const struct view *view, const struct event *event)
{
    const char *topic = topic_of(event->type);
    if (topic != NULL) {
        publish(p, view, topic, event->record, event->wall_ms, event->type != EVENT_EXPIRED);
    }
}

/* False: there is nothing more. */
static bool run_item(struct publisher *p, bool is_quiet, const struct view *view)
{
    struct event_item item = event_cursor_next(&p->cursor, view);
    switch (item.kind) {
    case ITEM_NOTHING:
        return false;
    case ITEM_EVENT:
        if (!is_quiet) {
            publish_event(p, view, item.event);
        }
        break;
    case ITEM_PRESENT:
        if (!is_quiet && cgse_entry_is_there(item.record)) {
            publish(p, view, "register", item.record, view->wall_ms, true);
        }
        break;
    case ITEM_PRESENTED:
        break;
    case ITEM_RESET:
        log_write(LOG_INFO, "zmq", "the history was replaced: publishing all that is there",
                  "index=%" PRIu64, view->index);
        event_cursor_done(&p->cursor);
        begin(p, true, view);
        break;
    }
    return true;
}

bool publisher_run(struct publisher *p)
{
    struct node_status status;
    if (!is_on(p)) {
        return false;
    }
    node_status(p->node, &status);
    const struct view *view = node_view_lock(p->node);
    if (!p->has_begun) {
        begin(p, false, view);
    }
    bool more = true;
    for (unsigned i = 0; more && i < EVENTS_A_TURN; i++) {
        more = run_item(p, !status.caught_up, view);
    }
    view_unlock(&view);
    return more;
}

void publisher_done(struct publisher *p)
{
    if (p->has_begun) {
        event_cursor_done(&p->cursor);
        p->has_begun = false;
    }
}
