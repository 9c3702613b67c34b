/* What users do: instances that live, fall silent, flap, come and go; operators; readers. Each call
 * goes to a member as an API thread would make it.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_WORKLOAD_H
#define MUSTER_SIM_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

struct member;

#define SERVICES 5 /* s0, s1, ... */

void workload_start(void);
/* Nothing new is begun. */
void workload_end(void);
bool workload_ended(void);
/* What the member was asked and has not answered is unknown now. */
void workload_member_died(struct member *m);
/* From now on each member is asked to write until it has; true when all have. */
void workload_probe(void);
bool workload_probed(void);
/* Everybody who fell silent has lapsed, and was removed where asked for. */
void workload_check_silent(uint64_t healed_ns);

/* readers.c */
void readers_start(void);
void readers_member_died(struct member *m);

/* streams.c */
void streams_start(void);
void streams_member_died(struct member *m);

#endif
