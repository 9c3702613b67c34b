/* A sink of events: a program outside that gets every event of the registry, in order, at least
 * once. The leader sends; the position up to which the sink has confirmed everything is part of the
 * replicated state, so the next leader goes on from there (README.md).
 *
 *     follower ──(leads, has caught up)──► connecting ──► sending ──(trouble)──► waiting ──┐
 *        ▲                                     ▲              │                            │
 *        └──────────(leads no longer)──────────┼──────────────┘                            │
 *                                              └───────────────────(back-off)──────────────┘
 *
 * How a sink is reached is its kind's: AMQP, HTTP. One thread for each sink, which may block as
 * long as its kind says; nothing else of the replica ever waits for it.
 *
 * Thread: open, start, drain, stop: main. The calls of a kind: the sink's thread, but for abort. */
#ifndef MUSTER_API_SINK_SINK_H
#define MUSTER_API_SINK_SINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/event_id.h"
#include "api/core/lane.h"
#include "api/sink/sink_feed.h"
#include "api/sink/sink_position.h"
#include "server/base/metric.h"
#include "server/base/thread.h"
#include "server/node/node.h"

#define SINK_ERROR_SIZE 256

struct sink;

struct sink_kind {
    const char *name; /* in the replicated state, the log and of the thread */
    enum metric connected, sent_total, failures_total, resets_total, waiting; /* its own */
    /* False with a sentence in `error`, which names no secret. May take ten seconds. */
    bool (*connect)(struct sink *sink, char *error, size_t error_size);
    /* Whether it takes messages at the moment. NULL: always. */
    bool (*accepts)(struct sink *sink);
    /* Takes what it needs of the message, which is borrowed. May keep it until the next deliver.
     * False: the connection is of no use any more. */
    bool (*send)(struct sink *sink, const struct sink_message *message, char *error,
                 size_t error_size);
    /* Reads and writes what there is: called at least once a second while connected. Sets how many
     * of the messages sent are newly confirmed, from the oldest on. False as above. */
    bool (*deliver)(struct sink *sink, size_t *ret_confirmed, char *error, size_t error_size);
    /* Of the connection, to be polled for input; -1: none. NULL: none. */
    int (*descriptor)(struct sink *sink);
    /* After each connect, whether it succeeded or not. What was not confirmed is sent again. */
    void (*close)(struct sink *sink);
    sink_translate_fn *translate; /* NULL: nothing */
    /* Ends what the other calls wait for, soon. Any thread, at any time. */
    void (*abort)(struct sink *sink);
};

/* The first member of each kind's own structure. */
struct sink {
    /* immutable once it runs */
    const struct sink_kind *kind;
    struct node *node;
    struct thread thread;
    /* any thread */
    struct lane lane;
    struct node_listener listener;
    atomic_bool draining, stopping;
    atomic_bool connecting;
    /* the sink's thread */
    struct sink_feed feed;
    struct sink_position_writer writer;
    bool leads, connected;
    uint64_t connected_ms;         /* monotonic */
    uint64_t retry_ms;             /* monotonic: no attempt to connect before it */
    unsigned failures;             /* in a row */
    enum sink_begin begin;         /* what was logged of it */
    char trouble[SINK_ERROR_SIZE]; /* the last that was logged; "": none */
};

/* `sink->kind` is set. False with a sentence in `error`; sink_stop follows. */
MUST_USE bool sink_start(struct sink *sink, struct node *node, char *error, size_t error_size);
/* Sends nothing new; waits for a moment for what is on its way, and writes the position. */
void sink_drain(struct sink *sink);
/* The node has stopped. True if the thread has ended, and the sink can be freed. False if it hangs
 * in a call of the system, such as a look-up of a name: then it must be left alone. */
MUST_USE bool sink_stop(struct sink *sink);

/* --- for the thread; sink_run.c --- */

/* The thread's function. */
void *sink_run(void *sink);
/* False once the sink is to end. */
bool sink_goes_on(const struct sink *sink);

#endif
