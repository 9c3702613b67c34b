/* What a sink is sent: the events after its position, as messages; and which of them it has
 * confirmed.
 *
 * Thread: the sink's, registered with liburcu. Owns: its messages. */
#ifndef MUSTER_API_SINK_SINK_FEED_H
#define MUSTER_API_SINK_SINK_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/event_id.h"
#include "server/base/buffer.h"
#include "server/node/node.h"
#include "server/registry/namespace.h"

/* Messages that were sent and are not confirmed yet, and their bytes. They fit into the buffer of a
 * socket, so that sending them seldom has to wait. */
#define SINK_WINDOW       256u
#define SINK_WINDOW_BYTES (256u * 1024)
/* Prepared at once: the view is held only while they are. One event may make some messages more. */
#define SINK_FEED_BATCH 64
#define SINK_FEED_MORE  64
#define SINK_KEY_SIZE   256

/* An event, or `reset`: events before it are gone that this sink was not sent. */
struct sink_message {
    struct event_id id;
    char id_text[EVENT_ID_SIZE];
    const char *event; /* static: "registered", ..., "reset" */
    /* As clients know them; "" in a reset, and the namespace also in `default`. */
    char service[STORED_NAME_SIZE];
    char space[NAMESPACE_SIZE];
    int64_t wall_ms;
    char key[SINK_KEY_SIZE]; /* of a message that a kind has made of an event itself; "": none */
    bool is_last;            /* of those of its event: once it is confirmed, the event is */
    const char *body;        /* JSON */
    size_t body_len;
};

/* What a kind makes of some events beside the message that every event is: number `nth` of them,
 * with a key and a body. False: there are no more. */
typedef bool sink_translate_fn(const struct view *view, const struct event *event, size_t nth,
                               char key[SINK_KEY_SIZE], struct buffer *body);

struct sink_feed {
    bool begun;
    uint64_t next;                /* sequence of the first event that is not prepared yet */
    bool lost;                    /* a reset comes next */
    sink_translate_fn *translate; /* NULL: nothing */
    /* Prepared and not sent yet. */
    struct sink_message batch[SINK_FEED_BATCH + SINK_FEED_MORE];
    size_t batch_at, batch_count;
    struct buffer bodies;
    /* Sent and not confirmed yet, the oldest first: a ring. */
    struct sink_sent {
        struct event_id id;
        size_t bytes;
        bool is_last;
    } sent[SINK_WINDOW];
    size_t sent_first, sent_count, sent_bytes;
    struct event_id confirmed; /* this and all before it */
};

/* `translate` NULL: nothing. */
void sink_feed_init(struct sink_feed *feed, sink_translate_fn *translate);
void sink_feed_done(struct sink_feed *feed);

/* Begins after an event, and forgets what was sent. */
void sink_feed_begin(struct sink_feed *feed, struct node *node, struct event_id after);
/* The next message, which stays until the next call of this function; NULL: there is none. */
const struct sink_message *sink_feed_next(struct sink_feed *feed, struct node *node);
/* It has been sent. There must be room: fewer than SINK_WINDOW are sent and not confirmed. */
void sink_feed_sent(struct sink_feed *feed, const struct sink_message *message);
/* The next `count` of those sent are confirmed. */
void sink_feed_confirm(struct sink_feed *feed, size_t count);
/* Events that are not confirmed. */
uint64_t sink_feed_waiting(const struct sink_feed *feed, struct node *node);

#endif
