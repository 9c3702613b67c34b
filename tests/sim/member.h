/* One member: a process with its disk, clock and links. What runs in it is the product: node,
 * registry, engine. A crash throws all of that away; the next start builds it anew from the disk.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_MEMBER_H
#define MUSTER_SIM_MEMBER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/limits.h"
#include "server/node/node.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

/* As production's defaults, or shorter where that makes more happen in a run. */
#define ELECTION_TIMEOUT_MS   400
#define HEARTBEAT_INTERVAL_MS 40

enum crash { CRASH_PROCESS, CRASH_POWER };

struct member {
    uint64_t id;
    uint32_t life; /* rises whenever a process begins or ends */
    bool up;       /* its process runs */
    bool powered;  /* its kernel runs: refuses connections while the process does not */
    bool dying;    /* being thrown away: what it does now has no effect on the world */
    bool stopping; /* gracefully */
    bool closed;   /* ... and the engine is gone */
    bool refused;  /* its start failed: the data directory is damaged */
    uint64_t paused_until_ns;
    uint64_t started_ns, stopped_ns;
    uint64_t leads_since_ns; /* when it last became leader */
    uint64_t asked_ns;       /* when it last asked to propose something of its own */

    /* clock: monotonic = base_mono + (now - base_now) * rate; wall = monotonic + offset */
    double rate;
    uint64_t base_now_ns, base_mono_ns;
    int64_t wall_offset_ms;

    struct disk disk;
    struct node *node;
    struct consensus *consensus;
    jmp_buf escape; /* out of a call into the product that must not go on */

    /* watched by checks.c, also across lives */
    uint64_t term_seen, commit_seen, applied_seen;
    uint64_t events_seen; /* sequence of the last event compared */
    uint64_t to_catch_up; /* applied anywhere when this life began */
    bool caught_up_seen;
    uint32_t quiet; /* events until the next thorough check */
};

extern struct member members[MEMBERS_MAX];
extern size_t members_count;
/* Whose call runs; NULL: nobody's. */
extern struct member *member_current;

/* All members, as libraft and as consensus.h want them told. */
struct raft_configuration;
void member_configuration(struct raft_configuration *ret_configuration);
struct consensus_member;
void member_list(struct consensus_member *ret_list);

void member_init(struct member *m, uint64_t id);
struct member *member_of(uint64_t id);
/* Runs an event as a call into the member. */
void member_dispatch(struct member *m, struct happening *event);

void member_start(struct member *m);
void member_crash(struct member *m, enum crash how);
void member_stop(struct member *m); /* gracefully; returns at once */
/* `frozen`: its clock stands still meanwhile, as that of a suspended machine. */
void member_pause(struct member *m, uint64_t duration_ns, bool frozen);
/* An empty data directory. */
void member_wipe(struct member *m);

void member_set_rate(struct member *m, double rate);
uint64_t member_mono_ns(const struct member *m);
/* A duration of its clock in true time. */
uint64_t member_true_ns(const struct member *m, uint64_t own_ns);

/* From inside of a call: the process ends at once. */
NORETURN void member_die(struct member *m, const char *sentence);

/* Makes clock_*() answer for the member that runs. */
void member_install_clocks(void);

#endif
