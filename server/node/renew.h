/* A renewal of leases, as up to two commands: COMMAND_RENEW by lease reference for the ids that
 * this replica knows; then COMMAND_HEARTBEAT by id for those that it does not know (it may lag) and
 * those whose reference was stale. Only the second can say that there is no such id. Each
 * waits up to the write timeout, so the second may outlast the request: whoever answers in place of
 * the node then (api/http/call.c) says ST_UNKNOWN, which is true while a write is on its way.
 *
 * Thread: any. `done` comes on the loop thread, once, never from inside node_renew.
 * Owns: its own memory, until `done` has returned; the rest is the caller's. */
#ifndef MUSTER_NODE_RENEW_H
#define MUSTER_NODE_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#include "server/node/node.h"

/* Fill in what is not private. What it borrows is needed until `done`. */
struct node_renewal {
    void *data;
    /* ST_OK: see the results, also when all ids are unknown. ST_CONFLICT: it has another
     * incarnation. ST_UNKNOWN: all or a part of it may have happened; so it is when a part was done
     * and the rest refused. Anything else: nothing was done. */
    void (*done)(struct node_renewal *renewal, enum status status);
    const struct slice *ids; /* borrowed, 1..HEARTBEAT_IDS_MAX */
    uint32_t count;
    /* What a single id may say besides (it goes by id then). */
    uint64_t incarnation; /* 0: whichever is there */
    bool health_given;
    enum health health; /* passing, warning or critical */
    bool note_given;
    struct slice note; /* borrowed */

    /* Valid in `done`. */
    uint64_t index;   /* of the last entry; 0: none */
    uint64_t present; /* ST_CONFLICT: the incarnation that is there */
    uint64_t renewed;
    uint32_t *missed; /* which of `ids` are unknown; from malloc, the caller's */
    uint32_t missed_count;

    /* private */
    struct node *node;
    struct node_write write;
    uint8_t *refs;
    uint32_t *ref_ids; /* which id each reference is of */
    struct slice *by_id;
    uint32_t *by_id_ids;
    uint32_t refs_count, by_id_count;
};
/* ST_OK: `done` will be called; else nothing was done, and it will not. */
MUST_USE enum status node_renew(struct node *node, struct node_renewal *renewal);

#endif
