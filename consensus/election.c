#include "consensus/election.h"

#include <inttypes.h>

#include "consensus/engine.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"

/* Ticks a follower may stay silent before libraft leaves pipeline mode. */
#define PATIENCE_TICKS 3u

static struct raft *raft_of(struct engine *e)
{
    return &e->driver.raft;
}

/* --- candidates --- */

/* A follower in libraft refuses its vote while it believes in a leader, even to that very leader,
 * until its own randomised timeout; so an election would wait for the slowest of a majority. The
 * baseline timeout is what has to pass (section 4.2.3 of the dissertation). */
void election_hear_candidate(struct engine *e, struct raft_message *message)
{
    uint64_t leader = driver_leader_life(e);
    bool silent = engine_now_ms(e) - e->contact_ms >= e->options.election_timeout_ms;
    if (raft_state(raft_of(e)) == RAFT_FOLLOWER && (leader == message->server_id || silent)) {
        message->request_vote.disrupt_leader = true;
    }
}

/* Two members that send pre-vote requests at the same moment would grant each other's, vote for
 * themselves, and both wait for another timeout. So the one with the smaller id ignores the other
 * if its own log is as good; its own request is granted meanwhile. */
bool election_goes_before(struct engine *e, const struct raft_message *message)
{
    struct raft *raft = raft_of(e);
    const struct raft_request_vote *asked = &message->request_vote;
    const struct member *from = member_info_of_life(e, message->server_id);
    uint64_t last_term = log_last_term(&e->driver.log);
    return from != NULL && asked->pre_vote && raft_state(raft) == RAFT_CANDIDATE &&
           raft->candidate_state.in_pre_vote && asked->term == raft_current_term(raft) + 1 &&
           e->options.id < from->info.id &&
           (asked->last_log_term < last_term ||
            (asked->last_log_term == last_term && asked->last_log_index <= raft->last_stored));
}

/* - A refused pre-vote carries the candidate's term. A candidate that is behind never learns ours;
 * if it alone has all entries and needs our vote, nobody is ever elected.
 * - A transfer target keeps the right to disrupt in all later elections. Its voters never come to
 * doubt their old leader, and refuse everybody else. Once is enough. */
void election_amend(struct engine *e, struct raft_message *message)
{
    struct raft_request_vote_result *result = &message->request_vote_result;
    struct raft_request_vote *request = &message->request_vote;
    raft_term term = raft_current_term(raft_of(e));
    if (message->type == RAFT_REQUEST_VOTE_RESULT && result->pre_vote && !result->vote_granted &&
        result->term < term) {
        result->term = term;
    } else if (message->type == RAFT_REQUEST_VOTE && request->disrupt_leader) {
        if (e->election.disrupt_term == 0) {
            e->election.disrupt_term = request->term;
        }
        request->disrupt_leader = request->term == e->election.disrupt_term;
    }
}

/* --- leadership transferred to us --- */

/* A libraft leader sends TimeoutNow too early: at any reply, not at the one that confirms its last
 * entry. libraft would ignore it then, while the leader proposes nothing for the length of an
 * election. So hold it until our log is as long, and durable. */
void election_timeout_now(struct engine *e, const struct raft_message *message)
{
    e->election.timeout_now = *message;
    e->election.timeout_now_until_ms = engine_now_ms(e) + e->options.election_timeout_ms;
    election_pump(e);
}

static void deliver_timeout_now(struct engine *e, struct raft_message *message)
{
    const struct member *from = member_info_of_life(e, message->server_id);
    if (from == NULL) {
        return;
    }
    e->election.disrupt_term = 0;
    driver_deliver(e, from, message);
}

void election_pump(struct engine *e)
{
    struct raft_message message = e->election.timeout_now;
    const struct raft_timeout_now *asked = &message.timeout_now;
    if (e->election.timeout_now_until_ms == 0) {
        return;
    }
    bool whole = raft_of(e)->last_stored >= asked->last_log_index;
    if (!whole && engine_now_ms(e) < e->election.timeout_now_until_ms &&
        asked->term == raft_current_term(raft_of(e))) {
        return;
    }
    e->election.timeout_now_until_ms = 0;
    if (member_info_voters(e) > 1) { /* see vote_for_self() */
        deliver_timeout_now(e, &message);
    }
}

/* --- the leader's process is gone --- */

/* Followers campaign one after the other, so that votes do not split. */
static uint64_t rank_without(const struct engine *e, uint64_t leader)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < e->members.count; i++) {
        uint64_t id = e->members.list[i].info.id;
        rank += id != leader && id < e->options.id;
    }
    return rank;
}

void election_leader_gone(struct engine *e, uint64_t leader)
{
    if (leader == e->known_leader && !e->is_leader && e->election.campaign_at_ms == 0) {
        uint64_t stagger_ms = 2ull * e->options.heartbeat_interval_ms;
        e->election.campaign_at_ms = engine_now_ms(e) + rank_without(e, leader) * stagger_ms;
        log_write(LOG_INFO, "raft", "the leader's process is gone", "leader=%" PRIu64, leader);
    }
}

/* Campaigns as if by request of the leader: with a TimeoutNow in its name. */
static void campaign(struct engine *e)
{
    struct raft *raft = raft_of(e);
    uint64_t leader = driver_leader_life(e);
    struct raft_message message = {
        .type = RAFT_TIMEOUT_NOW,
        .server_id = leader,
        .timeout_now = {.term = raft_current_term(raft),
                        .last_log_index = raft_last_index(raft),
                        .last_log_term = log_last_term(&e->driver.log)},
    };
    if (leader != 0 && member_info_voters(e) > 1) {
        deliver_timeout_now(e, &message);
    }
}

/* --- the only voter --- */

/* The only voter becomes leader at once in libraft, in its present term: another member may lead
 * that term, or request our vote in it. So first vote for ourselves in the next term, like any
 * candidate, and make that durable before acting as leader. */
static void vote_for_self(struct engine *e, uint64_t now_ms)
{
    struct raft *raft = raft_of(e);
    const struct member *self = member_info_of_life(e, e->identity.life);
    const raft_time start = raft->election_timer_start;
    if (raft_state(raft) != RAFT_FOLLOWER || self == NULL || !member_info_is_voter(self) ||
        member_info_voters(e) != 1 ||
        now_ms < start + raft->follower_state.randomized_election_timeout) {
        return;
    }
    struct raft_message message = {
        .type = RAFT_REQUEST_VOTE,
        .request_vote = {.version = 2,
                         .term = raft_current_term(raft) + 1,
                         .candidate_id = e->identity.life,
                         .last_log_index = raft_last_index(raft),
                         .last_log_term = log_last_term(&e->driver.log),
                         .disrupt_leader = true},
    };
    driver_deliver(e, self, &message);
    raft->election_timer_start = start; /* time has passed all the same */
}

/* --- time --- */

/* A libraft leader leaves pipeline mode for a follower that has not replied since the tick before
 * (entries then go out with heartbeats only), though it sends heartbeats only if nothing else was
 * sent for as long: with few writes, every other tick. Work around it: present an older timer
 * start, and lengthen the timeout by the same amount. */
static void tick_leader(struct engine *e)
{
    struct raft *raft = raft_of(e);
    const unsigned timeout_ms = raft->election_timeout;
    const raft_time start = raft->election_timer_start;
    const raft_time patience_ms = PATIENCE_TICKS * e->options.heartbeat_interval_ms;
    const raft_time shown = start > patience_ms ? start - patience_ms : 0;
    raft->election_timer_start = shown;
    raft->election_timeout = timeout_ms + (unsigned)(start - shown);
    driver_timeout(e);
    if (raft_state(raft) == RAFT_LEADER) {
        raft->election_timeout = timeout_ms;
    } else {
        raft_set_election_timeout(
            raft, timeout_ms); /* its random timeout was drawn from the longer one */
    }
    if (raft->election_timer_start == shown) {
        raft->election_timer_start = start;
    }
}

/* Time in which this process did not run says nothing about the others: it counts as one tick.
 * Otherwise a leader and followers that were all stopped would believe that the others have long
 * been silent, before they can hear them. */
static void forget_pause(struct engine *e, uint64_t now_ms)
{
    struct raft *raft = raft_of(e);
    uint64_t gap_ms = clock_elapsed(e->election.ticked_ms, now_ms);
    if (e->election.ticked_ms != 0 && gap_ms > e->options.election_timeout_ms / 2) {
        raft_time start = raft->election_timer_start + gap_ms - e->options.heartbeat_interval_ms;
        raft->election_timer_start = start < now_ms ? start : now_ms;
    }
}

void election_tick(struct engine *e)
{
    struct election *x = &e->election;
    uint64_t now_ms = engine_now_ms(e);
    if (x->campaign_at_ms != 0 && now_ms >= x->campaign_at_ms && !e->is_leader) {
        x->campaign_at_ms = now_ms + e->options.election_timeout_ms;
        campaign(e);
    }
    forget_pause(e, now_ms);
    bool due = now_ms - x->libraft_ms >= e->options.heartbeat_interval_ms;
    x->ticked_ms = now_ms;
    if (!due) {
        return;
    }
    x->libraft_ms = now_ms;
    if (raft_state(raft_of(e)) == RAFT_LEADER) {
        tick_leader(e);
    } else {
        vote_for_self(e, now_ms);
        driver_timeout(e);
    }
}
