/* One member: a process with its data directory, clock and links. It runs the product: node,
 * registry, engine, log and snapshots on disk. A crash discards the process; the directory stays,
 * and the next start rebuilds everything from it.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_MEMBER_H
#define MUSTER_SIM_MEMBER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "consensus/disk/wal_format.h"
#include "server/base/limits.h"
#include "server/node/node.h"
#include "server/registry/level.h"
#include "tests/sim/files.h"
#include "tests/sim/world.h"

/* Production's defaults, or shorter ones so that more happens in a run. */
#define ELECTION_TIMEOUT_MS   400
#define HEARTBEAT_INTERVAL_MS 40
#define LATENCY_NS            (2 * MS)
/* The level of the replicated format with the new operation kind (app.c). */
#define LEVEL_NEW (LEVEL_MAX + 1)

enum crash { CRASH_PROCESS, CRASH_POWER };

/* Damage to a member that its own process could not cause; bits. */
enum damage {
    DAMAGE_EMPTIED = 1, /* the directory */
    DAMAGE_FORKED = 2,  /* it is another cluster's */
    DAMAGE_CUT = 4,     /* files are truncated or gone */
    DAMAGE_FLIPPED = 8, /* a bit */
    DAMAGE_OLDER = 16,  /* an earlier copy of the directory was put back */
    DAMAGE_DRIFTED = 32 /* the state in memory */
};

/* What the log reported as durable at its last write. */
struct durable {
    uint64_t sequence; /* of the frame; 0: unknown */
    struct wal_state state;
    struct wal_position last;
    uint64_t snapshot_index;
};

/* An earlier copy of a directory. */
struct copy {
    struct files_image *image; /* NULL: none */
    uint64_t index;
};

struct sim_member {
    uint64_t id;
    uint32_t process; /* incremented when a process starts or ends */
    bool up;          /* its process runs */
    bool powered;     /* its kernel runs: refuses connections while no process does */
    bool dying;       /* being discarded: has no effect on the world any more */
    bool stopping;    /* gracefully */
    bool closed;      /* ... and the engine is gone */
    bool refused;     /* its start failed: the directory is damaged */
    bool outside;     /* not a member, and must not start (growth.h) */
    bool joins;       /* it was not one of the first members */
    uint64_t paused_until_ns;
    uint64_t started_ns, stopped_ns;
    uint64_t leads_since_ns; /* when it last became leader */
    uint64_t asked_ns;       /* when it last asked to propose an operation of its own */

    /* clock: monotonic = base_mono + (now - base_now) * rate; wall = monotonic + offset */
    double rate;
    uint64_t base_now_ns, base_mono_ns;
    uint64_t boot_now_ns, base_boot_ns; /* boot, which never stops, likewise */
    int64_t wall_offset_ms;

    /* the directory, and the state of its disk */
    struct files_disk *disk;
    uint64_t latency_ns;
    bool full;
    unsigned damage;       /* enum damage */
    bool was_damaged;      /* ever */
    bool error_is_planned; /* a call of this process fails, or may have failed */
    bool power_at_death;   /* at the planned death */
    bool plans_start;      /* `start_plan` is for the next start */
    struct files_plan start_plan;
    struct durable durable;
    struct copy copy;

    struct node *node;
    struct consensus *consensus;
    jmp_buf escape; /* out of a call into the product that must not continue */

    uint64_t life;      /* of its directory, as of the last start */
    uint16_t level_max; /* of the version that it runs */
    uint64_t drift;     /* changes the state's hash of this process; 0: none */
    uint64_t drift_ns;  /* when it began */

    /* used by checks.c, across processes */
    uint64_t term_seen, commit_seen, applied_seen;
    uint64_t commit_mark, commit_mark_ns; /* must soon be durable */
    uint64_t checked_ns;
    uint64_t events_seen; /* sequence of the last event compared */
    uint64_t to_catch_up; /* applied anywhere when this process started */
    bool caught_up_seen;
    uint32_t quiet; /* events until the next thorough check */
};

extern struct sim_member members[MEMBERS_MAX];
extern size_t members_count;
/* The member whose call is running; NULL: none. */
extern struct sim_member *member_current;

/* All members, in the form of consensus.h. */
struct consensus_member;
void member_list(struct consensus_member *ret_list);

void member_init(struct sim_member *m, uint64_t id);
struct sim_member *member_of(uint64_t id);
/* Runs an event as a call into the member. */
void member_dispatch(struct sim_member *m, struct sim_event *event);

void member_start(struct sim_member *m);
void member_crash(struct sim_member *m, enum crash how);
void member_stop(struct sim_member *m); /* gracefully; returns at once */
/* `frozen`: its clock is stopped meanwhile, as on a suspended machine. */
void member_pause(struct sim_member *m, uint64_t duration_ns, bool frozen);
/* Its process dies at the planned file call, and the machine too if `power`. */
void member_plan_death(struct sim_member *m, const struct files_plan *plan, bool power);
/* Whether clients may use it: it is up and serves this cluster. */
bool member_serves(const struct sim_member *m);

void member_set_rate(struct sim_member *m, double rate);
uint64_t member_mono_ns(const struct sim_member *m);
/* With the time in which it was suspended. */
uint64_t member_boot_ns(const struct sim_member *m);
/* Converts a duration of its clock to true time. */
uint64_t member_true_ns(const struct sim_member *m, uint64_t own_ns);

/* Ends the process from inside a call. */
NORETURN void member_die(struct sim_member *m, const char *sentence);

/* Makes clock_*() return the running member's time. */
void member_install_clocks(void);

#endif
