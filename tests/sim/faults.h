/* What goes wrong. Each run draws which kinds of fault it has, how often, and how the cluster is
 * tuned ("swarm testing": runs that differ find more than runs that all do everything).
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_FAULTS_H
#define MUSTER_SIM_FAULTS_H

/* Draws tuning, weather and kinds; before the members start. */
void faults_draw(void);
void faults_start(void);
/* No more faults; all is made whole that can be: links, disks, processes. */
void faults_heal(void);
/* Members whose disk was damaged come back with an empty directory, as the manual says: one at a
 * time and only while all others are healthy and at the same index. */
void faults_rejoin(void);

#endif
