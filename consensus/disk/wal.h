/* The write-ahead log on disk: Raft's entries, term, vote, commit index and truncations, in one
 * sequence of records.
 *
 * Records are written in frames, one frame a write: all of a frame is there or none of it. A frame
 * begins at a sector of its own, and carries the cluster id, its sequence number, the checksum of
 * the frame before it and a checksum of all its content. Frames stand in segments of
 * WAL_SEGMENT_BYTES, allocated ahead. One frame is durable before the next is written, so of a
 * sound disk only the last frame may be incomplete, and that was never acknowledged: it lacks whole
 * sectors. Anything else (a frame that is wrong and lacks no sector, a frame behind one that is
 * wrong, a segment that is missing or short) is damage, and refused.
 *
 * A truncation is a record, too. Nothing is renamed or removed but segments whose entries a durable
 * snapshot has made dispensable, oldest first.
 *
 * A wal has two sides. The loop builds frames (wal_frame_*), a pool thread writes them (wal_write),
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

/* What is kept besides entries; the newest counts. */
struct wal_state {
    uint64_t term;
    uint64_t vote;   /* a life; 0: none in this term */
    uint64_t commit; /* committed at least up to here, as last noted; never falls */
    uint64_t boot;   /* how often this life was started */
};

struct wal;

/* --- at the start, on the thread that starts --- */

/* Makes the first segment of a new log. 0, or a negative errno. What an earlier attempt that was
 * interrupted left behind is removed. */
MUST_USE int wal_create(const struct files *files, const struct cluster_id *cluster,
                        const struct wal_state *state);
/* The same with a first segment of this size, for tests; at least WAL_SEGMENT_BYTES_MIN. */
MUST_USE int wal_create_sized(const struct files *files, const struct cluster_id *cluster,
                              const struct wal_state *state, uint32_t segment_bytes);

/* What a log holds that was read. */
struct wal_loaded {
    struct wal_state state;
    struct log log; /* the caller's from now on; log_done */
};
/* Reads the whole log, mends an incomplete last frame (zeros in its place), and opens it for
 * writing. `snapshot_index` is the newest snapshot's (0: none): a log that begins behind
 * snapshot_index + 1 is refused, as is one that ends before its own noted commit index unless the
 * snapshot reaches that. NULL, with a sentence that says what is wrong and where, when the log is
 * damaged or cannot be read; nothing is changed then. */
struct wal *wal_open(const struct files *files, const struct cluster_id *cluster,
                     uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                     size_t error_size);
/* Of the segments to come; for tests. Before the first write. */
void wal_set_segment_bytes(struct wal *wal, uint32_t segment_bytes);
/* When no write is under way. NULL is accepted. */
void wal_close(struct wal *wal);

/* --- building a frame: loop thread --- */

struct wal_frame {
    struct buffer bytes;
    uint32_t records;
    /* What it does to what the disk knows, for whoever waits for it. */
    uint64_t last_index;             /* of the log when it is written; 0: says nothing of entries */
    uint64_t first_index, end_index; /* entries in it, first .. end - 1; equal: none */
};

void wal_frame_init(struct wal_frame *frame);
void wal_frame_done(struct wal_frame *frame);
/* In the order in which they count. */
void wal_frame_state(struct wal_frame *frame, const struct wal_state *state);
/* `entry` stands at `index`, right behind the last one. */
void wal_frame_entry(struct wal_frame *frame, uint64_t index, const struct log_entry *entry);
/* Entries from this index on are gone. Term and checksum are those of the entry before it
 * (log_position), which stays. */
void wal_frame_truncate(struct wal_frame *frame, uint64_t index, uint64_t term, uint32_t checksum);
/* The log is empty and goes on behind this entry, which a snapshot that is durable by now holds. */
void wal_frame_reset(struct wal_frame *frame, uint64_t index, uint64_t term, uint32_t checksum);
bool wal_frame_is_empty(const struct wal_frame *frame);

/* --- writing: one pool thread at a time --- */

/* Writes the frame and returns when it is durable. 0; -ENOSPC when there is no room for a further
 * segment: nothing was written, try again later; any other negative errno: the log must not be used
 * any more. The frame can be initialised for the next use then (wal_frame_clear). */
MUST_USE int wal_write(struct wal *wal, struct wal_frame *frame);
void wal_frame_clear(struct wal_frame *frame);

/* Removes segments of which all entries are at or below `index`, but never the newest. 0 or a
 * negative errno. */
MUST_USE int wal_compact(struct wal *wal, uint64_t index);
/* Bytes of all segments on disk. Any thread. */
uint64_t wal_bytes(const struct wal *wal);

#endif
