#include "consensus/guard_election.h"

#include "consensus/engine.h"
#include "server/base/clock.h"

/* For so long a follower may be silent in its pipeline. */
#define PATIENCE_TICKS 3u

/* --- candidates --- */

/* A follower of libraft refuses its vote for as long as it believes in a leader: also to that very
 * leader, and until its own randomised timeout, so that an election waits for the slowest of a
 * majority. The baseline timeout is what has to pass (section 4.2.3 of the dissertation). */
void guard_hear_candidate(const struct guard *g, struct raft_message *message)
{
    struct engine *e = g->engine;
    raft_id leader;
    const char *address;
    raft_leader(&e->raft, &leader, &address);
    bool silent = engine_now_ms(e) - e->contact_ms >= e->options.election_timeout_ms;
    if (raft_state(&e->raft) == RAFT_FOLLOWER && (leader == message->server_id || silent)) {
        message->request_vote.disrupt_leader = true;
    }
}

/* Two members that ask for pre-votes at the same moment would get each other's, vote each for
 * itself, and both wait for another timeout. So the one with the smaller id does not hear the
 * other, if its own log is as good; its own question is granted meanwhile. */
bool guard_goes_before(struct guard *g, const struct raft_message *message)
{
    struct raft *raft = &g->engine->raft;
    const struct raft_request_vote *asked = &message->request_vote;
    return message->type == RAFT_REQUEST_VOTE && asked->pre_vote &&
           raft_state(raft) == RAFT_CANDIDATE && raft->candidate_state.in_pre_vote &&
           asked->term == raft_current_term(raft) + 1 && raft->id < message->server_id &&
           (asked->last_log_term < g->last_term ||
            (asked->last_log_term == g->last_term && asked->last_log_index <= raft->last_stored));
}

/* --- time --- */

/* A leader of libraft ends the pipeline of a follower that has not answered since the tick before
 * (then entries go out with heartbeats alone), though it sends a heartbeat only when nothing else
 * went out for as long: with few writes that is every other tick. So it is shown an older one, with
 * as much more time before it steps down. */
static void tick_of_leader(struct guard *g)
{
    struct raft *raft = &g->engine->raft;
    const unsigned timeout_ms = raft->election_timeout;
    const raft_time start = raft->election_timer_start;
    const raft_time patience_ms = PATIENCE_TICKS * g->engine->options.heartbeat_interval_ms;
    const raft_time shown = start > patience_ms ? start - patience_ms : 0;
    raft->election_timer_start = shown;
    raft->election_timeout = timeout_ms + (unsigned)(start - shown);
    g->tick(g->io);
    if (raft_state(raft) == RAFT_LEADER) {
        raft->election_timeout = timeout_ms;
    } else {
        raft_set_election_timeout(raft, timeout_ms); /* its random one was drawn from the longer */
    }
    if (raft->election_timer_start == shown) {
        raft->election_timer_start = start;
    }
}

/* Time in which we did not run, because the machine stood still or this loop did, says nothing of
 * the others: it counts as one tick. Or a leader and followers that all stood still would each
 * believe that they have not heard the others for long, before they hear them. */
static void forget_pause(struct guard *g)
{
    struct raft *raft = &g->engine->raft;
    const struct engine_options *options = &g->engine->options;
    uint64_t now_ms = engine_now_ms(g->engine);
    uint64_t gap_ms = clock_elapsed(g->ticked_ms, now_ms);
    if (g->ticked_ms != 0 && gap_ms > options->election_timeout_ms / 2) {
        raft_time start = raft->election_timer_start + gap_ms - options->heartbeat_interval_ms;
        raft_time now = g->io->time(g->io);
        raft->election_timer_start = start < now ? start : now;
    }
    g->ticked_ms = now_ms;
}

void guard_tick(struct guard *g)
{
    forget_pause(g);
    if (raft_state(&g->engine->raft) == RAFT_LEADER) {
        tick_of_leader(g);
    } else {
        g->tick(g->io);
    }
}
