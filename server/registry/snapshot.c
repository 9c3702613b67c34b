#include "server/registry/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"

struct lease_copy {
    uint64_t renewed_ms;
    uint64_t deadline_ms;
    uint32_t stamp;
};

struct registry_snapshot {
    struct registry *registry;
    struct view view;
    struct lease_copy *leases; /* by slot */
    const struct event **events;
};

struct registry_snapshot *registry_snapshot_take(struct registry *r)
{
    struct registry_snapshot *s = mem_alloc(sizeof *s);
    CHECK(!r->in_entry && r->view->index == r->work.index);
    s->registry = r;
    s->view = *r->view;
    s->leases = mem_alloc(r->leases.slots * sizeof *s->leases);
    for (uint32_t slot = 0; slot < r->leases.slots; slot++) {
        const struct lease *lease = leases_at(&r->leases, slot);
        s->leases[slot] = (struct lease_copy){
            .renewed_ms = atomic_load_explicit(&lease->renewed_ms, memory_order_relaxed),
            .deadline_ms = atomic_load_explicit(&lease->deadline_ms, memory_order_relaxed),
            .stamp = lease->stamp,
        };
    }
    uint64_t count = s->view.events_last + 1 - s->view.events_first;
    s->events = mem_alloc(count * sizeof *s->events);
    for (uint64_t i = 0; i < count; i++) {
        s->events[i] = view_event(&s->view, s->view.events_first + i);
    }
    r->holds++;
    return s;
}

void registry_snapshot_release(struct registry_snapshot *s)
{
    CHECK(s->registry->holds > 0);
    s->registry->holds--; /* what piled up goes with the next entry */
    free(s->events);
    free(s->leases);
    free(s);
}

void registry_snapshot_head(const struct registry_snapshot *s, struct snapshot_head *ret_head)
{
    *ret_head = (struct snapshot_head){
        .index = s->view.index,
        .now_ms = s->view.now_ms,
        .wall_ms = s->view.wall_ms,
        .changed_index = s->view.changed_index,
        .services_index = s->view.services_index,
        .extinct_index = s->view.extinct_index,
        .events_last = s->view.events_last,
        .events_kept = s->view.events_kept,
        .instances = ptree_count(&s->view.instances),
        .services = s->view.services_count,
        .events = s->view.events_last + 1 - s->view.events_first,
    };
}

void registry_snapshot_walk(const struct registry_snapshot *s,
                            const struct snapshot_visitor *visitor)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &s->view.instances, 0);
    for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
        const struct lease_copy *lease = &s->leases[record->slot];
        struct snapshot_instance said = {
            .record = record,
            .stamp = lease->stamp,
            .renewed_ms = lease->renewed_ms,
            .deadline_ms = lease->deadline_ms,
        };
        visitor->instance(visitor->ctx, &said);
    }
    ptree_iterate(&it, &s->view.services, 0);
    for (const struct service_view *service; (service = ptree_next(&it)) != NULL;) {
        visitor->service(visitor->ctx, service->name, service->index);
    }
    uint64_t count = s->view.events_last + 1 - s->view.events_first;
    for (uint64_t i = 0; i < count; i++) {
        visitor->event(visitor->ctx, s->events[i]);
    }
}

enum status registry_restore_head(struct registry *r, const struct snapshot_head *head)
{
    if (head->events_kept < EVENTS_KEPT_MIN || head->events_kept > EVENTS_KEPT_MAX ||
        head->events > head->events_kept || head->events > head->events_last ||
        head->events_last == UINT64_MAX || head->instances > INSTANCES_MAX) {
        return ST_CORRUPT;
    }
    r->in_entry = true;
    r->work.index = head->index;
    r->work.now_ms = head->now_ms;
    r->work.wall_ms = head->wall_ms;
    r->work.changed_index = head->changed_index;
    r->work.services_index = head->services_index;
    r->work.extinct_index = head->extinct_index;
    r->work.events_first = head->events_last + 1 - head->events;
    r->work.events_last = r->work.events_first - 1;
    events_keep(r, head->events_kept);
    leases_start_at(&r->leases, head->now_ms);
    return ST_OK;
}

enum status registry_restore_instance(struct registry *r, struct record *record, uint32_t stamp,
                                      uint64_t renewed_ms, uint64_t deadline_ms)
{
    const char *id = record_id(record);
    struct view said = r->work;
    enum status status = ST_CORRUPT;
    rcu_read_lock();
    if (record->index <= said.index && registry_find(r, id, strlen(id)) == NULL &&
        leases_take_this_slot(&r->leases, record->slot)) {
        record->stamp = stamp;
        registry_insert(r, record, renewed_ms, deadline_ms);
        r->work.changed_index = said.changed_index;
        r->work.services_index = said.services_index;
        status = ST_OK;
    }
    rcu_read_unlock();
    if (registry_raise_buckets(r)) {
        registry_grow(r->by_id, r->buckets); /* at once: nobody reads it yet */
    }
    return status;
}

enum status registry_restore_service(struct registry *r, const char *name, uint64_t index)
{
    struct service_view *service = ptree_find(&r->work.services, &r->services_kind, name);
    if (service == NULL || index > r->work.index) {
        return ST_CORRUPT;
    }
    services_set_index(r, service, index);
    return ST_OK;
}

enum status registry_restore_event(struct registry *r, const struct event *event)
{
    if (event->sequence != r->work.events_last + 1 || event->index > r->work.index) {
        return ST_CORRUPT;
    }
    events_restore(r, event);
    return ST_OK;
}

enum status registry_restore_end(struct registry *r, const struct snapshot_head *head)
{
    if (ptree_count(&r->work.instances) != head->instances ||
        r->work.services_count != head->services || r->work.events_last != head->events_last) {
        return ST_CORRUPT;
    }
    registry_end(r);
    registry_publish(r);
    return ST_OK;
}
