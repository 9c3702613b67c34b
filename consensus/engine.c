#include "consensus/engine.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/machine.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define SPACE_INTERVAL_MS 250
/* libraft's backend allocates log segments of 8 MiB ahead of need. The disk is full when there is
 * no room for the next one and what is allocated runs out. */
#define SEGMENT_BYTES    (8u * 1024 * 1024)
#define CAPACITY_KIB_MIN (6u * 1024)
/* The first election of a life comes sooner than later ones: a leader that is there says so within
 * a heartbeat, and pre-votes keep it. */
#define FIRST_ELECTION_HEARTBEATS 3
/* Between attempts to hand leadership over. */
#define TRANSFER_RETRY_MS 1000
/* Entries that a follower may lag behind and still be ready. */
#define LAG_ENTRIES_MAX 64

uint64_t engine_now_ms(const struct engine *e)
{
    return e->env.now_ms(e->env.ctx);
}

size_t engine_place(const struct engine *e, uint64_t id)
{
    for (size_t i = 0; i < e->members; i++) {
        if (e->directory[i].info.id == id) {
            return i;
        }
    }
    return MEMBERS_MAX;
}

/* --- start --- */

static void fill_directory(struct engine *e, const struct consensus_member *members, size_t count)
{
    CHECK(count <= MEMBERS_MAX);
    e->members = count;
    for (size_t i = 0; i < count; i++) {
        struct consensus_member_info *info = &e->directory[i].info;
        info->id = members[i].id;
        info->is_self = info->id == e->options.id;
        info->has_space = true;
        (void)snprintf(info->peer_address, sizeof info->peer_address, "%s", members[i].address);
        (void)snprintf(info->role, sizeof info->role, "%s", "voter");
        if (info->is_self) {
            (void)snprintf(info->name, sizeof info->name, "%s", e->options.name);
            (void)snprintf(info->http_address, sizeof info->http_address, "%s",
                           e->options.http_address);
            (void)snprintf(info->version, sizeof info->version, "%s", e->options.version);
        }
    }
}

static void tune(struct engine *e)
{
    struct raft *raft = &e->raft;
    raft->tracer = NULL; /* formats every step otherwise */
    uint32_t first_ms = FIRST_ELECTION_HEARTBEATS * e->options.heartbeat_interval_ms;
    raft_set_election_timeout(raft, first_ms < e->options.election_timeout_ms
                                        ? first_ms
                                        : e->options.election_timeout_ms);
    raft_set_heartbeat_timeout(raft, e->options.heartbeat_interval_ms);
    raft_set_install_snapshot_timeout(raft, INSTALL_SNAPSHOT_TIMEOUT_MS);
    raft_set_pre_vote(raft, true);
    raft_set_max_inflight_entries(raft, APPEND_ENTRIES_MAX);
    raft_set_snapshot_threshold(raft, UINT_MAX); /* by bytes: machine.c */
    raft_set_capacity_threshold(raft, 0);        /* engine_has_space() instead */
}

/* A member has caught up when its first linearizable read is answered. The first commit index that
 * it hears of would not do: a new leader does not know all that was committed before its term. */
static void first_read_done(struct consensus_op *op, enum status status)
{
    CONTAINER_OF(op, struct engine, first_read)->caught_up = status == ST_OK;
}

static void ask_first_read(struct engine *e)
{
    e->first_read = (struct consensus_op){
        .lane = CONSENSUS_READ, .done = first_read_done, .deadline_ms = UINT64_MAX};
    readgate_add(e, &e->first_read);
}

bool engine_start(struct engine *e, const struct engine_options *options,
                  const struct engine_env *env, const struct consensus_app *app, struct raft_io *io,
                  const struct consensus_member *members, size_t members_count, char *error,
                  size_t error_size)
{
    memset(e, 0, sizeof *e);
    e->options = *options;
    e->env = *env;
    e->app = *app;
    fill_directory(e, members, members_count);
    outbox_init(&e->outbox, options->boot);
    leader_init(&e->leader);
    op_list_init(&e->readgate.waiting);
    op_list_init(&e->readgate.asked);
    op_list_init(&e->readgate.indexed);
    e->readgate.round = BOOT_SALT(options->boot) << 32; /* an answer to an earlier life is none */
    machine_init(e);
    guard_wrap(&e->guard, e, io);
    e->started_ms = e->contact_ms = engine_now_ms(e);
    if (raft_init(&e->raft, io, &e->fsm, options->id, options->address) != 0) {
        (void)snprintf(error, error_size, "the log cannot be opened: %s", raft_errmsg(&e->raft));
        return false;
    }
    e->raft_open = true;
    tune(e);
    if (raft_start(&e->raft) != 0) {
        (void)snprintf(error, error_size, "%s",
                       e->guard.load_error[0] != '\0' ? e->guard.load_error
                                                      : "the snapshot is damaged");
        return false;
    }
    ask_first_read(e);
    return true;
}

/* --- what the replica knows of its leader --- */

static void leader_changed(struct engine *e, uint64_t leader)
{
    log_write(LOG_INFO, "raft", "leader", "leader=%" PRIu64 " term=%" PRIu64, leader,
              (uint64_t)raft_current_term(&e->raft));
    metric_add(METRIC_leader_changes_total, 1);
    e->known_leader = leader;
    e->suspect_ms = 0;
    readgate_reset(e);
    outbox_resend(e);
}

static void observe(struct engine *e)
{
    raft_id leader;
    const char *address;
    bool is_leader = raft_state(&e->raft) == RAFT_LEADER;
    raft_leader(&e->raft, &leader, &address);
    if (is_leader != e->is_leader) {
        e->is_leader = is_leader;
        if (is_leader) {
            metric_add(METRIC_elections_won_total, 1);
            leader_begin(e);
        } else {
            e->contact_ms = engine_now_ms(e);
            leader_end(e);
        }
        e->app.leadership(e->app.ctx, is_leader);
    }
    if (leader != e->known_leader) {
        leader_changed(e, leader);
    }
    if (!e->stood_or_followed && (leader != 0 || raft_state(&e->raft) != RAFT_FOLLOWER)) {
        e->stood_or_followed = true;
        raft_set_election_timeout(&e->raft, e->options.election_timeout_ms);
    }
}

void engine_heard_leader(struct engine *e, const struct raft_message *message)
{
    raft_id leader;
    const char *address;
    raft_leader(&e->raft, &leader, &address);
    if (leader != message->server_id) {
        return;
    }
    e->contact_ms = engine_now_ms(e);
    if (message->type == RAFT_APPEND_ENTRIES &&
        message->append_entries.leader_commit > e->leader_commit) {
        e->leader_commit = message->append_entries.leader_commit;
    }
}

/* The followers stand one after the other, so that votes do not split. */
static uint64_t rank_without(const struct engine *e, uint64_t leader)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < e->members; i++) {
        uint64_t id = e->directory[i].info.id;
        rank += id != leader && id < e->options.id;
    }
    return rank;
}

void engine_link_refused(struct engine *e, uint64_t id)
{
    if (id == e->known_leader && !e->is_leader && e->suspect_ms == 0) {
        uint64_t stagger_ms = 2ull * e->options.heartbeat_interval_ms;
        e->suspect_ms = engine_now_ms(e) + rank_without(e, id) * stagger_ms;
        log_write(LOG_INFO, "raft", "the leader's process is gone", "leader=%" PRIu64, id);
    }
}

void engine_link_up(struct engine *e, uint64_t id)
{
    if (id == e->known_leader) {
        e->suspect_ms = 0;
        outbox_resend(e);
    }
    e->info_sent_ms = 0;
}

static void check_suspect(struct engine *e)
{
    uint64_t now_ms = engine_now_ms(e);
    if (e->suspect_ms != 0 && now_ms >= e->suspect_ms && !e->is_leader) {
        e->suspect_ms = now_ms + e->options.election_timeout_ms;
        guard_take_over(&e->guard);
    }
}

/* --- disk --- */

bool engine_has_space(const struct engine *e)
{
    return !e->disk_full && directory_quorum_has_space(e);
}

static void free_transfer(struct raft_transfer *req)
{
    free(req);
}

/* The member that can be reached and has applied most, besides `except`; 0: there is none. */
static uint64_t best_successor(const struct engine *e, uint64_t except)
{
    const struct consensus_member_info *best = NULL;
    for (size_t i = 0; i < e->members; i++) {
        const struct consensus_member_info *info = &e->directory[i].info;
        if (info->id != except && info->id != e->options.id && info->has_space &&
            e->env.is_up(e->env.ctx, info->id) &&
            (best == NULL || info->applied_index > best->applied_index)) {
            best = info;
        }
    }
    return best != NULL ? best->id : 0;
}

bool engine_has_heir(const struct engine *e)
{
    return directory_quorum_has_space(e) && best_successor(e, 0) != 0;
}

static void hand_leadership_over(struct engine *e, uint64_t except)
{
    uint64_t now_ms = engine_now_ms(e);
    uint64_t to = best_successor(e, except);
    if (!e->is_leader || to == 0 || raft_transferee(&e->raft) != 0 ||
        (e->transfer_ms != 0 && now_ms - e->transfer_ms < TRANSFER_RETRY_MS)) {
        return;
    }
    struct raft_transfer *req = mem_zalloc(1, sizeof *req);
    e->transfer_ms = now_ms;
    if (raft_transfer(&e->raft, req, to, free_transfer) != 0) {
        free(req);
    }
}

void engine_lost_log(struct engine *e, uint64_t id)
{
    static struct log_gate gate;
    uint64_t held;
    if (log_gate_open(&gate, &held)) {
        log_write(LOG_WARN, "raft", "a member has lost its log; another leader will send it anew",
                  "member=%" PRIu64, id);
    }
    e->lost_log_member = id; /* from the tick: we are inside of what libraft receives */
}

static void check_space(struct engine *e)
{
    uint64_t now_ms = engine_now_ms(e);
    if (now_ms - e->space_checked_ms < SPACE_INTERVAL_MS) {
        return;
    }
    e->space_checked_ms = now_ms;
    bool full =
        e->env.disk_free(e->env.ctx) < SEGMENT_BYTES && e->guard.io->capacity < CAPACITY_KIB_MIN;
    if (full != e->disk_full) {
        e->disk_full = full;
        e->info_sent_ms = 0;
        log_write(full ? LOG_ERROR : LOG_INFO, "disk",
                  full ? "full: writes are refused until there is space" : "has space again", "%s",
                  "");
    }
    if (full) {
        hand_leadership_over(e, 0);
    }
}

/* --- driving --- */

void engine_take(struct engine *e, struct consensus_op *ops)
{
    while (ops != NULL) {
        struct consensus_op *op = ops;
        ops = op->next;
        switch (op->lane) {
        case CONSENSUS_URGENT:
        case CONSENSUS_NORMAL:
            outbox_add(e, op);
            break;
        case CONSENSUS_READ:
            readgate_add(e, op);
            break;
        case CONSENSUS_CALL:
            op->done(op, ST_OK);
            break;
        }
    }
}

static void receive_bundle(struct engine *e, uint64_t from, const uint8_t *data, size_t len)
{
    uint8_t refusal[20];
    enum status status = leader_offer(e, from, data, len);
    if (status == ST_NO_LEADER || status == ST_NO_SPACE) {
        memcpy(refusal, data + 8, 16); /* boot and sequence */
        store_u32(refusal + 16, status);
        enum status sent UNUSED = e->env.send(e->env.ctx, from, FRAME_REFUSE, false, refusal,
                                              sizeof refusal, NULL, 0, NULL, NULL);
    }
}

static void receive_refusal(struct engine *e, uint64_t from, const uint8_t *data, size_t len)
{
    if (len == 20) {
        enum status status = load_u32(data + 16) == ST_NO_SPACE ? ST_NO_SPACE : ST_NO_LEADER;
        outbox_refused(e, from, load_u64(data), load_u64(data + 8), status);
    }
}

void engine_receive(struct engine *e, uint64_t from, uint8_t type, const uint8_t *data, size_t len)
{
    size_t place = engine_place(e, from);
    if (place == MEMBERS_MAX || e->guard.closing) {
        return;
    }
    machine_publish(e);
    switch ((enum frame_type)type) {
    case FRAME_RAFT:
        if (!guard_receive(&e->guard, from, e->directory[place].info.peer_address, data, len)) {
            log_write(LOG_WARN, "peer", "malformed raft message dropped", "from=%" PRIu64, from);
        }
        observe(e);
        break;
    case FRAME_BUNDLE:
        receive_bundle(e, from, data, len);
        break;
    case FRAME_REFUSE:
        receive_refusal(e, from, data, len);
        break;
    case FRAME_READ:
    case FRAME_READ_INDEX:
    case FRAME_PROBE:
    case FRAME_PROBE_ACK:
        readgate_receive(e, from, type, data, len);
        break;
    case FRAME_INFO:
        directory_receive(e, from, data, len);
        break;
    }
}

void engine_tick(struct engine *e)
{
    guard_watch(&e->guard);
    machine_publish(e);
    observe(e);
    check_suspect(e);
    check_space(e);
    if (e->lost_log_member != 0) {
        hand_leadership_over(e, e->lost_log_member);
        e->lost_log_member = 0;
    }
    outbox_tick(e);
    readgate_tick(e);
    directory_tick(e);
}

void engine_pump(struct engine *e)
{
    if (e->guard.closing) {
        return;
    }
    machine_publish(e);
    observe(e);
    outbox_pump(e);
    readgate_pump(e);
    leader_pump(e);
    guard_pump(&e->guard);
}

void engine_status(struct engine *e, struct consensus_status *ret_status)
{
    uint64_t applied = raft_last_applied(&e->raft);
    *ret_status = (struct consensus_status){
        .leader = e->known_leader,
        .is_leader = e->is_leader,
        .term = raft_current_term(&e->raft),
        .applied_index = applied,
        .commit_index = raft_commit_index(&e->raft),
        .last_contact_ms = e->contact_ms,
        .caught_up =
            e->caught_up && (e->is_leader || applied + LAG_ENTRIES_MAX >= e->leader_commit),
        .has_space = engine_has_space(e),
    };
}

/* --- stop --- */

void engine_stop(struct engine *e)
{
    e->stopping = true;
    hand_leadership_over(e, 0);
}

bool engine_is_idle(struct engine *e)
{
    bool leads = e->is_leader && best_successor(e, 0) != 0;
    return outbox_is_empty(&e->outbox) && !leads && e->leader.in_flight == 0;
}

bool engine_may_close(const struct engine *e)
{
    return !e->guard.encoding_snapshot;
}

void engine_fail_all(struct engine *e)
{
    outbox_fail_all(e);
    readgate_fail_all(e);
}

void engine_close(struct engine *e, void (*closed)(struct raft *raft))
{
    guard_close(&e->guard);
    if (e->raft_open) {
        raft_close(&e->raft, closed);
    } else {
        closed(&e->raft);
    }
}

void engine_done(struct engine *e)
{
    outbox_done(&e->outbox);
    leader_done(&e->leader);
}
