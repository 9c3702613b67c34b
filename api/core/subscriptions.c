#include "api/core/subscriptions.h"

#include <string.h>

#include "server/base/clock.h"
#include "server/base/compiler.h"
#include "server/base/metric.h"
#include "server/registry/mix.h"

/* A sign of life keeps proxies from closing a silent connection. */
#define SILENCE_MS 15000
/* A client that takes nothing for so long is cut off. */
#define STUCK_MS    30000
#define RESUMES_MAX 256 /* in one turn */

static void notify(struct node_listener *listener)
{
    struct subscriptions *all = CONTAINER_OF(listener, struct subscriptions, listener);
    /* The view was published before: a subscription that is not counted here will see it. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&all->count) > 0 && !atomic_exchange(&all->notified, true)) {
        all->actions.wake(all->actions.ctx);
    }
}

void subscriptions_start(struct subscriptions *all, struct node *node,
                         const struct subscription_actions *actions)
{
    all->node = node;
    all->actions = *actions;
    all->listener.told = notify;
    for (size_t i = 0; i < SUBSCRIPTIONS_BUCKETS; i++) {
        CDS_INIT_LIST_HEAD(&all->by_service[i]);
    }
    CDS_INIT_LIST_HEAD(&all->others);
    CDS_INIT_LIST_HEAD(&all->idle);
    CDS_INIT_LIST_HEAD(&all->woken);
    CDS_INIT_LIST_HEAD(&all->active);
    node_listen(node, &all->listener);
}

static struct cds_list_head *bucket(struct subscriptions *all, const char *service)
{
    return &all->by_service[mix_bytes(service, strlen(service)) % SUBSCRIPTIONS_BUCKETS];
}

/* --- one subscription --- */

static void become_active(struct subscriptions *all, struct subscription *s)
{
    s->state = SUBSCRIPTION_ACTIVE;
    s->moved_ms = clock_monotonic_ms();
    cds_list_add_tail(&s->place, &all->active);
}

void subscriptions_add(struct subscriptions *all, struct subscription *s)
{
    CDS_INIT_LIST_HEAD(&s->peers);
    if (atomic_fetch_add(&all->count, 1) == 0) {
        const struct view *view = node_view_lock(all->node);
        all->seen = view->events_last;
        view_unlock(&view);
    }
    metric_add(METRIC_streams, 1);
    s->closed = all->closing;
    become_active(all, s);
}

void subscriptions_remove(struct subscriptions *all, struct subscription *s)
{
    cds_list_del(&s->place);
    cds_list_del(&s->peers);
    atomic_fetch_sub(&all->count, 1);
    metric_add(METRIC_streams, -1);
}

void subscriptions_moved(struct subscriptions *all, struct subscription *s)
{
    cds_list_del(&s->place);
    become_active(all, s);
}

void subscriptions_idle(struct subscriptions *all, struct subscription *s)
{
    const char *service = s->cursor.filter.service;
    s->state = SUBSCRIPTION_IDLE;
    s->moved_ms = clock_monotonic_ms();
    cds_list_move(&s->place, all->idle.prev);
    cds_list_add(&s->peers, service != NULL ? bucket(all, service) : &all->others);
}

/* There is something for it: its end, for example. */
static void wake(struct subscriptions *all, struct subscription *s)
{
    if (s->state == SUBSCRIPTION_IDLE) {
        cds_list_del(&s->peers);
        CDS_INIT_LIST_HEAD(&s->peers);
        cds_list_move(&s->place, all->woken.prev);
        s->state = SUBSCRIPTION_WOKEN;
    }
}

/* --- events --- */

static void wake_for(struct subscriptions *all, struct cds_list_head *list,
                     const struct event *event)
{
    struct subscription *s, *next;
    cds_list_for_each_entry_safe(s, next, list, peers)
    {
        if (event_cursor_awaits(&s->cursor, event)) {
            event_cursor_pass(&s->cursor, event->sequence - 1);
            wake(all, s);
        }
    }
}

static void wake_all(struct subscriptions *all)
{
    struct subscription *s, *next;
    cds_list_for_each_entry_safe(s, next, &all->idle, place)
    {
        event_cursor_pass(&s->cursor, all->seen);
        wake(all, s);
    }
}

/* Looks at what is new once, for all idle ones. */
static void look_at_events(struct subscriptions *all)
{
    const struct view *view = node_view_lock(all->node);
    while (all->seen < view->events_last) {
        const struct event *event = view_event(view, all->seen + 1);
        if (event == NULL) {
            wake_all(all); /* overtaken by the ring: they see for themselves */
            all->seen = view->events_last;
            break;
        }
        wake_for(all, bucket(all, record_name(event->record)), event);
        wake_for(all, &all->others, event);
        all->seen = event->sequence;
    }
    view_unlock(&view);
    if (all->wave_ns == 0 && !cds_list_empty(&all->woken)) {
        all->wave_ns = node_changed_ns(all->node);
    }
}

/* --- time --- */

static void remind_silent(struct subscriptions *all, uint64_t now_ms)
{
    while (!cds_list_empty(&all->idle)) {
        struct subscription *s = cds_list_first_entry(&all->idle, struct subscription, place);
        if (clock_elapsed(s->moved_ms, now_ms) < SILENCE_MS) {
            return;
        }
        event_cursor_pass(&s->cursor, all->seen);
        s->remind = true;
        wake(all, s);
    }
}

static void cut_stuck(struct subscriptions *all, uint64_t now_ms)
{
    while (!cds_list_empty(&all->active)) {
        struct subscription *s = cds_list_first_entry(&all->active, struct subscription, place);
        if (clock_elapsed(s->moved_ms, now_ms) < STUCK_MS) {
            return;
        }
        metric_add(METRIC_streams_cut_total, 1);
        all->actions.cut(s);
        subscriptions_moved(all, s); /* later than now_ms; its end comes soon */
    }
}

bool subscriptions_run(struct subscriptions *all)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (atomic_load(&all->count) == 0) {
        return false;
    }
    if (atomic_exchange(&all->notified, false)) {
        look_at_events(all);
    }
    remind_silent(all, now_ms);
    cut_stuck(all, now_ms);
    for (unsigned i = 0; i < RESUMES_MAX && !cds_list_empty(&all->woken); i++) {
        struct subscription *s = cds_list_first_entry(&all->woken, struct subscription, place);
        subscriptions_moved(all, s);
        all->actions.resume(s);
    }
    return !cds_list_empty(&all->woken);
}

void subscriptions_measure(struct subscriptions *all)
{
    if (all->wave_ns != 0 && cds_list_empty(&all->woken) && cds_list_empty(&all->active)) {
        metric_observe_us(HISTOGRAM_stream_delay_seconds,
                          (clock_monotonic_ns() - all->wave_ns) / 1000);
        all->wave_ns = 0;
    }
}

void subscriptions_close(struct subscriptions *all)
{
    struct subscription *s, *next;
    all->closing = true;
    cds_list_for_each_entry(s, &all->active, place)
    {
        s->closed = true;
    }
    cds_list_for_each_entry_safe(s, next, &all->woken, place)
    {
        s->closed = true;
    }
    cds_list_for_each_entry_safe(s, next, &all->idle, place)
    {
        s->closed = true;
        wake(all, s);
    }
}
