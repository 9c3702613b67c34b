/* Invariants at the end, when all faults and requests are over. */
#include <inttypes.h>

#include "server/node/internal.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/growth.h"
#include "tests/sim/member.h"
#include "tests/sim/net.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

#define SETTLE_TRIES 100 /* until no lease is expiring at that moment */
/* A member whose state differs must stop within this time, if it can hear the others. */
#define DRIFT_NOTICED_NS (5 * SECOND)

static bool is_quiet(const struct sim_member *m)
{
    const struct engine *e = &m->consensus->engine;
    return e->forwarder.waiting == 0 && !e->forwarder.active && e->proposer.inflight_count == 0 &&
           e->driver.held == NULL && !e->driver.installing && !e->snapshot_receive.working &&
           e->read_index.waiting.first == NULL && e->read_index.asked.first == NULL &&
           e->read_index.indexed.first == NULL && atomic_load(&m->node->blocking.count) == 0;
}

static void check_quiet(const struct sim_member *m)
{
    if (!is_quiet(m)) {
        world_violation("nothing_is_left_waiting", "member %" PRIu64 ": %zu operations, %u waits",
                        m->id, m->consensus->engine.forwarder.waiting,
                        atomic_load(&m->node->blocking.count));
    }
}

static void check_log_bounded(const struct sim_member *m)
{
    uint64_t bytes = wal_bytes(m->consensus->engine.persist.wal);
    uint64_t most = 4 * tuning.snapshot_log_bytes + 4 * tuning.segment_bytes + 256 * 1024;
    if (bytes > most) {
        world_violation("log_is_bounded", "member %" PRIu64 " keeps %" PRIu64 " bytes of log",
                        m->id, bytes);
    }
}

static void check_member_converged(const struct sim_member *m)
{
    if (!m->up) {
        world_violation("serves_after_healing", "member %" PRIu64 " is not up", m->id);
    }
    const struct view *view = registry_view(m->node->registry);
    if (view->index != oracle_applied() || view->index < oracle_acknowledged()) {
        world_violation("replicas_converge",
                        "member %" PRIu64 " is at %" PRIu64 ", %" PRIu64 " was applied and %" PRIu64
                        " acknowledged",
                        m->id, view->index, oracle_applied(), oracle_acknowledged());
    }
    oracle_check_state(m, view->index, view->hash, "at the end");
    checks_thoroughly(m);
    check_quiet(m);
    check_log_bounded(m);
}

/* An emptied member must have been admitted, and have a vote. */
static void check_let_in(const struct sim_member *m)
{
    bool was_emptied = (m->damage & ~(unsigned)(DAMAGE_EMPTIED | DAMAGE_CUT)) == 0;
    if (m->up && !m->refused && was_emptied && checks_life(m->id) != 0) {
        world_violation("the_emptied_are_let_in", "member %" PRIu64 " has no vote", m->id);
    }
}

/* A removed member that knows the leader must have been told by it, and have exited. */
static void check_told(const struct sim_member *m)
{
    bool is_out =
        m->up && growth_is_on() && m->consensus->engine.running && !checks_is_configured(m);
    for (size_t i = 0; i < members_count && is_out; i++) {
        const struct sim_member *leader = &members[i];
        if (leader->up && leader->consensus->engine.is_leader && checks_is_configured(leader) &&
            net_is_dialled(m->id, leader->id)) {
            world_violation("the_removed_are_told", "member %" PRIu64, m->id);
        }
    }
}

uint64_t checks_term(void)
{
    uint64_t term = 0;
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *m = &members[i];
        if (m->up && m->consensus->engine.running && checks_is_configured(m)) {
            uint64_t its = raft_current_term(&m->consensus->engine.driver.raft);
            term = its > term ? its : term;
        }
    }
    return term;
}

/* No entry is in flight; the brake may let the next leases expire at any time. */
static bool is_settled(void)
{
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *m = &members[i];
        if (m->up && checks_is_judged(m) &&
            (!is_quiet(m) || registry_view(m->node->registry)->index != oracle_applied())) {
            return false;
        }
    }
    return true;
}

void checks_converged(void)
{
    size_t whole = 0;
    for (unsigned i = 0; i < SETTLE_TRIES && !is_settled(); i++) {
        world_run(world_now_ns() + 10 * MS, 0);
    }
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *m = &members[i];
        if (checks_is_judged(m)) {
            whole++;
            check_member_converged(m);
        } else if (!checks_is_voter(m)) {
            check_let_in(m);
        }
        check_told(m);
        if (m->up && m->drift != 0 && world_now_ns() - m->drift_ns > DRIFT_NOTICED_NS) {
            world_violation("the_one_that_differs_stops", "member %" PRIu64 " goes on", m->id);
        }
    }
    if (whole <= checks_voters() / 2) {
        world_violation("a_majority_is_whole", "%zu members are", whole);
    }
}
