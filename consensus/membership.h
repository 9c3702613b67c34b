/* Changes of the configuration, one at a time, by the leader (section 4 of the Raft dissertation),
 * and only those that no acknowledged write can be lost by:
 *
 * - A member that comes back empty is a new life. It becomes a standby beside the life that it had;
 *   the earlier life is taken out; when the standby has caught up, it gets a vote. Each step must
 *   be committed by a majority of the voters, of which the new life is none, and the earlier one
 *   says nothing any more. The configuration alone says how far that has come, so that any leader
 *   goes on with it.
 * - A standby that has caught up gets a vote for as long as there are fewer voters than wanted,
 *   unless it was demoted by hand.
 * - A member that says that it is elsewhere gets that address.
 * - What is asked for (change.h): a member is taken out, gets a vote, loses it, or leads.
 *
 * Thread: loop. Owns: nothing. */
#ifndef MUSTER_CONSENSUS_MEMBERSHIP_H
#define MUSTER_CONSENSUS_MEMBERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/consensus.h"

struct engine;

struct membership {
    /* The new life that may be let in next, and since when it is there. */
    uint64_t new_life, since_ms;
};

void membership_tick(struct engine *e);
/* Leader: begins what is asked for, or goes on with it; ask again until it is so. ST_OK: nothing is
 * against it, and when it is so, *ret_so_at is the index of the configuration in which it is
 * committed. ST_NOT_FOUND: there is no such member; ST_CONFLICT: consensus_plan() says why. */
enum status membership_change(struct engine *e, const struct consensus_change *change,
                              uint64_t *ret_so_at);

#endif
