/* Invariants checked from outside the state machine: terms, votes, leaders, lives, queues, starts
 * and stops, and the state of the cluster at the end; those of the disk are in durable.c, of
 * entries and operations in oracle.c, of leases in model.c, of reads in readers.c.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_CHECKS_H
#define MUSTER_SIM_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/disk/wal.h"
#include "consensus/peer/hello.h"

struct sim_member;
struct peer_message;

void checks_vote_stored(struct sim_member *m, const struct wal_state *state);
void checks_leadership(struct sim_member *m, bool leader, uint64_t term);
/* The life that led in this term; 0: none known. */
uint64_t checks_leader_of(uint64_t term);
void checks_after_call(struct sim_member *m);
/* It ended itself: only allowed after a disk error or damage. */
void checks_fatal(const struct sim_member *m, const char *sentence);
/* It failed to start: only allowed after damage or, for now, a disk error. */
void checks_refused_start(const struct sim_member *m, const char *error, bool excused);
void checks_started(struct sim_member *m);
void checks_stopped(const struct sim_member *m);
/* At rest: all members are equal, nothing waits, no queue has grown. */
void checks_converged(void);

/* --- membership --- */

/* It starts as this life; an emptied, forked or restored directory counts as a new one. */
void checks_identified(struct sim_member *m, const struct hello_facts *facts);
void checks_forget_life(struct sim_member *m);
/* It runs as a member of a cluster. */
void checks_member_of_cluster(const struct sim_member *m, const struct hello_facts *facts);
bool checks_is_formed(void);
/* The id of the formed cluster; NULL before. */
const struct cluster_id *checks_cluster(void);
/* The last configuration proposed; empty: none. */
const struct raft_configuration *checks_proposed(void);
/* The life of a member in the newest configuration, the later of two; 0: none. */
uint64_t checks_life(uint64_t id);
/* Whether this life is, or was before the loss of a directory, the member's. */
bool checks_was_life(uint64_t id, uint64_t life);
/* The highest term known to any member. */
uint64_t checks_term(void);
/* In the newest configuration committed anywhere. */
unsigned checks_voters(void);
/* Checks too expensive for every call. */
void checks_thoroughly(const struct sim_member *m);
/* Whether its life is in the newest configuration committed anywhere. */
bool checks_is_configured(const struct sim_member *m);
bool checks_is_voter(const struct sim_member *m);
/* Whether it must be healthy: a voter that nothing was done to. */
bool checks_is_judged(const struct sim_member *m);

/* --- versions --- */

void checks_new_kind(const struct sim_member *m);
void checks_level(const struct sim_member *m, uint16_t level);

/* --- disk contents (durable.c) --- */

/* A member sends a message: it may only reveal what is durable. */
void checks_sent(const struct sim_member *m, uint64_t to, const struct peer_message *message);
/* The running member acknowledged an operation in this entry. */
void checks_acknowledged(uint64_t index);

#endif
