/* Leadership transfer (section 3.10 of the Raft dissertation): when a leader stops, when its disk
 * is full, and when a follower lost what it had confirmed to this leader.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_TRANSFER_H
#define MUSTER_CONSENSUS_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

struct transfer {
    uint64_t begun_ms; /* last attempt, 0: none */
    /* Leadership transfer pending, to any member but this; 0: none. */
    uint64_t excluding;
};

/* To the member that can be reached and has applied most, besides `except` (0: any). Does nothing
 * when this member is not the leader, when there is no target, or right after the last attempt. */
void transfer_begin(struct engine *e, uint64_t except);
/* To that member, at once; 0: to the best one. Does nothing when it cannot be now. */
void transfer_to(struct engine *e, uint64_t id);
/* A member that could lead in our place; 0: there is none. */
uint64_t transfer_target(struct engine *e, uint64_t except);
void transfer_tick(struct engine *e);

#endif
