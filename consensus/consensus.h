/* Replicates opaque operations to all members of a cluster and applies them in one order
 * everywhere (Raft: Ongaro, "Consensus: bridging theory and practice", 2014). Knows nothing of what
 * the operations mean.
 *
 * Every operation is applied at most once, though it may be sent to several leaders: each member
 * numbers the batches of operations that it sends, and the replicated state remembers the last one
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

#define CONSENSUS_CLUSTER_SIZE 33
/* Exit status of a process that cannot go on safely: EX_SOFTWARE of sysexits.h. */
#define CONSENSUS_EXIT_FATAL 70

/* --- what it is told --- */

struct consensus_member {
    uint64_t id;
    char address[ADDRESS_SIZE]; /* host:port of its peer listener */
};

struct consensus_options {
    uint64_t id;
    const char *name;
    const char *data_dir;
    /* The first members, in order of id, this one included. Used when the directory is empty. */
    const struct consensus_member *members;
    size_t members_count;
    bool members_given;         /* by the user: then they must match what the directory says */
    bool joins;                 /* they are a running cluster's: none is formed with them */
    unsigned voters;            /* standbys get a vote until there are so many */
    uint32_t replace_after_ms;  /* 0: never; a voter that is away for so long is replaced */
    const char *peer_listen;    /* host:port */
    const char *advertise_peer; /* host:port */
    const char *advertise_http; /* host:port, told to the other members */
    bool peer_given; /* advertise_peer is what the user said: members that have another are told */
    const char *secret; /* shared by the cluster, "" when none */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t write_timeout_ms;
    uint64_t snapshot_log_bytes;
    unsigned peer_connections; /* incoming, at most; 0: PEER_CONNECTIONS_MAX */
    const char *version;       /* of the program, told to the other members */
};

/* The state machine that operations are applied to. All on the loop thread but for what is said
 * below. */
struct consensus_fsm {
    void *ctx;
    /* The levels of the replicated format that this build speaks. The state begins at level_min. */
    uint16_t level_min, level_max;
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
    /* Within an entry, right after `begin`: the replicated level rises to this one. */
    void (*set_level)(void *ctx, uint16_t level);
    /* Any thread: whether this build knows this kind of operation, and it may be used at this
     * replicated level. Cheap: looks at the kind alone. */
    bool (*understands)(const uint8_t *data, size_t len, uint16_t level);
    /* Of the whole state, after an entry: equal at equal index on all members. */
    uint64_t (*hash)(void *ctx);
    /* How many things the state holds, for people. May be NULL. */
    uint64_t (*items)(void *ctx);
    /* Snapshots: take in a moment. Encode on a pool thread: calls `write` with one piece after the
     * other, and needs memory for one. Release when it is stored or given up. */
    void *(*take)(void *ctx);
    void (*encode)(void *snapshot, void (*write)(void *sink, const void *data, size_t len),
                   void *sink);
    void (*release)(void *ctx, void *snapshot);
    /* Replacing the whole state, while the one that is there serves readers. Begin: loop thread, or
     * the one that starts. Feed, any number of times with the next bytes, in pieces of any size,
     * then end: one pool thread at a time; ST_CORRUPT when the bytes are no state, and then only
     * drop may follow. Swap: loop thread, or the one that starts; the new state takes the place of
     * the old in a moment. Drop, in place of swap: likewise. Both free what `begin` returned; what
     * is large is freed on another thread. */
    void *(*restore_begin)(void *ctx);
    enum status (*restore_feed)(void *restore, const uint8_t *data, size_t len);
    enum status (*restore_end)(void *restore);
    void (*restore_swap)(void *ctx, void *restore);
    void (*restore_drop)(void *ctx, void *restore);
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
    CONSENSUS_READ,   /* not replicated: done when this member has applied all that the cluster had
                         committed when it was submitted (ReadIndex, section 6.4) */
    CONSENSUS_POST,   /* not replicated: only brought to the loop; done at once with ST_OK */
    CONSENSUS_CHANGE, /* `change` is wanted of the members: done when that is committed and known
                         here. ST_NOT_FOUND: no such member; ST_CONFLICT: consensus_plan says why */
    CONSENSUS_BACKUP, /* a step of `backup`. ST_BUSY: too many at a time, or the state is being
                         replaced by a leader's; ST_NO_SPACE, ST_IO: its file cannot be written or
                         read */
};
#define CONSENSUS_LANES (CONSENSUS_BACKUP + 1)

/* --- changes of the members --- */

enum consensus_change_kind {
    CONSENSUS_REMOVE = 1, /* a member, for good */
    CONSENSUS_PROMOTE,    /* a standby gets a vote when it has caught up */
    CONSENSUS_DEMOTE,     /* a voter becomes a standby, and stays one until it is promoted */
    CONSENSUS_TRANSFER,   /* another member leads */
    CONSENSUS_ADD, /* a member is expected at an address; it is let in when it comes, as a standby
                    */
};

struct consensus_change {
    enum consensus_change_kind kind;
    uint64_t member;            /* transfer: 0 is any that can; add: 0 is one that is free */
    char address[ADDRESS_SIZE]; /* add: host:port of its peer listener; else "" */
    bool force;                 /* also when the cluster could do nothing afterwards */
};

/* What a change does to the majority. */
struct consensus_plan {
    bool found;      /* there is such a member */
    bool needed;     /* it is not so already */
    bool safe;       /* those that can be reached are a majority afterwards; add: there is room for
                        it, and no other member is in its way */
    bool hands_over; /* it leads: another one must, before */
    size_t voters, voters_after, reachable_after;
};

/* --- backups --- */

/* The whole state at an index, in a file that is read in pieces: server/base/snapshot_block.h. A
 * TAKE that was done is followed by any number of READs and an END, one step at a time. A READ that
 * fails is followed by the END; after ST_STOPPING there is nothing to do. */
enum consensus_backup_step { CONSENSUS_BACKUP_TAKE, CONSENSUS_BACKUP_READ, CONSENSUS_BACKUP_END };

struct consensus_backup {
    enum consensus_backup_step step; /* wanted */
    /* During the TAKE, any thread: bytes of the state so far. */
    _Atomic uint64_t written;
    /* From the TAKE on. */
    uint64_t index;
    uint64_t hash;  /* of the state */
    uint64_t bytes; /* of the file */
    uint16_t level;
    char cluster[CONSENSUS_CLUSTER_SIZE];
    /* For a READ: room for SNAPSHOT_BLOCK_MAX bytes, the caller's. From it on: so many of them are
     * the file's next ones. 0: there are no more. */
    uint8_t *piece;
    size_t len;
    /* private */
    unsigned slot;
};

/* Caller-owned; must stay until `done`, which comes exactly once, on the loop thread. */
struct consensus_op {
    enum consensus_lane lane;
    uint8_t *data; /* the operation's bytes, from malloc; taken on ST_OK (urgent and normal) */
    size_t len;
    void (*done)(struct consensus_op *op, enum status status);
    struct consensus_change change;
    struct consensus_backup *backup;
    /* Of a read, by any thread until `done`: nobody waits for it any more, and it fails soon. */
    _Atomic bool given_up;
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

enum consensus_directory {
    CONSENSUS_DIRECTORY_NEW,
    CONSENSUS_DIRECTORY_WAITS, /* of a member that joins, and was not let in yet */
    CONSENSUS_DIRECTORY_TAKEN, /* of a member */
    CONSENSUS_DIRECTORY_REFUSED,
};
/* Before there is a `consensus`: whose data directory it is; makes it when it is missing. Puts the
 * member's id into *ret_id unless it is new, and a sentence into `error` when it is refused. */
enum consensus_directory consensus_look(const char *data_dir, uint64_t *ret_id, char *error,
                                        size_t error_size);

/* Copies what it is told; does nothing yet. */
struct consensus *consensus_create(const struct consensus_options *options,
                                   const struct consensus_fsm *app);
/* Opens the data directory and the peer port, loads the log (calling app->restore_begin and so on)
 * and starts the loop thread. False on failure, with a sentence that says what to do in `error`;
 * the process should end then. */
MUST_USE bool consensus_start(struct consensus *c, char *error, size_t error_size);
/* From another thread than the loop: hands leadership over, lets what is in flight finish for up to
 * the write timeout, then fails the rest, closes and joins the thread. */
void consensus_stop(struct consensus *c);
void consensus_destroy(struct consensus *c);

/* --- offline: while no process runs on the directory --- */

struct consensus_restored {
    uint64_t index, hash, items, taken_ms;       /* of the backup */
    char cluster_before[CONSENSUS_CLUSTER_SIZE]; /* that it was taken of */
    char cluster[CONSENSUS_CLUSTER_SIZE];
};
/* Makes the data directory, which must be empty, that of a new cluster of this member alone with
 * the state in the backup `path`; start it as usual then. False with a sentence. `app` is one that
 * nobody reads yet; all that is in it afterwards is of no use. */
MUST_USE bool consensus_restore(const char *data_dir, const struct consensus_member *self,
                                const struct consensus_fsm *app, const char *path,
                                struct consensus_restored *ret_restored, char *error,
                                size_t error_size);

struct consensus_recovered {
    uint64_t member;
    bool is_voter;
    uint64_t commit_index;          /* known to be committed */
    uint64_t last_index, last_term; /* all of it is kept, up to here */
    uint64_t term;
    uint64_t hash, items; /* of the state there */
    struct consensus_member lost[MEMBERS_MAX];
    bool lost_voters[MEMBERS_MAX];
    size_t lost_count;
    char cluster_before[CONSENSUS_CLUSTER_SIZE];
    char cluster[CONSENSUS_CLUSTER_SIZE]; /* "" when only looked at */
};
/* What is left in a survivor's directory; `id` 0: whichever member it is. With `confirmed` makes it
 * that of a new cluster of this member alone. As above. */
MUST_USE bool consensus_recover(const char *data_dir, uint64_t id, const struct consensus_fsm *app,
                                bool confirmed, struct consensus_recovered *ret_recovered,
                                char *error, size_t error_size);

/* --- on the loop thread --- */

/* Asks for app->propose to be called for the next entry, behind all operations received so far. */
void consensus_propose(struct consensus *c);
/* Milliseconds since the oldest entry proposed here and not yet applied; 0 when there is none. */
uint64_t consensus_oldest_unapplied_ms(const struct consensus *c);
/* Whether heartbeats were refused here a moment ago, or at a member that told so, because too many
 * were waiting. */
bool consensus_refuses_heartbeats(const struct consensus *c);
/* Loop: whether this member leads, and has applied all that earlier leaders committed. */
bool consensus_knows_all(const struct consensus *c);
/* How long an operation may be held up at most by a member that has not noticed that the leader or
 * a machine is gone. */
uint32_t consensus_hold_up_ms(const struct consensus *c);

/* --- how it stands --- */

enum consensus_phase {
    CONSENSUS_FORMING, /* the first members have not all met yet */
    CONSENSUS_WAITING, /* its directory is empty, and its cluster exists: it has to be let in */
    CONSENSUS_MEMBER,
};

struct consensus_status {
    enum consensus_phase phase;
    uint64_t leader; /* 0: none known */
    bool is_leader;
    uint64_t term;
    uint64_t applied_index;
    uint64_t commit_index;
    /* Since a leader was last heard from, 0 on the leader; but at least as long as loop or disk of
     * this member have stood still. */
    uint64_t last_contact_ms;
    uint64_t loop_stalled_ms; /* 0: less than STALL_GRAIN_MS, as the next */
    uint64_t disk_stalled_ms; /* the log's */
    bool caught_up;
    bool has_space;
    uint16_t level; /* of the replicated format; 0: nothing is known yet */
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
    uint16_t level_max; /* of the replicated format, that this version can speak */
    uint32_t write_timeout_ms;
    uint32_t election_timeout_ms;
};
const struct consensus_facts *consensus_facts(const struct consensus *c);
/* 32 hexadecimal digits; all zeros until the cluster is formed. */
void consensus_cluster(const struct consensus *c, char out[CONSENSUS_CLUSTER_SIZE]);

/* Something that happened to a member. */
#define CONSENSUS_CLUSTER_EVENTS_MAX 64
struct consensus_cluster_event {
    uint64_t index; /* of the entry */
    uint64_t member, life;
    unsigned voters; /* afterwards */
    /* "expected", "let_in", "promoted", "demoted", "moved", "earlier_life_removed", "removed" */
    char what[24];
};
/* The last ones that this member knows of, oldest first. Room for CONSENSUS_CLUSTER_EVENTS_MAX. */
size_t consensus_cluster_events(const struct consensus *c,
                                struct consensus_cluster_event *ret_events);

struct consensus_member_info {
    uint64_t id;
    uint64_t life;                 /* of its data directory; Raft's server id */
    char name[NAME_BYTES_MAX + 1]; /* "" when not heard from yet */
    char peer_address[ADDRESS_SIZE];
    char http_address[ADDRESS_SIZE]; /* "" when not heard from yet */
    char version[32];
    char role[12]; /* "voter", "standby"; "spare": it was added, and has not been there yet */
    bool is_held;  /* a standby that was demoted: it gets no vote by itself */
    bool is_leader;
    bool is_self;
    bool reachable; /* a link to it is up */
    bool has_space;
    bool refuses_heartbeats;       /* it did a moment ago, because too many waited there */
    uint16_t level_min, level_max; /* that its version can speak; 0: not heard from yet */
    uint64_t applied_index;        /* as it last told */
    uint64_t last_heard_ms;        /* since then; 0 for this member; UINT64_MAX: never */
    char trouble[128];             /* why it cannot be reached from here; "" when it can be */
};
/* Room for MEMBERS_MAX. */
void consensus_members(const struct consensus *c, struct consensus_member_info *ret_members,
                       size_t *ret_count);
/* What a change would do, to these members. Pure. */
struct consensus_plan consensus_plan(const struct consensus_member_info *members, size_t count,
                                     const struct consensus_change *change);
/* Bytes free on the file system of the data directory, and in use below it for the log. Any thread.
 */
uint64_t consensus_disk_free(const struct consensus *c);

#endif
