/* Faults. Each run draws which kinds it has, how often, and how the cluster is tuned ("swarm
 * testing": runs that differ find more than runs that all do everything).
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_FAULTS_H
#define MUSTER_SIM_FAULTS_H

#include <stdbool.h>

struct sim_member;

/* Draws tuning, network and kinds; call before the members start. */
void faults_draw(void);
void faults_start(void);
bool faults_are_on(void);
/* Ends all faults and repairs links, disks and processes, but not directories. */
void faults_heal(void);
/* If no cluster was formed: members with a damaged directory get an empty one. Returns whether
 * there were any. */
bool faults_heal_unformed(void);
/* A process has exited: it is restarted soon. */
void faults_ended(struct sim_member *m);

#endif
