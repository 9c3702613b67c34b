/* A renewal of leases, as up to two commands: COMMAND_RENEW by lease reference for ids that this
 * replica knows; then COMMAND_HEARTBEAT by id for those it does not know (it may lag) and those
 * whose reference was stale. Only the second can prove that an id does not exist. Each waits up to
 * the write timeout, so the second may outlast the request: whoever answers instead of the node
 * then (api/http/call.c) returns ST_UNKNOWN, which is true while a write is in flight.
 *
 * Thread: any. `done` runs on the loop thread, once, never from inside node_renew. Owns: its own
 * memory, until `done` has returned; the rest belongs to the caller. */
#ifndef MUSTER_NODE_RENEW_H
#define MUSTER_NODE_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#include "server/node/node.h"

/* Set what is not private. What it borrows is needed until `done`. */
struct node_renewal {
    void *data;
    /* ST_OK: see the results, even if all ids are unknown. ST_CONFLICT: it has another incarnation.
     * ST_UNKNOWN: all or part of it may have happened, also if part was done and the rest refused.
     * Anything else: nothing was done. */
    void (*done)(struct node_renewal *renewal, enum status status);
    const struct slice *ids; /* borrowed, 1..HEARTBEAT_IDS_MAX */
    uint32_t count;
    /* Only with a single id, which then goes by id. */
    uint64_t incarnation; /* 0: any */
    bool health_given;
    enum health health; /* passing, warning or critical */
    bool note_given;
    struct slice note;  /* borrowed */
    struct guard guard; /* of both commands; borrowed until `done` */
    struct slice space; /* the namespace of the ids, as in a command; borrowed until `done` */

    /* Valid in `done`. */
    uint64_t index;   /* of the last entry; 0: none */
    uint64_t present; /* ST_CONFLICT: the present incarnation */
    uint64_t renewed;
    uint32_t *missed; /* the unknown ones of `ids`; from malloc, the caller's */
    uint32_t missed_count;

    /* private */
    struct node *node;
    struct node_write write;
    uint8_t *refs;
    uint32_t *ref_ids; /* the id of each reference */
    struct slice *by_id;
    uint32_t *by_id_ids;
    uint32_t refs_count, by_id_count;
};
/* ST_OK: `done` will be called; otherwise nothing was done, and it will not. */
MUST_USE enum status node_renew(struct node *node, struct node_renewal *renewal);

#endif
