#include "tests/sim/member.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "tests/mutants/mutant.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"

#define WALL_BEGIN_MS 1700000000000

struct sim_member members[MEMBERS_MAX];
size_t members_count;
struct sim_member *member_current;

struct sim_member *member_of(uint64_t id)
{
    return &members[id - 1];
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

uint64_t member_mono_ns(const struct sim_member *m)
{
    if (world_now_ns() < m->base_now_ns) {
        return m->base_mono_ns; /* it is stopped */
    }
    return m->base_mono_ns + (uint64_t)((double)(world_now_ns() - m->base_now_ns) * m->rate);
}

uint64_t member_boot_ns(const struct sim_member *m)
{
    return m->base_boot_ns + (uint64_t)((double)(world_now_ns() - m->boot_now_ns) * m->rate);
}

uint64_t member_true_ns(const struct sim_member *m, uint64_t own_ns)
{
    return (uint64_t)((double)own_ns / m->rate);
}

static void rebase(struct sim_member *m)
{
    m->base_mono_ns = member_mono_ns(m);
    m->base_boot_ns = member_boot_ns(m);
    m->base_now_ns = m->boot_now_ns = world_now_ns();
}

void member_set_rate(struct sim_member *m, double rate)
{
    rebase(m);
    m->rate = rate;
}

static int64_t wall_of_current_ms(void);

static uint64_t clock_of_current_ns(void)
{
    if (mutant_is(MUTANT_wall_clock)) {
        return (uint64_t)wall_of_current_ms() * MS;
    }
    return member_current != NULL ? member_mono_ns(member_current) : world_now_ns();
}

static uint64_t boot_of_current_ns(void)
{
    return member_current != NULL && !mutant_is(MUTANT_suspension_uncounted)
               ? member_boot_ns(member_current)
               : clock_of_current_ns();
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
        .boot_ns = boot_of_current_ns,
        .wall_ms = wall_of_current_ms,
    };
    clock_replace(&source);
}

/* --- processes --- */

/* How a call into the product ended if it did not return. */
enum escape {
    ESCAPE_FATAL = 1,
    ESCAPE_DEATH, /* died in a file call */
};

static uint64_t chance(void *data)
{
    (void)data;
    return rng_next();
}

static void died(void *data)
{
    struct sim_member *m = data;
    longjmp(m->escape, ESCAPE_DEATH);
}

void member_init(struct sim_member *m, uint64_t id)
{
    const struct files_options disk = {.random = chance, .died = died, .data = m};
    *m = (struct sim_member){.id = id, .powered = true, .latency_ns = LATENCY_NS};
    m->rate = 0.9 + (double)rng_below(2001) / 10000.0;
    m->base_boot_ns = m->base_mono_ns = rng_between(1 * SECOND, 1000 * SECOND);
    m->wall_offset_ms = (int64_t)rng_below(2000) - 1000;
    m->disk = files_create(&disk);
    m->level_max = LEVEL_MAX;
}

bool member_serves(const struct sim_member *m)
{
    return m->up && (m->damage & DAMAGE_FORKED) == 0;
}

static struct sim_member *enter(struct sim_member *m)
{
    struct sim_member *before = member_current;
    member_current = m;
    return before;
}

/* Ends the process; `m->node` is what it leaves in memory. */
static void end_process(struct sim_member *m)
{
    rebase(m);
    m->process++;
    m->up = false;
    m->stopped_ns = world_now_ns();
    m->paused_until_ns = 0;
    m->node = NULL;
    m->consensus = NULL;
    m->dying = m->stopping = m->closed = false;
    m->drift = 0;
    m->damage &= ~(unsigned)DAMAGE_DRIFTED;
}

/* Completes and frees everything that the process held, unless a pool thread is using some of it:
 * then everything is left behind. */
static void free_process(struct sim_member *m)
{
    struct sim_member *before = enter(m);
    if (setjmp(m->escape) == 0 && consensus_sim_abandon(m->consensus)) {
        node_stop(m->node);
        node_destroy(m->node);
    }
    member_current = before;
}

/* Shows the death to the rest of the world. */
static void tell_death(struct sim_member *m, enum crash how)
{
    m->dying = true;
    m->powered = how == CRASH_PROCESS;
    if (how == CRASH_POWER) {
        files_lose_power(m->disk);
        m->base_boot_ns = m->base_mono_ns = rng_between(1 * SECOND, 10 * SECOND);
        m->boot_now_ns = m->base_now_ns = world_now_ns();
    } else {
        files_kill(m->disk);
    }
    figures.crashes++;
    figures.power_losses += how == CRASH_POWER;
    if (m->up) {
        workload_member_died(m);
        net_member_down(m, how == CRASH_PROCESS);
    }
}

void member_crash(struct sim_member *m, enum crash how)
{
    if (!m->up) {
        if (how == CRASH_POWER) {
            files_lose_power(m->disk); /* what the last process wrote may still be lost */
        }
        return;
    }
    world_trace("member %" PRIu64 " %s", m->id, how == CRASH_PROCESS ? "is killed" : "loses power");
    tell_death(m, how);
    free_process(m);
    end_process(m);
}

void member_die(struct sim_member *m, const char *sentence)
{
    if (!m->dying) {
        world_trace("member %" PRIu64 " ends itself: %s", m->id, sentence);
        checks_fatal(m, sentence);
    }
    longjmp(m->escape, ESCAPE_FATAL);
}

void member_plan_death(struct sim_member *m, const struct files_plan *plan, bool power)
{
    m->power_at_death = power;
    files_plan(m->disk, plan);
}

/* It ended in the middle of something: its memory is not consistent any more. */
static void escaped(struct sim_member *m, int how)
{
    bool power = how == ESCAPE_DEATH && m->power_at_death;
    if (how == ESCAPE_DEATH) {
        world_trace("member %" PRIu64 " dies in a file call%s", m->id,
                    power ? ", as its machine does" : "");
        figures.deaths_in_calls++;
    }
    tell_death(m, power ? CRASH_POWER : CRASH_PROCESS);
    end_process(m);
    faults_ended(m);
}

static void finish_stop(struct sim_member *m)
{
    world_trace("member %" PRIu64 " has stopped", m->id);
    checks_stopped(m);
    node_stop(m->node);
    m->dying = true;
    workload_member_died(m);
    net_member_down(m, true);
    node_destroy(m->node);
    files_kill(m->disk);
    end_process(m);
}

void member_dispatch(struct sim_member *m, struct sim_event *event)
{
    struct sim_member *before = enter(m);
    int how = setjmp(m->escape);
    if (how == 0) {
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
        escaped(m, how);
    }
    member_current = before;
}

static struct node *start_node(struct sim_member *m, char *error, size_t error_size)
{
    char name[32];
    char peer[64];
    struct consensus_member list[MEMBERS_MAX];
    member_list(list);
    (void)snprintf(name, sizeof name, "member-%" PRIu64, m->id);
    (void)snprintf(peer, sizeof peer, "member-%" PRIu64 ":9100", m->id);
    const struct consensus_options node_options = {
        .id = m->id,
        .name = name,
        .data_dir = "/simulated",
        .members = list,
        .members_count = m->joins ? members_count : options.replicas,
        .members_given = true,
        .joins = m->joins,
        .voters = 3,
        .peer_listen = peer,
        .secret = "",
        .advertise_peer = peer,
        .advertise_http = peer,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .heartbeat_interval_ms = HEARTBEAT_INTERVAL_MS,
        .write_timeout_ms = tuning.write_timeout_ms,
        .snapshot_log_bytes = tuning.snapshot_log_bytes,
        .version = "sim",
    };
    const struct node_options own = {
        .events_kept = tuning.events_kept << (tuning.events_differ ? m->id % 2 : 0),
        .state_bytes = tuning.state_bytes << m->id % 2,
    };
    return node_start(&node_options, &own, error, error_size);
}

/* `how`: enum escape, or 0: it returned with a message. */
static void start_failed(struct sim_member *m, int how, const char *error)
{
    bool excused = m->error_is_planned || m->full;
    if (how != 0) {
        m->node = NULL;
        escaped(m, how);
        return;
    }
    world_trace("member %" PRIu64 " refuses to start: %s", m->id, error);
    checks_refused_start(m, error, excused);
    m->refused = m->damage != 0 && !excused;
    files_kill(m->disk);
    end_process(m);
    if (!m->refused) {
        faults_ended(m);
    }
}

void member_start(struct sim_member *m)
{
    char error[1024] = "";
    if (m->up || m->refused || m->outside) {
        return;
    }
    struct sim_member *before = enter(m);
    m->process++;
    m->powered = true;
    m->error_is_planned = false;
    m->events_seen = m->term_seen = m->commit_seen = m->applied_seen = 0;
    versions_choose(m);
    int how = setjmp(m->escape);
    if (how == 0) {
        m->node = start_node(m, error, sizeof error);
    }
    if (how != 0 || m->node == NULL) {
        start_failed(m, how, error);
    } else {
        m->up = true;
        m->started_ns = world_now_ns();
        checks_started(m);
    }
    member_current = before;
}

void member_stop(struct sim_member *m)
{
    if (m->up && !m->stopping) {
        world_trace("member %" PRIu64 " is told to stop", m->id);
        m->stopping = true;
        m->stopped_ns = m->paused_until_ns > world_now_ns() ? m->paused_until_ns : world_now_ns();
        m->consensus->stopping = true;
    }
}

void member_pause(struct sim_member *m, uint64_t duration_ns, bool frozen)
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
        m->base_now_ns = m->paused_until_ns; /* nobody reads it before that */
    }
}
