/* Members of one cluster in one process: engines on in-memory disks, a virtual clock, links that
 * lose nothing unless told to, pool work that is run at once or held back, and an application that
 * remembers every operation. Used by the unit tests and the fuzz targets.
 *
 * A member that ends itself (env.fatal) or whose disk dies is set aside until world_done and must
 * not be used any more; its message is in `last_words`.
 *
 * Thread: one. Owns: everything, until world_done. */
#ifndef MUSTER_TESTS_ENGINE_FIXTURE_H
#define MUSTER_TESTS_ENGINE_FIXTURE_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "consensus/entry.h"
#include "consensus/message.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/mem.h"
#include "tests/sim/files.h"

#define WORLD_MEMBERS       5
#define WORLD_ELECTION_MS   400
#define WORLD_HEARTBEAT_MS  40
#define WORLD_WRITE_MS      5000
#define WORLD_SNAPSHOT_LOG  (64u * 1024)
#define WORLD_WORKS_MAX     64
#define WORLD_ROUNDS_MAX    100000
#define WORLD_SEGMENT_BYTES (64u * 1024)

/* --- the application: all operations in order, each "<level><text>" --- */

struct state {
    struct buffer ops; /* length u32, bytes; as in a snapshot */
    uint64_t count;
};

#define STATE_BYTES_MAX (256u * 1024 * 1024)
/* Without levels, and without `ctx`, which is the host. */
extern const struct consensus_fsm engine_app;

struct host {
    struct world *world;
    uint64_t id;
    struct files_disk *disk;
    struct engine *engine; /* NULL: no process */
    bool kernel_gone;      /* nothing refuses connections to it */
    char last_words[600];  /* of its last process; "": it was killed, or is running */
    uint32_t boots;
    jmp_buf escape;
    struct engine_work *works[WORLD_WORKS_MAX];
    size_t work_count;
    bool first_ran; /* the first work item was run, and the disk died meanwhile */
    bool hold_work; /* pool work is held back */
    bool linked[WORLD_MEMBERS + 1];
    char dials[WORLD_MEMBERS + 1][64];   /* where it dials others; "": it does not */
    const char *address;                 /* its address; NULL: the list's */
    const char *advertised_address;      /* engine_options.advertised_address */
    const struct consensus_member *list; /* --cluster; NULL: the world's */
    size_t list_count;
    bool joins; /* engine_options.joins */
    /* application */
    struct state state;
    uint16_t level_min, level_max, level;
    uint64_t hash_error; /* added to the hash of its state */
    unsigned leaderships, installs;
    uint64_t applied_before_leader; /* applied_index when it first knew a leader */
};

/* A frame in flight. */
struct flying {
    struct flying *next;
    uint64_t from, from_life, to;
    uint8_t type;
    bool bulk;
    size_t len;
    uint8_t data[];
};

struct world {
    uint64_t now_ms, chance;
    size_t count;
    size_t voters; /* engine_options.voters; 0: 3 */
    uint32_t replace_after_ms;
    struct consensus_member list[WORLD_MEMBERS];
    struct host hosts[WORLD_MEMBERS];
    bool cut[WORLD_MEMBERS + 1][WORLD_MEMBERS + 1]; /* from, to */
    struct flying *first, **end;
    bool hold_frames; /* nothing arrives */
    /* Returns false to lose this frame. May be NULL. */
    bool (*passes)(struct world *w, const struct flying *frame);
    /* Called for each frame as it is sent. May be NULL. */
    void (*sends)(struct world *w, const struct flying *frame);
    uint64_t watched; /* for these two callbacks */
    struct op *ops;   /* all that were ever submitted */
    struct grave *graves;
    uint64_t frames[16]; /* that arrived, by type */
};

struct call {
    enum {
        CALL_OPEN,
        CALL_TICK,
        CALL_FRAME,
        CALL_DONE,
        CALL_UP,
        CALL_REFUSED,
        CALL_REJECTED,
        CALL_TAKE
    } kind;
    uint64_t from, from_life; /* frame, up, refused */
    uint8_t type;
    const uint8_t *data;
    size_t len;
    const struct hello_facts *facts;
    struct engine_work *work;
    struct consensus_op *op;
};

uint64_t world_draw(void *chance);
/* `count` members with empty disks, none started. */
void world_init(struct world *w, size_t count);
/* The same, with copies of another world's disks as they are. */
void world_init_from(struct world *w, const struct world *from);
void world_done(struct world *w);
struct host *world_host(struct world *w, uint64_t id);
/* Time passes: ticks, frames, pool work. */
void world_run(struct world *w, uint64_t ms);
/* Delivers frames and work until nothing is in flight; no time passes. */
void world_settle(struct world *w);
/* Runs until the condition holds; false after `ms`. */
bool world_run_until(struct world *w, bool (*holds)(struct world *w), uint64_t ms);
/* As if the members had formed a cluster before: the first `voters` with a vote, the others
 * standbys. */
void world_found(struct world *w, size_t voters);
/* Starts all and runs until one leads and all know it. */
void world_form(struct world *w);
/* Starts those that are not running. False with one's message if it does not start. */
bool world_start_all(struct world *w);
/* The leader with the highest term, or NULL. */
struct host *world_leader(struct world *w);
/* Whether all running members know the leader and have caught up. */
bool world_is_led(struct world *w);
/* A running member that does not lead. */
struct host *world_follower(struct world *w);
/* Opens and closes links as both sides want. */
void world_update_links(struct world *w);
/* Cuts or restores all links of a member, both ways. */
void world_isolate(struct world *w, uint64_t id, bool cut);

/* For cmocka; *state is the world: three members with empty disks, none started; three that formed
 * a cluster half a second ago; tear-down of either. */
int world_set_up(void **state);
int world_set_up_formed(void **state);
int world_tear_down(void **state);

/* False: it was refused or ended itself; last_words has the reason. */
bool host_start(struct host *h);
/* The process dies; the page cache stays. */
void host_kill(struct host *h);
void host_lose_power(struct host *h);
/* Closes it in order, like SIGTERM without a grace period. */
void host_close(struct host *h);
bool host_is_alive(const struct host *h);
/* Replaces its directory by an empty one; it must not be running. */
void host_empty(struct host *h);
/* Calls the engine and carries out what follows. False: the process ended. */
bool host_call(struct host *h, const struct call *call);
/* Delivers a frame as if from a member; true if the process goes on. */
bool host_receive(struct host *h, uint64_t from, uint8_t type, const void *data, size_t len);
/* Runs one piece of held-back pool work; false: there is none. */
bool host_work(struct host *h);
/* How often an operation is in its state. */
unsigned host_has(const struct host *h, const char *text);
/* What is on its disk, or would be left of it after a power loss now; from a copy. False with a
 * message if a start would refuse it. */
struct on_disk {
    struct wal_state state;
    struct log log; /* free with log_done() */
    uint64_t snapshot_index, snapshot_term;
};
bool host_read_disk(const struct host *h, bool power_lost, struct on_disk *ret, char *error,
                    size_t error_size);

/* A submitted operation; valid until world_done. */
struct op {
    struct consensus_op op; /* first */
    struct host *host;
    char text[32];
    bool is_done;
    enum status status;
    uint64_t applied; /* at its end */
    struct op *next;
};
struct op *host_submit(struct host *h, enum consensus_lane lane, const char *text);
/* An operation of `bytes` bytes that starts with `text`. */
struct op *host_submit_sized(struct host *h, const char *text, size_t bytes);
/* Submits, and settles until it is completed or times out. */
enum status host_write(struct host *h, const char *text);
enum status host_read(struct host *h);
/* Writes `count` operations of `bytes` each, "<prefix>0", "<prefix>1", ...; all must succeed. */
void host_fill(struct host *h, const char *prefix, unsigned count, size_t bytes);
/* Whether both states are equal. */
bool host_equals(const struct host *a, const struct host *b);

/* A requested membership change. */
struct asked {
    struct consensus_op op; /* first */
    bool is_done;
    enum status status;
};
void host_ask(struct asked *a, struct host *at, const struct consensus_change *change);
/* Runs until it is completed. */
enum status world_answer(struct world *w, const struct asked *a);
/* Requests a change, and runs until it is completed. */
enum status host_change(struct host *at, enum consensus_change_kind kind, uint64_t id, bool force);
enum status host_add(struct host *at, uint64_t id, const char *address);

/* A log that continues a member's, to send messages in a leader's name. */
struct forger {
    struct log log;
    struct cluster_id cluster;
    uint64_t proposer;
};
/* Starts with all entries that the member has up to `last`. */
void forger_init(struct forger *f, const struct host *h, uint64_t last);
void forger_done(struct forger *f);
/* An entry with one operation; level 0: as a member of level 1 writes it. */
void forger_command(struct forger *f, uint64_t term, uint16_t level, const char *text);
void forger_configuration(struct forger *f, uint64_t term, const struct raft_configuration *conf);
/* Encodes an AppendEntries with `n` entries after `prev`. */
void forger_encode(const struct forger *f, uint64_t term, uint64_t prev, unsigned n,
                   uint64_t commit, struct buffer *out);
/* ... and delivers it to a member, from another. False: the process ended. */
bool forger_send(const struct forger *f, struct host *to, uint64_t from, uint64_t term,
                 uint64_t prev, unsigned n, uint64_t commit);

#endif
