#include "tests/sim/faults.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/damage.h"
#include "tests/sim/growth.h"
#include "tests/sim/member.h"
#include "tests/sim/net.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

static bool active;
static bool supervised; /* exited processes are restarted */
static uint64_t chosen; /* bits: the kinds of fault in this run */
static uint64_t interval_ns;

static void count(uint64_t *figure)
{
    figures.faults++;
    (*figure)++;
}

/* --- victims --- */

static struct sim_member *anybody(void)
{
    return &members[rng_below(members_count)];
}

static struct sim_member *somebody(void)
{
    if (rng_chance(500000)) {
        for (size_t i = 0; i < members_count; i++) {
            if (members[i].up && members[i].consensus->status.is_leader) {
                return &members[i];
            }
        }
    }
    return anybody();
}

static uint64_t a_while_ns(void)
{
    return rng_chance(700000) ? rng_between(5 * MS, SECOND) : rng_between(SECOND, 8 * SECOND);
}

/* --- processes --- */

struct later {
    struct sim_event event;
    struct sim_member *member;
};

static void later(struct sim_member *m, void (*run)(struct sim_event *event), uint64_t delay_ns)
{
    struct later *l = mem_zalloc(1, sizeof *l);
    l->event.run = run;
    l->member = m;
    world_at(&l->event, delay_ns, NULL);
}

static void restart(struct sim_event *event)
{
    struct later *l = CONTAINER_OF(event, struct later, event);
    if (active && l->member->stopping) {
        world_at(event, 100 * MS, NULL); /* it is still stopping */
        return;
    }
    if (active) {
        member_start(l->member);
    }
    free(l);
}

static void kill_one(void)
{
    struct sim_member *m = somebody();
    figures.faults++;
    member_crash(m, CRASH_PROCESS);
    later(m, restart, a_while_ns());
}

static struct files_plan a_death(uint64_t calls_most)
{
    static const enum files_fate fates[] = {FILES_DIE_BEFORE, FILES_DIE_AMID, FILES_DIE_AFTER};
    struct files_plan plan = {.calls = rng_below(calls_most)};
    plan.fate = fates[rng_below(ARRAY_LENGTH(fates))];
    return plan;
}

/* Before, during or after a file call. */
static void kill_in_call(void)
{
    struct sim_member *m = somebody();
    const struct files_plan plan = a_death(rng_chance(500000) ? 12 : 80);
    figures.faults++;
    member_plan_death(m, &plan, rng_chance(600000));
}

/* ... of its next start. */
static void kill_in_start(void)
{
    struct sim_member *m = somebody();
    figures.faults++;
    member_crash(m, rng_chance(500000) ? CRASH_POWER : CRASH_PROCESS);
    m->start_plan = a_death(60);
    m->plans_start = true;
    m->power_at_death = rng_chance(500000);
    later(m, restart, a_while_ns());
}

static void kill_all(void)
{
    figures.faults++;
    for (size_t i = 0; i < members_count; i++) {
        member_crash(&members[i], CRASH_PROCESS);
        later(&members[i], restart, rng_below(SECOND));
    }
}

static void power_one(void)
{
    struct sim_member *m = somebody();
    figures.faults++;
    member_crash(m, CRASH_POWER);
    later(m, restart, a_while_ns());
}

static void power_all(void)
{
    figures.faults++;
    for (size_t i = 0; i < members_count; i++) {
        member_crash(&members[i], CRASH_POWER);
        later(&members[i], restart, rng_below(SECOND));
    }
}

static void stop_one(void)
{
    struct sim_member *m = somebody();
    figures.faults++;
    member_stop(m);
    later(m, restart, a_while_ns());
}

static void pause_one(void)
{
    figures.faults++;
    struct sim_member *m = somebody();
    uint64_t duration_ns = rng_between(10 * MS, 3 * SECOND);
    member_pause(m, duration_ns, rng_chance(300000));
}

static void pause_all(void)
{
    uint64_t duration_ns = rng_between(100 * MS, 20 * SECOND);
    bool frozen = rng_chance(300000);
    figures.faults++;
    for (size_t i = 0; i < members_count; i++) {
        member_pause(&members[i], duration_ns + rng_below(100 * MS), frozen);
    }
}

/* --- links --- */

static void heal_links(struct sim_event *event)
{
    free(event);
    if (active) {
        net_heal();
    }
}

static enum cut a_cut(void)
{
    return rng_chance(500000) ? CUT_HOLE : CUT_RESET;
}

static void cut_off(uint64_t from, uint64_t to)
{
    count(&figures.cuts);
    net_cut(from, to, a_cut());
}

static void heal_later(void)
{
    world_call(heal_links, a_while_ns(), NULL);
}

static void one_way(void)
{
    uint64_t from = anybody()->id;
    cut_off(from, anybody()->id);
    heal_later();
}

static void isolate(void)
{
    uint64_t id = somebody()->id;
    bool out = rng_chance(700000);
    bool in = !out || rng_chance(700000);
    world_trace("member %" PRIu64 " is isolated%s%s", id, out ? ", out" : "", in ? ", in" : "");
    bool looks_dead = rng_chance(300000);
    for (uint64_t other = 1; other <= members_count; other++) {
        if (looks_dead && other != id) {
            net_tell_refused(other, id);
        }
        if (out) {
            cut_off(id, other);
        }
        if (in) {
            cut_off(other, id);
        }
    }
    heal_later();
}

static void split(void)
{
    uint64_t side = rng_next();
    world_trace("the network is split");
    for (uint64_t from = 1; from <= members_count; from++) {
        for (uint64_t to = 1; to <= members_count; to++) {
            if ((side >> from & 1) != (side >> to & 1)) {
                cut_off(from, to);
            }
        }
    }
    heal_later();
}

static void break_links(void)
{
    for (uint64_t n = rng_between(1, members_count * 2); n > 0; n--) {
        count(&figures.cuts);
        uint64_t from = anybody()->id;
        net_break(from, anybody()->id);
    }
}

static void change_weather(void)
{
    figures.faults++;
    struct net_weather *w = &net_weather;
    *w = (struct net_weather){.delay_ns = rng_between(200 * US, 40 * MS)};
    w->loss_millionths = rng_chance(500000) ? (uint32_t)rng_below(200000) : 0;
    w->repeat_millionths = rng_chance(500000) ? (uint32_t)rng_below(100000) : 0;
    w->reorders = rng_chance(300000);
    w->busy_millionths = rng_chance(300000) ? (uint32_t)rng_below(50000) : 0;
    w->wrong_refusal_millionths = rng_chance(300000) ? (uint32_t)rng_below(300000) : 0;
    world_trace("weather: delay %" PRIu64 " us, loss %u, repeats %u, busy %u, refusals %u%s",
                net_weather.delay_ns / US, net_weather.loss_millionths,
                net_weather.repeat_millionths, net_weather.busy_millionths,
                net_weather.wrong_refusal_millionths, net_weather.reorders ? ", reorders" : "");
}

/* --- disks --- */

static void give_space(struct sim_event *event)
{
    struct later *l = CONTAINER_OF(event, struct later, event);
    l->member->full = false;
    files_set_capacity(l->member->disk, 0);
    free(l);
}

/* A leader without space transfers leadership to a member with space, so that one full disk is
 * hardly felt: half the time fill those of a majority. */
static void fill_disk(void)
{
    struct sim_member *m = somebody();
    uint64_t duration_ns = rng_between(200 * MS, 6 * SECOND);
    size_t full = duration_ns % 2 == 0 ? 1 : members_count / 2 + 1;
    count(&figures.disk_faults);
    for (size_t i = 0; i < full; i++) {
        struct sim_member *one = &members[(m->id - 1 + i) % members_count];
        one->full = true;
        files_set_capacity(one->disk, 1 + files_used(one->disk) + rng_below(64 * 1024));
        world_trace("the disk of member %" PRIu64 " is full", one->id);
        later(one, give_space, duration_ns);
    }
}

static void slow_disk(void)
{
    count(&figures.disk_faults);
    anybody()->latency_ns = rng_between(100 * US, rng_chance(200000) ? 800 * MS : 60 * MS);
}

static struct files_plan an_error(uint64_t calls_most)
{
    static const int errors[] = {EIO, EIO, ENOSPC, EMFILE};
    struct files_plan plan = {.calls = rng_below(calls_most), .fate = FILES_ERROR};
    plan.error = errors[rng_below(ARRAY_LENGTH(errors))];
    plan.more = rng_chance(500000) ? rng_below(4) : 0;
    return plan;
}

static void fail_call(void)
{
    struct sim_member *m = somebody();
    const struct files_plan plan = an_error(40);
    count(&figures.disk_faults);
    world_trace("a file call of member %" PRIu64 " will fail with %d", m->id, plan.error);
    m->error_is_planned = true;
    files_plan(m->disk, &plan);
}

static void fail_start(void)
{
    struct sim_member *m = somebody();
    count(&figures.disk_faults);
    member_crash(m, CRASH_PROCESS);
    m->start_plan = an_error(60);
    m->plans_start = true;
    later(m, restart, a_while_ns());
}

/* --- damage --- */

static void hurt(bool (*how)(struct sim_member *m), bool may_run)
{
    struct sim_member *m = somebody();
    if (!damage_may(m)) {
        return;
    }
    bool runs = may_run && rng_chance(500000);
    if (!runs) {
        member_crash(m, rng_chance(500000) ? CRASH_POWER : CRASH_PROCESS);
    }
    (void)how(m);
    later(m, restart, a_while_ns());
}

static void empty_directory(void)
{
    hurt(damage_empty, true);
}

static void flip_bit(void)
{
    hurt(damage_flip, true);
}

static void cut_files(void)
{
    hurt(damage_cut, false);
}

static void fork_directory(void)
{
    hurt(damage_fork, false);
}

/* Once the others do not need it any more; until then it stays down. */
static void try_while_down(struct later *l, bool (*how)(struct sim_member *m))
{
    struct sim_member *m = l->member;
    bool waits = active && damage_may(m) && !m->up && !how(m) && rng_chance(950000);
    if (waits) {
        world_at(&l->event, 20 * MS, NULL);
        return;
    }
    if (active) {
        member_start(m);
    }
    free(l);
}

static void try_put_back(struct sim_event *event)
{
    try_while_down(CONTAINER_OF(event, struct later, event), damage_put_back);
}

static void try_rewrite(struct sim_event *event)
{
    try_while_down(CONTAINER_OF(event, struct later, event), damage_rewrite);
}

/* Copies it first if there is no copy. */
static void put_back(void)
{
    struct sim_member *m = anybody();
    for (size_t i = 0; i < members_count && m->copy.image == NULL; i++) {
        m = &members[(m->id + i) % members_count];
    }
    if (m->copy.image == NULL || rng_chance(200000)) {
        damage_copy(anybody());
    } else if (damage_may(m)) {
        member_crash(m, rng_chance(500000) ? CRASH_POWER : CRASH_PROCESS);
        later(m, try_put_back, 20 * MS);
    }
}

static void rewrite_history(void)
{
    struct sim_member *m = anybody();
    if (damage_may(m)) {
        member_crash(m, CRASH_PROCESS);
        later(m, try_rewrite, 20 * MS);
    }
}

/* When all are up; otherwise retried soon. */
static void try_drift(struct sim_event *event)
{
    struct later *l = CONTAINER_OF(event, struct later, event);
    if (active && damage_may(l->member) && !damage_drift(l->member) && rng_chance(900000)) {
        world_at(event, 100 * MS, NULL);
        return;
    }
    free(l);
}

static void drift(void)
{
    later(somebody(), try_drift, 0);
}

/* --- clocks --- */

static void jump_wall_clock(void)
{
    struct sim_member *m = somebody();
    count(&figures.clock_faults);
    m->wall_offset_ms += (int64_t)rng_below(7200000) - 3600000;
}

static void change_rate(void)
{
    count(&figures.clock_faults);
    member_set_rate(somebody(), 0.9 + (double)rng_below(2001) / 10000.0);
}

/* --- the schedule --- */

static void (*const all[])(void) = {
    kill_one,       kill_in_call, kill_in_call, kill_in_start,   kill_all,        power_one,
    power_all,      stop_one,     pause_one,    pause_all,       one_way,         isolate,
    split,          split,        break_links,  break_links,     change_weather,  fill_disk,
    slow_disk,      fail_call,    fail_start,   flip_bit,        empty_directory, cut_files,
    fork_directory, put_back,     put_back,     rewrite_history, drift,           jump_wall_clock,
    change_rate,
};

void faults_draw(void)
{
    static const uint64_t sizes[] = {2 * 1024, 8 * 1024, 64 * 1024, 1024 * 1024};
    static const uint32_t segments[] = {8 * 1024, 32 * 1024, 128 * 1024};
    static const uint64_t intervals_ns[] = {300 * MS, SECOND, 3 * SECOND};
    static const uint32_t kept[] = {256, 1024, EVENTS_KEPT_DEFAULT};
    static const uint32_t timeouts_ms[] = {1000, 2500, 5000};
    tuning.snapshot_log_bytes = sizes[rng_below(ARRAY_LENGTH(sizes))];
    tuning.segment_bytes = segments[rng_below(ARRAY_LENGTH(segments))];
    tuning.write_timeout_ms = timeouts_ms[rng_below(ARRAY_LENGTH(timeouts_ms))];
    tuning.events_kept = kept[rng_below(ARRAY_LENGTH(kept))];
    /* Derived, not drawn: seeds keep their meaning. */
    tuning.state_bytes = options.seed % 4 == 0 ? 64 * 1024 : 4ull << 30;
    tuning.events_differ = rng_chance(300000);
    tuning.versions_differ = rng_chance(400000) && !growth_is_on();
    tuning.busy_millionths = rng_chance(300000) ? 5000 : 0;
    tuning.lazy_pump_millionths = rng_chance(500000) ? (uint32_t)rng_below(300000) : 0;
    net_weather = (struct net_weather){.delay_ns = rng_between(200 * US, 10 * MS)};
    chosen = rng_next();
    chosen |= 1ull << rng_below(ARRAY_LENGTH(all));
    interval_ns = intervals_ns[rng_below(ARRAY_LENGTH(intervals_ns))];
    versions_draw();
}

bool faults_are_on(void)
{
    return active;
}

static void strike(struct sim_event *event)
{
    if (!active) {
        free(event);
        return;
    }
    size_t kind = rng_below(ARRAY_LENGTH(all));
    while ((chosen >> kind & 1) == 0) {
        kind = (kind + 1) % ARRAY_LENGTH(all);
    }
    all[kind]();
    world_at(event, rng_between(interval_ns / 10, interval_ns * 2), NULL);
}

void faults_start(void)
{
    active = supervised = true;
    /* Sometimes during the forming of the cluster. */
    bool early = rng_chance(250000);
    world_call(strike, early ? rng_below(300 * MS) : rng_between(SECOND, 3 * SECOND), NULL);
}

/* --- exited processes --- */

static void supervise(struct sim_event *event)
{
    struct later *l = CONTAINER_OF(event, struct later, event);
    if (supervised) {
        member_start(l->member);
    }
    free(l);
}

void faults_ended(struct sim_member *m)
{
    uint64_t delay_ns = active ? rng_between(100 * MS, 2 * SECOND) : 100 * MS;
    later(m, supervise, delay_ns);
}

/* --- healing --- */

void faults_heal(void)
{
    active = false;
    net_weather = (struct net_weather){.delay_ns = 2 * MS};
    for (size_t i = 0; i < members_count; i++) {
        struct sim_member *m = &members[i];
        m->full = m->plans_start = false;
        files_set_capacity(m->disk, 0);
        struct files_plan plan;
        (void)files_take_plan(m->disk, &plan);
        m->latency_ns = LATENCY_NS;
    }
    /* First finish pauses and stops. */
    for (bool busy = true; busy;) {
        busy = false;
        for (size_t i = 0; i < members_count; i++) {
            busy = busy || members[i].paused_until_ns > world_now_ns() || members[i].stopping;
        }
        if (busy) {
            world_run(world_now_ns() + 100 * MS, 0);
        }
    }
    net_heal();
    for (size_t i = 0; i < members_count; i++) {
        member_start(&members[i]);
    }
    world_trace("all faults are over");
}

bool faults_heal_unformed(void)
{
    bool any = false;
    for (size_t i = 0; i < members_count; i++) {
        struct sim_member *m = &members[i];
        if (m->damage != 0) {
            any = true;
            world_trace("member %" PRIu64 " gets an empty directory, as no cluster is formed",
                        m->id);
            member_crash(m, CRASH_PROCESS);
            files_empty(m->disk);
            checks_forget_life(m);
            m->damage = 0;
            m->refused = false;
            member_start(m);
        }
    }
    return any;
}
