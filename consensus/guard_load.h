/* The guard's part for the start: what is read from disk is never a silently shorter log.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_GUARD_LOAD_H
#define MUSTER_CONSENSUS_GUARD_LOAD_H

#include "consensus/guard.h"

/* In place of raft_io.load. RAFT_CORRUPT, with guard.load_error, when something is missing or
 * damaged. */
int guard_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
               struct raft_snapshot **snapshot, raft_index *start_index,
               struct raft_entry *entries[], size_t *n_entries);
/* libraft has taken the entries that were loaded, or (not started) has refused them after all. May
 * be called again. */
void guard_load_done(struct guard *g, bool started);

#endif
