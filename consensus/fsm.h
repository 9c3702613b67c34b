/* Applies committed entries: each batch of operations at most once, in one order everywhere. Also
 * what a snapshot of it holds: the sessions, then the application's state.
 *
 * Thread: loop, except where said. Owns: its state. */
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

/* Hashes of the state behind the last entries, to compare with the others'. */
#define FSM_HASHES_KEPT 4096

struct state_hash {
    uint64_t index, hash;
};

struct fsm {
    struct sessions sessions;
    uint64_t applied_index;
    uint16_t level;                  /* of the last entry applied, or of the snapshot */
    bool unpublished;                /* what was applied cannot be read yet */
    struct consensus_op *completed;  /* applied in this entry, to be answered at its end */
    uint64_t log_bytes, log_entries; /* since the last snapshot */
    uint64_t snapshot_bytes;         /* of the last one, taken here or received; 0: none yet */
    struct state_hash hashes[FSM_HASHES_KEPT];
};

/* Applies what is committed and not yet applied. */
void fsm_pump(struct engine *e);
/* Lets what was applied be read. Before anything is answered or asked that rests on it. */
void fsm_publish(struct engine *e);
/* Whether the log has grown enough for a snapshot. */
bool fsm_wants_snapshot(const struct engine *e);
/* So many bytes of it may stay behind a snapshot for members that lag. */
uint64_t fsm_log_bytes_kept(const struct engine *e);
/* Whether this version can apply all of a checked entry. */
bool fsm_understands(const struct engine *e, const void *data, const struct entry_header *header);

/* --- the others' states: equal at equal index, or one of the members is wrong --- */

/* Behind the last entry applied; index 0: none. */
struct state_hash fsm_newest_hash(const struct engine *e);
/* What another member says of its state. Ends the process when a majority differs from it. */
void fsm_compare(struct engine *e, struct member *m, uint64_t index, uint64_t hash);
/* Its process is gone; or there is another one, whose state was made anew. */
void fsm_forget_told(struct engine *e, uint64_t id);
/* ... and what it said when we had not got there. */
void fsm_compare_waiting(struct engine *e);

/* --- snapshots --- */

struct fsm_snapshot;
/* In a moment, at the applied index. */
struct fsm_snapshot *fsm_snapshot_take(struct engine *e);
/* On a pool thread: all of it, in pieces. */
void fsm_snapshot_encode(struct fsm_snapshot *snapshot,
                         void (*write)(void *sink, const void *data, size_t len), void *sink);
void fsm_snapshot_release(struct engine *e, struct fsm_snapshot *snapshot);

struct fsm_restore;
struct snapshot_reader;
struct fsm_restore *fsm_restore_begin(struct engine *e);
/* On a pool thread, or the one that starts: takes all that is in the snapshot. False with a
 * sentence, the reader's or `malformed`; then only fsm_restore_drop may follow. */
MUST_USE bool fsm_restore_read(struct fsm_restore *r, struct snapshot_reader *reader,
                               const char *malformed, char *error, size_t error_size);
/* The same from elsewhere, piece by piece: ST_CORRUPT when it is malformed, and then likewise. */
MUST_USE enum status fsm_restore_feed(struct fsm_restore *r, const uint8_t *data, size_t len);
MUST_USE enum status fsm_restore_end(struct fsm_restore *r);
/* The restored state takes the place of the present one. Frees `r`. */
void fsm_restore_swap(struct engine *e, struct fsm_restore *r, uint64_t index, uint16_t level,
                      uint64_t bytes);
void fsm_restore_drop(struct engine *e, struct fsm_restore *r);

#endif
