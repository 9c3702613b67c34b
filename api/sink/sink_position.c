#include "api/sink/sink_position.h"

#include <string.h>

#include "server/base/clock.h"
#include "server/base/compiler.h"

void sink_position_init(struct sink_position_writer *w, const char *name, struct node *node,
                        struct lane *lane)
{
    *w = (struct sink_position_writer){.name = name, .node = node, .lane = lane};
    atomic_init(&w->busy, false);
    atomic_init(&w->failed, false);
}

void sink_position_forget(struct sink_position_writer *w)
{
    w->known = false;
}

static void done(struct node_write *write, enum status status)
{
    struct sink_position_writer *w = CONTAINER_OF(write, struct sink_position_writer, write);
    struct lane *lane = w->lane;
    /* A position that has gone further is as good: another replica has written it. */
    bool good =
        status == ST_OK && (write->result.status == ST_OK || write->result.status == ST_CONFLICT);
    atomic_store(&w->failed, !good);
    atomic_store(&w->busy, false);
    lane_wake(lane);
}

static void submit(struct sink_position_writer *w, struct event_id position, uint64_t now_ms)
{
    const struct command command = {
        .kind = COMMAND_SINK_CONFIRM,
        .sink_confirm = {.name = {w->name, strlen(w->name)},
                         .index = position.index,
                         .position = position.position},
    };
    w->write = (struct node_write){.done = done};
    w->asked = position;
    w->next_ms = now_ms + POSITION_PERIOD_MS;
    atomic_store(&w->failed, false);
    atomic_store(&w->busy, true);
    if (node_write(w->node, &w->write, &command) != ST_OK) {
        atomic_store(&w->failed, true);
        atomic_store(&w->busy, false);
    }
}

enum sink_begin sink_position_find(struct sink_position_writer *w, struct event_id *ret_after)
{
    enum sink_begin outcome = SINK_BEGIN_WAIT;
    const struct view *view = node_view_lock(w->node);
    const struct sink_position *row = sinks_find(&view->sinks, w->name);
    const struct event *last = view_event(view, view->events_last);
    struct event_id now = last != NULL ? event_id_of(last) : (struct event_id){0};
    bool has_level = view->level >= LEVEL_SINKS;
    bool has_room = view->sinks.count < SINKS_MAX;
    if (row != NULL) {
        *ret_after = (struct event_id){.index = row->index, .position = row->position};
        outcome = SINK_BEGIN_AT;
    }
    view_unlock(&view);
    if (outcome == SINK_BEGIN_AT) {
        w->written = *ret_after;
        w->known = true;
        if (!atomic_load(&w->busy)) {
            w->asked = w->written;
        }
        return outcome;
    }
    if (!has_level || !has_room) {
        return has_level ? SINK_BEGIN_NO_ROOM : SINK_BEGIN_LEVEL;
    }
    uint64_t now_ms = clock_monotonic_ms();
    if (!atomic_load(&w->busy) && now_ms >= w->next_ms) {
        submit(w, now, now_ms);
    }
    return outcome;
}

static bool is_same(struct event_id a, struct event_id b)
{
    return event_id_compare(a, b) == 0;
}

bool sink_position_is_written(const struct sink_position_writer *w, struct event_id confirmed)
{
    return w->known && is_same(w->written, confirmed);
}

/* What has become of the last write. */
static void settle(struct sink_position_writer *w)
{
    if (!is_same(w->asked, w->written) && !atomic_load(&w->failed)) {
        w->written = w->asked;
    }
    w->asked = w->written;
}

long sink_position_write(struct sink_position_writer *w, struct event_id confirmed, uint64_t now_ms,
                         bool at_once)
{
    if (!w->known || atomic_load(&w->busy)) {
        return -1;
    }
    settle(w);
    if (is_same(w->written, confirmed)) {
        return -1;
    }
    if (now_ms < w->next_ms && !at_once) {
        return (long)(w->next_ms - now_ms);
    }
    submit(w, confirmed, now_ms);
    return -1;
}
