/* Shared by the files of the node only.
 *
 * Thread: loop, except what is atomic or RCU. */
#ifndef MUSTER_NODE_INTERNAL_H
#define MUSTER_NODE_INTERNAL_H

#include <stdatomic.h>

#include "server/base/log.h"
#include "server/node/brake.h"
#include "server/node/node.h"
#include "server/node/probers.h"
#include "server/node/read.h"
#include "server/registry/registry.h"

#define BLOCKING_BUCKETS 4096

/* blocking.c: blocking queries. */
struct blocking {
    struct node_read *by_service[BLOCKING_BUCKETS]; /* by hash of the name */
    struct node_read *services;                     /* the list of services */
    struct node_read *changed;                      /* any instance */
    struct node_read *applied;                      /* an index */
    uint64_t deadline_ms;                           /* no read times out before this */
    _Atomic uint32_t count; /* of all waiting reads, including those that wait for a proof */
    _Atomic bool cancelled; /* some read was */
    bool stopped;
};

/* expiry.c: the leader's clock, and proposals for due leases. */
struct expiry {
    bool leads;
    uint64_t clock_ms;             /* cluster time as of `counted_ms` */
    uint64_t counted_ms;           /* monotonic; time until then was counted, or skipped */
    uint64_t stamped_ms;           /* largest cluster time put on an entry */
    uint64_t seen_ms;              /* monotonic, last turn of the loop */
    uint64_t grace_until_ms;       /* after an election */
    uint64_t pause_grace_until_ms; /* after a long turn of the loop */
    bool knows_all;                /* everything committed by earlier leaders is applied */
    bool proposed;                 /* an expire entry is in flight */
    bool bootstrapped;             /* the first token was proposed in this term */
    struct brake brake;
    bool braking;
};

/* probe.c: whether this replica may run active checks, and which. */
#define PROBE_SETS_WAITING 4
struct probe {
    /* Read by any thread. */
    _Atomic uint64_t version;
    _Atomic uint64_t until_ms; /* clock_boot_ms(), like all of these times; 0: not permitted */
    _Atomic uint64_t settled;  /* the epoch known for PROBE_WAIT_MS */
    atomic_bool declines;      /* runs none: set by any thread */
    /* Sets of probers that are not, the oldest first. */
    struct {
        uint64_t epoch, known_ms;
    } waiting[PROBE_SETS_WAITING];
    unsigned waiting_count;
    uint64_t epoch, active_index; /* of the last view */
    struct consensus_op proof;
    bool proving;
    uint64_t asked_ms;  /* when the last proof was asked for */
    uint64_t proved_ms; /* ... that came; 0: none has */
    uint64_t wanted_ms; /* since when proofs are wanted; 0: they are not */
    struct consensus_op leave;
    bool leaving;
};

struct node {
    struct consensus *consensus;
    struct registry *registry; /* the state machine */
    struct view_source views;  /* for readers */
    struct home *home;         /* replica.c: the registry, and its users */
    struct home *held;         /* replica.c: earlier ones still used by a snapshot */
    struct blocking blocking;
    struct expiry expiry;
    struct probe probe;
    struct probers_watch probers;
    uint32_t grace_ms; /* immutable after start, as the next three */
    uint32_t pause_grace_ms;
    uint32_t events_kept;
    uint64_t state_bytes;
    struct token *bootstrap; /* NULL: none */
    _Atomic(struct node_listener *) listeners;
    _Atomic uint64_t changed_ns;
    _Atomic uint32_t cluster_tag; /* 0: not known yet */
    uint64_t entry_ns;            /* when the application of the present entry started */
};

/* replica.c */
struct consensus_fsm replica_app(struct node *node);
/* The empty registry of a new node. */
void replica_init(struct node *node);
/* Consensus must have stopped, and no reader be left. */
void replica_done(struct node *node);

void replica_tell_listeners(struct node *node);

/* probe.c */
void probe_tick(struct node *node);
/* A new view is published. */
void probe_published(struct node *node);
/* Any thread: this replica is about to stop. */
void probe_leave(struct node *node);

/* read.c */
/* Whether what it watches has passed its index. */
bool read_is_changed(struct node_read *read, const struct view *view);
/* Continues from its stage: true if nothing is left to wait for. */
bool read_pass(struct node_read *read);
void read_finish(struct node_read *read, enum status status);

/* blocking.c */
/* After the proof: finishes the read if it need not wait. */
void blocking_add(struct node *node, struct node_read *read);
/* The index that readers here can rely on. */
uint64_t blocking_applied(const struct node *node);
/* After an entry: wakes reads whose condition may now hold. */
void blocking_published(struct node *node);
/* Periodically: ends reads that have timed out. */
void blocking_tick(struct node *node, uint64_t now_ms);
/* After a restore, which may have changed anything. */
void blocking_restored(struct node *node);
void blocking_fail_all(struct node *node, enum status status);

/* expiry.c */
void expiry_leadership(struct node *node, bool leader);
/* Before each entry: whether this leader has instances to wait for. */
void expiry_settle(struct node *node);
void expiry_tick(struct node *node, uint64_t now_ms);
uint64_t expiry_stamp_ms(struct node *node);
/* The leader's next proposal; false: none. */
bool expiry_command(struct node *node, struct command *ret_command);
/* A proposed expire entry was applied. */
void expiry_applied(struct node *node, uint32_t expired);

#endif
