#include "tests/sim/checks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/configuration.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/node/internal.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/member.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

#define LIVES_MAX      256
#define THOROUGH_EVERY 3000 /* upper bound, in calls */
#define STOP_MOST_MS   3000 /* beyond the write timeout */
#define SAME_MOMENT_NS (50 * MS)
/* On a working disk, a commit index must be durable after this time. */
#define COMMIT_KEPT_NS (5 * SECOND)

static struct {
    uint64_t *leaders; /* lives, by term */
    size_t capacity;
    struct {
        uint64_t life, term, vote;
    } votes[MEMBERS_MAX + 1];
    uint64_t gone[MEMBERS_MAX + 1]; /* the life of a lost directory; 0: none */
    struct {
        uint64_t term, at_ns;
        bool several;
    } stood;
    struct cluster_id cluster; /* none: not formed */
    /* The newest configuration committed anywhere. */
    uint64_t configured; /* its index */
    struct raft_configuration configuration;
    /* The last one proposed: it is in force even if its proposer is gone. */
    uint64_t proposed_index, proposed_term;
    struct raft_configuration proposed;
    uint64_t lives[LIVES_MAX]; /* all that any configuration ever had */
    size_t lives_count;
} seen;

/* --- membership --- */

bool checks_is_formed(void)
{
    return !cluster_id_is_none(&seen.cluster);
}

const struct cluster_id *checks_cluster(void)
{
    return checks_is_formed() ? &seen.cluster : NULL;
}

uint64_t checks_life(uint64_t id)
{
    uint64_t life = 0;
    for (unsigned i = 0; i < seen.configuration.n; i++) {
        if (configuration_member_of(&seen.configuration.servers[i]) == id) {
            life = seen.configuration.servers[i].id;
        }
    }
    return life;
}

unsigned checks_voters(void)
{
    return configuration_voters(&seen.configuration);
}

bool checks_is_configured(const struct sim_member *m)
{
    return configuration_find(&seen.configuration, m->life) != NULL;
}

bool checks_is_voter(const struct sim_member *m)
{
    const struct raft_server *server = configuration_find(&seen.configuration, m->life);
    return server != NULL && server->role == RAFT_VOTER;
}

bool checks_was_life(uint64_t id, uint64_t life)
{
    return members[id - 1].life == life || seen.gone[id] == life;
}

/* Consecutive configurations must have overlapping majorities: they differ by one vote. */
static void check_overlap(const struct raft_configuration *a, const struct raft_configuration *b)
{
    size_t both = 0;
    for (unsigned i = 0; i < a->n; i++) {
        const struct raft_server *in_b = configuration_find(b, a->servers[i].id);
        both += a->servers[i].role == RAFT_VOTER && in_b != NULL && in_b->role == RAFT_VOTER;
    }
    if (configuration_voters(a) + configuration_voters(b) - 2 * both > 1 || both == 0) {
        world_violation("majorities_overlap", "of %u and %u voters %zu are the same",
                        configuration_voters(a), configuration_voters(b), both);
    }
}

/* A new life with a vote is as good as the earlier one: it may be damaged in turn. */
static void forgive(void)
{
    for (size_t i = 0; i < members_count; i++) {
        struct sim_member *m = &members[i];
        bool was_emptied = (m->damage & DAMAGE_EMPTIED) != 0;
        bool is_new = m->life != seen.gone[m->id];
        if (was_emptied && is_new && checks_is_voter(m) && m->up && m->consensus->engine.running) {
            world_trace("member %" PRIu64 " is whole again", m->id);
            m->damage = 0;
            m->was_damaged = false;
            figures.replaced++;
        }
    }
}

const struct raft_configuration *checks_proposed(void)
{
    return &seen.proposed;
}

/* Ongaro's correction of 2015 to single-server changes: without it two leaders could change the
 * same configuration in different ways. */
static void check_own_term(const struct engine *e)
{
    const struct raft *raft = &e->driver.raft;
    const struct log_entry *change = log_get(&e->driver.log, raft->configuration_uncommitted_index);
    uint64_t term;
    uint32_t checksum;
    if (change != NULL && change->term == raft->current_term &&
        log_position(&e->driver.log, raft->commit_index, &term, &checksum) &&
        term < raft->current_term) {
        world_violation("changes_after_own_commit", "in term %llu", raft->current_term);
    }
}

static void note_proposed(const struct engine *e)
{
    const struct raft *raft = &e->driver.raft;
    uint64_t index = raft->configuration_uncommitted_index;
    uint64_t term = raft->current_term;
    bool is_new = index != 0 && raft->state == RAFT_LEADER &&
                  (index != seen.proposed_index || term != seen.proposed_term);
    if (is_new) {
        raft_configuration_close(&seen.proposed);
        configuration_copy(&raft->configuration, 0, &seen.proposed);
        if (raft->configuration_committed_index == seen.configured && seen.configured > 1) {
            check_overlap(&seen.configuration, &seen.proposed);
        }
        check_own_term(e);
        seen.proposed_index = index;
        seen.proposed_term = term;
    }
}

static bool was_configured(uint64_t life)
{
    for (size_t i = 0; i < seen.lives_count; i++) {
        if (seen.lives[i] == life) {
            return true;
        }
    }
    return false;
}

static void note_lives(const struct raft_configuration *conf)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (!was_configured(conf->servers[i].id)) {
            CHECK(seen.lives_count < LIVES_MAX);
            seen.lives[seen.lives_count++] = conf->servers[i].id;
        }
    }
}

static void note_configuration(const struct sim_member *m)
{
    const struct raft *raft = &m->consensus->engine.driver.raft;
    if ((m->damage & DAMAGE_FORKED) == 0) {
        note_proposed(&m->consensus->engine);
    }
    uint64_t index = raft->configuration_committed_index;
    if ((m->damage & DAMAGE_FORKED) != 0 || index <= seen.configured) {
        return;
    }
    if (index > 1 && seen.configured != 0) {
        check_overlap(&seen.configuration, &raft->configuration_committed);
    }
    raft_configuration_close(&seen.configuration);
    configuration_copy(&raft->configuration_committed, 0, &seen.configuration);
    seen.configured = index;
    note_lives(&seen.configuration);
    forgive();
}

/* A member emptied before the cluster was formed is as good as new. */
bool checks_is_judged(const struct sim_member *m)
{
    return checks_is_voter(m) && !m->refused && (m->damage & ~(unsigned)DAMAGE_EMPTIED) == 0;
}

void checks_forget_life(struct sim_member *m)
{
    seen.gone[m->id] = m->life;
    seen.votes[m->id].vote = 0;
    m->durable = (struct durable){.sequence = 0};
    m->term_seen = 0;
}

void checks_identified(struct sim_member *m, const struct hello_facts *facts)
{
    m->life = facts->life;
    if (facts->life == seen.gone[m->id] && (m->damage & (DAMAGE_FORKED | DAMAGE_OLDER)) == 0) {
        world_violation("lives_do_not_return",
                        "member %" PRIu64 " starts with an empty directory as the life of before",
                        m->id);
    }
}

/* The first running member determines the members. A cluster that has committed nothing does not
 * count: its founder was emptied before it informed another member. */
static void note_cluster(const struct sim_member *m)
{
    seen.cluster = m->consensus->engine.identity.cluster;
    seen.configured = 0;
    note_configuration(m);
    world_trace("member %" PRIu64 " is the first of the cluster", m->id);
}

void checks_member_of_cluster(const struct sim_member *m, const struct hello_facts *facts)
{
    figures.checks++;
    if ((m->damage & DAMAGE_FORKED) != 0) {
        return;
    }
    if (!checks_is_formed() ||
        (!cluster_id_equal(&facts->cluster, &seen.cluster) && oracle_applied() == 0)) {
        note_cluster(m);
    }
    if (!cluster_id_equal(&facts->cluster, &seen.cluster)) {
        world_violation("one_cluster", "member %" PRIu64 " is in another", m->id);
    }
    bool was_one = (m->damage & DAMAGE_OLDER) != 0;
    was_one = was_one || was_configured(facts->life);
    if (!was_one && configuration_find(&seen.configuration, facts->life) == NULL) {
        world_violation("the_emptied_wait",
                        "member %" PRIu64 " runs, though its life is none of the cluster's", m->id);
    }
}

/* --- versions --- */

void checks_new_kind(const struct sim_member *m)
{
    if (m->level_max < LEVEL_NEW) {
        world_violation("all_understand_what_is_committed", "member %" PRIu64, m->id);
    }
}

void checks_level(const struct sim_member *m, uint16_t level)
{
    world_trace("member %" PRIu64 " goes to level %u", m->id, level);
    for (size_t i = 0; i < members_count; i++) {
        if (members[i].level_max < level && checks_is_voter(&members[i])) {
            world_violation("levels_rise_when_all_can",
                            "member %" PRIu64 " goes to level %u, which member %" PRIu64
                            " does not speak",
                            m->id, level, members[i].id);
        }
    }
}

/* --- elections --- */

static bool had_leader(uint64_t term)
{
    return term < seen.capacity && seen.leaders[term] != 0;
}

/* Two simultaneous candidates of a term may prevent each other from winning. */
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

void checks_vote_stored(struct sim_member *m, const struct wal_state *state)
{
    uint64_t life = m->consensus->engine.identity.life;
    if (state->vote == 0 || (m->damage & DAMAGE_FORKED) != 0) {
        return;
    }
    /* Another life is another voter; the earlier one is silent. */
    bool same = seen.votes[m->id].vote != 0 && seen.votes[m->id].life == life;
    if (same && seen.votes[m->id].term == state->term && seen.votes[m->id].vote != state->vote) {
        world_violation("one_vote_a_term", "member %" PRIu64 " votes twice in term %" PRIu64, m->id,
                        state->term);
    }
    bool stands = state->vote == life && seen.votes[m->id].term != state->term;
    if (stands) {
        note_candidate(state->term);
    }
    seen.votes[m->id].life = life;
    seen.votes[m->id].term = state->term;
    seen.votes[m->id].vote = state->vote;
}

uint64_t checks_leader_of(uint64_t term)
{
    return term < seen.capacity ? seen.leaders[term] : 0;
}

/* A majority of the voters by its own log must have stored their votes. */
static void check_elected(const struct sim_member *m, uint64_t term)
{
    const struct raft_configuration *conf = &m->consensus->engine.driver.raft.configuration;
    size_t votes = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        uint64_t id = configuration_member_of(&conf->servers[i]);
        bool is_self =
            conf->servers[i].id == m->life; /* the only voter leads before its vote is stored */
        bool moved_on = is_self || seen.votes[id].term > term || members[id - 1].damage != 0;
        bool its = seen.votes[id].life == conf->servers[i].id && seen.votes[id].term == term &&
                   seen.votes[id].vote == m->life;
        votes += conf->servers[i].role == RAFT_VOTER && (its || moved_on);
    }
    if (votes <= configuration_voters(conf) / 2) {
        world_violation("leaders_have_a_majority",
                        "member %" PRIu64 " leads term %" PRIu64 " with %zu votes of %u", m->id,
                        term, votes, configuration_voters(conf));
    }
}

static void note_leader(const struct sim_member *m, uint64_t term)
{
    if (term >= seen.capacity) {
        size_t capacity = (size_t)term * 2 + 64;
        seen.leaders = mem_realloc(seen.leaders, capacity * sizeof *seen.leaders);
        memset(seen.leaders + seen.capacity, 0, (capacity - seen.capacity) * sizeof *seen.leaders);
        seen.capacity = capacity;
    }
    if (seen.leaders[term] != 0 && seen.leaders[term] != m->life) {
        world_violation("one_leader_a_term",
                        "lives %" PRIx64 " and %" PRIx64 " lead in term %" PRIu64,
                        seen.leaders[term], m->life, term);
    }
    if (seen.leaders[term] == 0 && m->damage == 0) {
        check_elected(m, term);
    }
    seen.leaders[term] = m->life;
}

void checks_leadership(struct sim_member *m, bool leader, uint64_t term)
{
    if (leader) {
        m->leads_since_ns = world_now_ns();
    }
    world_trace("member %" PRIu64 " %s term %" PRIu64, m->id, leader ? "leads" : "no longer leads",
                term);
    figures.elections += leader;
}

/* --- after each call --- */

static void check_monotonic(struct sim_member *m, uint64_t *seen_before, uint64_t now,
                            const char *invariant)
{
    if (now < *seen_before) {
        world_violation(invariant, "member %" PRIu64 " goes from %" PRIu64 " back to %" PRIu64,
                        m->id, *seen_before, now);
    }
    *seen_before = now;
}

static void check_bounded(const struct sim_member *m)
{
    const struct engine *e = &m->consensus->engine;
    if (e->forwarder.waiting > QUEUE_OPS_MAX || e->forwarder.waiting_bytes > QUEUE_BYTES_MAX ||
        e->proposer.inflight_count > ENTRIES_IN_FLIGHT_MAX ||
        atomic_load(&m->node->blocking.count) > WAITERS_MAX) {
        world_violation("queues_are_bounded", "member %" PRIu64, m->id);
    }
}

void checks_thoroughly(const struct sim_member *m)
{
    const char *broken = registry_verify(m->node->registry);
    if (broken != NULL) {
        world_violation("registry_is_whole", "member %" PRIu64 ": %s", m->id, broken);
    }
    check_bounded(m);
}

static void check_caught_up(struct sim_member *m)
{
    struct engine *e = &m->consensus->engine;
    if (e->caught_up && !m->caught_up_seen && e->fsm.applied_index < m->to_catch_up) {
        world_violation("ready_means_caught_up",
                        "member %" PRIu64 " has applied %" PRIu64 ", others %" PRIu64
                        " before it was started",
                        m->id, e->fsm.applied_index, m->to_catch_up);
    }
    m->caught_up_seen = e->caught_up;
}

/* A known commit index is soon written to disk. */
static void check_commit_kept(struct sim_member *m, uint64_t commit)
{
    bool paused = world_now_ns() - m->checked_ns > SECOND;
    m->checked_ns = world_now_ns();
    if (m->durable.state.commit >= m->commit_mark || m->full || m->damage != 0 ||
        m->latency_ns > 50 * MS || paused || m->consensus->engine.driver.installing) {
        m->commit_mark = commit;
        m->commit_mark_ns = world_now_ns();
    } else if (world_now_ns() - m->commit_mark_ns > COMMIT_KEPT_NS) {
        world_violation("commit_index_is_kept",
                        "member %" PRIu64 " knew of commit index %" PRIu64
                        " long ago, on disk is %" PRIu64,
                        m->id, m->commit_mark, m->durable.state.commit);
    }
}

void checks_after_call(struct sim_member *m)
{
    struct consensus *c = m->consensus;
    if (!c->engine_open || c->closing) {
        return;
    }
    if (c->engine.running) {
        struct raft *raft = &c->engine.driver.raft;
        check_monotonic(m, &m->term_seen, raft_current_term(raft), "terms_rise");
        check_monotonic(m, &m->commit_seen, raft_commit_index(raft), "commit_index_rises");
        check_monotonic(m, &m->applied_seen, c->engine.fsm.applied_index, "applied_index_rises");
        note_configuration(m);
        check_caught_up(m);
        check_commit_kept(m, raft_commit_index(raft));
        if (raft_state(raft) == RAFT_LEADER) {
            note_leader(m, raft_current_term(raft));
        }
    }
    if (m->quiet-- == 0) {
        m->quiet = (uint32_t)rng_below(THOROUGH_EVERY);
        checks_thoroughly(m);
    }
}

/* --- starts and ends --- */

void checks_fatal(const struct sim_member *m, const char *sentence)
{
    bool cannot_form = m->full && !m->consensus->engine.running;
    if (m->damage == 0 && !m->error_is_planned && !cannot_form && !m->outside) {
        world_violation("no_end_without_cause", "member %" PRIu64 ": %s", m->id, sentence);
    }
}

void checks_refused_start(const struct sim_member *m, const char *error, bool excused)
{
    bool may = excused || (m->damage & ~(unsigned)DAMAGE_EMPTIED) != 0;
    if (!may || strlen(error) < 20) {
        world_violation("starts_on_a_sound_disk", "member %" PRIu64 ": %s", m->id, error);
    }
}

void checks_started(struct sim_member *m)
{
    const struct view *view = registry_view(m->node->registry);
    struct consensus *c = m->consensus;
    world_trace("member %" PRIu64 " starts: life %" PRIx64 ", %s, version %u", m->id, m->life,
                c->engine.running ? "a member" : "new", m->level_max);
    if (c->engine.running && (m->damage & DAMAGE_FORKED) == 0) {
        oracle_check_state(m, view->index, view->hash, "at its start");
    }
    m->events_seen = view->events_last;
    m->to_catch_up = oracle_applied();
    m->caught_up_seen = false;
    m->commit_mark = 0;
}

void checks_stopped(const struct sim_member *m)
{
    uint64_t most_ms = tuning.write_timeout_ms + STOP_MOST_MS;
    uint64_t took_ms = (world_now_ns() - m->stopped_ns) / MS;
    if (took_ms * 9 / 10 > most_ms && !m->full && m->latency_ns < 100 * MS) {
        world_violation("stops_in_time", "member %" PRIu64 " took %" PRIu64 " ms", m->id, took_ms);
    }
}
