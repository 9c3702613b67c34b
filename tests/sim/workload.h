/* Users: instances that live, fall silent, flap, come and go; operators; readers. Each call reaches
 * a member as from an API thread.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_WORKLOAD_H
#define MUSTER_SIM_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

struct sim_member;

struct record;

#define SERVICES 5 /* s0, s1, ... */
/* Some live in this namespace, each under the id of another that is in `default`. */
#define NAMESPACE "n"
/* Once there is a quota, so many of them may be there. */
#define NAMESPACE_MOST 3

bool workload_is_apart(unsigned number);
/* In some runs: the type of which it is to be the only one alive in its namespace. 0: none. */
unsigned workload_only_one_of(unsigned number);
/* Which instance a record is of. */
unsigned workload_number_of(const struct record *record);

void workload_start(void);
/* Starts nothing new. */
void workload_end(void);
bool workload_ended(void);
/* The outcome of its unanswered calls is unknown now. */
void workload_member_died(struct sim_member *m);
/* From now on each healthy member is asked to write until it has; true when all have. */
void workload_probe(void);
bool workload_probed(void);
const struct sim_member *workload_not_probed(void); /* one that has not */
/* Every silent instance must have expired, and been removed where requested. */
void workload_check_silent(uint64_t healed_ns);

/* versions.c */
void versions_draw(void);
/* Chooses the version that it runs from this start on. */
void versions_choose(struct sim_member *m);
/* Restarts members of the older version with the newer one, one by one. */
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
