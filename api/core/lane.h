/* The way back to a worker thread: what the node's loop is done with is given here, and its worker
 * takes it. Writes pass the reads, of which ten thousand may have waited for one of them.
 *
 *     loop:    lane_give -> the first into an empty queue makes `fd` readable
 *     worker:  `fd` readable -> lane_clear -> lane_run, until it says that nothing is left
 *
 * Thread: give and wake: any. The others: the worker.
 * Owns: its descriptor. The items are the door's. */
#ifndef MUSTER_API_CORE_LANE_H
#define MUSTER_API_CORE_LANE_H

#include <stdbool.h>

#include <urcu/wfcqueue.h>

#include "server/base/compiler.h"

enum lane_kind { LANE_WRITE, LANE_READ, LANE_KINDS };

/* Part of what a door keeps for an operation of the node. */
struct lane_item {
    struct cds_wfcq_node node; /* private */
};

struct lane {
    int fd; /* to be polled for input */
    /* private */
    struct {
        struct cds_wfcq_head head;
        struct cds_wfcq_tail tail;
    } queues[LANE_KINDS];
};

/* False with errno. It is to be closed in any case. */
MUST_USE bool lane_open(struct lane *lane);
/* When nobody gives or wakes any more. */
void lane_close(struct lane *lane);

/* Before it is given for the first time. */
void lane_item_init(struct lane_item *item);
/* The item is the worker's again, which gets it once. */
void lane_give(struct lane *lane, struct lane_item *item, enum lane_kind kind);
/* Makes `fd` readable: there is something to be seen that is no item. */
void lane_wake(struct lane *lane);

/* Before anything is looked at: what comes later makes `fd` readable again. */
void lane_clear(struct lane *lane);
/* Calls `take` with what was given: writes first, each kind in the order in which it was given.
 * Only so many that other work gets its turn; true when there are more. `take` may give the item
 * anew. */
MUST_USE bool lane_run(struct lane *lane, void (*take)(struct lane_item *item));

#endif
