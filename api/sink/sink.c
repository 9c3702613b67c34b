#include "api/sink/sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* For what is on its way, and the position. */
#define DRAIN_MS 1500
/* For a call that was aborted to return. */
#define STOP_MS 3000

static void wake(struct node_listener *listener)
{
    lane_wake(&CONTAINER_OF(listener, struct sink, listener)->lane);
}

bool sink_start(struct sink *s, struct node *node, char *error, size_t error_size)
{
    s->node = node;
    atomic_init(&s->draining, false);
    atomic_init(&s->stopping, false);
    atomic_init(&s->connecting, false);
    sink_feed_init(&s->feed, s->kind->translate);
    if (!lane_open(&s->lane)) {
        (void)snprintf(error, error_size, "cannot open a descriptor for the sink %s: %s",
                       s->kind->name, strerror(errno));
        return false;
    }
    sink_position_init(&s->writer, s->kind->name, node, &s->lane);
    s->listener.told = wake;
    node_listen(node, &s->listener);
    if (!thread_start(&s->thread, s->kind->name, sink_run, s)) {
        (void)snprintf(error, error_size, "cannot start a thread for the sink %s", s->kind->name);
        return false;
    }
    return true;
}

void sink_drain(struct sink *s)
{
    atomic_store(&s->draining, true);
    if (s->thread.runs) {
        lane_wake(&s->lane);
        if (!atomic_load(&s->connecting)) {
            (void)thread_join_within(&s->thread, DRAIN_MS);
        }
    }
}

bool sink_stop(struct sink *s)
{
    if (s->node == NULL) {
        return true;
    }
    atomic_store(&s->stopping, true);
    if (s->thread.runs) {
        s->kind->abort(s);
        lane_wake(&s->lane);
        if (!thread_join_within(&s->thread, STOP_MS)) {
            thread_leave(&s->thread);
            return false;
        }
    }
    sink_feed_done(&s->feed);
    lane_close(&s->lane);
    return true;
}
