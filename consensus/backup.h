/* Backups: the whole state at one index, for a client to keep. The state is captured on the loop,
 * encoded on a pool thread into a temporary file in the data directory, sent piece by piece as the
 * client reads, then removed. So a slow client costs a file and one piece of memory: no view, no
 * thread.
 *
 * The file is a snapshot (server/base/snapshot_block.h) with one more block, the hash of the state.
 * It is never published, and an error in it concerns the backup alone: whether the disk is sound is
 * for the log to decide.
 *
 * Thread: loop. Owns: each file, until its END. */
#ifndef MUSTER_CONSENSUS_BACKUP_H
#define MUSTER_CONSENSUS_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "consensus/disk/snapshot_file.h"
#include "consensus/persist.h"

struct engine;
struct fsm_snapshot;

struct backup {
    struct engine *engine;
    enum { BACKUP_FREE, BACKUP_BUSY, BACKUP_HELD } phase; /* busy: in use by a pool thread */
    char name[SNAPSHOT_NAME_SIZE];
    struct consensus_op *op; /* busy: the step under way */
    struct engine_work work;
    struct fsm_snapshot *state;
    struct snapshot_meta meta;
    struct snapshot_info info;
    struct snapshot_writer *writer;
    uint64_t unchecked; /* bytes written since free space was last checked */
    struct snapshot_reader *reader;
    size_t len; /* of `piece` */
    uint64_t bytes;
    enum status status;
};

struct backups {
    struct backup list[BACKUPS_MAX];
};

void backup_init(struct engine *e);
/* One step: see consensus.h. */
void backup_add(struct engine *e, struct consensus_op *op);
bool backup_is_busy(const struct engine *e);
/* Removes the files. No slot may be busy. */
void backup_done(struct engine *e);

#endif
