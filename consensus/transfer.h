/* Leadership transfer (section 3.10 of the Raft dissertation): when a leader stops, has a full
 * disk, or finds that a follower has lost what it had confirmed to this leader.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_TRANSFER_H
#define MUSTER_CONSENSUS_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

struct engine;

struct transfer {
    uint64_t begun_ms; /* last attempt; 0: none */
    /* Leadership transfer pending, to any member but this; 0: none. */
    uint64_t excluding;
};

/* Transfers to the reachable member that has applied most, except `except` (0: any). No effect if
 * this member does not lead, there is no target, or the last attempt was a moment ago. */
void transfer_begin(struct engine *e, uint64_t except);
/* Transfers to that member at once; 0: to the best one. No effect if that is impossible now. */
void transfer_to(struct engine *e, uint64_t id);
/* A member that could lead in our place; 0: none. */
uint64_t transfer_target(struct engine *e, uint64_t except);
void transfer_tick(struct engine *e);

#endif
