/* The guard's part for elections: who is heard as a candidate, and how time passes for libraft.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_GUARD_ELECTION_H
#define MUSTER_CONSENSUS_GUARD_ELECTION_H

#include "consensus/guard.h"

/* A request for a vote, before libraft sees it: lets it be heard as soon as the leader has been
 * silent for the election timeout. */
void guard_hear_candidate(const struct guard *g, struct raft_message *message);
/* Whether it is a request for a pre-vote that is not to be heard, because we ask for ours. */
bool guard_goes_before(struct guard *g, const struct raft_message *message);
/* libraft's tick. */
void guard_tick(struct guard *g);

#endif
