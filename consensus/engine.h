/* One member of the cluster without threads, sockets or files: libraft behind its guard, the
 * operations on their way, the leader proof. It is driven by calls and acts through `engine_env`,
 * so that the program runs it on libuv (consensus.c) and a simulator on a virtual world.
 *
 * How a call goes: an engine_* function brings something in (a message, a tick, operations), then
 * engine_pump() does what follows from it. libraft is never entered from inside of libraft.
 *
 * Thread: loop. Owns: everything below `struct engine`. */
#ifndef MUSTER_CONSENSUS_ENGINE_H
#define MUSTER_CONSENSUS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <raft.h>

#include "consensus/consensus.h"
#include "consensus/guard.h"
#include "consensus/sessions.h"
#include "server/base/buffer.h"

/* Messages between members. */
enum frame_type {
    FRAME_RAFT = 1,   /* message.h */
    FRAME_BUNDLE,     /* to the leader: a bundle (entry.h) */
    FRAME_REFUSE,     /* to its origin: boot u64, sequence u64, status u32 */
    FRAME_READ,       /* to the leader: number u64 of a request for the read index */
    FRAME_READ_INDEX, /* back: number u64, index u64; index 0: not leader */
    FRAME_PROBE,      /* leader to all: term u64, round u64 */
    FRAME_PROBE_ACK,  /* back, when the member's term is no higher: term u64, round u64 */
    FRAME_INFO,       /* about the sender, now and then (directory.c) */
};

/* Work that must not be done on the loop. */
struct engine_work {
    void (*run)(struct engine_work *work);  /* on a pool thread */
    void (*done)(struct engine_work *work); /* on the loop */
};

struct engine_env {
    void *ctx;
    uint64_t (*now_ms)(void *ctx); /* monotonic, the loop's */
    /* As peers_send(). */
    enum status (*send)(void *ctx, uint64_t to, uint8_t type, bool bulk, const void *head,
                        size_t head_len, const void *payload, size_t payload_len,
                        void (*sent)(void *data, enum status status), void *data);
    bool (*is_up)(void *ctx, uint64_t id);
    void (*work)(void *ctx, struct engine_work *work);
    /* The term is stored, the log is durable up to here; see storage_mark(). */
    void (*mark)(void *ctx, uint64_t term, uint64_t index);
    uint64_t (*disk_free)(void *ctx);
    /* Ends the process (or the simulated one): nothing may be done any more. */
    void (*fatal)(void *ctx, const char *sentence);
};

/* The number of a life of a member: how often it was started, and chance. The count makes it rise;
 * the salt tells it from any other life even when the files were lost and counting began anew. */
#define BOOT(count, salt) ((uint64_t)(count) << 32 | (uint32_t)(salt))
#define BOOT_COUNT(boot)  ((uint64_t)(boot) >> 32)
#define BOOT_SALT(boot)   ((uint64_t)(boot)&UINT32_MAX)

struct engine_options {
    uint64_t id;
    uint64_t cluster_id;
    uint64_t boot; /* see BOOT */
    uint64_t watermark_term, watermark_index;
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t write_timeout_ms;
    uint64_t snapshot_log_bytes;
    const char *address; /* of this member's peer listener; static */
    const char *name;    /* for FRAME_INFO; static */
    const char *http_address;
    const char *version;
};

/* --- parts, each in its own file --- */

/* outbox.c: operations of this member on their way to the leader, one bundle at a time. */
struct op_list {
    struct consensus_op *first, **end;
};
struct outbox {
    struct op_list urgent, normal;
    size_t waiting; /* in the two lists */
    size_t waiting_bytes;
    uint64_t added, bundled; /* operations ever */
    bool active;             /* a bundle is on its way */
    uint64_t boot;           /* this life of the member, for numbering */
    uint32_t handed;         /* times that it was handed over and not refused: it may happen */
    uint64_t sequence;
    uint64_t sent_to; /* 0: must be sent (again) */
    uint64_t sent_ms;
    uint64_t first_deadline_ms;
    struct buffer bytes;
    uint32_t ops_count;
    struct consensus_op *ops[BUNDLE_OPS_MAX]; /* NULL: given up meanwhile */
};

/* leader.c: bundles of all members on their way into the log. */
struct inbox {
    bool filled;
    uint64_t boot, sequence; /* of the bundle held, or of the one last proposed in this term */
    uint32_t count;          /* its operations */
    struct buffer bytes;
};
struct leader {
    struct inbox inboxes[MEMBERS_MAX]; /* by place */
    bool start_entry_needed;           /* an entry of our own term, to commit what came before */
    bool started;                      /* ... and it has been applied */
    bool propose_asked;
    uint64_t propose_after; /* when so many operations of our own have been bundled */
    uint32_t in_flight;     /* entries proposed and not applied */
    struct {
        uint64_t index, proposed_ns, proposed_ms;
    } flight[ENTRIES_IN_FLIGHT_MAX];
    bool notify; /* the members wait to hear of a commit */
    uint64_t notify_index, notify_term;
    uint64_t told_index;              /* ... and were told before it was applied here */
    uint64_t sent_index[MEMBERS_MAX]; /* last entry that went to a member, by place */
};

/* readgate.c: the leader proof (ReadIndex, section 6.4 of the dissertation). */
struct readgate {
    struct op_list waiting; /* for the next round */
    struct op_list asked;   /* in the round under way */
    struct op_list indexed; /* for this member to have applied indexed_index */
    uint64_t indexed_index;
    uint64_t round; /* number of the round under way, or the last */
    bool under_way;
    uint64_t started_ms;
    uint64_t round_index;                 /* leader: commit index at its beginning */
    uint64_t acks;                        /* leader: members by place */
    uint64_t remote_waiting[MEMBERS_MAX]; /* leader: numbers that followers asked with, 0: none */
    uint64_t remote_asked[MEMBERS_MAX];   /* ... in the round under way */
};

struct directory_entry {
    struct consensus_member_info info;
    uint64_t heard_ms; /* 0: never */
    uint64_t commit_index;
};

struct engine {
    struct engine_options options;
    struct engine_env env;
    struct consensus_app app;
    struct raft raft;
    bool raft_open;
    struct raft_fsm fsm;
    struct guard guard;
    struct sessions sessions;
    struct outbox outbox;
    struct leader leader;
    struct readgate readgate;
    struct directory_entry directory[MEMBERS_MAX]; /* place of a member: its row here */
    size_t members;
    uint64_t applied_index;
    bool unpublished;       /* what was applied cannot be read yet */
    uint64_t known_leader;  /* as last announced */
    bool stood_or_followed; /* this life has known a leader or stood for election */
    bool is_leader;
    bool stopping;                  /* takes no operations of its own any more */
    uint64_t contact_ms;            /* a leader was last heard from */
    uint64_t leader_commit;         /* highest commit index heard of */
    struct consensus_op first_read; /* of this life */
    bool caught_up;                 /* it was answered */
    uint64_t log_bytes;             /* since the last snapshot */
    uint64_t snapshot_bytes;        /* of the last one, taken here or received; 0: none yet */
    uint64_t log_entries;
    uint64_t started_ms;
    uint64_t info_sent_ms;
    uint64_t space_checked_ms;
    bool disk_full;
    uint64_t
        suspect_ms; /* when to stand for election because the leader's process is gone; 0: not */
    uint64_t lost_log_member;       /* leadership is to be handed to another than that; 0: not */
    uint64_t transfer_ms;           /* last attempt, 0: none */
    struct consensus_op *completed; /* applied in this entry, to be told at its end */
};

/* Gives the raft_io (initialised by its maker: raft_uv_init or a simulator) its guard and starts
 * libraft. `members` are those of the configuration. False, and a sentence in `error`, when the log
 * or the snapshot cannot be trusted; the engine may then only be closed. */
MUST_USE bool engine_start(struct engine *e, const struct engine_options *options,
                           const struct engine_env *env, const struct consensus_app *app,
                           struct raft_io *io, const struct consensus_member *members,
                           size_t members_count, char *error, size_t error_size);
/* Operations that came in, linked by `next` in order. */
void engine_take(struct engine *e, struct consensus_op *ops);
void engine_receive(struct engine *e, uint64_t from, uint8_t type, const uint8_t *data, size_t len);
/* The outgoing link to a member: no process listens there any more; it is there (again). */
void engine_link_refused(struct engine *e, uint64_t id);
void engine_link_up(struct engine *e, uint64_t id);
/* Every 10 ms or so. */
void engine_tick(struct engine *e);
void engine_pump(struct engine *e);
void engine_status(struct engine *e, struct consensus_status *ret_status);

/* Stopping: hand leadership over (call it again until idle); once idle (or out of patience) fail
 * what still waits; when it may close and env.send has stopped calling back, close. `closed`:
 * libraft is gone. */
void engine_stop(struct engine *e);
bool engine_is_idle(struct engine *e);
void engine_fail_all(struct engine *e);
bool engine_may_close(const struct engine *e);
void engine_close(struct engine *e, void (*closed)(struct raft *raft));
void engine_done(struct engine *e);

/* --- for its parts --- */

/* Place of a member in the directory, or MEMBERS_MAX. */
size_t engine_place(const struct engine *e, uint64_t id);
bool engine_has_space(const struct engine *e);
/* Whether another member has room, and could lead in our place. */
bool engine_has_heir(const struct engine *e);
uint64_t engine_now_ms(const struct engine *e);
/* guard.c: a member has less of the log than it had confirmed to this leader. */
void engine_lost_log(struct engine *e, uint64_t id);
/* guard.c: libraft has taken a message from what may be its leader. */
void engine_heard_leader(struct engine *e, const struct raft_message *message);

/* Lists of operations, linked by `next`. */
void op_list_init(struct op_list *list);
void op_list_add(struct op_list *list, struct consensus_op *op);
struct consensus_op *op_list_take(struct op_list *list); /* the first, NULL when empty */
void op_list_move(struct op_list *from, struct op_list *to_front_of);
/* Takes out those whose deadline has passed and finishes them with `status`. */
void op_list_expire(struct op_list *list, uint64_t now_ms, enum status status);

void outbox_init(struct outbox *o, uint64_t boot);
void outbox_add(struct engine *e, struct consensus_op *op);
void outbox_pump(struct engine *e);
void outbox_tick(struct engine *e);
bool outbox_is_ours(const struct engine *e, uint64_t origin, uint64_t boot, uint64_t sequence);
void outbox_applied(struct engine *e);   /* it was, operation by operation */
void outbox_overtaken(struct engine *e); /* a snapshot may hold it: the results are not known */
/* It was skipped: its number was used in an earlier life of this member, whose files are gone. */
void outbox_skipped(struct engine *e);
void outbox_refused(struct engine *e, uint64_t from, uint64_t boot, uint64_t sequence,
                    enum status status);
void outbox_resend(struct engine *e); /* a new leader, or a new link to it */
void outbox_fail_all(struct engine *e);
bool outbox_is_empty(const struct outbox *o);
void outbox_done(struct outbox *o);

void leader_init(struct leader *l);
void leader_begin(struct engine *e);
void leader_end(struct engine *e);
/* A bundle for the log. ST_OK: taken (or had already); ST_NO_LEADER, ST_NO_SPACE: refused;
 * ST_CORRUPT: malformed. */
MUST_USE enum status leader_offer(struct engine *e, uint64_t origin, const uint8_t *data,
                                  size_t len);
void leader_pump(struct engine *e);
/* The entry is about to be applied: when many follow, as at a start, the members are told of the
 * commit at once, so that they catch up at the same time. */
void leader_applying(struct engine *e, uint64_t index);
void leader_applied(struct engine *e, uint64_t index, uint64_t term);
uint64_t leader_oldest_ms(const struct engine *e);
void leader_done(struct leader *l);

void machine_init(struct engine *e);

void readgate_add(struct engine *e, struct consensus_op *op);
void readgate_pump(struct engine *e);
void readgate_tick(struct engine *e);
void readgate_reset(struct engine *e);
void readgate_receive(struct engine *e, uint64_t from, uint8_t type, const uint8_t *data,
                      size_t len);
void readgate_fail_all(struct engine *e);

void directory_tick(struct engine *e);
void directory_receive(struct engine *e, uint64_t from, const uint8_t *data, size_t len);
/* How many voters have room on their disk, as far as known. */
bool directory_quorum_has_space(const struct engine *e);

#endif
