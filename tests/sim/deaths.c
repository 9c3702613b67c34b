#include "tests/sim/deaths.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/base/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/net.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"

#define STEP_NS       MS
#define DOWN_NS       (150 * MS)
#define MEMBERS       3
#define CALLS_BEHIND  8   /* the last crash is this many calls after the end of the part */
#define CALLS_MOST    250 /* of one part */
#define WINDOW_NS     (4 * SECOND)
#define SETTLE_NS     (9 * SECOND)
#define SECOND_DEATHS 40 /* calls of a start */

/* What the member is doing when it crashes. */
enum part {
    PART_FORMS,
    PART_IS_TOLD,
    PART_STARTS,
    PART_TAKES_SNAPSHOT,
    PART_LEADS_AND_TAKES_SNAPSHOT,
    PART_INSTALLS,
    PART_TRUNCATES,
    PARTS,
};
static const char *const names[PARTS] = {
    "forms the cluster", "is told of the cluster",     "starts",
    "takes a snapshot",  "leads and takes a snapshot", "installs a snapshot",
    "truncates its log",
};

struct death {
    enum part part;
    bool counts; /* no crash: count the calls */
    uint64_t call;
    enum files_fate fate;
    bool power;
};

static struct sim_member *victim;
static uint64_t snapshot_before, installed_before, begun_calls;

static uint64_t calls(void)
{
    return files_count(victim->disk, FILES_CALLS);
}

static struct sim_member *a_leader(bool leads)
{
    for (size_t i = 0; i < members_count; i++) {
        if (members[i].up && members[i].consensus->status.is_leader == leads) {
            return &members[i];
        }
    }
    world_violation("serves_after_healing", "nobody leads");
}

/* --- before the crash --- */

static void begin(enum part part)
{
    options.replicas = MEMBERS;
    options.steps = 0;
    rng_seed(options.seed);
    members_count = MEMBERS;
    member_install_clocks();
    tuning = (struct tuning){.snapshot_log_bytes = 8 * 1024,
                             .segment_bytes = 8 * 1024,
                             .write_timeout_ms = 1000,
                             .events_kept = 1024,
                             .state_bytes = 1024 * 1024};
    if (part == PART_TRUNCATES || part == PART_STARTS) {
        tuning.snapshot_log_bytes = 64 * 1024;
    }
    net_weather = (struct net_weather){.delay_ns = 2 * MS};
    for (size_t i = 0; i < members_count; i++) {
        member_init(&members[i], i + 1);
    }
    net_init();
    victim = part == PART_IS_TOLD ? &members[2] : &members[0];
}

static void start_all(void)
{
    for (size_t i = 0; i < members_count; i++) {
        member_start(&members[i]);
    }
    workload_start();
}

static void plan(const struct death *d, bool for_start)
{
    const struct files_plan plan = {.calls = d->call, .fate = d->fate};
    begun_calls = calls();
    if (d->counts) {
        return;
    }
    if (for_start) {
        victim->start_plan = plan;
        victim->plans_start = true;
        victim->power_at_death = d->power;
    } else if (victim->up) {
        member_plan_death(victim, &plan, d->power);
    }
}

static void isolate(struct sim_member *m)
{
    for (uint64_t id = 1; id <= members_count; id++) {
        net_cut(m->id, id, CUT_HOLE);
        net_cut(id, m->id, CUT_HOLE);
    }
}

/* Runs until a snapshot is started. */
static void run_to_snapshot(void)
{
    for (unsigned i = 0; i < 5000 && victim->consensus->engine.snapshot_take.phase == 0; i++) {
        world_run(world_now_ns() + STEP_NS / 4, 0);
    }
    snapshot_before = victim->durable.snapshot_index;
}

/* Brings the member to the start of the plan. */
static void prepare(const struct death *d)
{
    bool formed = d->part != PART_FORMS && d->part != PART_IS_TOLD;
    if (!formed) {
        plan(d, true);
    }
    start_all();
    if (formed) {
        world_run(2 * SECOND, 0);
    }
    switch (d->part) {
    case PART_FORMS:
    case PART_IS_TOLD:
    case PARTS:
        break;
    case PART_STARTS:
        victim = a_leader(false);
        member_crash(victim, d->power ? CRASH_POWER : CRASH_PROCESS);
        world_run(world_now_ns() + DOWN_NS, 0);
        plan(d, true);
        member_start(victim);
        break;
    case PART_TAKES_SNAPSHOT:
    case PART_LEADS_AND_TAKES_SNAPSHOT:
        victim = a_leader(d->part == PART_LEADS_AND_TAKES_SNAPSHOT);
        run_to_snapshot();
        plan(d, false);
        break;
    case PART_INSTALLS:
        victim = a_leader(false);
        member_crash(victim, CRASH_PROCESS);
        world_run(world_now_ns() + 3 * SECOND, 0);
        installed_before = figures.snapshots_installed;
        plan(d, true);
        member_start(victim);
        break;
    case PART_TRUNCATES:
        victim = a_leader(true);
        isolate(victim);
        world_run(world_now_ns() + 2 * SECOND, 0);
        plan(d, false);
        net_heal();
        break;
    }
}

static bool is_over(enum part part)
{
    if (!victim->up) {
        return false;
    }
    const struct engine *e = &victim->consensus->engine;
    switch (part) {
    case PART_FORMS:
    case PART_IS_TOLD:
        return e->running;
    case PART_STARTS:
    case PARTS:
        return e->caught_up;
    case PART_TAKES_SNAPSHOT:
    case PART_LEADS_AND_TAKES_SNAPSHOT:
        return victim->durable.snapshot_index > snapshot_before && e->snapshot_take.phase == 0;
    case PART_INSTALLS:
        return figures.snapshots_installed > installed_before;
    case PART_TRUNCATES:
        return e->known_leader != 0 && e->known_leader != victim->id && calls() > begun_calls + 30;
    }
    return true;
}

/* --- afterwards --- */

static void start_again(const struct death *d)
{
    if (d->call % 2 == 0 && !d->counts) {
        victim->start_plan =
            (struct files_plan){.calls = d->call * 7 % SECOND_DEATHS, .fate = d->fate};
        victim->plans_start = true;
        victim->power_at_death = !d->power;
    }
    member_start(victim);
}

/* Runs the part, with the crash in it. */
static void go_through(const struct death *d)
{
    uint64_t until_ns = world_now_ns() + WINDOW_NS;
    uint64_t over_at = 0;
    bool died = false;
    while (world_now_ns() < until_ns && !died && (over_at == 0 || calls() < over_at)) {
        world_run(world_now_ns() + STEP_NS, 0);
        died = !victim->up;
        if (over_at == 0 && is_over(d->part)) {
            over_at = calls() + CALLS_BEHIND;
        }
    }
    if (d->counts && over_at == 0) {
        world_violation("every_part_is_seen", "member %" PRIu64 " never %s", victim->id,
                        names[d->part]);
    }
    if (died) {
        world_run(world_now_ns() + DOWN_NS, 0);
        start_again(d);
    }
}

static void finish(void)
{
    struct files_plan plan;
    (void)files_take_plan(victim->disk, &plan);
    net_heal();
    for (unsigned tries = 0; tries < 3; tries++) {
        world_run(world_now_ns() + DOWN_NS, 0);
        member_start(victim);
    }
    world_run(world_now_ns() + SECOND, 0);
    if (!checks_is_formed()) {
        world_violation("forms_when_all_are_there", "no cluster is formed");
    }
    workload_probe();
    world_run(world_now_ns() + 4 * SECOND, 0);
    if (!workload_probed()) {
        world_violation("serves_after_healing", "not every member took a write");
    }
    workload_end();
    world_run(world_now_ns() + SETTLE_NS, 0);
    checks_converged();
}

static uint64_t run(const struct death *d)
{
    begin(d->part);
    prepare(d);
    go_through(d);
    uint64_t count = calls() - begun_calls;
    finish();
    return count;
}

/* --- enumeration --- */

/* In a process of its own; 0 on success. `ret_calls` may be NULL: do not wait for it. */
static pid_t start(const struct death *d, int *ret_pipe)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        char text[160];
        (void)snprintf(text, sizeof text, "%s, call %" PRIu64 ", %s%s", names[d->part], d->call,
                       d->fate == FILES_DIE_BEFORE ? "before it"
                       : d->fate == FILES_DIE_AMID ? "in it"
                                                   : "after it",
                       d->power ? ", with its machine" : "");
        options.name = text;
        options.seed = 1 + d->call * 8 + (uint64_t)d->fate * 2 + d->power;
        uint64_t count = run(d);
        ssize_t written = write(ends[1], &count, sizeof count);
        _exit(written == sizeof count ? 0 : 2);
    }
    close(ends[1]);
    *ret_pipe = ends[0];
    return pid;
}

static bool finish_process(pid_t pid, int pipe_end, uint64_t *ret_count)
{
    int status = 0;
    ssize_t got = read(pipe_end, ret_count, sizeof *ret_count);
    close(pipe_end);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return got == sizeof *ret_count && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct slot {
    pid_t pid; /* 0: free */
    int pipe_end;
};

struct deaths_tally {
    uint64_t deaths, broken;
};

static void run_one(struct slot *slot, const struct death *d, struct deaths_tally *tally)
{
    uint64_t count;
    if (slot->pid != 0) {
        tally->broken += !finish_process(slot->pid, slot->pipe_end, &count);
        slot->pid = 0;
    }
    if (d != NULL) {
        slot->pid = start(d, &slot->pipe_end);
        tally->deaths++;
    }
}

static void enumerate_part(enum part part, unsigned jobs, unsigned step, struct deaths_tally *tally)
{
    struct slot slots[64] = {{0}};
    struct slot first;
    struct death d = {.part = part, .counts = true};
    uint64_t count = 0;
    size_t next = 0;
    first.pid = start(&d, &first.pipe_end);
    if (!finish_process(first.pid, first.pipe_end, &count)) {
        tally->broken++;
        return;
    }
    count = count < CALLS_MOST ? count : CALLS_MOST;
    printf("a member that %s: %" PRIu64 " calls\n", names[part], count);
    d.counts = false;
    for (d.call = 0; d.call < count; d.call += step) {
        for (int way = 0; way < 6; way++) {
            d.fate = (enum files_fate)(FILES_DIE_BEFORE + way / 2);
            d.power = way % 2 == 1;
            run_one(&slots[next++ % jobs], &d, tally);
        }
    }
    for (unsigned i = 0; i < jobs; i++) {
        run_one(&slots[i], NULL, tally);
    }
}

int deaths_enumerate(unsigned jobs, unsigned step)
{
    struct deaths_tally tally = {0};
    time_t begun = time(NULL);
    for (int part = 0; part < PARTS; part++) {
        enumerate_part((enum part)part, jobs, step, &tally);
    }
    printf("%s deaths=%" PRIu64 " broken=%" PRIu64 " seconds=%lld\n",
           tally.broken == 0 ? "clean" : "VIOLATION", tally.deaths, tally.broken,
           (long long)(time(NULL) - begun));
    return tally.broken > 0;
}
