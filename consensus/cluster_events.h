/* Membership history: what each committed configuration changed from the one before. The same
 * entries give the same events on all members; a member that restarts or receives a snapshot has
 * only those after the snapshot. Each is also logged.
 *
 * Thread: loop. Owns: the last CONSENSUS_CLUSTER_EVENTS_MAX of them. */
#ifndef MUSTER_CONSENSUS_CLUSTER_EVENTS_H
#define MUSTER_CONSENSUS_CLUSTER_EVENTS_H

#include <raft.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"

struct engine;

struct cluster_events {
    struct consensus_cluster_event ring[CONSENSUS_CLUSTER_EVENTS_MAX];
    uint64_t count; /* since the start; only the last ones are kept */
};

/* A configuration was committed, by the entry at this index. */
void cluster_events_note(struct engine *e, uint64_t index, const struct raft_configuration *before,
                         const struct raft_configuration *after);
/* Oldest first. Needs room for CONSENSUS_CLUSTER_EVENTS_MAX. */
size_t cluster_events_list(const struct cluster_events *events,
                           struct consensus_cluster_event *ret_events);

#endif
