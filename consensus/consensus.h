/* Replicates opaque operations to all members of a cluster and applies them everywhere in one order
 * (Raft: Ongaro, "Consensus: bridging theory and practice", 2014). Knows nothing of what the
 * operations mean.
 *
 * Every operation is applied at most once, though it may be sent to several leaders: members number
 * their batches of operations, and the replicated state remembers the last batch of each member
 * (section 6.3 of the dissertation, with replicas as the clients). The member that took an
 * operation completes it when it applies it itself. So results never travel, and a client reads its
 * own writes.
 *
 * Thread: consensus_submit, consensus_status and consensus_members: any. Others: as stated. Owns:
 * its loop thread, sockets, and the files in the data directory. */
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

#define CONSENSUS_CLUSTER_SIZE 33
/* Exit status after a fatal error: EX_SOFTWARE of sysexits.h. */
#define CONSENSUS_EXIT_FATAL 70

/* --- options --- */

struct consensus_member {
    uint64_t id;
    char address[ADDRESS_SIZE]; /* host:port of its peer listener */
};

struct link_tls;

struct consensus_options {
    uint64_t id;
    const char *name;
    const char *data_dir;
    /* The first members, ordered by id, including this one. Used if the directory is empty. */
    const struct consensus_member *members;
    size_t members_count;
    bool members_given;         /* by the user: must then match the directory */
    bool joins;                 /* they belong to a running cluster: do not form one */
    unsigned voters;            /* standbys are promoted up to this number */
    uint32_t replace_after_ms;  /* voters away for this long are replaced; 0: never */
    const char *peer_listen;    /* host:port */
    const char *advertise_peer; /* host:port */
    const char *advertise_http; /* host:port, sent to the other members */
    bool peer_given;            /* advertise_peer was set by the user: announce it */
    const char *secret;         /* shared by the cluster; "": none */
    const char *secret_old;     /* one that also counts; "": members without; NULL: none */
    struct link_tls *tls;       /* of links; borrowed until consensus_destroy; NULL: none */
    bool plain_too;             /* with `tls`: links without are also made and accepted */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t write_timeout_ms;
    uint64_t snapshot_log_bytes;
    unsigned peer_connections; /* limit on incoming ones; 0: PEER_CONNECTIONS_MAX */
    const char *version;       /* of the program, sent to the other members */
};

/* The state machine. Called on the loop thread unless stated otherwise. */
struct consensus_fsm {
    void *ctx;
    /* Levels of the replicated format that this build supports. The state starts at level_min. */
    uint16_t level_min, level_max;
    /* Leader: writes the stamp (its time) that starts each entry. Returns its length, at most 64
     * bytes. */
    size_t (*stamp)(void *ctx, uint8_t *out);
    /* A committed entry: begin, apply for each operation, end. Then publish makes it readable,
     * before any operation completes; one call may cover several consecutive entries. `op` is the
     * waiting operation if this member took it, else NULL. A malformed stamp or operation breaks an
     * invariant. */
    void (*begin)(void *ctx, uint64_t index, const uint8_t *stamp, size_t stamp_len);
    void (*apply)(void *ctx, uint32_t position, const uint8_t *data, size_t len,
                  struct consensus_op *op);
    void (*end)(void *ctx);
    void (*publish)(void *ctx);
    /* Within an entry, right after `begin`: raises the replicated level. */
    void (*set_level)(void *ctx, uint16_t level);
    /* Any thread: whether this build knows this kind of operation and the level allows it. Cheap:
     * looks only at the kind. */
    bool (*understands)(const uint8_t *data, size_t len, uint16_t level);
    /* Of the whole state after an entry: equal on all members at the same index. */
    uint64_t (*hash)(void *ctx);
    /* Number of items in the state, for people. May be NULL. */
    uint64_t (*items)(void *ctx);
    /* Snapshots. `take` is quick. `encode` runs on a pool thread and calls `write` piece by piece,
     * with memory for one piece. `release` when it is stored or abandoned. */
    void *(*take)(void *ctx);
    void (*encode)(void *snapshot, void (*write)(void *sink, const void *data, size_t len),
                   void *sink);
    void (*release)(void *ctx, void *snapshot);
    /* Replaces the whole state while the present one serves readers. Begin: loop thread, or the
     * starting thread. Feed, any number of times with the next bytes, in pieces of any size, then
     * end: on one pool thread at a time; ST_CORRUPT if the bytes are no valid state, then only drop
     * may follow. Swap: loop or starting thread; replaces the old state at once. Drop, instead of
     * swap: likewise. Both free what `begin` returned; large memory is freed on another thread. */
    void *(*restore_begin)(void *ctx);
    enum status (*restore_feed)(void *restore, const uint8_t *data, size_t len);
    enum status (*restore_end)(void *restore);
    void (*restore_swap)(void *ctx, void *restore);
    void (*restore_drop)(void *ctx, void *restore);
    /* `tick`: about every 50 ms. `leadership`: exactly once for each change of this member's
     * leadership. */
    void (*tick)(void *ctx, uint64_t now_ms);
    void (*leadership)(void *ctx, bool leader);
    /* An operation of the leader's own, after all that it has received so far: appends it to `out`
     * and returns true. Called after consensus_propose(). */
    bool (*propose)(void *ctx, struct buffer *out);
};

/* --- operations --- */

enum consensus_lane {
    CONSENSUS_URGENT, /* heartbeats: go before the others */
    CONSENSUS_NORMAL,
    CONSENSUS_READ, /* not replicated: done when this member has applied everything committed before
                       it was submitted (ReadIndex, section 6.4) */
    CONSENSUS_POST, /* not replicated: done with ST_OK as soon as the loop has it */
    CONSENSUS_CHANGE, /* requests `change`: done when it is committed and known here. ST_NOT_FOUND:
                         no such member; ST_CONFLICT: consensus_plan gives the reason */
    CONSENSUS_BACKUP, /* a step of `backup`. ST_BUSY: too many at a time, or the state is being
                         replaced by the leader's; ST_NO_SPACE, ST_IO: its file cannot be written or
                         read */
};
#define CONSENSUS_LANES (CONSENSUS_BACKUP + 1)

/* --- membership changes --- */

enum consensus_change_kind {
    CONSENSUS_REMOVE = 1, /* a member, for good */
    CONSENSUS_PROMOTE,    /* a standby gets a vote once it has caught up */
    CONSENSUS_DEMOTE,     /* a voter becomes a standby, until it is promoted again */
    CONSENSUS_TRANSFER,   /* leadership to another member */
    CONSENSUS_ADD, /* expect a member at an address; when it appears it is admitted as a standby */
};

struct consensus_change {
    enum consensus_change_kind kind;
    uint64_t member;            /* transfer: 0 for any able member; add: 0 for a free id */
    char address[ADDRESS_SIZE]; /* add: host:port of its peer listener; otherwise "" */
    bool force;                 /* even if the cluster could then not continue */
};

/* The effect of a change on the majority. */
struct consensus_plan {
    bool found;  /* the member exists */
    bool needed; /* it is not in the wanted state yet */
    bool safe; /* the reachable members are still a majority afterwards; add: there is room, and no
                  other member is in the way */
    bool hands_over; /* it leads: leadership must be transferred first */
    size_t voters, voters_after, reachable_after;
};

/* --- backups --- */

/* The whole state at one index, in a file read piece by piece: server/base/snapshot_block.h. After
 * a TAKE come any number of READs and an END, one step at a time. A failed READ is followed by END;
 * after ST_STOPPING nothing is left to do. */
enum consensus_backup_step { CONSENSUS_BACKUP_TAKE, CONSENSUS_BACKUP_READ, CONSENSUS_BACKUP_END };

struct consensus_backup {
    enum consensus_backup_step step; /* requested */
    /* During the TAKE, any thread: bytes of the state so far. */
    _Atomic uint64_t written;
    /* Set by TAKE. */
    uint64_t index;
    uint64_t hash;  /* of the state */
    uint64_t bytes; /* of the file */
    uint16_t level;
    char cluster[CONSENSUS_CLUSTER_SIZE];
    /* READ: `piece` is the caller's, with room for SNAPSHOT_BLOCK_MAX bytes. On return it has the
     * next `len` bytes of the file; 0: end. */
    uint8_t *piece;
    size_t len;
    /* private */
    unsigned slot;
};

/* Caller-owned; must stay valid until `done`, which is called exactly once, on the loop thread. */
struct consensus_op {
    enum consensus_lane lane;
    uint8_t *data; /* from malloc; taken over on ST_OK (urgent and normal) */
    size_t len;
    void (*done)(struct consensus_op *op, enum status status);
    struct consensus_change change;
    struct consensus_backup *backup;
    /* Read lane: set by any thread before `done` to cancel; it then fails soon. */
    _Atomic bool given_up;
    /* private */
    struct cds_wfcq_node node;
    struct consensus_op *next;
    uint64_t deadline_ms;
    uint64_t taken_ns;
};
/* ST_BUSY: the queue is full; ST_STOPPING. Then `done` is not called and the caller keeps `data`.
 */
MUST_USE enum status consensus_submit(struct consensus *c, struct consensus_op *op);

/* --- start and stop --- */

enum consensus_directory {
    CONSENSUS_DIRECTORY_NEW,
    CONSENSUS_DIRECTORY_WAITS, /* of a joining member that was not admitted yet */
    CONSENSUS_DIRECTORY_TAKEN, /* of a member */
    CONSENSUS_DIRECTORY_REFUSED,
};
/* Before consensus_create: what the data directory holds; creates a missing one. Sets *ret_id
 * unless it is new, and `error` if it is refused. */
enum consensus_directory consensus_look(const char *data_dir, uint64_t *ret_id, char *error,
                                        size_t error_size);

/* Copies the options; starts nothing. */
struct consensus *consensus_create(const struct consensus_options *options,
                                   const struct consensus_fsm *app);
/* Opens the data directory and the peer port, loads the log (calling app->restore_begin and so on)
 * and starts the loop thread. On failure false, with a message in `error` that says what to do; the
 * process should then exit. */
MUST_USE bool consensus_start(struct consensus *c, char *error, size_t error_size);
/* Not on the loop thread. Transfers leadership, lets operations in flight finish for up to the
 * write timeout, fails the rest, then closes everything and joins the thread. */
void consensus_stop(struct consensus *c);
void consensus_destroy(struct consensus *c);

/* --- offline: no process may be running on the directory --- */

struct consensus_restored {
    uint64_t index, hash, items, taken_ms;       /* of the backup */
    char cluster_before[CONSENSUS_CLUSTER_SIZE]; /* of the cluster that was backed up */
    char cluster[CONSENSUS_CLUSTER_SIZE];
};
/* Turns the data directory, which must be empty, into a new one-member cluster with the state of
 * the backup at `path`; start it as usual then. False with a message. `app` must have no readers;
 * its contents are undefined afterwards. */
MUST_USE bool consensus_restore(const char *data_dir, const struct consensus_member *self,
                                const struct consensus_fsm *app, const char *path,
                                struct consensus_restored *ret_restored, char *error,
                                size_t error_size);

struct consensus_recovered {
    uint64_t member;
    bool is_voter;
    uint64_t commit_index;          /* known to be committed */
    uint64_t last_index, last_term; /* everything up to here is kept */
    uint64_t term;
    uint64_t hash, items; /* of the state */
    struct consensus_member lost[MEMBERS_MAX];
    bool lost_voters[MEMBERS_MAX];
    size_t lost_count;
    char cluster_before[CONSENSUS_CLUSTER_SIZE];
    char cluster[CONSENSUS_CLUSTER_SIZE]; /* "" unless confirmed */
};
/* Inspects the directory of a survivor; `id` 0: whichever member it is. With `confirmed`, turns it
 * into a new one-member cluster. Otherwise as consensus_restore. */
MUST_USE bool consensus_recover(const char *data_dir, uint64_t id, const struct consensus_fsm *app,
                                bool confirmed, struct consensus_recovered *ret_recovered,
                                char *error, size_t error_size);

/* --- on the loop thread --- */

/* Requests a call of app->propose for the next entry, after all operations received so far. */
void consensus_propose(struct consensus *c);
/* Age of the oldest entry proposed here and not yet applied; 0 if there is none. */
uint64_t consensus_oldest_unapplied_ms(const struct consensus *c);
/* Whether heartbeats were refused for lack of room a moment ago, here or at a member that reports
 * it. */
bool consensus_refuses_heartbeats(const struct consensus *c);
/* Whether this member leads and has applied all that earlier leaders committed. */
bool consensus_knows_all(const struct consensus *c);
/* The longest time an operation may be held up by a member that has not noticed the loss of the
 * leader or a machine. */
uint32_t consensus_hold_up_ms(const struct consensus *c);

/* Whether this member can do its part of work that the members share out among themselves; the
 * others learn of it within some 300 ms. Initially it cannot. */
void consensus_set_available(struct consensus *c, bool available);
/* This member is about to stop: tells the others at once. */
void consensus_say_leaving(struct consensus *c);
/* The members of the configuration, as heard from. An id may be there twice: that of a member that
 * lost its directory, and of its earlier life. */
struct consensus_presence {
    uint64_t id;
    uint64_t silent_ms; /* since anything came from it; 0: this member; UINT64_MAX: never */
    bool available;     /* as it last said, likewise the next */
    bool leaves;        /* it is about to stop */
};
/* Needs room for MEMBERS_MAX. Returns how many. */
size_t consensus_presence(const struct consensus *c, struct consensus_presence *ret_members);

/* --- status --- */

enum consensus_phase {
    CONSENSUS_FORMING, /* not all first members have met yet */
    CONSENSUS_WAITING, /* its directory is empty and its cluster exists: it waits to be admitted */
    CONSENSUS_MEMBER,
};

struct consensus_status {
    enum consensus_phase phase;
    uint64_t leader; /* 0: none known */
    bool is_leader;
    uint64_t term;
    uint64_t applied_index;
    uint64_t commit_index;
    /* Time since a leader was last heard from, 0 on the leader; at least the time that this
     * member's loop or disk has stalled. */
    uint64_t last_contact_ms;
    uint64_t loop_stalled_ms; /* 0: less than STALL_GRAIN_MS, like the next */
    uint64_t disk_stalled_ms; /* of the log's disk */
    bool caught_up;
    bool has_space;
    uint16_t level; /* of the replicated format; 0: unknown yet */
};
void consensus_status(const struct consensus *c, struct consensus_status *ret_status);

/* Constant after start. */
struct consensus_facts {
    uint64_t id;
    char name[NAME_BYTES_MAX + 1];
    char data_dir[4096];
    char advertise_http[ADDRESS_SIZE];
    char advertise_peer[ADDRESS_SIZE];
    char version[32];
    uint64_t life;      /* of its data directory */
    uint16_t level_max; /* highest level of the replicated format that this version supports */
    uint32_t write_timeout_ms;
    uint32_t election_timeout_ms;
};
const struct consensus_facts *consensus_facts(const struct consensus *c);
/* 32 hexadecimal digits; all zeros until the cluster is formed. */
void consensus_cluster(const struct consensus *c, char out[CONSENSUS_CLUSTER_SIZE]);

/* An event in the life of a member. */
#define CONSENSUS_CLUSTER_EVENTS_MAX 64
struct consensus_cluster_event {
    uint64_t index; /* of the entry */
    uint64_t member, life;
    unsigned voters; /* after it */
    /* "expected", "let_in", "promoted", "demoted", "moved", "earlier_life_removed", "removed" */
    char what[24];
};
/* The last events known here, oldest first. Needs room for CONSENSUS_CLUSTER_EVENTS_MAX. */
size_t consensus_cluster_events(const struct consensus *c,
                                struct consensus_cluster_event *ret_events);

struct consensus_member_info {
    uint64_t id;
    uint64_t life;                 /* of its data directory; Raft's server id */
    char name[NAME_BYTES_MAX + 1]; /* "" if not heard from yet */
    char peer_address[ADDRESS_SIZE];
    char http_address[ADDRESS_SIZE]; /* "" if not heard from yet */
    char version[32];
    char role[12]; /* "voter", "standby"; "spare": added, but has not appeared yet */
    bool is_held;  /* a standby demoted by hand: not promoted automatically */
    bool is_leader;
    bool is_self;
    bool reachable; /* the link to it is up */
    bool has_space;
    bool refuses_heartbeats;       /* it has refused heartbeats a moment ago, for lack of room */
    uint16_t level_min, level_max; /* supported by its version; 0: not heard from yet */
    uint64_t applied_index;        /* last reported */
    uint64_t last_heard_ms;        /* since last heard from; 0 for this member; UINT64_MAX: never */
    char trouble[128];             /* why it is unreachable from here; "" if it is not */
};
/* Needs room for MEMBERS_MAX. */
void consensus_members(const struct consensus *c, struct consensus_member_info *ret_members,
                       size_t *ret_count);
/* The effect of a change on these members. Pure. */
struct consensus_plan consensus_plan(const struct consensus_member_info *members, size_t count,
                                     const struct consensus_change *change);
/* Bytes free on the file system of the data directory, and bytes used in it by the log. Any thread.
 */
uint64_t consensus_disk_free(const struct consensus *c);

#endif
