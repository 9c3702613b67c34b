/* What goes wrong. Each run draws which kinds of fault it has, how often, and how the cluster is
 * tuned ("swarm testing": runs that differ find more than runs that all do everything).
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_FAULTS_H
#define MUSTER_SIM_FAULTS_H

#include <stdbool.h>

struct sim_member;

/* Draws tuning, weather and kinds; before the members start. */
void faults_draw(void);
void faults_start(void);
bool faults_are_on(void);
/* No more faults; all is made whole that can be: links, disks, processes. Not directories. */
void faults_heal(void);
/* When no cluster was formed: members with a damaged directory get an empty one. Whether there were
 * any. */
bool faults_heal_unformed(void);
/* A process has ended by itself: it is started again before long. */
void faults_ended(struct sim_member *m);

#endif
