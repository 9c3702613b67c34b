/* The subscriptions to events of one worker thread: which of them an event concerns, which have
 * been silent for long, which do not move any more. How a subscriber's protocol says it is the
 * door's.
 *
 * A subscription is *idle* when its client has all events; *woken* when there is something for it,
 * until its turn comes; *active* while the client takes what it is given. An event is looked at
 * once for each service, not once for each subscription: idle ones are found by the service that
 * they follow. They are resumed a few hundred at a time, so that other requests pass in between.
 *
 * Thread: the worker, but for the listener, which the node's loop calls. */
#ifndef MUSTER_API_CORE_SUBSCRIPTIONS_H
#define MUSTER_API_CORE_SUBSCRIPTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <urcu/list.h>

#include "server/node/event_cursor.h"
#include "server/node/node.h"

#define SUBSCRIPTIONS_BUCKETS 1024

/* Part of what the door keeps for a subscriber. */
struct subscription {
    struct event_cursor cursor; /* the door's to begin and to end */
    bool remind;                /* the client is to be sent a sign of life */
    bool closed;                /* nothing more comes */
    /* private */
    struct cds_list_head place; /* among the idle, the active or the woken */
    struct cds_list_head peers; /* of its service, or without one */
    enum { SUBSCRIPTION_ACTIVE, SUBSCRIPTION_IDLE, SUBSCRIPTION_WOKEN } state;
    uint64_t moved_ms; /* monotonic: when the client last took something */
};

struct subscription_actions {
    void (*wake)(void *ctx);                /* the worker; called by any thread */
    void (*resume)(struct subscription *s); /* reads will follow */
    void (*cut)(struct subscription *s);    /* its client has stopped reading */
    void *ctx;
};

struct subscriptions {
    struct node *node; /* immutable after start, like the actions */
    struct subscription_actions actions;
    struct node_listener listener;
    _Atomic unsigned count; /* of all subscriptions */
    atomic_bool notified;   /* of events not looked at */
    /* worker only */
    struct cds_list_head by_service[SUBSCRIPTIONS_BUCKETS]; /* idle ones that follow a service */
    struct cds_list_head others;                            /* idle ones that do not */
    struct cds_list_head idle;                              /* the one silent for longest first */
    struct cds_list_head woken;
    struct cds_list_head active; /* the one that has not moved for longest first */
    uint64_t seen;               /* events up to this sequence were looked at for the idle */
    uint64_t wave_ns; /* when the oldest event not yet taken by all was applied; 0: none */
    bool closing;
};

/* The node notifies `all` of events until it is destroyed. */
void subscriptions_start(struct subscriptions *all, struct node *node,
                         const struct subscription_actions *actions);

/* An active one that was just opened. */
void subscriptions_add(struct subscriptions *all, struct subscription *s);
/* Before it is freed. */
void subscriptions_remove(struct subscriptions *all, struct subscription *s);
/* The client has taken something. */
void subscriptions_moved(struct subscriptions *all, struct subscription *s);
/* The client has all that there is. */
void subscriptions_idle(struct subscriptions *all, struct subscription *s);

/* Once in each turn of the worker. True when more is to be done at once. */
bool subscriptions_run(struct subscriptions *all);
/* After what was resumed has been written. */
void subscriptions_measure(struct subscriptions *all);
/* Ends all, and those to come. */
void subscriptions_close(struct subscriptions *all);

#endif
