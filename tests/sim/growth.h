/* Clusters that grow and shrink: in one run of sixteen, machines join, are taken out, and come back
 * with empty directories, under all faults but damage. See operators.h for who asks for it.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_GROWTH_H
#define MUSTER_SIM_GROWTH_H

#include <stdbool.h>
#include <stdint.h>

struct sim_member;

#define GROWTH_MEMBERS_MAX 7

bool growth_is_on(void);
/* How many members form the cluster, and how many machines there are at most. */
void growth_draw(uint64_t *chance, unsigned *ret_first, unsigned *ret_all);
/* A machine that may join now; NULL: none. */
struct sim_member *growth_pick_outside(uint64_t *chance);
/* Before it is asked for: the directory that it may have had is replaced by an empty one. */
void growth_prepare(struct sim_member *m);
/* It is expected: its process starts. */
void growth_expected(struct sim_member *m);
/* Its process ends, as it was told that it is no member any more. */
void growth_removed(struct sim_member *m);

#endif
