/* Writes to disk in order: log records gather in a frame while the previous frame is written, so
 * that everything waiting costs one sync; other jobs for the disk go in between, one at a time.
 * Nothing blocks the loop.
 *
 * Without it, a vote or an entry would be acknowledged before it is durable, and be forgotten by
 * the next start.
 *
 * The first error other than a full disk ends the process. With a full disk the records are kept
 * and retried.
 *
 * Thread: loop. Owns: the log on disk. */
#ifndef MUSTER_CONSENSUS_PERSIST_H
#define MUSTER_CONSENSUS_PERSIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/wal.h"

struct engine;

/* Work that must not run on the loop. */
struct engine_work {
    void (*run)(struct engine_work *work);  /* on a pool thread */
    void (*done)(struct engine_work *work); /* on the loop */
    /* Everybody waits for it: it must not queue behind other work, so it has a thread of its own.
     * At most one at a time. */
    bool urgent;
};

/* A job for the disk, in its turn. */
struct disk_job {
    int (*run)(struct disk_job *job);               /* on a pool thread: 0 or a negative errno */
    void (*done)(struct disk_job *job, int result); /* on the loop */
    struct disk_job *next;
};

struct persist {
    struct engine *engine;
    struct wal *wal;
    struct wal_state state;    /* including records not written yet */
    struct wal_frame building; /* gathers records */
    struct wal_frame writing;  /* being written while `busy_writing` */
    struct engine_work work;
    bool busy, busy_writing;
    int result;
    uint64_t noted_commit;   /* commit index in the newest frame begun */
    uint64_t busy_since_ms;  /* when `busy` */
    uint64_t frames;         /* number of the gathering frame, from 1 */
    uint64_t frames_durable; /* number of the last durable frame */
    uint64_t last_index;     /* of the log, including frames */
    uint64_t writing_last;   /* last index in the frame being written, as far as still valid */
    uint64_t durable_index;  /* last durable index, as far as still valid */
    uint64_t begun_ns;
    uint64_t written_ms; /* when the last frame became durable */
    uint64_t retry_ms;   /* after a full disk: when to retry; 0: not full */
    struct disk_job *jobs, **jobs_end;
    struct disk_job *job; /* in progress */
};

/* Takes over `wal`. */
void persist_init(struct persist *p, struct engine *e, struct wal *wal,
                  const struct wal_state *state, uint64_t last_index);
/* Must be idle. */
void persist_done(struct persist *p);

/* These return the number of their frame: durable once frames_durable has reached it. */
uint64_t persist_vote(struct persist *p, uint64_t term, uint64_t vote);
uint64_t persist_entry(struct persist *p, uint64_t index, const struct log_entry *entry);
/* Removes the entries from this index on; term and checksum are those of the entry before it. */
uint64_t persist_truncate(struct persist *p, uint64_t index, uint64_t term, uint32_t checksum);
uint64_t persist_reset(struct persist *p, uint64_t index, uint64_t term, uint32_t checksum);
/* Written with the next frame, or soon. */
void persist_commit(struct persist *p, uint64_t commit);
/* A snapshot is about to replace the log: submitted entries no longer count. */
void persist_forget_entries(struct persist *p);

void persist_job(struct persist *p, struct disk_job *job);
/* Starts whatever can be started. */
void persist_pump(struct persist *p);
void persist_tick(struct persist *p);
bool persist_is_full(const struct persist *p);

#endif
