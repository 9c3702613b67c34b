/* Snapshots of this member's own state: taken on the loop in a moment, encoded and written on a
 * pool thread, put in place when the log on disk reaches as far, then the log in front of them
 * goes.
 *
 * A majority may have written what our own disk has not: a snapshot in place before our log has got
 * there would be a hole at the next start.
 *
 * Thread: loop. Owns: the snapshot on its way. */
#ifndef MUSTER_CONSENSUS_SNAPSHOT_TAKE_H
#define MUSTER_CONSENSUS_SNAPSHOT_TAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/disk/snapshot_file.h"
#include "consensus/persist.h"

struct engine;
struct fsm_snapshot;

struct snapshot_take {
    struct engine *engine;
    enum { TAKE_IDLE, TAKE_ENCODING, TAKE_WAITING, TAKE_PUBLISHING, TAKE_COMPACTING } phase;
    struct snapshot_meta meta;
    struct fsm_snapshot *state;
    struct engine_work work;
    struct disk_job job;
    int result;
    uint64_t entries;    /* of the log before it, since the last */
    uint64_t bytes;      /* of the file */
    uint64_t compact_to; /* entries up to here may go from the disk */
    uint64_t begun_ns;
    uint64_t not_before_ms; /* after a failure for lack of space */
};

void snapshot_take_init(struct snapshot_take *t, struct engine *e);
/* Begins one when the log is long enough; goes on with the one on its way. */
void snapshot_take_pump(struct engine *e);
/* Whether a pool thread has hold of it. */
bool snapshot_take_is_busy(const struct snapshot_take *t);
/* What a snapshot of the state as it stands says of it. */
void snapshot_take_meta(struct engine *e, struct snapshot_meta *ret_meta);
void snapshot_take_done(struct engine *e);

#endif
