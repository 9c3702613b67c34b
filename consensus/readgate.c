/* The leader proof for linearizable reads, without a log entry: the leader notes its commit index,
 * asks all members whether they know of a higher term, and once a majority said no, everything that
 * was committed before the question is in that index (ReadIndex, section 6.4 of the Raft
 * dissertation). One round serves all reads that wait for one. A follower asks its leader. */
#include "consensus/engine.h"
#include "server/base/buffer.h"

#define TWO_NUMBERS_BYTES 16

static enum status send_numbers(struct engine *e, uint64_t to, enum frame_type type, uint64_t first,
                                uint64_t second)
{
    uint8_t bytes[TWO_NUMBERS_BYTES];
    store_u64(bytes, first);
    store_u64(bytes + 8, second);
    return e->env.send(e->env.ctx, to, type, false, bytes, sizeof bytes, NULL, 0, NULL, NULL);
}

void readgate_add(struct engine *e, struct consensus_op *op)
{
    op_list_add(&e->readgate.waiting, op);
}

static void finish_indexed(struct engine *e)
{
    struct readgate *g = &e->readgate;
    struct consensus_op *op;
    if (raft_last_applied(&e->raft) < g->indexed_index) {
        return;
    }
    while ((op = op_list_take(&g->indexed)) != NULL) {
        op->done(op, ST_OK);
    }
}

static void round_succeeded(struct engine *e, uint64_t index)
{
    struct readgate *g = &e->readgate;
    g->under_way = false;
    if (index > g->indexed_index) {
        g->indexed_index = index;
    }
    op_list_move(&g->asked, &g->indexed);
    finish_indexed(e);
}

static void round_failed(struct engine *e)
{
    struct readgate *g = &e->readgate;
    g->under_way = false;
    op_list_move(&g->asked, &g->waiting);
    for (size_t i = 0; i < e->members; i++) {
        g->remote_asked[i] = 0; /* they ask again */
    }
}

/* --- leader --- */

static bool has_quorum(const struct engine *e)
{
    return (size_t)__builtin_popcountll(e->readgate.acks) > e->members / 2;
}

static void answer_followers(struct engine *e)
{
    struct readgate *g = &e->readgate;
    for (size_t i = 0; i < e->members; i++) {
        if (g->remote_asked[i] != 0) {
            /* When it is lost, the follower asks again. */
            enum status status UNUSED = send_numbers(e, e->directory[i].info.id, FRAME_READ_INDEX,
                                                     g->remote_asked[i], g->round_index);
            g->remote_asked[i] = 0;
        }
    }
}

static void check_acks(struct engine *e)
{
    if (has_quorum(e)) {
        answer_followers(e);
        round_succeeded(e, e->readgate.round_index);
    }
}

static void begin_leader_round(struct engine *e)
{
    struct readgate *g = &e->readgate;
    if (!e->leader.started) {
        return; /* the commit index of earlier terms is not known yet */
    }
    g->under_way = true;
    g->round++;
    g->started_ms = engine_now_ms(e);
    g->round_index = raft_commit_index(&e->raft);
    g->acks = 0;
    op_list_move(&g->waiting, &g->asked);
    for (size_t i = 0; i < e->members; i++) {
        g->remote_asked[i] = g->remote_waiting[i];
        g->remote_waiting[i] = 0;
        if (e->directory[i].info.id == e->options.id) {
            g->acks |= (uint64_t)1 << i;
        } else {
            enum status status UNUSED = send_numbers(e, e->directory[i].info.id, FRAME_PROBE,
                                                     raft_current_term(&e->raft), g->round);
        }
    }
    check_acks(e);
}

/* --- follower --- */

static void begin_follower_round(struct engine *e)
{
    struct readgate *g = &e->readgate;
    if (send_numbers(e, e->known_leader, FRAME_READ, g->round + 1, 0) != ST_OK) {
        return; /* tried again with the next tick */
    }
    g->under_way = true;
    g->round++;
    g->started_ms = engine_now_ms(e);
    op_list_move(&g->waiting, &g->asked);
}

/* --- both --- */

static bool somebody_waits(const struct engine *e)
{
    for (size_t i = 0; i < e->members; i++) {
        if (e->readgate.remote_waiting[i] != 0) {
            return true;
        }
    }
    return e->readgate.waiting.first != NULL;
}

void readgate_pump(struct engine *e)
{
    finish_indexed(e);
    if (e->readgate.under_way || !somebody_waits(e)) {
        return;
    }
    if (e->is_leader) {
        begin_leader_round(e);
    } else if (e->known_leader != 0) {
        begin_follower_round(e);
    }
}

static void receive_read_index(struct engine *e, uint64_t number, uint64_t index)
{
    struct readgate *g = &e->readgate;
    if (g->under_way && !e->is_leader && number == g->round) {
        if (index != 0) {
            round_succeeded(e, index);
        } else {
            round_failed(e);
        }
    }
}

void readgate_receive(struct engine *e, uint64_t from, uint8_t type, const uint8_t *data,
                      size_t len)
{
    struct readgate *g = &e->readgate;
    size_t place = engine_place(e, from);
    if (len != TWO_NUMBERS_BYTES || place == MEMBERS_MAX) {
        return;
    }
    uint64_t first = load_u64(data);
    uint64_t second = load_u64(data + 8);
    switch ((enum frame_type)type) {
    case FRAME_READ:
        if (e->is_leader) {
            g->remote_waiting[place] = first;
        } else {
            enum status status UNUSED = send_numbers(e, from, FRAME_READ_INDEX, first, 0);
        }
        return;
    case FRAME_READ_INDEX:
        receive_read_index(e, first, second);
        return;
    case FRAME_PROBE:
        if (raft_current_term(&e->raft) <= first) {
            enum status status UNUSED = send_numbers(e, from, FRAME_PROBE_ACK, first, second);
        }
        return;
    case FRAME_PROBE_ACK:
        if (g->under_way && e->is_leader && first == raft_current_term(&e->raft) &&
            second == g->round) {
            g->acks |= (uint64_t)1 << place;
            check_acks(e);
        }
        return;
    default:
        return;
    }
}

void readgate_tick(struct engine *e)
{
    struct readgate *g = &e->readgate;
    uint64_t now_ms = engine_now_ms(e);
    op_list_expire(&g->waiting, now_ms, ST_NO_LEADER);
    op_list_expire(&g->asked, now_ms, ST_NO_LEADER);
    op_list_expire(&g->indexed, now_ms, ST_NO_LEADER);
    if (g->under_way && now_ms - g->started_ms > e->options.election_timeout_ms) {
        round_failed(e);
    }
}

void readgate_reset(struct engine *e)
{
    if (e->readgate.under_way) {
        round_failed(e);
    }
    for (size_t i = 0; i < e->members; i++) {
        e->readgate.remote_waiting[i] = 0;
    }
}

void readgate_fail_all(struct engine *e)
{
    op_list_expire(&e->readgate.waiting, UINT64_MAX, ST_STOPPING);
    op_list_expire(&e->readgate.asked, UINT64_MAX, ST_STOPPING);
    op_list_expire(&e->readgate.indexed, UINT64_MAX, ST_STOPPING);
}
