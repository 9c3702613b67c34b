/* The leader's configuration changes, one at a time (section 4 of the Raft dissertation), and only
 * such as cannot lose an acknowledged write:
 *
 * - A member that comes back empty is a new life. It becomes a standby beside its earlier life; the
 *   earlier one is removed; when the standby has caught up, it gets the vote. A majority of the
 *   voters must commit each step, without the new life, and the earlier one is silent. The
 *   configuration alone records the progress, so any leader can continue.
 * - A standby that has caught up is promoted while there are fewer voters than wanted, unless it
 *   was demoted by hand.
 * - A member that announces another address gets that address.
 * - Requests (change.h): a member is removed, promoted, demoted, or made the leader.
 *
 * Thread: loop. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_MEMBERSHIP_H
#define MUSTER_CONSENSUS_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/consensus.h"

struct engine;

struct membership {
    /* The new life that may be admitted next, and since when it has been there. */
    uint64_t new_life, since_ms;
};

void membership_tick(struct engine *e);
/* Leader: starts or continues a requested change; repeat until it is done. ST_OK: nothing prevents
 * it, and once it is done, *ret_so_at is the index of the configuration in which it is committed.
 * ST_NOT_FOUND: no such member; ST_CONFLICT: consensus_plan() gives the reason. */
enum status membership_change(struct engine *e, const struct consensus_change *change,
                              uint64_t *ret_so_at);

#endif
