#include <stdlib.h>

#include "server/base/mem.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/size.h"

/* Part of the bound on the state, so that events cannot use up the room of instances. */
#define STATE_SHARE 8

static uint64_t event_hash(const struct event *e)
{
    uint64_t h = mix64(e->sequence);
    h = mix64(h ^ e->index);
    h = mix64(h ^ ((uint64_t)e->position << 8 | (uint64_t)e->type));
    h = mix64(h ^ (uint64_t)e->wall_ms);
    return mix64(h ^ record_hash(e->record));
}

/* Decides which events are dropped, so it must not depend on the size of a struct. */
static size_t event_bytes(const struct registry *r, const struct event *e)
{
    return r->work.limits.event_bytes_fixed + record_text_bytes(e->record);
}

static struct event_ring *ring_of(const struct registry *r)
{
    return (struct event_ring *)(uintptr_t)r->work.events;
}

static struct event *at(const struct registry *r, uint64_t sequence)
{
    struct event_ring *ring = ring_of(r);
    return atomic_load_explicit(&ring->slots[sequence % ring->capacity], memory_order_relaxed);
}

static void drop_oldest(struct registry *r)
{
    struct event_ring *ring = ring_of(r);
    struct event *e = at(r, r->work.events_first);
    atomic_store_explicit(&ring->slots[e->sequence % ring->capacity], NULL, memory_order_relaxed);
    r->events_sum -= event_hash(e);
    r->events_bytes -= event_bytes(r, e);
    r->events_size -= size_event(e);
    r->work.events_first++;
    retire_memory(r, e, RETIRED_EVENT, retire_must_keep_index(r, e->index));
    retire_record(r, e->record);
}

static uint64_t bytes_max(const struct registry *r)
{
    uint64_t most = (uint64_t)r->work.events_kept * r->work.limits.event_bytes_mean;
    uint64_t share = r->work.state_bytes_max / STATE_SHARE;
    return share > 0 && share < most ? share : most;
}

/* Takes over the event, whose sequence follows the last. */
static void append(struct registry *r, struct event *e)
{
    r->work.events_last = e->sequence;
    struct event_ring *ring = ring_of(r);
    while (e->sequence - r->work.events_first >= ring->capacity ||
           (r->events_bytes + event_bytes(r, e) > bytes_max(r) &&
            r->work.events_first < e->sequence)) {
        drop_oldest(r);
    }
    r->events_sum += event_hash(e);
    r->events_bytes += event_bytes(r, e);
    r->events_size += size_event(e);
    /* Readers find it only through a view, which is published with release. */
    atomic_store_explicit(&ring->slots[e->sequence % ring->capacity], e, memory_order_release);
}

void events_add(struct registry *r, enum event_type type, struct record *record)
{
    struct event *e = mem_alloc(sizeof *e);
    record->references++;
    *e = (struct event){
        .sequence = r->work.events_last + 1,
        .index = r->work.index,
        .position = r->entry_events++,
        .type = type,
        .wall_ms = r->work.wall_ms,
        .record = record,
    };
    append(r, e);
    /* A renewal or deregistration is accepted even if the state is full: old events make room. */
    while (!registry_has_room(r, 0) && r->work.events_first < r->work.events_last) {
        drop_oldest(r);
    }
}

bool events_restore(struct registry *r, const struct event *event)
{
    uint64_t kept = event->sequence - r->work.events_first;
    if (kept >= r->work.events_kept ||
        (kept > 0 && r->events_bytes + event_bytes(r, event) > bytes_max(r))) {
        return false;
    }
    struct event *e = mem_alloc(sizeof *e);
    *e = *event;
    append(r, e);
    return true;
}

void events_trim(struct registry *r)
{
    while (r->work.events_last + 1 - r->work.events_first > r->work.events_kept ||
           (r->events_bytes > bytes_max(r) && r->work.events_first < r->work.events_last)) {
        drop_oldest(r);
    }
}

void events_keep(struct registry *r, uint32_t count)
{
    struct event_ring *old = ring_of(r);
    if (old != NULL && old->capacity == count) {
        return;
    }
    struct event_ring *ring = mem_zalloc(1, sizeof *ring + count * sizeof ring->slots[0]);
    ring->capacity = r->work.events_kept = count;
    events_trim(r);
    for (uint64_t i = r->work.events_first; i <= r->work.events_last; i++) {
        atomic_store_explicit(&ring->slots[i % count], at(r, i), memory_order_relaxed);
    }
    r->work.events = ring;
    if (old != NULL) {
        retire_memory(r, old, RETIRED_PLAIN, false); /* readers of older views use it */
    }
}

void events_free(struct event *event)
{
    struct rendered *text = atomic_load_explicit(&event->rendered, memory_order_relaxed);
    if (text != NULL) {
        rendered_unref(text); /* responses being sent have their own reference */
    }
    free(event);
}

void events_clear(struct registry *r)
{
    while (r->work.events_first <= r->work.events_last) {
        drop_oldest(r);
    }
}
