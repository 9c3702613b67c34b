#include <stdlib.h>

#include "server/base/mem.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"

static uint64_t event_hash(const struct event *e)
{
    uint64_t h = mix64(e->sequence);
    h = mix64(h ^ e->index);
    h = mix64(h ^ ((uint64_t)e->position << 8 | (uint64_t)e->type));
    h = mix64(h ^ (uint64_t)e->wall_ms);
    return mix64(h ^ record_hash(e->record));
}

static size_t event_bytes(const struct event *e)
{
    return sizeof *e + record_size(e->record);
}

static struct event *at(const struct registry *r, uint64_t sequence)
{
    return atomic_load_explicit(&r->events[sequence % EVENTS_KEPT], memory_order_relaxed);
}

static void drop_oldest(struct registry *r)
{
    struct event *e = at(r, r->work.events_first);
    atomic_store_explicit(&r->events[e->sequence % EVENTS_KEPT], NULL, memory_order_relaxed);
    r->events_sum -= event_hash(e);
    r->events_bytes -= event_bytes(e);
    r->work.events_first++;
    registry_record_unref(r, e->record);
    registry_retire(r, e);
}

/* Takes the event, whose sequence follows the last. */
static void append(struct registry *r, struct event *e)
{
    r->work.events_last = e->sequence;
    while (e->sequence - r->work.events_first >= EVENTS_KEPT ||
           (r->events_bytes + event_bytes(e) > EVENTS_BYTES_MAX &&
            r->work.events_first < e->sequence)) {
        drop_oldest(r);
    }
    r->events_sum += event_hash(e);
    r->events_bytes += event_bytes(e);
    /* Readers find it only through a view, which is published with release. */
    atomic_store_explicit(&r->events[e->sequence % EVENTS_KEPT], e, memory_order_release);
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
}

void events_restore(struct registry *r, const struct event *event)
{
    struct event *e = mem_alloc(sizeof *e);
    *e = *event;
    append(r, e);
}

void events_clear(struct registry *r)
{
    while (r->work.events_first <= r->work.events_last) {
        drop_oldest(r);
    }
}
