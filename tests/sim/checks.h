/* Invariants that are looked at from outside of the state machine: terms, votes, leaders, lives,
 * queues, starts and stops, and how the cluster stands at the end; what is on disk is in durable.c.
 * Those of entries and operations are in oracle.c, those of leases in model.c, those of reads in
 * readers.c.
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
/* The life that led in this term; 0: none that is known. */
uint64_t checks_leader_of(uint64_t term);
void checks_after_call(struct sim_member *m);
/* It ended itself: only an error of its disk or damage is a reason. */
void checks_fatal(const struct sim_member *m, const char *sentence);
/* It does not start: only damage is a reason; or, for now, an error of its disk. */
void checks_refused_start(const struct sim_member *m, const char *error, bool excused);
void checks_started(struct sim_member *m);
void checks_stopped(const struct sim_member *m);
/* All is quiet and whole: everybody has the same, nothing waits, nothing has piled up. */
void checks_converged(void);

/* --- who belongs to the cluster --- */

/* It starts as this life; a directory that was emptied, forked or put back is one anew. */
void checks_identified(struct sim_member *m, const struct hello_facts *facts);
void checks_forget_life(struct sim_member *m);
/* It runs as a member of a cluster. */
void checks_member_of_cluster(const struct sim_member *m, const struct hello_facts *facts);
bool checks_is_formed(void);
/* What the cluster was formed with; NULL before. */
const struct cluster_id *checks_cluster(void);
/* The configuration that was proposed last; empty: none was. */
const struct raft_configuration *checks_proposed(void);
/* The life of a member in the newest configuration, the later of two; 0: none. */
uint64_t checks_life(uint64_t id);
/* Whether the member is, or was before its directory was lost, this life. */
bool checks_was_life(uint64_t id, uint64_t life);
/* Whether its life is one of those that vote. */
uint64_t checks_term(void);
/* Of the newest configuration that is committed anywhere. */
unsigned checks_voters(void);
/* What is too dear to be looked at after each call. */
void checks_thoroughly(const struct sim_member *m);
/* Whether its life is in the newest configuration that is committed anywhere. */
bool checks_is_configured(const struct sim_member *m);
bool checks_is_voter(const struct sim_member *m);
/* Whether it is expected to be whole: a voter, and nothing was done to it. */
bool checks_is_judged(const struct sim_member *m);

/* --- versions --- */

void checks_new_kind(const struct sim_member *m);
void checks_level(const struct sim_member *m, uint16_t level);

/* --- what is on disk (durable.c) --- */

/* A member says something to another: only what is durable may be said. */
void checks_sent(const struct sim_member *m, uint64_t to, const struct peer_message *message);
/* An operation was acknowledged in this entry by the member that runs. */
void checks_acknowledged(uint64_t index);

#endif
