/* Death at every file call: of a member that starts, forms the cluster, is told of it, takes a
 * snapshot, installs the leader's, truncates its log. Enumerated, not drawn: for each of these,
 * once without a death to count the calls, then once for each call, before, in the middle and
 * after, of the process alone and of the machine. Every other time the next start dies, too.
 *
 * Thread: the only one; each run is a process of its own. */
#ifndef MUSTER_SIM_DEATHS_H
#define MUSTER_SIM_DEATHS_H

/* Exit status: 0 when all were survived. Of each part every `step`th call, from the first. */
int deaths_enumerate(unsigned jobs, unsigned step);

#endif
