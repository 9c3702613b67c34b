/* A follower's side of InstallSnapshot: pieces of a leader's snapshot are written to a file beside
 * ours, then all of it is verified and decoded on a pool thread, and only then it takes the place
 * of log and state: first the file gets its name, then the log on disk is told that it begins
 * behind it, then the state is swapped. A death in between leaves the old or the new, or the new
 * file beside the old log, which the next start brings to an end.
 *
 *     IDLE -> RECEIVING -> VERIFYING -> PUBLISHING -> RESETTING -> IDLE
 *               |              |
 *               +--> IDLE <----+   given up, or not wanted any more
 *
 * What goes wrong without it: a damaged or newer snapshot would replace a good log.
 *
 * Thread: loop. Owns: what it received. */
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
    uint64_t from, life;     /* the leader that sends it */
    uint64_t transfer, term; /* its numbers */
    uint64_t total, offset;  /* bytes of the file; arrived */
    uint64_t moved_ms;       /* when the last piece came */
    uint64_t told;           /* what the leader was last told of it, and when */
    uint64_t told_ms;
    struct buffer arrived; /* not written yet */
    struct buffer writing; /* on a pool thread, as is all below while `working` */
    bool working, given_up;
    struct snapshot_receiver *file;
    struct fsm_restore *restore;
    struct snapshot_meta meta;
    uint64_t bytes;
    int result;
    char error[256];
    struct engine_work work;
    struct disk_job job;
    uint64_t frame; /* that resets the log */
};

void snapshot_receive_init(struct snapshot_receive *r, struct engine *e);
/* FRAME_SNAPSHOT. */
void snapshot_receive_piece(struct engine *e, const struct member *from, const uint8_t *data,
                            size_t len);
/* Goes on with what is there; something became durable. */
void snapshot_receive_pump(struct engine *e);
void snapshot_receive_tick(struct engine *e);
/* There is a new link to a member: what it was told last may be lost. */
void snapshot_receive_tell_again(struct engine *e, uint64_t id);
/* Whether log and state are about to be replaced. */
bool snapshot_receive_is_installing(const struct snapshot_receive *r);
/* Whether a pool thread has hold of it. */
bool snapshot_receive_is_busy(const struct snapshot_receive *r);
void snapshot_receive_done(struct engine *e);

#endif
