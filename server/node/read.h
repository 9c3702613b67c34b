/* Staged reads: what must be true here before a reader may look at the view.
 *
 *     leader proof (linearizable) -> index applied (min_index) -> changed since (after_index)
 *
 * Thread: any. `done` comes on the loop thread, once, never from inside node_read.
 * Owns: nothing; the read is the caller's, and the node's from node_read until `done`. */
#ifndef MUSTER_NODE_READ_H
#define MUSTER_NODE_READ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "server/base/status.h"

struct node;

/* What has to change: its index must pass `after_index`. */
enum node_watch {
    NODE_WATCH_CHANGED,  /* any instance */
    NODE_WATCH_SERVICES, /* the list of services */
    NODE_WATCH_SERVICE,  /* the service `name` */
    NODE_WATCH_INSTANCE, /* the instance `name`; one that is not there has changed */
};

enum node_read_stage { NODE_READ_PROOF, NODE_READ_APPLIED, NODE_READ_CHANGE };

/* Fill in what is not private. */
struct node_read {
    void *data;
    /* ST_OK: look at the view now. ST_NO_LEADER: no proof in time. ST_TIMEOUT: min_index was not
     * reached in time. ST_STOPPING. */
    void (*done)(struct node_read *read, enum status status);
    bool linearizable;    /* this replica must hold all that was committed before the call */
    uint64_t min_index;   /* this must be applied here */
    uint64_t deadline_ms; /* monotonic: wait so long for a change; 0: do not wait for one */
    enum node_watch watch;
    uint64_t after_index;
    const char *name; /* of the service or instance; borrowed until done */

    /* When ST_OK: false when the time for a change is over. */
    bool changed;

    /* private */
    struct node *node;
    struct consensus_op op;
    struct node_read *next;
    char *service;                      /* of an instance */
    uint64_t service_index;             /* which the service's must pass */
    uint64_t until_ms;                  /* monotonic, of the stage; the loop's */
    _Atomic enum node_read_stage stage; /* the loop's, once node_read has returned */
    _Atomic uint64_t due_ms;            /* monotonic: when the stage should be over */
    _Atomic bool cancelled;
};

/* ST_OK: `done` will be called; or, with *ret_passed, it will not, and the view can be looked at
 * now. ST_BUSY, ST_STALLED, ST_STOPPING: it will not. */
MUST_USE enum status node_read(struct node *node, struct node_read *read, bool *ret_passed);

/* Any thread, as long as there is the read: nobody wants its answer any more. If `done` has not
 * come yet, it comes soon, with any status: within a tick of the loop. */
void node_read_cancel(struct node_read *read);
/* Any thread, until done: when the present stage should be over, monotonic. */
uint64_t node_read_due_ms(const struct node_read *read);
/* Any thread, until done: what to say in place of the node when that is long past. ST_OK: look at
 * the view; no change was waited for in vain, as far as can be seen. ST_TIMEOUT: min_index is not
 * reached. ST_STALLED: there is no proof. */
enum status node_read_late(const struct node_read *read);

#endif
