/* Elections: who is heard as a candidate, and how time passes for libraft.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_ELECTION_H
#define MUSTER_CONSENSUS_ELECTION_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

struct engine;

struct election {
    uint64_t ticked_ms;     /* when the last tick came; 0: none yet */
    uint64_t libraft_ms;    /* when libraft was last told that time passes */
    raft_term disrupt_term; /* the one election in which we may disrupt a leader, 0: not yet */
    struct raft_message timeout_now; /* waits for our log to be whole, */
    uint64_t timeout_now_until_ms;   /* ... until then; 0: there is none */
    uint64_t campaign_at_ms; /* when to stand because the leader's process is gone; 0: not */
};

/* A request for a vote, before libraft sees it: lets it be heard as soon as the leader has been
 * silent for the election timeout. */
void election_hear_candidate(struct engine *e, struct raft_message *message);
/* Whether it is a request for a pre-vote that is not to be heard, because we ask for ours. */
bool election_goes_before(struct engine *e, const struct raft_message *message);
/* What libraft says wrongly in elections, put right before it is sent. */
void election_amend(struct engine *e, struct raft_message *message);
/* A TimeoutNow: taken up as soon as our log is whole. */
void election_timeout_now(struct engine *e, const struct raft_message *message);
void election_pump(struct engine *e);
void election_tick(struct engine *e);
/* The process of the leader is known to be gone. */
void election_leader_gone(struct engine *e, uint64_t leader);

#endif
