/* What happened to the members: each committed configuration compared with the one before it. The
 * same on all members for the same entries; a member that starts, or gets a snapshot, knows of what
 * its log has behind the snapshot. Each is one line of the log, too.
 *
 * Thread: loop. Owns: the last of them. */
#ifndef MUSTER_CONSENSUS_CLUSTER_EVENTS_H
#define MUSTER_CONSENSUS_CLUSTER_EVENTS_H

#include <raft.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"

struct engine;

struct cluster_events {
    struct consensus_cluster_event ring[CONSENSUS_CLUSTER_EVENTS_MAX];
    uint64_t count; /* ever; the last ones are kept */
};

/* A configuration is committed, in the entry at this index. */
void cluster_events_note(struct engine *e, uint64_t index, const struct raft_configuration *before,
                         const struct raft_configuration *after);
/* Oldest first. Room for CONSENSUS_CLUSTER_EVENTS_MAX. */
size_t cluster_events_list(const struct cluster_events *events,
                           struct consensus_cluster_event *ret_events);

#endif
