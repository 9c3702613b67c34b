/* Invariants that are looked at from outside of the state machine: terms, votes, leaders, queues,
 * starts and stops, and how the cluster stands at the end. Those of entries and operations are in
 * truth.c, those of leases in model.c, those of reads in readers.c.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_CHECKS_H
#define MUSTER_SIM_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

struct member;

void checks_term_stored(const struct member *m, uint64_t old, uint64_t new);
void checks_vote_stored(struct member *m, uint64_t term, uint64_t vote);
void checks_wiped(const struct member *m);
void checks_leadership(struct member *m, bool leader, uint64_t term);
void checks_after_call(struct member *m);
/* It ended itself: only a disk error is a reason. */
void checks_fatal(const struct member *m, const char *sentence);
/* It does not start: only damage is a reason. */
void checks_refused_start(const struct member *m, const char *error);
void checks_started(struct member *m);
void checks_stopped(const struct member *m);
/* All is quiet and whole: everybody has the same, nothing waits, nothing has piled up. */
void checks_converged(void);

#endif
