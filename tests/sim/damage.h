/* Damage to a member that its own process could not cause: its directory is emptied, replaced by
 * another cluster's, truncated, changed by a bit, restored from an earlier copy; its state in
 * memory drifts. At any time, and never to more than a minority.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_DAMAGE_H
#define MUSTER_SIM_DAMAGE_H

#include <stdbool.h>

struct sim_member;

/* Whether one more is tolerable. */
bool damage_may(const struct sim_member *m);

/* With the process running or not. These return whether it was done. */
bool damage_empty(struct sim_member *m);
/* Whether any member is damaged now. */
bool damage_is_any(void);
bool damage_flip(struct sim_member *m);
bool damage_drift(struct sim_member *m);
/* Only while no process runs. */
bool damage_fork(struct sim_member *m);
bool damage_cut(struct sim_member *m);
bool damage_put_back(struct sim_member *m);
/* As if a copy of the directory had led elsewhere: its log ends with another entry at an index and
 * term at which the others have committed one. */
bool damage_rewrite(struct sim_member *m);
/* Keeps a copy for damage_put_back. */
void damage_copy(struct sim_member *m);

#endif
