/* The leader's side of InstallSnapshot (section 7 of the Raft paper): the file of the newest
 * snapshot goes to a member that lags, in pieces between the other frames, a few on their way at a
 * time. Each piece is verified before it leaves.
 *
 *   FRAME_SNAPSHOT:        transfer u64, term u64, offset u64, file's length u64, then the bytes;
 *                          none: how far are you? Nothing was heard for an election timeout
 *   FRAME_SNAPSHOT_RESULT: transfer u64, offset u64 up to which all has arrived (SNAPSHOT_STOP: not
 *                          wanted, or it failed; SNAPSHOT_IN_PLACE: it has taken the place of the
 *                          member's log)
 *
 * Thread: loop; pieces are read on pool threads. Owns: the transfers under way. */
#ifndef MUSTER_CONSENSUS_SNAPSHOT_SEND_H
#define MUSTER_CONSENSUS_SNAPSHOT_SEND_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/limits.h"

struct engine;
struct member;
struct sending;

#define SNAPSHOT_STOP     UINT64_MAX
#define SNAPSHOT_IN_PLACE (UINT64_MAX - 1)

struct snapshot_send {
    struct sending *list[MEMBERS_MAX]; /* NULL: none */
    uint64_t transfers;                /* ever begun, for numbering */
};

/* libraft wants a member to have the newest snapshot. Does nothing when one is on its way to it. */
void snapshot_send_begin(struct engine *e, struct member *to);
/* An answer to entries from a member: a rejection for as long as its snapshot is on its way is none
 * that libraft should act on. When it is not any more, libraft must hear that: it compares with the
 * snapshot that it asked for, though it makes its heartbeats from a newer one. */
void snapshot_send_amend(struct engine *e, struct member *from,
                         struct raft_append_entries_result *result);
/* FRAME_SNAPSHOT_RESULT. */
void snapshot_send_receive(struct engine *e, const struct member *from, const uint8_t *data,
                           size_t len);
void snapshot_send_tick(struct engine *e);
/* The index of the oldest snapshot on its way; 0: none is. */
uint64_t snapshot_send_oldest(const struct engine *e);
/* The link to a member is another one: what was on its way may be lost. */
void snapshot_send_end_to(struct engine *e, uint64_t id);
/* Ends all. Those that a pool thread has hold of go when it is done. */
void snapshot_send_end(struct engine *e);
bool snapshot_send_is_idle(const struct engine *e);

#endif
