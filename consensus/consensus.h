/* Replicates opaque operations to all members of a cluster and applies them in one order
 * everywhere (Raft: Ongaro, "Consensus: bridging theory and practice", 2014). Knows nothing of what
 * the operations mean.
 *
 * Every operation is applied at most once, though it may be sent to several leaders: each member
 * numbers the bundles of operations that it sends, and the replicated state remembers the last one
 * of each member (section 6.3 of the dissertation, with replicas as the clients). The member that
 * took an operation answers it when it applies it itself; so results never travel, and a client
 * reads its own writes.
 *
 * Thread: consensus_submit, consensus_status and consensus_members: any. All else: see there.
 * Owns: its loop thread, sockets, and the files below the data directory. */
#ifndef MUSTER_CONSENSUS_CONSENSUS_H
#define MUSTER_CONSENSUS_CONSENSUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <urcu/wfcqueue.h>

#include "server/base/buffer.h"
#include "server/base/limits.h"
#include "server/base/status.h"

struct consensus;
struct consensus_op;

/* --- what it is told --- */

struct consensus_member {
    uint64_t id;
    char address[HOST_BYTES_MAX + 9]; /* host:port of its peer listener */
};

struct consensus_options {
    uint64_t id;
    const char *name;
    const char *data_dir;
    /* The first members, in order of id, this one included. Used when the directory is empty. */
    const struct consensus_member *members;
    size_t members_count;
    bool members_given;         /* by the user: then they must match what the directory says */
    const char *peer_listen;    /* host:port */
    const char *advertise_peer; /* host:port */
    const char *advertise_http; /* host:port, told to the other members */
    const char *secret;         /* shared by the cluster, "" when none */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t write_timeout_ms;
    uint64_t snapshot_log_bytes;
    const char *version; /* of the program, told to the other members */
};

/* What the operations are applied to. All on the loop thread but `encode`. */
struct consensus_app {
    void *ctx;
    /* Leader: writes what every entry begins with (its time). At most 64 bytes; returns how many.
     */
    size_t (*stamp)(void *ctx, uint8_t *out);
    /* A committed entry: begin, apply for each operation, end. Then publish lets it be read, before
     * anybody is told that it is done; when entries follow at once, one call for several. `op` is
     * the waiting operation when this member took it, else NULL. A malformed stamp or operation
     * breaks an invariant. */
    void (*begin)(void *ctx, uint64_t index, const uint8_t *stamp, size_t stamp_len);
    void (*apply)(void *ctx, uint32_t position, const uint8_t *data, size_t len,
                  struct consensus_op *op);
    void (*end)(void *ctx);
    void (*publish)(void *ctx);
    /* Snapshots: take in a moment; encode at leisure on a pool thread; release when stored. */
    void *(*take)(void *ctx);
    void (*encode)(void *snapshot, struct buffer *out);
    void (*release)(void *ctx, void *snapshot);
    /* Replaces the whole state. */
    enum status (*restore)(void *ctx, const uint8_t *data, size_t len);
    /* Every 50 ms or so; and each change of leadership of this member, exactly once. */
    void (*tick)(void *ctx, uint64_t now_ms);
    void (*leadership)(void *ctx, bool leader);
    /* What the leader wants to say after all that it has received so far: appends one operation to
     * `out` and returns true. Asked when `tick` has set consensus_propose(). */
    bool (*propose)(void *ctx, struct buffer *out);
};

/* --- operations --- */

enum consensus_lane {
    CONSENSUS_URGENT, /* heartbeats: before the others */
    CONSENSUS_NORMAL,
    CONSENSUS_READ, /* not replicated: done when this member has applied all that the cluster had
                       committed when it was submitted (ReadIndex, section 6.4) */
    CONSENSUS_CALL, /* not replicated: only brought to the loop; done at once with ST_OK */
};

/* Caller-owned; must stay until `done`, which comes exactly once, on the loop thread. */
struct consensus_op {
    enum consensus_lane lane;
    uint8_t *data; /* the operation's bytes, from malloc; taken on ST_OK (urgent and normal) */
    size_t len;
    void (*done)(struct consensus_op *op, enum status status);
    /* private */
    struct cds_wfcq_node node;
    struct consensus_op *next;
    uint64_t deadline_ms;
    uint64_t taken_ns;
};
/* ST_BUSY: the queue is full; ST_STOPPING. Then `done` is not called and data stays the caller's.
 */
MUST_USE enum status consensus_submit(struct consensus *c, struct consensus_op *op);

/* --- life --- */

/* Copies what it is told; does nothing yet. */
struct consensus *consensus_create(const struct consensus_options *options,
                                   const struct consensus_app *app);
/* Opens the data directory and the peer port, loads the log (calling app->restore) and starts the
 * loop thread. False on failure, with a sentence that says what to do in `error`; the process
 * should end then. */
MUST_USE bool consensus_start(struct consensus *c, char *error, size_t error_size);
/* From another thread than the loop: hands leadership over, lets what is in flight finish for up to
 * the write timeout, then fails the rest, closes and joins the thread. */
void consensus_stop(struct consensus *c);
void consensus_destroy(struct consensus *c);

/* --- on the loop thread --- */

/* Asks for app->propose to be called for the next entry, behind all operations received so far. */
void consensus_propose(struct consensus *c);
/* Milliseconds since the oldest entry proposed here and not yet applied; 0 when there is none. */
uint64_t consensus_oldest_unapplied_ms(const struct consensus *c);

/* --- how it stands --- */

struct consensus_status {
    uint64_t leader; /* 0: none known */
    bool is_leader;
    uint64_t term;
    uint64_t applied_index;
    uint64_t commit_index;
    uint64_t last_contact_ms; /* since a leader was last heard from; 0 on the leader */
    bool caught_up;
    bool has_space;
};
void consensus_status(const struct consensus *c, struct consensus_status *ret_status);

/* Constant after start. */
struct consensus_facts {
    uint64_t id;
    char name[NAME_BYTES_MAX + 1];
    char data_dir[4096];
    char advertise_http[HOST_BYTES_MAX + 9];
    char advertise_peer[HOST_BYTES_MAX + 9];
    char version[32];
    uint64_t cluster_id;
    uint32_t write_timeout_ms;
    uint32_t election_timeout_ms;
};
const struct consensus_facts *consensus_facts(const struct consensus *c);

struct consensus_member_info {
    uint64_t id;
    char name[NAME_BYTES_MAX + 1]; /* "" when not heard from yet */
    char peer_address[HOST_BYTES_MAX + 9];
    char http_address[HOST_BYTES_MAX + 9]; /* "" when not heard from yet */
    char version[32];
    char role[12]; /* "voter", "standby", "spare" */
    bool is_leader;
    bool is_self;
    bool reachable; /* a link to it is up */
    bool has_space;
    uint64_t applied_index; /* as it last told */
    uint64_t last_heard_ms; /* since then; 0 for this member; UINT64_MAX: never */
};
/* Room for MEMBERS_MAX. */
void consensus_members(const struct consensus *c, struct consensus_member_info *ret_members,
                       size_t *ret_count);
/* Bytes free on the file system of the data directory, and in use below it for the log. Any thread.
 */
uint64_t consensus_disk_free(const struct consensus *c);

#endif
