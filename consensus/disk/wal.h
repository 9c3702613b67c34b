/* The write-ahead log on disk: Raft's entries, term, vote, commit index and truncations, as one
 * sequence of records.
 *
 * Records are written in frames, one write each, atomically. A frame starts at a sector of its own,
 * and carries the cluster id, its sequence number, the checksum of the frame before it, and one of
 * all its content. Frames are in segments of WAL_SEGMENT_BYTES, which are preallocated. Each frame
 * is durable before the next is written; so on a sound disk only the last frame can be incomplete,
 * lacking whole sectors, and it was never acknowledged. Anything else (a bad frame that lacks no
 * sector, a frame after a bad one, a missing or short segment) is damage, and refused.
 *
 * A truncation is a record, too. Nothing is ever renamed or removed except segments made obsolete
 * by a durable snapshot, oldest first.
 *
 * A wal has two sides: the loop builds frames (wal_frame_*), a pool thread writes them (wal_write),
 * one at a time and in order.
 *
 * Thread: as each function says. Owns: its open files. */
#ifndef MUSTER_CONSENSUS_DISK_WAL_H
#define MUSTER_CONSENSUS_DISK_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/files.h"
#include "consensus/disk/ids.h"
#include "consensus/disk/log.h"
#include "server/base/buffer.h"
#include "server/base/compiler.h"

#define WAL_SEGMENT_BYTES     (16u * 1024 * 1024)
#define WAL_SEGMENT_BYTES_MIN (8u * 1024)
#define WAL_FRAME_BYTES_MAX   (128u * 1024 * 1024) /* more than the largest AppendEntries */

/* State besides the entries; the newest is valid. */
struct wal_state {
    uint64_t term;
    uint64_t vote;   /* a life; 0: none in this term */
    uint64_t commit; /* a lower bound, as last recorded; never decreases */
    uint64_t boot;   /* number of starts of this life */
};

struct wal;

/* --- starting, on the starting thread --- */

/* Makes the first segment of a new log. 0, or a negative errno. Removes what an interrupted attempt
 * left. */
MUST_USE int wal_create(const struct files *files, const struct cluster_id *cluster,
                        const struct wal_state *state);
/* For tests: the same with a first segment of this size, at least WAL_SEGMENT_BYTES_MIN. */
MUST_USE int wal_create_sized(const struct files *files, const struct cluster_id *cluster,
                              const struct wal_state *state, uint32_t segment_bytes);

/* What was read. */
struct wal_loaded {
    struct wal_state state;
    struct log log; /* given to the caller: log_done */
};
/* Reads the whole log, repairs an incomplete last frame (by zeros), and opens it for writing.
 * `snapshot_index` is that of the newest snapshot (0: none): a log that starts after snapshot_index
 * + 1 is refused, and so is one that ends before its recorded commit index, unless the snapshot
 * reaches that. NULL if the log is damaged or unreadable, with a message that says what is wrong
 * and where; then nothing has been changed. */
struct wal *wal_open(const struct files *files, const struct cluster_id *cluster,
                     uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                     size_t error_size);
/* For tests: the size of new segments. Call before the first write. */
void wal_set_segment_bytes(struct wal *wal, uint32_t segment_bytes);
/* No write may be in progress. Accepts NULL. */
void wal_close(struct wal *wal);

/* --- building a frame: loop thread --- */

struct wal_frame {
    struct buffer bytes;
    uint32_t records;
    /* What it changes on disk, for those waiting for it. */
    uint64_t last_index;             /* of the log after it; 0: no entries or truncations in it */
    uint64_t first_index, end_index; /* entries in it, first .. end - 1; equal: none */
};

void wal_frame_init(struct wal_frame *frame);
void wal_frame_done(struct wal_frame *frame);
/* These append records, which apply in this order. */
void wal_frame_state(struct wal_frame *frame, const struct wal_state *state);
/* `entry` has this index, right after the last one. */
void wal_frame_entry(struct wal_frame *frame, uint64_t index, const struct log_entry *entry);
/* Removes entries from this index on. Term and checksum are those of the entry before it
 * (log_position), which stays. */
void wal_frame_truncate(struct wal_frame *frame, uint64_t index, uint64_t term, uint32_t checksum);
/* Empties the log, which continues after this entry; a snapshot that is durable by then must
 * contain it. */
void wal_frame_reset(struct wal_frame *frame, uint64_t index, uint64_t term, uint32_t checksum);
bool wal_frame_is_empty(const struct wal_frame *frame);

/* --- writing: one pool thread at a time --- */

/* Writes the frame; durable on return of 0. -ENOSPC: no room for another segment; nothing was
 * written, retry later. Any other negative errno: the log must not be used any more. Afterwards the
 * frame can be reused (wal_frame_clear). */
MUST_USE int wal_write(struct wal *wal, struct wal_frame *frame);
void wal_frame_clear(struct wal_frame *frame);

/* Removes segments whose entries are all at or below `index`, but never the newest. 0 or a negative
 * errno. */
MUST_USE int wal_compact(struct wal *wal, uint64_t index);
/* Bytes of all segments on disk. Any thread. */
uint64_t wal_bytes(const struct wal *wal);

#endif
