/* A sink's position in the replicated state: where to begin, and writing how far it has come.
 *
 * One write at a time, and none sooner than POSITION_PERIOD_MS after the one before: a busy sink
 * costs the log five entries a second, and a silent one none. A write that fails is made again.
 *
 * Thread: the sink's, registered with liburcu; completions come on the loop thread. */
#ifndef MUSTER_API_SINK_SINK_POSITION_H
#define MUSTER_API_SINK_SINK_POSITION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/core/lane.h"
#include "server/node/event_cursor.h"
#include "server/node/node.h"

#define POSITION_PERIOD_MS 200

struct sink_position_writer {
    /* immutable after init */
    const char *name;
    struct node *node;
    struct lane *lane; /* woken when a write is done */
    /* the sink's thread, unless `busy` */
    struct node_write write;
    struct event_id written; /* confirmed by the log, or on its way there */
    struct event_id asked;   /* of the write that is on its way */
    bool known;              /* `written` is */
    uint64_t next_ms;        /* monotonic: no write before it */
    /* both */
    atomic_bool busy, failed; /* a write is on its way; the last one was not carried out */
};

enum sink_begin {
    SINK_BEGIN_AT,      /* *ret_after is its position */
    SINK_BEGIN_WAIT,    /* it is being written for the first time */
    SINK_BEGIN_LEVEL,   /* not before all members have a version that knows of sinks */
    SINK_BEGIN_NO_ROOM, /* there are as many sinks as there may be */
};

void sink_position_init(struct sink_position_writer *w, const char *name, struct node *node,
                        struct lane *lane);
/* This replica has begun to lead, or has ceased to: it knows nothing any more. */
void sink_position_forget(struct sink_position_writer *w);
/* Where to begin. A new sink begins with the next event. */
enum sink_begin sink_position_find(struct sink_position_writer *w, struct event_id *ret_after);
/* Writes it, when it is time. Returns in how many milliseconds it wants to be called again; -1:
 * when something has changed. `at_once`: without waiting for the period. */
long sink_position_write(struct sink_position_writer *w, struct event_id confirmed, uint64_t now_ms,
                         bool at_once);
/* Whether `confirmed` is in the log. */
bool sink_position_is_written(const struct sink_position_writer *w, struct event_id confirmed);

#endif
