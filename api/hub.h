/* The event streams of one worker: which of them an event concerns, which have been silent for
 * long, which do not move any more.
 *
 * A stream is *idle* when its client has been told everything; *woken* when there is something for
 * it, until its turn comes; *active* while the client takes what it is given. An event is looked at
 * once for each service, not once for each stream: idle streams are found by the service that they
 * follow. Streams are resumed a few hundred at a time, so that other requests pass in between.
 *
 * Thread: the worker, but for the listener, which the node's loop calls. */
#ifndef MUSTER_API_HUB_H
#define MUSTER_API_HUB_H

#include <stdatomic.h>
#include <stdbool.h>

#include <urcu/list.h>

#include "api/stream.h"
#include "server/node/node.h"

#define HUB_BUCKETS 1024

struct hub_actions {
    void (*wake)(void *ctx);               /* the worker; called by any thread */
    void (*resume)(struct stream *stream); /* reads will follow */
    void (*cut)(struct stream *stream);    /* its client has stopped reading */
    void *ctx;
};

struct hub {
    struct node *node; /* immutable after start, like the actions */
    struct hub_actions actions;
    struct node_listener listener;
    _Atomic unsigned count; /* of all streams */
    atomic_bool told;       /* of events not looked at */
    /* worker only */
    struct cds_list_head by_service[HUB_BUCKETS]; /* idle ones that follow a service */
    struct cds_list_head others;                  /* idle ones that do not */
    struct cds_list_head idle;                    /* the one silent for longest first */
    struct cds_list_head woken;
    struct cds_list_head active; /* the one that has not moved for longest first */
    uint64_t seen;               /* events up to this sequence were looked at for the idle */
    uint64_t wave_ns; /* when the oldest event not yet taken by all was applied; 0: none */
    bool closing;
};

/* The hub is told of events until the node is destroyed. */
void hub_start(struct hub *hub, struct node *node, const struct hub_actions *actions);

/* An active stream that was just opened. */
void hub_add(struct hub *hub, struct stream *stream);
/* Before it is freed. */
void hub_remove(struct hub *hub, struct stream *stream);
/* The client has taken something, or all that there is. */
void hub_moved(struct hub *hub, struct stream *stream);
void hub_is_idle(struct hub *hub, struct stream *stream);
/* There is something for it: its end, for example. */
void hub_wake(struct hub *hub, struct stream *stream);

/* Once in each turn of the worker. True when more is to be done at once. */
bool hub_run(struct hub *hub);
/* After what was resumed has been written. */
void hub_measure(struct hub *hub);
/* Ends all streams, and those to come. */
void hub_close(struct hub *hub);

#endif
