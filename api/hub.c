#include "api/hub.h"

#include <string.h>

#include "server/base/clock.h"
#include "server/base/compiler.h"
#include "server/base/metric.h"
#include "server/registry/mix.h"

/* A comment keeps proxies from closing a silent stream. */
#define SILENCE_MS 15000
/* A client that takes nothing for so long is cut off. */
#define STUCK_MS    30000
#define RESUMES_MAX 256 /* in one turn */

static void told(struct node_listener *listener)
{
    struct hub *hub = CONTAINER_OF(listener, struct hub, listener);
    /* The view was published before: a stream that is not counted here will see it. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&hub->count) > 0 && !atomic_exchange(&hub->told, true)) {
        hub->actions.wake(hub->actions.ctx);
    }
}

void hub_start(struct hub *hub, struct node *node, const struct hub_actions *actions)
{
    hub->node = node;
    hub->actions = *actions;
    hub->listener.told = told;
    for (size_t i = 0; i < HUB_BUCKETS; i++) {
        CDS_INIT_LIST_HEAD(&hub->by_service[i]);
    }
    CDS_INIT_LIST_HEAD(&hub->others);
    CDS_INIT_LIST_HEAD(&hub->idle);
    CDS_INIT_LIST_HEAD(&hub->woken);
    CDS_INIT_LIST_HEAD(&hub->active);
    node_listen(node, &hub->listener);
}

static struct cds_list_head *bucket(struct hub *hub, const char *service)
{
    return &hub->by_service[mix_bytes(service, strlen(service)) % HUB_BUCKETS];
}

/* --- one stream --- */

static void become_active(struct hub *hub, struct stream *s)
{
    s->state = STREAM_ACTIVE;
    s->moved_ms = clock_monotonic_ms();
    cds_list_add_tail(&s->place, &hub->active);
}

void hub_add(struct hub *hub, struct stream *s)
{
    CDS_INIT_LIST_HEAD(&s->peers);
    if (atomic_fetch_add(&hub->count, 1) == 0) {
        const struct view *view = node_view_lock(hub->node);
        hub->seen = view->events_last;
        view_unlock(&view);
    }
    metric_add(METRIC_streams, 1);
    s->closed = hub->closing;
    become_active(hub, s);
}

void hub_remove(struct hub *hub, struct stream *s)
{
    cds_list_del(&s->place);
    cds_list_del(&s->peers);
    atomic_fetch_sub(&hub->count, 1);
    metric_add(METRIC_streams, -1);
}

void hub_moved(struct hub *hub, struct stream *s)
{
    cds_list_del(&s->place);
    become_active(hub, s);
}

void hub_is_idle(struct hub *hub, struct stream *s)
{
    const char *service = s->feed.filter.service;
    s->state = STREAM_IDLE;
    s->moved_ms = clock_monotonic_ms();
    cds_list_move(&s->place, hub->idle.prev);
    cds_list_add(&s->peers, service != NULL ? bucket(hub, service) : &hub->others);
}

void hub_wake(struct hub *hub, struct stream *s)
{
    if (s->state == STREAM_IDLE) {
        cds_list_del(&s->peers);
        CDS_INIT_LIST_HEAD(&s->peers);
        cds_list_move(&s->place, hub->woken.prev);
        s->state = STREAM_WOKEN;
    }
}

/* --- events --- */

static void wake_for(struct hub *hub, struct cds_list_head *list, const struct event *event)
{
    struct stream *s, *next;
    cds_list_for_each_entry_safe(s, next, list, peers)
    {
        if (feed_awaits(&s->feed, event)) {
            feed_pass(&s->feed, event->sequence - 1);
            hub_wake(hub, s);
        }
    }
}

static void wake_all(struct hub *hub)
{
    struct stream *s, *next;
    cds_list_for_each_entry_safe(s, next, &hub->idle, place)
    {
        feed_pass(&s->feed, hub->seen);
        hub_wake(hub, s);
    }
}

/* Looks at what is new once, for all idle streams. */
static void look_at_events(struct hub *hub)
{
    const struct view *view = node_view_lock(hub->node);
    while (hub->seen < view->events_last) {
        const struct event *event = view_event(view, hub->seen + 1);
        if (event == NULL) {
            wake_all(hub); /* overtaken by the ring: they see for themselves */
            hub->seen = view->events_last;
            break;
        }
        wake_for(hub, bucket(hub, record_name(event->record)), event);
        wake_for(hub, &hub->others, event);
        hub->seen = event->sequence;
    }
    view_unlock(&view);
    if (hub->wave_ns == 0 && !cds_list_empty(&hub->woken)) {
        hub->wave_ns = node_changed_ns(hub->node);
    }
}

/* --- time --- */

static void remind_silent(struct hub *hub, uint64_t now_ms)
{
    while (!cds_list_empty(&hub->idle)) {
        struct stream *s = cds_list_first_entry(&hub->idle, struct stream, place);
        if (clock_elapsed(s->moved_ms, now_ms) < SILENCE_MS) {
            return;
        }
        feed_pass(&s->feed, hub->seen);
        s->remind = true;
        hub_wake(hub, s);
    }
}

static void cut_stuck(struct hub *hub, uint64_t now_ms)
{
    while (!cds_list_empty(&hub->active)) {
        struct stream *s = cds_list_first_entry(&hub->active, struct stream, place);
        if (clock_elapsed(s->moved_ms, now_ms) < STUCK_MS) {
            return;
        }
        metric_add(METRIC_streams_cut_total, 1);
        hub->actions.cut(s);
        hub_moved(hub, s); /* later than now_ms; its end comes soon */
    }
}

bool hub_run(struct hub *hub)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (atomic_load(&hub->count) == 0) {
        return false;
    }
    if (atomic_exchange(&hub->told, false)) {
        look_at_events(hub);
    }
    remind_silent(hub, now_ms);
    cut_stuck(hub, now_ms);
    for (unsigned i = 0; i < RESUMES_MAX && !cds_list_empty(&hub->woken); i++) {
        struct stream *s = cds_list_first_entry(&hub->woken, struct stream, place);
        hub_moved(hub, s);
        hub->actions.resume(s);
    }
    return !cds_list_empty(&hub->woken);
}

void hub_measure(struct hub *hub)
{
    if (hub->wave_ns != 0 && cds_list_empty(&hub->woken) && cds_list_empty(&hub->active)) {
        metric_observe_us(HISTOGRAM_stream_delay_seconds,
                          (clock_monotonic_ns() - hub->wave_ns) / 1000);
        hub->wave_ns = 0;
    }
}

void hub_close(struct hub *hub)
{
    struct stream *s, *next;
    hub->closing = true;
    cds_list_for_each_entry(s, &hub->active, place)
    {
        s->closed = true;
    }
    cds_list_for_each_entry_safe(s, next, &hub->woken, place)
    {
        s->closed = true;
    }
    cds_list_for_each_entry_safe(s, next, &hub->idle, place)
    {
        s->closed = true;
        hub_wake(hub, s);
    }
}
