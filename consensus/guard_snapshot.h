/* The guard's part for snapshots: those of our own are encoded on a pool thread between libraft's
 * decision and the disk, because libraft 0.22 calls the state machine for them on the loop.
 *
 * Thread: loop. */
#ifndef MUSTER_CONSENSUS_GUARD_SNAPSHOT_H
#define MUSTER_CONSENSUS_GUARD_SNAPSHOT_H

#include "consensus/guard.h"

/* In place of raft_io.snapshot_put. */
int guard_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                       const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb);
/* In place of raft_io.snapshot_get. */
int guard_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                       raft_io_snapshot_get_cb cb);
/* Stores a snapshot that had to wait until the log on disk reaches as far. */
void guard_snapshot_pump(struct guard *g);
/* Gives such a snapshot up. */
void guard_snapshot_close(struct guard *g);

/* guard.c: the log now begins behind a snapshot received. */
void guard_installed(struct guard *g, raft_index index, raft_term term);
void guard_deliver_held(struct guard *g);
void guard_drop_held(struct guard *g);

#endif
