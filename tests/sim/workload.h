/* What users do: instances that live, fall silent, flap, come and go; operators; readers. Each call
 * goes to a member as an API thread would make it.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_WORKLOAD_H
#define MUSTER_SIM_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

struct sim_member;

#define SERVICES 5 /* s0, s1, ... */

void workload_start(void);
/* Nothing new is begun. */
void workload_end(void);
bool workload_ended(void);
/* What the member was asked and has not answered is unknown now. */
void workload_member_died(struct sim_member *m);
/* From now on each member that is expected to be whole is asked to write until it has; true when
 * all have. */
void workload_probe(void);
bool workload_probed(void);
const struct sim_member *workload_not_probed(void); /* one of those that have not */
/* Everybody who fell silent has expired, and was removed where asked for. */
void workload_check_silent(uint64_t healed_ns);

/* versions.c */
void versions_draw(void);
/* Which version it runs from this start on. */
void versions_choose(struct sim_member *m);
/* Members of the older version are started with the newer one, one by one. */
void versions_upgrade_all(void);
void versions_start(void);
void versions_member_died(struct sim_member *m);

/* readers.c */
void readers_start(void);
void readers_member_died(struct sim_member *m);

/* streams.c */
void streams_start(void);
void streams_member_died(struct sim_member *m);

#endif
