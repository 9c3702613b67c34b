/* Clusters that grow and shrink: in one run of sixteen, machines join, are removed, and return with
 * empty directories, under all faults except damage. operators.h makes the requests.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_GROWTH_H
#define MUSTER_SIM_GROWTH_H

#include <stdbool.h>
#include <stdint.h>

struct sim_member;

#define GROWTH_MEMBERS_MAX 7

bool growth_is_on(void);
/* How many members form the cluster, and the maximum number of machines. */
void growth_draw(uint64_t *chance, unsigned *ret_first, unsigned *ret_all);
/* A machine that may join now; NULL: none. */
struct sim_member *growth_pick_outside(uint64_t *chance);
/* Before the request: replaces any directory that it had by an empty one. */
void growth_prepare(struct sim_member *m);
/* It is expected: starts its process. */
void growth_expected(struct sim_member *m);
/* Its process has exited, as the member was removed. */
void growth_removed(struct sim_member *m);

#endif
