/* Staged reads: the conditions before a reader may use the view.
 *
 *     leader proof (linearizable) -> index applied (min_index) -> changed since (after_index)
 *
 * Thread: any. `done` runs on the loop thread, once, never from inside node_read. Owns: nothing;
 * the read belongs to the caller, and to the node from node_read until `done`. */
#ifndef MUSTER_NODE_READ_H
#define MUSTER_NODE_READ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "server/base/status.h"

struct node;

/* What must change: its index must pass `after_index`. */
enum node_watch {
    NODE_WATCH_CHANGED,  /* any instance */
    NODE_WATCH_SERVICES, /* the list of services */
    NODE_WATCH_SERVICE,  /* the service `name` */
    NODE_WATCH_CATALOG,  /* what is registered, health apart */
    NODE_WATCH_INSTANCE, /* the instance `name`; a missing one counts as changed */
};

enum node_read_stage { NODE_READ_PROOF, NODE_READ_APPLIED, NODE_READ_CHANGE };

/* Set what is not private. */
struct node_read {
    void *data;
    /* ST_OK: use the view now. ST_NO_LEADER: no proof in time. ST_TIMEOUT: min_index was not
     * reached in time. ST_STOPPING. */
    void (*done)(struct node_read *read, enum status status);
    bool linearizable;    /* this replica must have everything that was committed before the call */
    uint64_t min_index;   /* this must be applied here */
    uint64_t deadline_ms; /* monotonic: wait for a change until then; 0: do not wait */
    enum node_watch watch;
    uint64_t after_index;
    const char *name; /* of the service or instance; borrowed until done */

    /* With ST_OK: false if the wait for a change timed out. */
    bool changed;

    /* private */
    struct node *node;
    struct consensus_op op;
    struct node_read *next;
    char *service;                      /* of an instance */
    uint64_t service_index;             /* which the service's index must pass */
    uint64_t until_ms;                  /* monotonic, of the stage; used by the loop */
    _Atomic enum node_read_stage stage; /* the loop's, once node_read has returned */
    _Atomic uint64_t due_ms;            /* monotonic: when the stage should end */
    _Atomic bool cancelled;
};

/* ST_OK: `done` will be called; or, with *ret_passed, it will not, and the view can be used now.
 * ST_BUSY, ST_STALLED, ST_STOPPING: it will not. */
MUST_USE enum status node_read(struct node *node, struct node_read *read, bool *ret_passed);

/* Any thread, while the read exists: cancels it. If `done` has not run yet, it runs within a tick
 * of the loop, with any status. */
void node_read_cancel(struct node_read *read);
/* Any thread, until done: when the present stage should end, monotonic. */
uint64_t node_read_due_ms(const struct node_read *read);
/* Any thread, until done: the result to use instead of the node's when that is long overdue. ST_OK:
 * use the view; no change has been seen. ST_TIMEOUT: min_index is not reached. ST_STALLED: there is
 * no proof. */
enum status node_read_late(const struct node_read *read);

#endif
