/* Backups: the whole state at an index, for a client to keep. Taken on the loop in a moment,
 * encoded on a pool thread into a file of the data directory under a temporary name, read from
 * there in pieces as the client takes them, and removed. So one who reads slowly holds a file and
 * nothing else: no view, no thread, no memory but one piece.
 *
 * The file is a snapshot (server/base/snapshot_block.h) with one block more, that says what the
 * state's hash is. It is never published, and an error of it is the backup's alone: the log decides
 * whether the disk is sound.
 *
 * Thread: loop. Owns: the files, until the end of each. */
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
    enum { BACKUP_FREE, BACKUP_BUSY, BACKUP_HELD } phase; /* busy: a pool thread has it */
    char name[SNAPSHOT_NAME_SIZE];
    struct consensus_op *op; /* busy: the step under way */
    struct engine_work work;
    struct fsm_snapshot *state;
    struct snapshot_meta meta;
    struct snapshot_info info;
    struct snapshot_writer *writer;
    uint64_t unchecked; /* bytes written since the disk's free space was looked at */
    struct snapshot_reader *reader;
    size_t len; /* of the piece */
    uint64_t bytes;
    enum status status;
};

struct backups {
    struct backup list[BACKUPS_MAX];
};

void backup_init(struct engine *e);
/* A step of one: see consensus.h. */
void backup_add(struct engine *e, struct consensus_op *op);
bool backup_is_busy(const struct engine *e);
/* None is busy: removes what is left. */
void backup_done(struct engine *e);

#endif
