/* A crash at every file call of a member that starts, forms the cluster, learns of it, takes a
 * snapshot, installs the leader's, truncates its log. Enumerated, not drawn: each part runs once
 * without a crash, to count the calls; then once for each call, with a crash before, during and
 * after it, of the process alone and of the machine. Every second time the next start crashes, too.
 *
 * Thread: the only one; each run is a process of its own. */
#ifndef MUSTER_SIM_DEATHS_H
#define MUSTER_SIM_DEATHS_H

/* Exit status: 0 if all were survived. Tries every `step`th call of each part, from the first. */
int deaths_enumerate(unsigned jobs, unsigned step);

#endif
