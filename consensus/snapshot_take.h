/* Snapshots of this member's own state: captured on the loop, encoded and written on a pool thread,
 * published once the log on disk has reached its index; then the log before it is dropped.
 *
 * A majority may have written entries that our own disk has not: publishing a snapshot beyond our
 * log would leave a hole at the next start.
 *
 * Thread: loop. Owns: the snapshot in progress. */
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
    uint64_t entries;    /* log entries since the previous snapshot */
    uint64_t bytes;      /* of the file */
    uint64_t compact_to; /* entries up to this index may be dropped from disk */
    uint64_t begun_ns;
    uint64_t not_before_ms; /* after a failure for lack of space */
};

void snapshot_take_init(struct snapshot_take *t, struct engine *e);
/* Starts one if the log is long enough; continues the one in progress. */
void snapshot_take_pump(struct engine *e);
/* Whether a pool thread is using it. */
bool snapshot_take_is_busy(const struct snapshot_take *t);
/* Metadata for a snapshot of the present state. */
void snapshot_take_meta(struct engine *e, struct snapshot_meta *ret_meta);

#endif
