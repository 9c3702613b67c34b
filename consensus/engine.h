/* One member of the cluster without threads and sockets: libraft behind its driver, operations in
 * flight, log and snapshots on disk. It is driven by calls and acts through `engine_env`: the
 * program runs it on libuv (loop.c), the simulator in a virtual world.
 *
 * An engine_* call brings in an input (a frame, a tick, operations); engine_pump() then carries out
 * what follows from it.
 *
 * Each part has its own header; this one combines them.
 *
 * Thread: loop. Owns: everything in `struct engine`. */
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

/* How often the owner calls engine_tick() and app.tick(). */
#define ENGINE_TICK_MS     10
#define ENGINE_APP_TICK_MS 50
/* A member at most this far behind has caught up. */
#define ENGINE_LAG_ENTRIES_MAX 64

struct engine_env {
    void *ctx;
    uint64_t (*now_ms)(void *ctx); /* monotonic, of the loop */
    /* ST_OK: queued; `sent` will be called unless it is NULL. Otherwise it will not. */
    enum status (*send)(void *ctx, uint64_t to, const struct peer_message *message);
    bool (*is_up)(void *ctx, uint64_t id);
    void (*work)(void *ctx, struct engine_work *work);
    const struct files *files;
    /* Keeps a link to a member from now on. No effect if there is one. */
    void (*link)(void *ctx, uint64_t id, const char *address);
    /* Closes all links to and from a member, and makes no new one. */
    void (*unlink)(void *ctx, uint64_t id);
    /* Closes links to those that would no longer be admitted; they retry and get the reason. */
    void (*review)(void *ctx);
    /* This member's own facts have changed: re-establishes its links. */
    void (*introduce)(void *ctx, const struct hello_facts *self);
    /* Ends the process (or the simulated one): no further effect is allowed. */
    void (*fatal)(void *ctx, const char *sentence);
    /* Likewise, because this life was removed from the cluster. */
    void (*removed)(void *ctx, const char *sentence);
};

struct engine_options {
    uint64_t id;
    /* The first members, ordered by id, including this one; used if the directory is new. */
    const struct consensus_member *members;
    size_t members_count;
    bool members_given;   /* by the user: must then match the directory */
    bool joins;           /* they belong to a running cluster: do not form one */
    const char *data_dir; /* for messages */
    bool takes_all;       /* recovery: treat the whole log as committed */
    uint32_t boot_salt;   /* random: see BOOT */
    uint32_t seed;        /* for libraft's random timeouts */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_interval_ms;
    uint32_t write_timeout_ms;
    uint64_t snapshot_log_bytes;
    size_t voters;             /* standbys are promoted up to this number */
    uint32_t replace_after_ms; /* voters away for this long are replaced; 0: never */
    const char *name;          /* sent to the others; static */
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
    /* Valid once the cluster is formed (`running`). */
    bool running;
    struct driver driver;
    struct persist persist;
    struct fsm fsm;
    struct forwarder forwarder;
    struct proposer proposer;
    struct read_index read_index;
    struct member_table members;
    struct refusals refusals;
    bool available, leaves; /* consensus_set_available(), consensus_say_leaving() */
    struct membership membership;
    struct changes changes;
    struct election election;
    struct transfer transfer;
    struct snapshot_take snapshot_take;
    struct backups backups;
    struct snapshot_send snapshot_send;
    struct snapshot_receive snapshot_receive;
    uint64_t known_leader;  /* member id, as last announced */
    bool stood_or_followed; /* since the start it has known a leader or campaigned */
    bool is_leader;
    bool stopping;                  /* accepts no new operations of its own */
    bool closing;                   /* nothing more is done */
    uint64_t contact_ms;            /* when a leader was last heard from */
    uint64_t leader_commit;         /* highest commit index heard of */
    struct consensus_op first_read; /* since the start */
    bool caught_up;                 /* it has completed */
    uint64_t started_ms;
    uint64_t space_checked_ms;
    bool disk_full;
};

/* Identifies the data directory; gives a new one an identity. False with a message in `error` if it
 * is not this member's or cannot be trusted; the engine may then only be closed. */
MUST_USE bool engine_open(struct engine *e, const struct engine_options *options,
                          const struct engine_env *env, const struct consensus_fsm *app,
                          char *error, size_t error_size);
/* Runs at once if the directory belongs to a cluster; otherwise forms one with the other first
 * members as links to them come up. False as above. */
MUST_USE bool engine_start(struct engine *e, char *error, size_t error_size);
/* What this member sends of itself in a hello. */
struct hello_facts engine_facts(const struct engine *e);
/* Whether to accept a link from this member. */
enum hello_verdict engine_admit(const struct engine *e, const struct hello_facts *facts);

/* Takes submitted operations, linked by `next`, in order. */
void engine_take(struct engine *e, struct consensus_op *ops);
void engine_receive(struct engine *e, uint64_t from, uint64_t life, uint8_t type,
                    const uint8_t *data, size_t len);
/* The outgoing link to a member: refused, as no process listens there; up (again). */
void engine_link_refused(struct engine *e, uint64_t id);
void engine_link_up(struct engine *e, uint64_t id, const struct hello_facts *facts);
/* An authenticated member refuses our link. */
void engine_link_rejected(struct engine *e, uint64_t by, enum hello_verdict verdict);
/* Every ENGINE_TICK_MS. */
void engine_tick(struct engine *e);
void engine_pump(struct engine *e);
void engine_status(struct engine *e, struct consensus_status *ret_status);
/* Requests a call of app->propose for the next entry, after all operations received so far. */
void engine_propose(struct engine *e);

/* Stopping: engine_stop transfers leadership (repeat until idle); once idle, or out of patience,
 * engine_fail_all fails what still waits; when engine_may_close and env.send has stopped calling
 * back, close. */
void engine_stop(struct engine *e);
bool engine_is_idle(struct engine *e);
void engine_fail_all(struct engine *e);
bool engine_may_close(const struct engine *e);
void engine_close(struct engine *e);

/* --- for its parts --- */

uint64_t engine_now_ms(const struct engine *e);
/* Ends the process. Never returns. */
void engine_fatal(struct engine *e, const char *format, ...) PRINTF_LIKE(2, 3);
bool engine_has_space(struct engine *e);
/* Whether another member has disk space and could lead instead. */
bool engine_has_transfer_target(struct engine *e);
/* Whether the link to a member is up, with the expected life at its other end. */
bool engine_is_up(const struct engine *e, const struct member *m);
/* A leader knows all lives ever admitted; others' logs may be behind. */
bool engine_knows_all(const struct engine *e);
/* For small frames; lost if the link is down. */
void engine_send(struct engine *e, uint64_t to, enum frame_type type, const void *data, size_t len);
/* After a step: notes who leads now. */
void engine_observe(struct engine *e);
/* libraft has accepted a message from what may be its leader. */
void engine_heard_leader(struct engine *e, const struct raft_message *message);
/* The cluster is formed and its files exist: run. For forming.c. */
void engine_formed(struct engine *e);

#endif
