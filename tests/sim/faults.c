#include "tests/sim/faults.h"

#include <inttypes.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/member.h"
#include "tests/sim/net.h"
#include "tests/sim/rng.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

static bool active;
static uint64_t chosen; /* bits: the kinds that this run has */
static uint64_t interval_ns;

static void count(uint64_t *figure)
{
    figures.faults++;
    (*figure)++;
}

/* --- whom --- */

static struct member *anybody(void)
{
    return &members[rng_below(members_count)];
}

static struct member *somebody(void)
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
    struct happening event;
    struct member *member;
};

static void later(struct member *m, void (*run)(struct happening *event), uint64_t delay_ns)
{
    struct later *l = mem_zalloc(1, sizeof *l);
    l->event.run = run;
    l->member = m;
    world_at(&l->event, delay_ns, NULL);
}

static void restart(struct happening *event)
{
    struct later *l = CONTAINER_OF(event, struct later, event);
    if (active && l->member->stopping) {
        world_at(event, 100 * MS, NULL); /* it still stops */
        return;
    }
    if (active) {
        member_start(l->member);
    }
    free(l);
}

static void kill_one(void)
{
    struct member *m = somebody();
    figures.faults++;
    member_crash(m, CRASH_PROCESS);
    later(m, restart, a_while_ns());
}

/* At its next term, vote or append: between two writes that belong together. */
static void kill_at_point(void)
{
    struct member *m = somebody();
    figures.faults++;
    m->disk.kill_in = (uint32_t)rng_between(1, 12);
    later(m, restart, rng_between(20 * MS, 2 * SECOND));
    for (uint64_t ms = 2; ms < 12; ms += 2) {
        later(m, restart, SECOND * ms / 2);
    }
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
    struct member *m = somebody();
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
    struct member *m = somebody();
    figures.faults++;
    member_stop(m);
    later(m, restart, a_while_ns());
}

static void pause_one(void)
{
    figures.faults++;
    struct member *m = somebody();
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

static void heal_links(struct happening *event)
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

static void give_space(struct happening *event)
{
    struct later *l = CONTAINER_OF(event, struct later, event);
    l->member->disk.full = false;
    free(l);
}

/* A leader without room hands over to a member with room, so one full disk is hardly felt: every
 * other time it is a majority. */
static void fill_disk(void)
{
    struct member *m = somebody();
    uint64_t duration_ns = rng_between(200 * MS, 6 * SECOND);
    size_t full = duration_ns % 2 == 0 ? 1 : members_count / 2 + 1;
    count(&figures.disk_faults);
    for (size_t i = 0; i < full; i++) {
        struct member *one = &members[(m->id - 1 + i) % members_count];
        one->disk.full = true;
        world_trace("the disk of member %" PRIu64 " is full", one->id);
        later(one, give_space, duration_ns);
    }
}

static void slow_disk(void)
{
    count(&figures.disk_faults);
    anybody()->disk.latency_ns = rng_between(100 * US, rng_chance(200000) ? 800 * MS : 60 * MS);
}

static void fail_disk(void)
{
    struct member *m = somebody();
    count(&figures.disk_faults);
    m->disk.fails = true;
    later(m, restart, rng_between(SECOND, 5 * SECOND));
}

/* Only a minority: more is not to be survived without backups. */
static void flip_bit(void)
{
    size_t damaged = 0;
    for (size_t i = 0; i < members_count; i++) {
        damaged += members[i].disk.damaged;
    }
    struct member *m = anybody();
    if (damaged < (members_count - 1) / 2 && !m->disk.damaged) {
        count(&figures.disk_faults);
        member_crash(m, CRASH_PROCESS);
        if (disk_flip(&m->disk)) {
            world_trace("a bit flips on the disk of member %" PRIu64, m->id);
        }
        later(m, restart, a_while_ns());
    }
}

/* --- clocks --- */

static void jump_wall_clock(void)
{
    struct member *m = somebody();
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
    kill_one,  kill_at_point, kill_at_point,   kill_all,    power_one,      power_all,
    stop_one,  pause_one,     pause_all,       one_way,     isolate,        split,
    split,     break_links,   break_links,     fill_disk,   change_weather, slow_disk,
    fail_disk, flip_bit,      jump_wall_clock, change_rate,
};

void faults_draw(void)
{
    static const uint64_t sizes[] = {2 * 1024, 8 * 1024, 64 * 1024, 1024 * 1024};
    static const uint64_t intervals_ns[] = {300 * MS, SECOND, 3 * SECOND};
    static const uint32_t kept[] = {256, 1024, EVENTS_KEPT_DEFAULT};
    static const uint32_t timeouts_ms[] = {1000, 2500, 5000};
    tuning.snapshot_log_bytes = sizes[rng_below(ARRAY_LENGTH(sizes))];
    tuning.write_timeout_ms = timeouts_ms[rng_below(ARRAY_LENGTH(timeouts_ms))];
    tuning.events_kept = kept[rng_below(ARRAY_LENGTH(kept))];
    tuning.events_differ = rng_chance(300000);
    tuning.busy_millionths = rng_chance(300000) ? 5000 : 0;
    tuning.lazy_pump_millionths = rng_chance(500000) ? (uint32_t)rng_below(300000) : 0;
    net_weather = (struct net_weather){.delay_ns = rng_between(200 * US, 10 * MS)};
    chosen = rng_next();
    chosen |= 1ull << rng_below(ARRAY_LENGTH(all));
    interval_ns = intervals_ns[rng_below(ARRAY_LENGTH(intervals_ns))];
}

static void strike(struct happening *event)
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
    active = true;
    world_call(strike, rng_between(SECOND, 3 * SECOND), NULL);
}

/* --- healing --- */

void faults_heal(void)
{
    active = false;
    net_weather = (struct net_weather){.delay_ns = 2 * MS};
    for (size_t i = 0; i < members_count; i++) {
        struct member *m = &members[i];
        m->disk.full = m->disk.fails = false;
        m->disk.kill_in = 0;
        m->disk.latency_ns = 2 * MS;
    }
    /* What is paused or stops finishes that first. */
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

static bool others_are_equal(const struct member *m)
{
    uint64_t index = 0;
    for (size_t i = 0; i < members_count; i++) {
        const struct member *other = &members[i];
        if (other == m) {
            continue;
        }
        if (!other->up || !other->consensus->status.caught_up ||
            (index != 0 && other->consensus->status.applied_index != index)) {
            return false;
        }
        index = other->consensus->status.applied_index;
    }
    return true;
}

/* The lives of a member that lost its files count from one again. */
static void restart_all_twice(void)
{
    for (unsigned time = 0; time < 2; time++) {
        world_run(world_now_ns() + rng_below(3 * SECOND), 0);
        for (size_t i = 0; i < members_count; i++) {
            member_crash(&members[i], CRASH_PROCESS);
        }
        for (size_t i = 0; i < members_count; i++) {
            world_run(world_now_ns() + rng_below(100 * MS), 0);
            member_start(&members[i]);
        }
    }
}

void faults_rejoin(void)
{
    for (size_t i = 0; i < members_count; i++) {
        struct member *m = &members[i];
        for (unsigned tries = 0; m->refused && !others_are_equal(m) && tries < 20000; tries++) {
            world_run(world_now_ns() + MS, 0);
        }
        if (m->refused) {
            member_wipe(m);
            member_start(m);
            restart_all_twice();
            world_run(world_now_ns() + 2 * SECOND, 0);
        }
    }
}
