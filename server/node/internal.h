/* What the files of the node share. Nobody else includes it.
 *
 * Thread: loop, but for what is said to be atomic or RCU. */
#ifndef MUSTER_NODE_INTERNAL_H
#define MUSTER_NODE_INTERNAL_H

#include <stdatomic.h>

#include "server/base/log.h"
#include "server/node/node.h"

#define WATCH_BUCKETS 4096

/* watch.c: reads that wait. */
struct watch {
    struct node_wait *by_service[WATCH_BUCKETS]; /* by hash of the name */
    struct node_wait *services;                  /* the list of services */
    struct node_wait *changed;                   /* any instance */
    struct node_wait *applied;                   /* an index */
    uint64_t deadline_ms;                        /* no wait is over before this */
    _Atomic uint32_t count;                      /* of all waits, linearizable reads included */
    bool stopped;
};

/* expiry.c: the leader's clock, and what it proposes when leases are due. */
struct expiry {
    bool leads;
    uint64_t clock_ms;   /* cluster time as of `counted_ms` */
    uint64_t counted_ms; /* monotonic; what passed until then was counted, or was not to be */
    uint64_t stamped_ms; /* largest cluster time put on an entry */
    uint64_t seen_ms;    /* monotonic, last turn of the loop */
    uint64_t grace_until_ms;
    bool proposed;          /* an expire entry is on its way */
    uint64_t window_ms;     /* of the mass-expiry brake: begin */
    uint32_t window_lapsed; /* leases lapsed or reaped in it */
    bool braking;
};

struct node {
    struct consensus *consensus;
    struct registry *registry; /* read with rcu_dereference */
    struct watch watch;
    struct expiry expiry;
    uint32_t grace_ms;    /* immutable after start */
    uint32_t events_kept; /* immutable after start */
    _Atomic(struct node_listener *) listeners;
    _Atomic uint64_t changed_ns;
    uint64_t entry_ns; /* when the entry being applied was begun */
};

/* replica.c */
struct consensus_app replica_app(struct node *node);
struct registry *replica_create_registry(struct node *node);

/* watch.c */
void watch_add(struct node *node, struct node_wait *wait);
/* After an entry: wakes those whose answer can have changed. */
void watch_published(struct node *node);
/* Now and then: times out those that are late. */
void watch_tick(struct node *node, uint64_t now_ms);
/* After a restore, which may have changed anything. */
void watch_restored(struct node *node);
void watch_fail_all(struct node *node, enum status status);

/* expiry.c */
void expiry_leadership(struct node *node, bool leader);
void expiry_tick(struct node *node, uint64_t now_ms);
uint64_t expiry_stamp_ms(struct node *node);
/* What the leader has to propose now; false: nothing any more. */
bool expiry_command(struct node *node, struct command *ret_command);
/* One of those was applied. */
void expiry_applied(struct node *node, uint32_t lapsed);

#endif
