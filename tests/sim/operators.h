/* Operators: they promote, demote and transfer leadership, and let the cluster grow and shrink,
 * while everything fails. Only in some runs, without damaged directories: with few votes, a
 * minority of the members can be all voters.
 *
 * Thread: one. Owns: its requests. */
#ifndef MUSTER_SIM_OPERATORS_H
#define MUSTER_SIM_OPERATORS_H

#include <stdbool.h>

struct sim_member;

/* Whether this run has any. Depends only on the seed, so that other runs stay the same. */
bool operators_are_here(void);
/* For growth.h: how many members start, and the maximum number of machines. */
void operators_draw_growth(unsigned *ret_first, unsigned *ret_all);
void operators_start(void);
/* Whether a request is still unanswered. */
bool operators_wait(void);
/* Makes no more requests; if the cluster grows or shrinks, waits until earlier ones are done. */
void operators_stop(void);
/* Promotes all members again; reports a violation if that takes too long. */
void operators_heal(void);
/* Its requests will not be answered. */
void operators_member_died(const struct sim_member *m);

#endif
