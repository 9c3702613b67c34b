#include "tests/sim/member.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "tests/plant/plant.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/net.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"

#define WALL_BEGIN_MS 1700000000000

struct member members[MEMBERS_MAX];
size_t members_count;
struct member *member_current;

struct member *member_of(uint64_t id)
{
    return &members[id - 1];
}

void member_configuration(struct raft_configuration *ret_configuration)
{
    struct consensus_member list[MEMBERS_MAX];
    member_list(list);
    raft_configuration_init(ret_configuration);
    for (size_t i = 0; i < members_count; i++) {
        CHECK(raft_configuration_add(ret_configuration, list[i].id, list[i].address, RAFT_VOTER) ==
              0);
    }
}

void member_list(struct consensus_member *ret_list)
{
    for (size_t i = 0; i < members_count; i++) {
        ret_list[i].id = members[i].id;
        (void)snprintf(ret_list[i].address, sizeof ret_list[i].address, "member-%" PRIu64 ":9100",
                       members[i].id);
    }
}

/* --- clocks --- */

uint64_t member_mono_ns(const struct member *m)
{
    if (world_now_ns() < m->base_now_ns) {
        return m->base_mono_ns; /* it stands still */
    }
    return m->base_mono_ns + (uint64_t)((double)(world_now_ns() - m->base_now_ns) * m->rate);
}

uint64_t member_true_ns(const struct member *m, uint64_t own_ns)
{
    return (uint64_t)((double)own_ns / m->rate);
}

static void rebase(struct member *m)
{
    m->base_mono_ns = member_mono_ns(m);
    m->base_now_ns = world_now_ns();
}

void member_set_rate(struct member *m, double rate)
{
    rebase(m);
    m->rate = rate;
}

static int64_t wall_of_current_ms(void);

static uint64_t clock_of_current_ns(void)
{
    if (plant_is(PLANT_wall_clock)) {
        return (uint64_t)wall_of_current_ms() * MS;
    }
    return member_current != NULL ? member_mono_ns(member_current) : world_now_ns();
}

static int64_t wall_of_current_ms(void)
{
    int64_t ms = WALL_BEGIN_MS + (int64_t)(world_now_ns() / MS);
    return member_current != NULL ? ms + member_current->wall_offset_ms : ms;
}

void member_install_clocks(void)
{
    static const struct clock_source source = {
        .monotonic_ns = clock_of_current_ns,
        .wall_ms = wall_of_current_ms,
    };
    clock_replace(&source);
}

/* --- life --- */

void member_init(struct member *m, uint64_t id)
{
    *m = (struct member){.id = id, .powered = true};
    m->rate = 0.9 + (double)rng_below(2001) / 10000.0;
    m->base_mono_ns = rng_between(1 * SECOND, 1000 * SECOND);
    m->wall_offset_ms = (int64_t)rng_below(2000) - 1000;
    disk_init(&m->disk, m);
}

static struct member *enter(struct member *m)
{
    struct member *before = member_current;
    member_current = m;
    return before;
}

/* The process is gone; `m->node` is what it leaves in memory. */
static void end_process(struct member *m)
{
    rebase(m);
    m->life++;
    m->up = false;
    m->stopped_ns = world_now_ns();
    m->paused_until_ns = 0;
    m->node = NULL;
    m->consensus = NULL;
    m->dying = m->stopping = m->closed = false;
}

/* Calls back and frees all that the process held, as far as it lets us. */
static void free_process(struct member *m)
{
    struct member *before = enter(m);
    if (setjmp(m->escape) == 0) {
        consensus_sim_abandon(m->consensus);
        node_stop(m->node);
        node_destroy(m->node);
    }
    member_current = before;
}

/* What the world sees of a death. */
static void tell_death(struct member *m, enum crash how)
{
    m->dying = true;
    m->powered = how == CRASH_PROCESS;
    disk_crash(&m->disk, how == CRASH_POWER);
    workload_member_died(m);
    net_member_down(m, how == CRASH_PROCESS);
}

void member_crash(struct member *m, enum crash how)
{
    if (!m->up) {
        return;
    }
    world_trace("member %" PRIu64 " %s", m->id, how == CRASH_PROCESS ? "is killed" : "loses power");
    figures.crashes++;
    figures.power_losses += how == CRASH_POWER;
    tell_death(m, how);
    free_process(m);
    end_process(m);
    if (how == CRASH_POWER) {
        m->base_mono_ns = rng_between(1 * SECOND, 10 * SECOND);
        m->base_now_ns = world_now_ns();
    }
}

void member_die(struct member *m, const char *sentence)
{
    if (!m->dying) {
        world_trace("member %" PRIu64 " ends itself: %s", m->id, sentence);
        checks_fatal(m, sentence);
    }
    longjmp(m->escape, 1);
}

static void finish_stop(struct member *m)
{
    world_trace("member %" PRIu64 " has stopped", m->id);
    checks_stopped(m);
    node_stop(m->node);
    m->dying = true;
    workload_member_died(m);
    net_member_down(m, true);
    node_destroy(m->node);
    end_process(m);
}

void member_dispatch(struct member *m, struct happening *event)
{
    struct member *before = enter(m);
    if (setjmp(m->escape) == 0) {
        event->run(event);
        if (m->up && m->consensus != NULL) {
            consensus_sim_pump(m->consensus);
        }
        if (m->closed) {
            finish_stop(m);
        }
        if (m->up) {
            checks_after_call(m);
        }
    } else {
        /* It ended itself in the middle of something: its memory cannot be walked any more. */
        tell_death(m, CRASH_PROCESS);
        end_process(m);
    }
    member_current = before;
}

static struct node *start_node(struct member *m, char *error, size_t error_size)
{
    char name[32];
    char peer[64];
    (void)snprintf(name, sizeof name, "member-%" PRIu64, m->id);
    (void)snprintf(peer, sizeof peer, "member-%" PRIu64 ":9100", m->id);
    const struct consensus_options node_options = {
        .id = m->id,
        .name = name,
        .data_dir = "/simulated",
        .advertise_peer = peer,
        .advertise_http = peer,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .heartbeat_interval_ms = HEARTBEAT_INTERVAL_MS,
        .write_timeout_ms = tuning.write_timeout_ms,
        .snapshot_log_bytes = tuning.snapshot_log_bytes,
        .version = "sim",
    };
    return node_start(&node_options, tuning.events_kept << (tuning.events_differ ? m->id % 2 : 0),
                      error, error_size);
}

void member_start(struct member *m)
{
    char error[1024] = "";
    if (m->up || m->refused) {
        return;
    }
    struct member *before = enter(m);
    m->life++;
    m->powered = true;
    m->events_seen = m->commit_seen = m->applied_seen = 0;
    if (setjmp(m->escape) == 0) {
        m->node = start_node(m, error, sizeof error);
    } else {
        m->node = NULL;
    }
    if (m->node == NULL) {
        m->refused = true;
        m->consensus = NULL;
        m->closed = false;
        m->life++;
        world_trace("member %" PRIu64 " refuses to start: %s", m->id, error);
        checks_refused_start(m, error);
    } else {
        m->up = true;
        m->started_ns = world_now_ns();
        world_trace("member %" PRIu64 " starts: boot %" PRIu64 ", watermark %" PRIu64, m->id,
                    m->disk.boot, m->disk.mark_index);
        net_member_up(m);
        checks_started(m);
    }
    member_current = before;
}

void member_stop(struct member *m)
{
    if (m->up && !m->stopping) {
        world_trace("member %" PRIu64 " is told to stop", m->id);
        m->stopping = true;
        m->stopped_ns = m->paused_until_ns > world_now_ns() ? m->paused_until_ns : world_now_ns();
        m->consensus->stopping = true;
    }
}

void member_pause(struct member *m, uint64_t duration_ns, bool frozen)
{
    if (!m->up || m->paused_until_ns > world_now_ns()) {
        return;
    }
    world_trace("member %" PRIu64 " pauses for %" PRIu64 " ms%s", m->id, duration_ns / MS,
                frozen ? ", its clock too" : "");
    figures.pauses++;
    m->paused_until_ns = world_now_ns() + duration_ns;
    m->stopped_ns += duration_ns; /* it cannot stop meanwhile */
    rebase(m);
    if (frozen) {
        m->base_now_ns = m->paused_until_ns; /* nobody reads it before */
    }
}

void member_wipe(struct member *m)
{
    world_trace("member %" PRIu64 " gets an empty directory", m->id);
    disk_wipe(&m->disk);
    checks_wiped(m);
    m->refused = false;
    m->term_seen = 0;
}
