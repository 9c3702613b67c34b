/* What has to be on disk, in order: records of the log gather in one frame while the frame before
 * is written, so that all that waits costs one sync; other jobs for the disk go in between, one at
 * a time. Nothing here blocks the loop.
 *
 * What goes wrong without it: a vote or an entry would be told of before it is durable, and be
 * forgotten by the next start.
 *
 * The first error that is not a full disk ends the process. A full disk keeps what it could not
 * write, and tries again.
 *
 * Thread: loop. Owns: the log on disk. */
#ifndef MUSTER_CONSENSUS_PERSIST_H
#define MUSTER_CONSENSUS_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/wal.h"

struct engine;

/* Work that must not be done on the loop. */
struct engine_work {
    void (*run)(struct engine_work *work);  /* on a pool thread */
    void (*done)(struct engine_work *work); /* on the loop */
    /* What everybody waits for: not to wait behind other work, for which there are threads of its
     * own. At most one at a time. */
    bool urgent;
};

/* Work for the disk, in its turn. */
struct disk_job {
    int (*run)(struct disk_job *job);               /* on a pool thread: 0 or a negative errno */
    void (*done)(struct disk_job *job, int result); /* on the loop */
    struct disk_job *next;
};

struct persist {
    struct engine *engine;
    struct wal *wal;
    struct wal_state state;    /* with what was noted last, written or about to be */
    struct wal_frame building; /* gathers */
    struct wal_frame writing;  /* on its way, when `busy_writing` */
    struct engine_work work;
    bool busy, busy_writing;
    int result;
    uint64_t noted_commit;   /* the commit index in the last frame that was begun */
    uint64_t busy_since_ms;  /* when `busy` */
    uint64_t frames;         /* number of the frame that gathers, from 1 */
    uint64_t frames_durable; /* number of the last one that is durable */
    uint64_t last_index;     /* of the log as far as it is in frames */
    uint64_t writing_last;   /* of the frame on its way, as far as that still counts */
    uint64_t durable_index;  /* of the log on disk, as far as it still counts */
    uint64_t begun_ns;
    uint64_t written_ms; /* when the last frame was durable */
    uint64_t retry_ms;   /* after a full disk: when to try again; 0: it is not full */
    struct disk_job *jobs, **jobs_end;
    struct disk_job *job; /* on its way */
};

/* `wal` is the persist's from now on. */
void persist_init(struct persist *p, struct engine *e, struct wal *wal,
                  const struct wal_state *state, uint64_t last_index);
/* When nothing is on its way. */
void persist_done(struct persist *p);

/* Each returns the number of the frame with it: it is durable when frames_durable has got there. */
uint64_t persist_vote(struct persist *p, uint64_t term, uint64_t vote);
uint64_t persist_entry(struct persist *p, uint64_t index, const struct log_entry *entry);
/* Entries from this one on are gone; term and checksum are of the one before it. */
uint64_t persist_truncate(struct persist *p, uint64_t index, uint64_t term, uint32_t checksum);
uint64_t persist_reset(struct persist *p, uint64_t index, uint64_t term, uint32_t checksum);
/* Written with the next frame, or soon. */
void persist_commit(struct persist *p, uint64_t commit);
/* The snapshot that replaces the log is on its way: what was submitted of entries counts no more.
 */
void persist_forget_entries(struct persist *p);

void persist_job(struct persist *p, struct disk_job *job);
/* Starts what can be started. */
void persist_pump(struct persist *p);
void persist_tick(struct persist *p);
/* Whether nothing is on its way to the disk. */
bool persist_is_idle(const struct persist *p);
bool persist_is_full(const struct persist *p);

#endif
