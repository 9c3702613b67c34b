/* One event stream as text (Server-sent events: WHATWG HTML, section 9.2). It is read a piece at a
 * time, as the client takes it; what does not fit is made later from the view of that time, so that
 * a stream holds one event at most.
 *
 *     id: 17.0
 *     event: registered
 *     data: {"id":"17.0","event":"registered",...}
 *
 * Ids are positions in the log, the same on every replica. A block of an id alone is a bookmark: it
 * moves the position to resume at, past events that do not match, and browsers dispatch nothing for
 * it. While instances are presented no id is sent: a client that comes back then begins anew.
 *
 * Thread: the worker that owns the connection. Owns: its feed and texts. */
#ifndef MUSTER_API_STREAM_H
#define MUSTER_API_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <urcu/list.h>

#include "api/event_query.h"
#include "server/base/buffer.h"
#include "server/node/feed.h"
#include "server/node/node.h"

struct stream {
    struct feed feed;
    struct node *node;
    void *owner; /* of the connection */
    /* What the client is to be told besides events. */
    bool greet;         /* where the stream begins */
    bool remind;        /* that it is still open */
    bool closed;        /* nothing more comes */
    uint64_t marked;    /* feed.next when the client was last sent an id */
    struct buffer rest; /* of a text that was too long for the last piece */
    size_t rest_at;
    /* The hub's (hub.h). */
    struct cds_list_head place; /* among the idle, the active or the woken */
    struct cds_list_head peers; /* of its service, or without one */
    enum { STREAM_ACTIVE, STREAM_IDLE, STREAM_WOKEN } state;
    uint64_t moved_ms; /* monotonic: when the client last took something */
};

/* Takes the query's filter. Within a read-side critical section. */
struct stream *stream_open(struct node *node, struct event_query *query, const struct view *view);
void stream_free(struct stream *stream);
/* The next piece, of at most `max` bytes. 0: nothing for now. */
size_t stream_read(struct stream *stream, char *out, size_t max);
/* The position to resume at, as text; empty when there is none. */
void stream_describe(const struct stream *stream, char *out, size_t size);

#endif
