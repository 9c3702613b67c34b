/* Elections: which candidates are heard, and how libraft's clock advances.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_ELECTION_H
#define MUSTER_CONSENSUS_ELECTION_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

struct engine;

struct election {
    uint64_t ticked_ms;              /* of the last tick; 0: none yet */
    uint64_t libraft_ms;             /* when libraft's clock was last advanced */
    raft_term disrupt_term;          /* the one election that may disrupt a leader; 0: none yet */
    struct raft_message timeout_now; /* waits until our log is complete, */
    uint64_t timeout_now_until_ms;   /* ... up to this time; 0: there is none */
    uint64_t campaign_at_ms; /* when to campaign because the leader's process is gone; 0: never */
};

/* A vote request before libraft sees it: makes it heard once the leader has been silent for the
 * election timeout. */
void election_hear_candidate(struct engine *e, struct raft_message *message);
/* Whether to ignore this pre-vote request in favour of our own. */
bool election_goes_before(struct engine *e, const struct raft_message *message);
/* Corrects what libraft gets wrong in its election messages before they are sent. */
void election_amend(struct engine *e, struct raft_message *message);
/* Handles a TimeoutNow: campaigns as soon as our log is complete. */
void election_timeout_now(struct engine *e, const struct raft_message *message);
void election_pump(struct engine *e);
void election_tick(struct engine *e);
/* The leader's process is known to be gone. */
void election_leader_gone(struct engine *e, uint64_t leader);

#endif
