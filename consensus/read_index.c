#include "consensus/read_index.h"

#include <string.h>

#include "consensus/engine.h"
#include "server/base/buffer.h"

#define TWO_NUMBERS_BYTES 16

/* Lost frames are repeated in the next round. */
static void send_numbers(struct engine *e, uint64_t to, enum frame_type type, uint64_t first,
                         uint64_t second)
{
    uint8_t bytes[TWO_NUMBERS_BYTES];
    store_u64(bytes, first);
    store_u64(bytes + 8, second);
    engine_send(e, to, type, bytes, sizeof bytes);
}

void read_index_init(struct read_index *r, uint64_t first_round)
{
    *r = (struct read_index){.round = first_round};
    op_list_init(&r->waiting);
    op_list_init(&r->asked);
    op_list_init(&r->indexed);
}

void read_index_add(struct engine *e, struct consensus_op *op)
{
    op_list_add(&e->read_index.waiting, op);
}

static void finish_indexed(struct engine *e)
{
    struct read_index *r = &e->read_index;
    struct consensus_op *op;
    if (e->fsm.applied_index < r->indexed_index) {
        return;
    }
    while ((op = op_list_take(&r->indexed)) != NULL) {
        op->done(op, ST_OK);
    }
}

static void round_succeeded(struct engine *e, uint64_t index)
{
    struct read_index *r = &e->read_index;
    r->under_way = false;
    if (index > r->indexed_index) {
        r->indexed_index = index;
    }
    op_list_move(&r->asked, &r->indexed);
    finish_indexed(e);
}

static void round_failed(struct engine *e)
{
    struct read_index *r = &e->read_index;
    r->under_way = false;
    op_list_move(&r->asked, &r->waiting);
    for (size_t i = 0; i < e->members.count; i++) {
        r->remote_asked[i] = 0; /* they will ask again */
    }
}

/* --- leader --- */

static bool has_quorum(struct engine *e)
{
    size_t votes = 0;
    for (size_t i = 0; i < e->members.count; i++) {
        votes += e->read_index.acks[i] && member_info_is_voter(&e->members.list[i]);
    }
    return member_info_is_majority(e, votes);
}

static void answer_followers(struct engine *e)
{
    struct read_index *r = &e->read_index;
    for (size_t i = 0; i < e->members.count; i++) {
        if (r->remote_asked[i] != 0) {
            /* If it is lost, the follower asks again. */
            send_numbers(e, e->members.list[i].info.id, FRAME_READ_INDEX_RESULT, r->remote_asked[i],
                         r->round_index);
            r->remote_asked[i] = 0;
        }
    }
}

static void check_acks(struct engine *e)
{
    if (has_quorum(e)) {
        answer_followers(e);
        round_succeeded(e, e->read_index.round_index);
    }
}

static void begin_leader_round(struct engine *e)
{
    struct read_index *r = &e->read_index;
    if (!e->proposer.noop_committed) {
        return; /* the commit index of earlier terms is not known yet */
    }
    r->under_way = true;
    r->round++;
    r->started_ms = engine_now_ms(e);
    r->round_index = raft_commit_index(&e->driver.raft);
    memset(r->acks, 0, sizeof r->acks);
    op_list_move(&r->waiting, &r->asked);
    for (size_t i = 0; i < e->members.count; i++) {
        r->remote_asked[i] = r->remote_waiting[i];
        r->remote_waiting[i] = 0;
        if (e->members.list[i].info.is_self) {
            r->acks[i] = true;
        } else {
            send_numbers(e, e->members.list[i].info.id, FRAME_CONFIRM,
                         raft_current_term(&e->driver.raft), r->round);
        }
    }
    check_acks(e);
}

/* --- follower --- */

static void begin_follower_round(struct engine *e)
{
    struct read_index *r = &e->read_index;
    const struct member *leader = member_info_of_life(e, driver_leader_life(e));
    if (leader == NULL || !engine_is_up(e, leader)) {
        return; /* retried with the next tick */
    }
    send_numbers(e, e->known_leader, FRAME_READ_INDEX, r->round + 1, 0);
    r->under_way = true;
    r->round++;
    r->started_ms = engine_now_ms(e);
    op_list_move(&r->waiting, &r->asked);
}

/* --- both --- */

static bool somebody_waits(const struct engine *e)
{
    for (size_t i = 0; i < e->members.count; i++) {
        if (e->read_index.remote_waiting[i] != 0) {
            return true;
        }
    }
    return e->read_index.waiting.first != NULL;
}

void read_index_pump(struct engine *e)
{
    finish_indexed(e);
    if (e->read_index.under_way || !somebody_waits(e)) {
        return;
    }
    if (e->is_leader) {
        begin_leader_round(e);
    } else if (e->known_leader != 0) {
        begin_follower_round(e);
    }
}

static void receive_result(struct engine *e, uint64_t number, uint64_t index)
{
    struct read_index *r = &e->read_index;
    if (r->under_way && !e->is_leader && number == r->round) {
        if (index != 0) {
            round_succeeded(e, index);
        } else {
            round_failed(e);
        }
    }
}

void read_index_receive(struct engine *e, const struct member *from, uint8_t type,
                        const uint8_t *data, size_t len)
{
    struct read_index *r = &e->read_index;
    const uint64_t id = from->info.id;
    if (len != TWO_NUMBERS_BYTES) {
        return;
    }
    uint64_t first = load_u64(data);
    uint64_t second = load_u64(data + 8);
    switch ((enum frame_type)type) {
    case FRAME_READ_INDEX:
        if (e->is_leader) {
            r->remote_waiting[member_info_index(e, from)] = first;
        } else {
            send_numbers(e, id, FRAME_READ_INDEX_RESULT, first, 0);
        }
        return;
    case FRAME_READ_INDEX_RESULT:
        receive_result(e, first, second);
        return;
    case FRAME_CONFIRM:
        if (raft_current_term(&e->driver.raft) <= first) {
            send_numbers(e, id, FRAME_CONFIRM_RESULT, first, second);
        }
        return;
    case FRAME_CONFIRM_RESULT:
        if (r->under_way && e->is_leader && first == raft_current_term(&e->driver.raft) &&
            second == r->round) {
            r->acks[member_info_index(e, from)] = true;
            check_acks(e);
        }
        return;
    default:
        return;
    }
}

void read_index_tick(struct engine *e)
{
    struct read_index *r = &e->read_index;
    uint64_t now_ms = engine_now_ms(e);
    op_list_expire(&r->waiting, now_ms, ST_NO_LEADER);
    op_list_expire(&r->asked, now_ms, ST_NO_LEADER);
    op_list_expire(&r->indexed, now_ms, ST_NO_LEADER);
    if (r->under_way && now_ms - r->started_ms > e->options.election_timeout_ms) {
        round_failed(e);
    }
}

void read_index_reset(struct engine *e)
{
    if (e->read_index.under_way) {
        round_failed(e);
    }
    for (size_t i = 0; i < e->members.count; i++) {
        e->read_index.remote_waiting[i] = 0;
    }
}

void read_index_fail_all(struct engine *e)
{
    op_list_expire(&e->read_index.waiting, UINT64_MAX, ST_STOPPING);
    op_list_expire(&e->read_index.asked, UINT64_MAX, ST_STOPPING);
    op_list_expire(&e->read_index.indexed, UINT64_MAX, ST_STOPPING);
}
