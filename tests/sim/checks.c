#include "tests/sim/checks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/node/internal.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/member.h"
#include "tests/sim/rng.h"
#include "tests/sim/truth.h"
#include "tests/sim/world.h"

#define THOROUGH_EVERY 3000 /* calls, at most */
#define STOP_MOST_MS   3000 /* beyond the write timeout */
#define SAME_MOMENT_NS (50 * MS)

static struct {
    uint64_t *leaders; /* by term */
    size_t capacity;
    struct {
        uint64_t term, vote;
    } votes[MEMBERS_MAX + 1];
    struct {
        uint64_t term, at_ns;
        bool several;
    } stood;
} seen;

/* --- elections --- */

void checks_term_stored(const struct member *m, uint64_t old, uint64_t new)
{
    if (new < old) { /* libraft stores the same again with each vote */
        world_violation("terms_rise", "member %" PRIu64 " goes from term %" PRIu64 " to %" PRIu64,
                        m->id, old, new);
    }
}

static bool had_leader(uint64_t term)
{
    return term < seen.capacity && seen.leaders[term] != 0;
}

/* Two that stand in one term at the same moment may keep each other from winning it. */
static void note_candidate(uint64_t term)
{
    if (term > seen.stood.term) {
        bool split = seen.stood.several && !had_leader(seen.stood.term);
        figures.votes_split += split;
        seen.stood.term = term;
        seen.stood.at_ns = world_now_ns();
        seen.stood.several = false;
    } else if (term == seen.stood.term && world_now_ns() - seen.stood.at_ns < SAME_MOMENT_NS) {
        seen.stood.several = true;
    }
}

void checks_vote_stored(struct member *m, uint64_t term, uint64_t vote)
{
    if (seen.votes[m->id].term == term && seen.votes[m->id].vote != 0 &&
        seen.votes[m->id].vote != vote) {
        world_violation("one_vote_a_term", "member %" PRIu64 " votes twice in term %" PRIu64, m->id,
                        term);
    }
    if (vote == m->id && (seen.votes[m->id].term != term || seen.votes[m->id].vote != vote)) {
        note_candidate(term);
    }
    seen.votes[m->id].term = term;
    seen.votes[m->id].vote = vote;
}

void checks_wiped(const struct member *m)
{
    seen.votes[m->id].term = seen.votes[m->id].vote = 0; /* why it may only be done to a minority */
}

static void note_leader(const struct member *m, uint64_t term)
{
    if (term >= seen.capacity) {
        size_t capacity = (size_t)term * 2 + 64;
        seen.leaders = mem_realloc(seen.leaders, capacity * sizeof *seen.leaders);
        memset(seen.leaders + seen.capacity, 0, (capacity - seen.capacity) * sizeof *seen.leaders);
        seen.capacity = capacity;
    }
    if (seen.leaders[term] != 0 && seen.leaders[term] != m->id) {
        world_violation("one_leader_a_term",
                        "members %" PRIu64 " and %" PRIu64 " lead in term %" PRIu64,
                        seen.leaders[term], m->id, term);
    }
    seen.leaders[term] = m->id;
}

void checks_leadership(struct member *m, bool leader, uint64_t term)
{
    if (leader) {
        m->leads_since_ns = world_now_ns();
    }
    world_trace("member %" PRIu64 " %s term %" PRIu64, m->id, leader ? "leads" : "no longer leads",
                term);
    figures.elections += leader;
}

/* --- after each call --- */

static void check_monotonic(struct member *m, uint64_t *seen_before, uint64_t now,
                            const char *invariant)
{
    if (now < *seen_before) {
        world_violation(invariant, "member %" PRIu64 " goes from %" PRIu64 " back to %" PRIu64,
                        m->id, *seen_before, now);
    }
    *seen_before = now;
}

static void check_bounded(const struct member *m)
{
    const struct engine *e = &m->consensus->engine;
    if (e->outbox.waiting > QUEUE_OPS_MAX || e->outbox.waiting_bytes > QUEUE_BYTES_MAX ||
        e->leader.in_flight > ENTRIES_IN_FLIGHT_MAX ||
        atomic_load(&m->node->watch.count) > WAITERS_MAX) {
        world_violation("queues_are_bounded", "member %" PRIu64, m->id);
    }
}

static void check_thoroughly(const struct member *m)
{
    const char *broken = registry_verify(m->node->registry);
    if (broken != NULL) {
        world_violation("registry_is_whole", "member %" PRIu64 ": %s", m->id, broken);
    }
    check_bounded(m);
}

static void check_caught_up(struct member *m)
{
    struct engine *e = &m->consensus->engine;
    if (e->caught_up && !m->caught_up_seen && raft_last_applied(&e->raft) < m->to_catch_up) {
        world_violation("ready_means_caught_up",
                        "member %" PRIu64 " has applied %llu, others %" PRIu64
                        " before it was started",
                        m->id, raft_last_applied(&e->raft), m->to_catch_up);
    }
    m->caught_up_seen = e->caught_up;
}

void checks_after_call(struct member *m)
{
    struct consensus *c = m->consensus;
    if (!c->engine_open || c->closing) {
        return;
    }
    struct raft *raft = &c->engine.raft;
    check_monotonic(m, &m->term_seen, raft_current_term(raft), "terms_rise");
    check_monotonic(m, &m->commit_seen, raft_commit_index(raft), "commit_index_rises");
    check_monotonic(m, &m->applied_seen, raft_last_applied(raft), "applied_index_rises");
    check_caught_up(m);
    if (raft_state(raft) == RAFT_LEADER) {
        note_leader(m, raft_current_term(raft));
    }
    if (m->quiet-- == 0) {
        m->quiet = (uint32_t)rng_below(THOROUGH_EVERY);
        check_thoroughly(m);
    }
}

/* --- beginnings and ends --- */

void checks_fatal(const struct member *m, const char *sentence)
{
    if (!m->disk.error) {
        world_violation("no_end_without_cause", "member %" PRIu64 ": %s", m->id, sentence);
    }
}

void checks_refused_start(const struct member *m, const char *error)
{
    if (!m->disk.damaged) {
        world_violation("starts_on_a_sound_disk", "member %" PRIu64 ": %s", m->id, error);
    }
}

void checks_started(struct member *m)
{
    const struct view *view = registry_view(node_registry(m->node));
    if (m->disk.damaged) {
        world_violation("damage_is_refused", "member %" PRIu64 " starts on a damaged disk", m->id);
    }
    const struct raft *raft = &m->consensus->engine.raft;
    /* The guard takes a vote of before for one of its own, which is as good. */
    if (seen.votes[m->id].vote != 0 && raft_current_term(raft) == seen.votes[m->id].term &&
        raft_voted_for(raft) != seen.votes[m->id].vote && raft_voted_for(raft) != m->id) {
        world_violation("votes_survive", "member %" PRIu64 " has forgotten its vote of term %llu",
                        m->id, raft_current_term(raft));
    }
    truth_check_state(m, view->index, view->hash, "at its start");
    m->events_seen = view->events_last;
    m->to_catch_up = truth_applied();
    m->caught_up_seen = false;
}

void checks_stopped(const struct member *m)
{
    uint64_t most_ms = tuning.write_timeout_ms + STOP_MOST_MS;
    uint64_t took_ms = (world_now_ns() - m->stopped_ns) / MS;
    if (took_ms * 9 / 10 > most_ms && !m->disk.full) {
        world_violation("stops_in_time", "member %" PRIu64 " took %" PRIu64 " ms", m->id, took_ms);
    }
}

/* --- the end --- */

static void check_quiet(const struct member *m)
{
    const struct engine *e = &m->consensus->engine;
    if (e->outbox.waiting > 0 || e->outbox.active || e->leader.in_flight > 0 ||
        e->guard.failed != NULL || e->guard.held != NULL || e->guard.storing_snapshot ||
        e->guard.installing || e->readgate.waiting.first != NULL ||
        e->readgate.asked.first != NULL || e->readgate.indexed.first != NULL ||
        atomic_load(&m->node->watch.count) > 0) {
        world_violation("nothing_is_left_waiting", "member %" PRIu64 ": %zu operations, %u waits",
                        m->id, e->outbox.waiting, atomic_load(&m->node->watch.count));
    }
}

static void check_log_bounded(const struct member *m)
{
    uint64_t bytes = disk_log_bytes(&m->disk);
    uint64_t most = 4 * tuning.snapshot_log_bytes + 256 * 1024;
    if (bytes > most) {
        world_violation("log_is_bounded", "member %" PRIu64 " keeps %" PRIu64 " bytes of log",
                        m->id, bytes);
    }
}

void checks_converged(void)
{
    for (size_t i = 0; i < members_count; i++) {
        const struct member *m = &members[i];
        if (!m->up) {
            world_violation("serves_after_healing", "member %" PRIu64 " is not up", m->id);
        }
        const struct view *view = registry_view(node_registry(m->node));
        if (view->index != truth_applied() || view->index < truth_acknowledged()) {
            world_violation("replicas_converge",
                            "member %" PRIu64 " is at %" PRIu64 ", %" PRIu64
                            " was applied and %" PRIu64 " acknowledged",
                            m->id, view->index, truth_applied(), truth_acknowledged());
        }
        truth_check_state(m, view->index, view->hash, "at the end");
        check_thoroughly(m);
        check_quiet(m);
        check_log_bounded(m);
    }
}
