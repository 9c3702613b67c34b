/* Somebody who gives and takes votes, has another member lead, and lets the cluster grow and
 * shrink, while everything fails. In some runs, in which no directory is damaged: with few votes a
 * minority of the members may be all.
 *
 * Thread: one. Owns: its requests. */
#ifndef MUSTER_SIM_OPERATORS_H
#define MUSTER_SIM_OPERATORS_H

#include <stdbool.h>

struct sim_member;

/* Whether this run has any. By the seed alone, so that other runs are as they were. */
bool operators_are_here(void);
/* For growth.h: how many members begin, and how many there are at most. */
void operators_draw_growth(unsigned *ret_first, unsigned *ret_all);
void operators_start(void);
/* Whether something that they asked for is not answered yet. */
bool operators_wait(void);
/* Asks for nothing more; when the cluster grows or shrinks, what was asked for comes to its end. */
void operators_stop(void);
/* Gives all members their votes back; violates an invariant if that is not done in time. */
void operators_heal(void);
/* Nobody answers what was asked of it. */
void operators_member_died(const struct sim_member *m);

#endif
