/* Stands between libraft and its disk backend (any raft_io), and contains their traps; the list of
 * traps and where each is contained is in README.md. It wraps the raft_io in place: libraft keeps
 * calling through the same struct.
 *
 * Thread: loop. Owns: the wrapped functions' state. */
#ifndef MUSTER_CONSENSUS_GUARD_H
#define MUSTER_CONSENSUS_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <raft.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/status.h"

/* A snapshot that was lost, or whose rejection libraft takes for an old one, is sent again after
 * this and the time that its bytes take. */
#define INSTALL_SNAPSHOT_TIMEOUT_MS 2000

struct engine;
struct guard_send;
struct guard_put;

struct guard {
    struct engine *engine;
    struct raft_io *io;
    struct raft_io inner; /* the functions that were wrapped */
    raft_io_tick_cb tick;
    raft_io_recv_cb receive;
    struct raft_tracer tracer;
    raft_index next_index;    /* of the next entry appended */
    raft_index durable_index; /* written and acknowledged by the disk */
    raft_term last_term;      /* of the last entry appended */
    raft_term term;           /* as stored */
    raft_index last_commit;   /* watched: never backwards */
    raft_index last_applied;
    uint64_t ledger_term, ledger_leader;  /* one leader a term */
    uint64_t cuts;                        /* times that the log became shorter or was replaced */
    bool storing_snapshot;                /* our own, on its way to disk */
    bool encoding_snapshot;               /* ... and still on the pool thread */
    struct guard_put *early_snapshot;     /* ... or waiting for the log to get so far on disk */
    bool installing;                      /* a leader's, on its way to disk */
    uint64_t confirmed_ms[MEMBERS_MAX];   /* leader: last good answer of a member, by place, */
    uint64_t confirmed_term[MEMBERS_MAX]; /* ... and the term that it was in */
    raft_term snapshot_term;              /* of the one just read from disk, while it is sent */
    raft_term disrupt_term;    /* the one election in which we may disrupt a leader, 0: not yet */
    struct raft_message *held; /* an InstallSnapshot that came meanwhile */
    struct raft_message lead;  /* a TimeoutNow that waits for our log to be whole, */
    uint64_t lead_until_ms;    /* ... for so long; 0: there is none */
    struct guard_send *failed; /* sends whose callback is still owed */
    void **loaded;             /* memory of entries that libraft has yet to take; NULL: none */
    size_t loaded_count;
    uint64_t ticked_ms; /* when libraft was last told that time passes; 0: not yet */
    bool closing;
    char load_error[512]; /* why load() refused; "" when it did not */
};

/* After raft_uv_init(), before raft_init(). */
void guard_wrap(struct guard *g, struct engine *engine, struct raft_io *io);
/* A message of a member, as bytes; malformed ones are dropped and false returned. */
MUST_USE bool guard_receive(struct guard *g, uint64_t from, const char *address,
                            const uint8_t *data, size_t len);
/* Callbacks that are owed; from the pump. */
void guard_pump(struct guard *g);
/* Watches what libraft's missing assertions would: ends the process when an invariant is broken. */
void guard_watch(struct guard *g);
/* Stands for election as if the leader had asked us to (a TimeoutNow in its name): only when its
 * process is known to be gone. */
void guard_take_over(struct guard *g);
/* Tells a member what is committed, at once instead of with the next heartbeat. */
void guard_notify_commit(struct guard *g, uint64_t to, raft_index index, raft_term term);
void guard_close(struct guard *g);

/* --- for its parts --- */

/* The guard that stands before this backend. */
struct guard *guard_of(struct raft_io *io);
/* Notes in the watermark what is durable now. */
void guard_mark(struct guard *g);

#endif
