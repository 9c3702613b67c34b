/* Drives libraft's engine through its step interface: events go in, and what a step wants (entries
 * and votes on disk, messages sent, a snapshot installed) is done here, in the order that makes it
 * safe. The list of libraft's traps that it contains is in README.md.
 *
 * libraft is never entered from inside of libraft, and no error of it is ever swallowed: what
 * should not fail and does ends the process before anything is touched.
 *
 * Thread: loop. Owns: libraft's state, the log in memory. */
#ifndef MUSTER_CONSENSUS_DRIVER_H
#define MUSTER_CONSENSUS_DRIVER_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/log.h"
#include "consensus/disk/snapshot_file.h"
#include "consensus/disk/wal.h"
#include "server/base/compiler.h"

struct engine;
struct member;
struct held_message;

struct driver {
    struct raft raft;
    bool open;
    bool stepping;
    struct log log;
    /* Watched: what libraft's assertions, compiled out in Debian, would. */
    uint64_t last_commit;
    uint64_t leader_seen_term, leader_seen; /* one leader a term */
    uint64_t
        stored_index; /* the highest index that libraft was told to be on disk, as it counts now */
    /* Messages that tell of a term, vote or configuration that is not durable yet, in order. */
    uint64_t vote_frame; /* the frame with the newest of these */
    struct held_message *held, **held_end;
    bool answers_stale;    /* the message that is being received is of an older term */
    bool installing;       /* a leader's snapshot takes the place of the log */
    const void *submitted; /* the memory of the entry being submitted: not libraft's to free */
};

void driver_init(struct driver *d);
/* What was read from disk; `snapshot` NULL: there is none. The configuration in force is in
 * d->raft.configuration then. False when libraft refuses it, with a sentence. */
MUST_USE bool driver_start(struct engine *e, struct wal_loaded *loaded,
                           const struct snapshot_meta *snapshot, char *error, size_t error_size);
void driver_close(struct driver *d);

/* One of libraft's messages from a member. False when it is malformed (and dropped). */
MUST_USE bool driver_receive(struct engine *e, struct member *from, const uint8_t *data,
                             size_t len);
/* To libraft, as from that member. Sets server_id; server_address is NULL afterwards. */
void driver_deliver(struct engine *e, const struct member *from, struct raft_message *message);
/* The life of the leader as libraft knows it; 0: none. */
MUST_USE uint64_t driver_leader_life(struct engine *e);
/* Time passes. */
void driver_timeout(struct engine *e);
/* Proposes a command; borrowed. Only when this member leads and hands nothing over. */
void driver_submit(struct engine *e, void *data, size_t len);
/* Whether the next configuration may be proposed: one at a time, by a leader that has committed an
 * entry of its own term (Ongaro, "bug in single-server membership changes", raft-dev 2015), and
 * that hands nothing over. */
MUST_USE bool driver_may_change(const struct engine *e);
/* Proposes it; in force at once. It differs from the one in force by one server at most. */
void driver_change(struct engine *e, const struct raft_configuration *conf);
/* False when libraft does not begin a transfer. */
MUST_USE bool driver_transfer(struct engine *e, uint64_t life);
/* Something became durable. */
void driver_durable(struct engine *e);
/* A configuration entry was applied. */
void driver_configured(struct engine *e, uint64_t index, const uint8_t *data, size_t len);
/* Our own snapshot is in place; entries up to `trailing` before its last one may go. */
void driver_snapshot_taken(struct engine *e, const struct snapshot_meta *meta, unsigned trailing);
/* A snapshot of the leader's is verified and may take the place of the log. False when it is not
 * wanted any more. */
MUST_USE bool driver_install(struct engine *e, uint64_t from_life, uint64_t term,
                             const struct snapshot_meta *meta);
/* ... and it is in place, durably. */
void driver_installed(struct engine *e, const struct snapshot_meta *meta);
/* Tells a member what is committed, at once instead of with the next heartbeat. */
void driver_notify_commit(struct engine *e, struct member *to, uint64_t index, uint64_t term);
/* Ends the process when an invariant is broken. */
void driver_watch(struct engine *e);

#endif
