/* The leader's side of InstallSnapshot (section 7 of the Raft paper): sends the file of the newest
 * snapshot to a lagging member, in pieces between other frames, a few at a time. Each piece is
 * verified before it is sent.
 *
 *   FRAME_SNAPSHOT:        transfer u64, term u64, offset u64, file's length u64, then the bytes;
 *                          without bytes: a query, after silence for an election timeout
 *   FRAME_SNAPSHOT_RESULT: transfer u64, offset u64 up to which all has arrived (SNAPSHOT_STOP: not
 *                          wanted, or failed; SNAPSHOT_IN_PLACE: it has replaced the member's log)
 *
 * Thread: loop; pieces are read on pool threads. Owns: the transfers. */
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
    struct sending *list[MEMBERS_MAX]; /* NULL: free */
    uint64_t transfers;                /* since the start, for numbering */
};

/* libraft wants a member to have the newest snapshot. No effect while one is being sent to it. */
void snapshot_send_begin(struct engine *e, struct member *to);
/* A member's reply to entries: libraft must not act on a rejection while a snapshot is being sent.
 * Afterwards it must see it, matched to the snapshot that it asked for, though its heartbeats are
 * made from a newer one. */
void snapshot_send_amend(struct engine *e, struct member *from,
                         struct raft_append_entries_result *result);
/* FRAME_SNAPSHOT_RESULT. */
void snapshot_send_receive(struct engine *e, const struct member *from, const uint8_t *data,
                           size_t len);
void snapshot_send_tick(struct engine *e);
/* The index of the oldest snapshot being sent; 0: none. */
uint64_t snapshot_send_oldest(const struct engine *e);
/* The link to a member is new: frames in flight may be lost. */
void snapshot_send_end_to(struct engine *e, uint64_t id);
/* Ends all transfers. Those in use by a pool thread go when it is done. */
void snapshot_send_end(struct engine *e);
bool snapshot_send_is_idle(const struct engine *e);

#endif
