/* Active checks, run by the replicas while everything fails: who runs them, and which results
 * count. Only in some runs.
 *
 * Thread: one. */
#ifndef MUSTER_SIM_PROBES_H
#define MUSTER_SIM_PROBES_H

#include <stdbool.h>

void probes_start(void);
/* Whether this is such a run. */
bool probes_are_on(void);
/* All is healed for long: every check must have been run a moment ago. */
void probes_check_run(void);
/* Kills a member; its checks must be run by others in time. Then starts it again. */
void probes_take_over(void);

#endif
