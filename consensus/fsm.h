/* Applies committed entries: each batch of operations at most once, everywhere in one order. Also
 * encodes snapshots: the sessions, then the application's state.
 *
 * Thread: loop, unless stated otherwise. Owns: its state. */
#ifndef MUSTER_CONSENSUS_FSM_H
#define MUSTER_CONSENSUS_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "consensus/disk/log.h"
#include "consensus/sessions.h"
#include "server/base/compiler.h"

struct engine;
struct entry_header;
struct member;

/* State hashes of the last entries, for comparison with other members. */
#define FSM_HASHES_KEPT 4096

struct state_hash {
    uint64_t index, hash;
};

struct fsm {
    struct sessions sessions;
    uint64_t applied_index;
    uint16_t level;                  /* of the last entry applied, or of the snapshot */
    bool unpublished;                /* applied entries are not readable yet */
    struct consensus_op *completed;  /* applied in this entry, completed at its end */
    uint64_t log_bytes, log_entries; /* since the last snapshot */
    uint64_t snapshot_bytes;         /* of the last one, taken or received; 0: none yet */
    struct state_hash hashes[FSM_HASHES_KEPT];
};

/* Applies committed entries. */
void fsm_pump(struct engine *e);
/* Makes applied entries readable. Call before completing or asking what depends on them. */
void fsm_publish(struct engine *e);
/* Whether the log is long enough for a snapshot. */
bool fsm_wants_snapshot(const struct engine *e);
/* How many bytes of log to keep behind a snapshot, for lagging members. */
uint64_t fsm_log_bytes_kept(const struct engine *e);
/* Whether this version can apply a checked entry completely. */
bool fsm_understands(const struct engine *e, const void *data, const struct entry_header *header);

/* --- state hashes: equal at the same index, or a member is wrong --- */

/* After the last entry applied; index 0: none. */
struct state_hash fsm_newest_hash(const struct engine *e);
/* A member's state hash. Ends the process if a majority disagrees with ours. */
void fsm_compare(struct engine *e, struct member *m, uint64_t index, uint64_t hash);
/* The member's process is gone, or a new one has rebuilt its state. */
void fsm_forget_told(struct engine *e, uint64_t id);

/* --- snapshots --- */

struct fsm_snapshot;
/* At the applied index; quick. */
struct fsm_snapshot *fsm_snapshot_take(struct engine *e);
/* On a pool thread: writes all of it, in pieces. */
void fsm_snapshot_encode(struct fsm_snapshot *snapshot,
                         void (*write)(void *sink, const void *data, size_t len), void *sink);
void fsm_snapshot_release(struct engine *e, struct fsm_snapshot *snapshot);

struct fsm_restore;
struct snapshot_reader;
struct fsm_restore *fsm_restore_begin(struct engine *e);
/* On a pool thread or the starting thread: reads a whole snapshot. False with a message, the
 * reader's or `malformed`; then only fsm_restore_drop may follow. */
MUST_USE bool fsm_restore_read(struct fsm_restore *r, struct snapshot_reader *reader,
                               const char *malformed, char *error, size_t error_size);
/* The same from another source, piece by piece: ST_CORRUPT if malformed, then likewise. */
MUST_USE enum status fsm_restore_feed(struct fsm_restore *r, const uint8_t *data, size_t len);
MUST_USE enum status fsm_restore_end(struct fsm_restore *r);
/* Replaces the present state by the restored one. Frees `r`. */
void fsm_restore_swap(struct engine *e, struct fsm_restore *r, uint64_t index, uint16_t level,
                      uint64_t bytes);
void fsm_restore_drop(struct engine *e, struct fsm_restore *r);

#endif
