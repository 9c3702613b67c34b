/* Drives libraft's engine through its step interface: events go in, and the effects of a step
 * (entries and votes to disk, messages, a snapshot to install) are carried out here, in the order
 * that makes them safe. README.md lists the traps of libraft that are contained here.
 *
 * libraft is never entered recursively, and none of its errors is swallowed: one that should be
 * impossible ends the process before anything is touched.
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
    /* What libraft's assertions, compiled out in Debian, would check. */
    uint64_t last_commit;
    uint64_t leader_seen_term, leader_seen; /* one leader per term */
    uint64_t stored_index; /* highest index reported to libraft as stored, under the present log */
    /* Messages that reveal a term, vote or configuration that is not durable yet, in order. */
    uint64_t vote_frame; /* the frame with the newest of them */
    struct held_message *held, **held_end;
    bool answers_stale;    /* the message being received is of an older term */
    bool installing;       /* a snapshot from the leader is replacing the log */
    const void *submitted; /* memory of the entry being submitted: libraft must not free it */
};

void driver_init(struct driver *d);
/* Starts libraft with what was read from disk; `snapshot` NULL: none. d->raft.configuration is then
 * the one in force. False with a message if libraft refuses it. */
MUST_USE bool driver_start(struct engine *e, struct wal_loaded *loaded,
                           const struct snapshot_meta *snapshot, char *error, size_t error_size);
void driver_close(struct driver *d);

/* Handles a libraft message from a member. False if it is malformed and was dropped. */
MUST_USE bool driver_receive(struct engine *e, struct member *from, const uint8_t *data,
                             size_t len);
/* Passes a message from that member to libraft. Sets server_id, and server_address to NULL. */
void driver_deliver(struct engine *e, const struct member *from, struct raft_message *message);
/* The leader's life as known to libraft; 0: none. */
MUST_USE uint64_t driver_leader_life(struct engine *e);
/* Advances libraft's time. */
void driver_timeout(struct engine *e);
/* Proposes a command, which is borrowed. This member must lead, with no transfer in progress. */
void driver_submit(struct engine *e, void *data, size_t len);
/* Whether a configuration may be proposed: one at a time, by a leader that has committed an entry
 * of its own term (Ongaro, "bug in single-server membership changes", raft-dev 2015) and is not
 * transferring leadership. */
MUST_USE bool driver_may_change(const struct engine *e);
/* Proposes a configuration, in force at once. It may differ from the present one by one server. */
void driver_change(struct engine *e, const struct raft_configuration *conf);
/* False if libraft does not start the transfer. */
MUST_USE bool driver_transfer(struct engine *e, uint64_t life);
/* Something became durable. */
void driver_durable(struct engine *e);
/* A configuration entry was applied. */
void driver_configured(struct engine *e, uint64_t index, const uint8_t *data, size_t len);
/* Our own snapshot is in place: entries up to `trailing` before its last one may be dropped. */
void driver_snapshot_taken(struct engine *e, const struct snapshot_meta *meta, unsigned trailing);
/* A verified snapshot from the leader may replace the log. False if it is no longer wanted. */
MUST_USE bool driver_install(struct engine *e, uint64_t from_life, uint64_t term,
                             const struct snapshot_meta *meta);
/* ... and is durably in place. */
void driver_installed(struct engine *e, const struct snapshot_meta *meta);
/* Tells a member the commit index now, rather than with the next heartbeat. */
void driver_notify_commit(struct engine *e, struct member *to, uint64_t index, uint64_t term);
/* Ends the process if an invariant is broken. */
void driver_watch(struct engine *e);

#endif
