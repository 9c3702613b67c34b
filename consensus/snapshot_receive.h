/* The follower's side of InstallSnapshot: the pieces of the leader's snapshot are written to a file
 * beside ours, all of it is verified and decoded on a pool thread, and only then it replaces log
 * and state: the file is published, the log on disk is reset to start after it, the state is
 * swapped. A crash in between leaves the old state, the new one, or the new file beside the old
 * log, which the next start completes.
 *
 *     IDLE -> RECEIVING -> VERIFYING -> PUBLISHING -> RESETTING -> IDLE
 *               |              |
 *               +--> IDLE <----+   abandoned, or no longer wanted
 *
 * Without it, a damaged or unreadable snapshot would replace a good log.
 *
 * Thread: loop. Owns: what was received. */
#ifndef MUSTER_CONSENSUS_SNAPSHOT_RECEIVE_H
#define MUSTER_CONSENSUS_SNAPSHOT_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/snapshot_file.h"
#include "consensus/persist.h"
#include "server/base/buffer.h"

struct engine;
struct member;
struct fsm_restore;

enum receive_phase {
    RECEIVE_IDLE,
    RECEIVE_RECEIVING,
    RECEIVE_VERIFYING,
    RECEIVE_PUBLISHING,
    RECEIVE_RESETTING,
    RECEIVE_PHASES,
};

struct snapshot_receive {
    struct engine *engine;
    enum receive_phase phase;
    uint64_t from, life;     /* the sending leader */
    uint64_t transfer, term; /* as numbered by the leader */
    uint64_t total, offset;  /* bytes: length of the file; received */
    uint64_t moved_ms;       /* when the last piece arrived */
    uint64_t told;           /* offset last reported to the leader, and when */
    uint64_t told_ms;
    struct buffer arrived; /* not being written yet */
    struct buffer writing; /* used by a pool thread while `working`, like all below */
    bool working, given_up;
    struct snapshot_receiver *file;
    struct fsm_restore *restore;
    struct snapshot_meta meta;
    uint64_t bytes;
    int result;
    char error[256];
    struct engine_work work;
    struct disk_job job;
    uint64_t frame; /* the one that resets the log */
};

void snapshot_receive_init(struct snapshot_receive *r, struct engine *e);
/* FRAME_SNAPSHOT. */
void snapshot_receive_piece(struct engine *e, const struct member *from, const uint8_t *data,
                            size_t len);
/* Continues with what has arrived, or become durable. */
void snapshot_receive_pump(struct engine *e);
void snapshot_receive_tick(struct engine *e);
/* The link to a member is new: the last report may be lost. */
void snapshot_receive_tell_again(struct engine *e, uint64_t id);
/* Whether log and state are about to be replaced. */
bool snapshot_receive_is_installing(const struct snapshot_receive *r);
/* Whether a pool thread is using it. */
bool snapshot_receive_is_busy(const struct snapshot_receive *r);
void snapshot_receive_done(struct engine *e);

#endif
