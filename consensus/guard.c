#include "consensus/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consensus/engine.h"
#include "consensus/guard_election.h"
#include "consensus/guard_load.h"
#include "consensus/guard_snapshot.h"
#include "consensus/message.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* A term or vote that cannot be stored for lack of space is tried again after this. */
#define VOTE_RETRY_NS     100000000L
#define VOTE_SPACE_BYTES  (1024 * 1024)
#define MESSAGE_BYTES_MAX PEER_FRAME_BYTES_MAX

struct guard *guard_of(struct raft_io *io)
{
    struct raft *raft = io->data;
    return &CONTAINER_OF(raft, struct engine, raft)->guard;
}

static void fatal(struct guard *g, const char *sentence)
{
    g->engine->env.fatal(g->engine->env.ctx, sentence);
}

void guard_mark(struct guard *g)
{
    g->engine->env.mark(g->engine->env.ctx, g->term, g->durable_index);
}

/* --- writing: the first disk error ends the process --- */

struct guard_append {
    struct raft_io_append inner;
    struct guard *guard;
    struct raft_io_append *req;
    raft_io_append_cb cb;
    raft_index last;
    uint64_t cuts; /* of the log, when this was submitted */
    uint64_t begun_ns;
};

static void append_done(struct raft_io_append *inner, int status)
{
    struct guard_append *a = inner->data;
    struct guard *g = a->guard;
    if (status != 0 && !g->closing) {
        fatal(g, "a log entry could not be written");
    }
    metric_observe_us(HISTOGRAM_fsync_seconds, (clock_monotonic_ns() - a->begun_ns) / 1000);
    if (status == 0 && a->cuts == g->cuts && a->last > g->durable_index) {
        g->durable_index = a->last;
        guard_mark(g); /* before anybody is told that it is durable */
        guard_snapshot_pump(g);
    }
    a->cb(a->req, status);
    free(a);
}

static int guarded_append(struct raft_io *io, struct raft_io_append *req,
                          const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct guard *g = guard_of(io);
    struct guard_append *a = mem_alloc(sizeof *a);
    *a = (struct guard_append){
        .inner.data = a,
        .guard = g,
        .req = req,
        .cb = cb,
        .last = g->next_index + n - 1,
        .cuts = g->cuts,
        .begun_ns = clock_monotonic_ns(),
    };
    g->next_index += n;
    g->last_term = entries[n - 1].term;
    int rv = g->inner.append(io, &a->inner, entries, n, append_done);
    if (rv != 0) {
        fatal(g, "a log entry could not be submitted for writing");
        free(a);
    }
    return rv;
}

static int guarded_truncate(struct raft_io *io, raft_index index)
{
    struct guard *g = guard_of(io);
    if (index < g->next_index) {
        g->next_index = index;
        g->cuts++;
    }
    if (index <= g->durable_index) {
        g->durable_index = index - 1;
        guard_mark(g); /* before the log becomes shorter */
    }
    int rv = g->inner.truncate(io, index);
    if (rv != 0) {
        fatal(g, "the log could not be cut");
    }
    return rv;
}

void guard_installed(struct guard *g, raft_index index, raft_term term)
{
    g->next_index = index + 1;
    g->durable_index = index;
    g->last_term = term;
    g->cuts++;
    guard_mark(g);
}

/* A member that cannot store its vote may do nothing else in Raft: so it waits for space, reads go
 * on meanwhile. Any other error is fatal. */
static bool wait_for_space(struct guard *g, const char *sentence)
{
    static struct log_gate gate;
    uint64_t held;
    if (g->engine->env.disk_free(g->engine->env.ctx) >= VOTE_SPACE_BYTES) {
        fatal(g, sentence);
        return false;
    }
    if (log_gate_open(&gate, &held)) {
        log_write(LOG_ERROR, "disk", "full: cannot store term and vote, trying again", "%s", "");
    }
    struct timespec pause = {.tv_nsec = VOTE_RETRY_NS};
    (void)nanosleep(&pause, NULL);
    return true;
}

static int guarded_set_term(struct raft_io *io, raft_term term)
{
    struct guard *g = guard_of(io);
    int rv = g->inner.set_term(io, term);
    while (rv != 0 && wait_for_space(g, "the term could not be stored")) {
        rv = g->inner.set_term(io, term);
    }
    g->term = term;
    guard_mark(g);
    return rv;
}

static int guarded_set_vote(struct raft_io *io, raft_id id)
{
    struct guard *g = guard_of(io);
    int rv = g->inner.set_vote(io, id);
    while (rv != 0 && wait_for_space(g, "the vote could not be stored")) {
        rv = g->inner.set_vote(io, id);
    }
    return rv;
}

/* libraft's disk backend does not report a failed write but retries it with the wrong timer; only
 * its trace tells. */
static void trace(struct raft_tracer *t, int type, const void *info)
{
    static const char failed[] = "retry failed write";
    const struct raft_tracer_info *said = info;
    if (type == RAFT_TRACER_DIAGNOSTIC &&
        strncmp(said->diagnostic.message, failed, sizeof failed - 1) == 0) {
        fatal(t->impl, "a write to the log failed");
    }
}

/* --- sending: never an error from inside a step, libraft would leave it half done --- */

struct guard_send {
    struct guard *guard;
    struct raft_io_send *req;
    raft_io_send_cb cb;
    struct guard_send *next;
};

static void send_done(void *data, enum status status)
{
    struct guard_send *s = data;
    s->cb(s->req, status == ST_OK ? 0 : s->guard->closing ? RAFT_CANCELED : RAFT_NOCONNECTION);
    free(s);
}

/* What libraft says wrongly:
 * - A pre-vote is refused in the term that was asked for. A candidate whose term is behind never
 *   learns ours; when it alone has all entries and our vote is needed, nobody is ever elected.
 * - When a newer snapshot was read from disk than was asked for, its index is told and not its
 * term.
 * - One who was asked to take over keeps the right to disrupt for all elections that it loses.
 * Those who vote for it never come to doubt their old leader, and refuse everybody else. Once is
 * enough.
 */
static const struct raft_message *amend(struct guard *g, const struct raft_message *m,
                                        struct raft_message *changed)
{
    const struct raft_request_vote_result *result = &m->request_vote_result;
    raft_term term = raft_current_term(&g->engine->raft);
    *changed = *m;
    if (m->type == RAFT_REQUEST_VOTE_RESULT && result->pre_vote && !result->vote_granted &&
        result->term < term) {
        changed->request_vote_result.term = term;
    } else if (m->type == RAFT_INSTALL_SNAPSHOT) {
        changed->install_snapshot.last_term = g->snapshot_term;
    } else if (m->type == RAFT_REQUEST_VOTE && m->request_vote.disrupt_leader) {
        if (g->disrupt_term == 0) {
            g->disrupt_term = m->request_vote.term;
        }
        changed->request_vote.disrupt_leader = m->request_vote.term == g->disrupt_term;
    }
    return changed;
}

static int guarded_send(struct raft_io *io, struct raft_io_send *req,
                        const struct raft_message *message, raft_io_send_cb cb)
{
    struct raft_message changed;
    struct guard *g = guard_of(io);
    struct engine *e = g->engine;
    struct guard_send *s = mem_alloc(sizeof *s);
    struct buffer head;
    bool bulk = message->type == RAFT_INSTALL_SNAPSHOT;
    size_t place = engine_place(e, message->server_id);
    *s = (struct guard_send){.guard = g, .req = req, .cb = cb};
    buffer_init(&head, MESSAGE_BYTES_MAX);
    message_encode(amend(g, message, &changed), &head);
    CHECK(!head.overflowed);
    enum status status = e->env.send(e->env.ctx, message->server_id, FRAME_RAFT, bulk, head.data,
                                     head.len, bulk ? message->install_snapshot.data.base : NULL,
                                     bulk ? message->install_snapshot.data.len : 0, send_done, s);
    if (status != ST_OK) {
        metric_add(METRIC_peer_messages_dropped_total, 1);
        s->next = g->failed;
        g->failed = s;
    } else if (message->type == RAFT_APPEND_ENTRIES && place < MEMBERS_MAX) {
        e->leader.sent_index[place] =
            message->append_entries.prev_log_index + message->append_entries.n_entries;
    }
    buffer_done(&head);
    return 0;
}

void guard_notify_commit(struct guard *g, uint64_t to, raft_index index, raft_term term)
{
    struct engine *e = g->engine;
    struct buffer head;
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES,
        .append_entries = {.version = 0,
                           .term = raft_current_term(&e->raft),
                           .prev_log_index = index,
                           .prev_log_term = term,
                           .leader_commit = index},
    };
    buffer_init(&head, MESSAGE_BYTES_MAX);
    message_encode(&message, &head);
    /* When it does not get through, the next heartbeat tells the same. */
    enum status status UNUSED =
        e->env.send(e->env.ctx, to, FRAME_RAFT, false, head.data, head.len, NULL, 0, NULL, NULL);
    buffer_done(&head);
}

/* --- receiving --- */

/* One leader a term. What raft_leader() says is no witness: a follower that has moved to a new term
 * still names the leader of the old one until it hears from another. */
static void note_leader(struct guard *g, uint64_t term, uint64_t leader)
{
    if (term == g->ledger_term && g->ledger_leader != leader) {
        fatal(g, "two leaders in one term");
    }
    if (term >= g->ledger_term) {
        g->ledger_term = term;
        g->ledger_leader = leader;
    }
}

/* libraft takes the end of a message for the commit index, also when its own is further: a message
 * that is sent again after a link broke would take it back. */
static void keep_commit(const struct guard *g, struct raft_append_entries *m)
{
    raft_index end = m->prev_log_index + m->n_entries;
    if (end < raft_commit_index(&g->engine->raft) && m->leader_commit > end) {
        m->leader_commit = end;
    }
}

static void deliver(struct guard *g, struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES) {
        note_leader(g, message->append_entries.term, message->server_id);
        keep_commit(g, &message->append_entries);
    } else if (message->type == RAFT_REQUEST_VOTE) {
        guard_hear_candidate(g, message);
    } else if (message->type == RAFT_TIMEOUT_NOW) {
        g->disrupt_term = 0;
    }
    g->receive(g->io, message);
    if (message->type == RAFT_APPEND_ENTRIES || message->type == RAFT_INSTALL_SNAPSHOT) {
        engine_heard_leader(g->engine, message);
    }
}

/* A member that has less than it once confirmed was emptied (or damaged). libraft believes it to
 * have the rest still, and never sends that again; another leader does. Single answers may be old;
 * that none is good for long tells. */
static void check_lost_log(struct guard *g, const struct raft_message *message)
{
    struct engine *e = g->engine;
    size_t place = engine_place(e, message->server_id);
    uint64_t now_ms = engine_now_ms(e);
    raft_index match;
    if (message->type != RAFT_APPEND_ENTRIES_RESULT || place == MEMBERS_MAX ||
        raft_match_index(&e->raft, message->server_id, &match) != 0) {
        return;
    }
    bool is_new = g->confirmed_term[place] != raft_current_term(&e->raft);
    if (is_new || message->append_entries_result.last_log_index >= match) {
        g->confirmed_term[place] = raft_current_term(&e->raft);
        g->confirmed_ms[place] = now_ms;
    } else if (now_ms - g->confirmed_ms[place] > 2ull * e->options.election_timeout_ms) {
        g->confirmed_ms[place] = now_ms;
        engine_lost_log(e, message->server_id);
    }
}

/* A rejection of what the member has confirmed in this term is an old one, or one that came twice.
 * libraft checks that in its pipeline only; in a probe it would take a step back behind what is
 * confirmed, and from then on send nothing any more. */
static bool is_old_rejection(struct guard *g, const struct raft_message *message)
{
    raft_index match;
    return message->type == RAFT_APPEND_ENTRIES_RESULT &&
           message->append_entries_result.rejected > 0 &&
           message->append_entries_result.term == raft_current_term(&g->engine->raft) &&
           raft_match_index(&g->engine->raft, message->server_id, &match) == 0 &&
           message->append_entries_result.rejected <= match;
}

/* A leader of libraft asks too early for its place to be taken: at any answer, not at the one that
 * confirms the last entry. The member asked would ignore it, the leader propose nothing for as long
 * as an election takes. So it waits until our log is as long, and on disk. */
static void lead_when_whole(struct guard *g)
{
    const struct raft_timeout_now *asked = &g->lead.timeout_now;
    if (g->lead_until_ms == 0 || g->closing) {
        return;
    }
    bool whole = g->durable_index >= asked->last_log_index;
    if (!whole && engine_now_ms(g->engine) < g->lead_until_ms &&
        asked->term == raft_current_term(&g->engine->raft)) {
        return;
    }
    g->lead_until_ms = 0;
    deliver(g, &g->lead);
}

bool guard_receive(struct guard *g, uint64_t from, const char *address, const uint8_t *data,
                   size_t len)
{
    struct raft_message message;
    if (g->closing || g->receive == NULL) {
        return true;
    }
    if (message_decode(data, len, &message) != ST_OK) {
        return false;
    }
    message.server_id = from;
    message.server_address = address;
    check_lost_log(g, &message);
    if (is_old_rejection(g, &message) || guard_goes_before(g, &message)) {
        message_done(&message);
    } else if (message.type == RAFT_TIMEOUT_NOW) {
        g->lead = message;
        g->lead_until_ms = engine_now_ms(g->engine) + g->engine->options.election_timeout_ms;
        lead_when_whole(g);
    } else if (message.type != RAFT_INSTALL_SNAPSHOT) {
        deliver(g, &message);
    } else if (g->installing) {
        message_done(&message); /* libraft would leak it; the leader sends it again if need be */
    } else if (g->storing_snapshot) {
        /* libraft would lose it and dereference NULL later: it waits for our own to be stored. */
        guard_drop_held(g);
        g->held = mem_alloc(sizeof *g->held);
        *g->held = message;
    } else {
        deliver(g, &message);
    }
    return true;
}

void guard_pump(struct guard *g)
{
    while (g->failed != NULL) {
        struct guard_send *s = g->failed;
        g->failed = s->next;
        send_done(s, ST_IO);
    }
    lead_when_whole(g);
}

void guard_deliver_held(struct guard *g)
{
    struct raft_message *held = g->held;
    g->held = NULL;
    if (held != NULL) {
        deliver(g, held);
        free(held);
    }
}

void guard_drop_held(struct guard *g)
{
    if (g->held != NULL) {
        message_done(g->held);
        free(g->held);
        g->held = NULL;
    }
}

void guard_take_over(struct guard *g)
{
    struct raft *raft = &g->engine->raft;
    raft_id leader;
    const char *address;
    raft_leader(raft, &leader, &address);
    if (leader == 0 || g->receive == NULL || g->closing) {
        return;
    }
    struct raft_message message = {
        .type = RAFT_TIMEOUT_NOW,
        .server_id = leader,
        .server_address = address,
        .timeout_now = {.term = raft_current_term(raft),
                        .last_log_index = raft_last_index(raft),
                        .last_log_term = g->last_term},
    };
    deliver(g, &message);
}

/* --- watching --- */

void guard_watch(struct guard *g)
{
    struct raft *raft = &g->engine->raft;
    if (raft_state(raft) == RAFT_UNAVAILABLE) {
        fatal(g, "libraft became unavailable");
    }
    if (raft_commit_index(raft) < g->last_commit || raft_last_applied(raft) < g->last_applied) {
        fatal(g, "the commit index or the applied index went backwards");
    }
    g->last_commit = raft_commit_index(raft);
    g->last_applied = raft_last_applied(raft);
    if (raft_state(raft) == RAFT_LEADER) {
        note_leader(g, raft_current_term(raft), g->engine->options.id);
    }
}

static void guarded_tick(struct raft_io *io)
{
    struct guard *g = guard_of(io);
    guard_watch(g);
    guard_tick(g);
}

static int guarded_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                         raft_io_recv_cb recv)
{
    struct guard *g = guard_of(io);
    guard_load_done(g, true);
    g->tick = tick;
    g->receive = recv;
    return g->inner.start(io, msecs, guarded_tick, recv);
}

void guard_wrap(struct guard *g, struct engine *engine, struct raft_io *io)
{
    *g = (struct guard){.engine = engine, .io = io, .inner = *io};
    g->tracer = (struct raft_tracer){.impl = g, .version = 2, .emit = trace};
    io->load = guard_load;
    io->start = guarded_start;
    io->set_term = guarded_set_term;
    io->set_vote = guarded_set_vote;
    io->send = guarded_send;
    io->append = guarded_append;
    io->truncate = guarded_truncate;
    io->snapshot_put = guard_snapshot_put;
    io->snapshot_get = guard_snapshot_get;
}

void guard_close(struct guard *g)
{
    g->closing = true;
    guard_load_done(g, false);
    guard_drop_held(g);
    guard_snapshot_close(g);
    guard_pump(g);
}
