/* One member of the cluster without threads and sockets: libraft behind its driver, the operations
 * on their way, the log and the snapshots on disk. It is driven by calls and acts through
 * `engine_env`, so that the program runs it on libuv (loop.c) and a simulator on a virtual world.
 *
 * How a call goes: an engine_* function brings something in (a frame, a tick, operations), then
 * engine_pump() does what follows from it.
 *
 * Each part has a header of its own; this one puts them together.
 *
 * Thread: loop. Owns: everything below `struct engine`. */
#ifndef MUSTER_CONSENSUS_ENGINE_H
#define MUSTER_CONSENSUS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/backup.h"
#include "consensus/change.h"
#include "consensus/cluster_events.h"
#include "consensus/consensus.h"
#include "consensus/disk/files.h"
#include "consensus/disk/identity.h"
#include "consensus/driver.h"
#include "consensus/election.h"
#include "consensus/forming.h"
#include "consensus/forwarder.h"
#include "consensus/frame.h"
#include "consensus/fsm.h"
#include "consensus/links.h"
#include "consensus/member_info.h"
#include "consensus/membership.h"
#include "consensus/peer/peer.h"
#include "consensus/persist.h"
#include "consensus/proposer.h"
#include "consensus/read_index.h"
#include "consensus/snapshot_receive.h"
#include "consensus/snapshot_send.h"
#include "consensus/snapshot_take.h"
#include "consensus/transfer.h"

/* How often the maker of an engine calls engine_tick() and app.tick(). */
#define ENGINE_TICK_MS     10
#define ENGINE_APP_TICK_MS 50
/* One that is so many entries behind, or fewer, has caught up. */
#define ENGINE_LAG_ENTRIES_MAX 64

struct engine_env {
    void *ctx;
    uint64_t (*now_ms)(void *ctx); /* monotonic, the loop's */
    /* ST_OK: queued, `sent` will be called if it is not NULL; else it will not. */
    enum status (*send)(void *ctx, uint64_t to, const struct peer_message *message);
    bool (*is_up)(void *ctx, uint64_t id);
    void (*work)(void *ctx, struct engine_work *work);
    const struct files *files;
    /* A link to a member is kept from now on. When there is one: nothing. */
    void (*link)(void *ctx, uint64_t id, const char *address);
    /* Links to and from a member, if there are any, end, and none is made from here any more. */
    void (*unlink)(void *ctx, uint64_t id);
    /* Links to those who would not be let in any more end; they ask again, and are told. */
    void (*review)(void *ctx);
    /* What this member says of itself has changed: its links are to be made anew. */
    void (*introduce)(void *ctx, const struct hello_facts *self);
    /* Ends the process (or the simulated one): nothing may be done any more. */
    void (*fatal)(void *ctx, const char *sentence);
    /* The same, because this life is none of the cluster's any more. */
    void (*removed)(void *ctx, const char *sentence);
};

struct engine_options {
    uint64_t id;
    /* The first members, in order of id, this one included; used when the directory is new. */
    const struct consensus_member *members;
    size_t members_count;
    bool members_given;   /* by the user: then they must match what the directory says */
    bool joins;           /* they are a running cluster's: none is formed with them */
    const char *data_dir; /* for sentences */
    bool takes_all;       /* recovery: all that the log holds counts as committed */
    uint32_t boot_salt;   /* chance: see BOOT */
    uint32_t seed;        /* of libraft's random timeouts */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t write_timeout_ms;
    uint64_t snapshot_log_bytes;
    size_t voters;             /* standbys get a vote until there are so many */
    uint32_t replace_after_ms; /* 0: never; a voter that is away for so long is replaced */
    const char *name;          /* for the others; static */
    const char *http_address;
    const char *advertised_address; /* host:port where others dial this one; "": as configured */
    const char *version;
};

struct engine {
    struct engine_options options;
    struct engine_env env;
    struct consensus_fsm app;
    struct identity identity;
    struct forming forming;
    struct links links;
    struct cluster_events cluster_events;
    /* From here on: once the cluster is formed (`running`). */
    bool running;
    struct driver driver;
    struct persist persist;
    struct fsm fsm;
    struct forwarder forwarder;
    struct proposer proposer;
    struct read_index read_index;
    struct member_table members;
    struct refusals refusals;
    struct membership membership;
    struct changes changes;
    struct election election;
    struct transfer transfer;
    struct snapshot_take snapshot_take;
    struct backups backups;
    struct snapshot_send snapshot_send;
    struct snapshot_receive snapshot_receive;
    uint64_t known_leader;  /* member id, as last announced */
    bool stood_or_followed; /* this start has known a leader or stood for election */
    bool is_leader;
    bool stopping;                  /* takes no operations of its own any more */
    bool closing;                   /* nothing is done any more */
    uint64_t contact_ms;            /* a leader was last heard from */
    uint64_t leader_commit;         /* highest commit index heard of */
    struct consensus_op first_read; /* of this start */
    bool caught_up;                 /* it was answered */
    uint64_t started_ms;
    uint64_t space_checked_ms;
    bool disk_full;
};

/* Looks whose the data directory is; gives a new one an identity. False, and a sentence in `error`,
 * when it is not this member's or cannot be trusted; the engine may then only be closed. */
MUST_USE bool engine_open(struct engine *e, const struct engine_options *options,
                          const struct engine_env *env, const struct consensus_fsm *app,
                          char *error, size_t error_size);
/* Then: runs at once when the directory belongs to a cluster, else forms one with the other first
 * members, as links to them come up. False as above. */
MUST_USE bool engine_start(struct engine *e, char *error, size_t error_size);
/* What this member says of itself to those that it links with. */
struct hello_facts engine_facts(const struct engine *e);
/* Whether one that introduces itself so may have a link. */
enum hello_verdict engine_admit(const struct engine *e, const struct hello_facts *facts);

/* Operations that came in, linked by `next` in order. */
void engine_take(struct engine *e, struct consensus_op *ops);
void engine_receive(struct engine *e, uint64_t from, uint64_t life, uint8_t type,
                    const uint8_t *data, size_t len);
/* The outgoing link to a member: no process listens there any more; it is there (again). */
void engine_link_refused(struct engine *e, uint64_t id);
void engine_link_up(struct engine *e, uint64_t id, const struct hello_facts *facts);
/* A member that has proved itself will not have us. */
void engine_link_rejected(struct engine *e, uint64_t by, enum hello_verdict verdict);
/* Every ENGINE_TICK_MS. */
void engine_tick(struct engine *e);
void engine_pump(struct engine *e);
void engine_status(struct engine *e, struct consensus_status *ret_status);
/* Asks for app->propose to be called for the next entry, behind all operations received so far. */
void engine_propose(struct engine *e);

/* Stopping: hand leadership over (call it again until idle); once idle (or out of patience) fail
 * what still waits; when it may close and env.send has stopped calling back, close. */
void engine_stop(struct engine *e);
bool engine_is_idle(struct engine *e);
void engine_fail_all(struct engine *e);
bool engine_may_close(const struct engine *e);
void engine_close(struct engine *e);

/* --- for its parts --- */

uint64_t engine_now_ms(const struct engine *e);
/* Ends the process. Returns in no world. */
void engine_fatal(struct engine *e, const char *format, ...) PRINTF_LIKE(2, 3);
bool engine_has_space(struct engine *e);
/* Whether another member has room, and could lead in our place. */
bool engine_has_transfer_target(struct engine *e);
/* Whether the link to a member is up, and the life at its other end is the one that is meant. */
bool engine_is_up(const struct engine *e, const struct member *m);
/* A leader knows all lives that were ever let in; the log of others may be behind. */
bool engine_knows_all(const struct engine *e);
/* A small frame; lost when the link is not up. */
void engine_send(struct engine *e, uint64_t to, enum frame_type type, const void *data, size_t len);
/* After a step: who leads now. */
void engine_observe(struct engine *e);
/* libraft has taken a message from what may be its leader. */
void engine_heard_leader(struct engine *e, const struct raft_message *message);
/* forming.c: the cluster is formed, its files are there: run. */
void engine_formed(struct engine *e);

#endif
