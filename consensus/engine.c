#include "consensus/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/driver_receive.h"
#include "consensus/startup.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define SPACE_INTERVAL_MS 250
/* The log's next segment is preallocated; with less free space than this, the disk is full. */
#define SPACE_BYTES_MIN (4ull * 1024 * 1024)
/* Without a leader for this long, members that call us removed are believed. */
#define REMOVED_MS 5000

uint64_t engine_now_ms(const struct engine *e)
{
    return e->env.now_ms(e->env.ctx);
}

void engine_fatal(struct engine *e, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    e->env.fatal(e->env.ctx, sentence);
}

void engine_send(struct engine *e, uint64_t to, enum frame_type type, const void *data, size_t len)
{
    const struct peer_message message = {.type = type, .head = data, .head_len = len};
    enum status status UNUSED = e->env.send(e->env.ctx, to, &message);
}

bool engine_is_up(const struct engine *e, const struct member *m)
{
    return e->env.is_up(e->env.ctx, m->info.id) && forming_life(e, m->info.id) == m->info.life;
}

bool engine_knows_all(const struct engine *e)
{
    return e->is_leader && e->proposer.noop_committed;
}

/* Whether a life that was admitted once has surely been removed for good. An uncommitted removal
 * may still be undone. */
static bool has_taken_out(const struct engine *e, uint64_t life)
{
    const struct raft *raft = &e->driver.raft;
    return engine_knows_all(e) && configuration_find(&raft->configuration, life) == NULL &&
           configuration_find(&raft->configuration_committed, life) == NULL;
}

/* --- start --- */

/* A member has caught up when its first linearizable read completes. The first commit index that it
 * hears of is not enough: a new leader does not know all that was committed before its term. */
static void first_read_done(struct consensus_op *op, enum status status)
{
    CONTAINER_OF(op, struct engine, first_read)->caught_up = status == ST_OK;
}

static void ask_first_read(struct engine *e)
{
    e->first_read = (struct consensus_op){
        .lane = CONSENSUS_READ, .done = first_read_done, .deadline_ms = UINT64_MAX};
    read_index_add(e, &e->first_read);
}

/* The cluster is formed and its files exist. */
static bool run(struct engine *e, char *error, size_t error_size)
{
    CHECK(!e->running);
    e->started_ms = e->contact_ms = engine_now_ms(e);
    if (!startup_run(e, error, error_size)) {
        return false;
    }
    e->running = true;
    ask_first_read(e);
    return true;
}

void engine_formed(struct engine *e)
{
    char error[1024];
    if (!run(e, error, sizeof error)) {
        engine_fatal(e, "the cluster was formed, but the log cannot be read: %s", error);
        return;
    }
    struct hello_facts facts = engine_facts(e);
    links_changed(e);
    e->env.introduce(e->env.ctx, &facts);
}

bool engine_open(struct engine *e, const struct engine_options *options,
                 const struct engine_env *env, const struct consensus_fsm *app, char *error,
                 size_t error_size)
{
    memset(e, 0, sizeof *e);
    e->options = *options;
    e->env = *env;
    e->app = *app;
    e->started_ms = e->contact_ms = engine_now_ms(e);
    driver_init(&e->driver);
    forwarder_init(&e->forwarder, BOOT(1, options->boot_salt));
    proposer_init(&e->proposer);
    read_index_init(&e->read_index, (uint64_t)options->boot_salt << 32);
    change_init(&e->changes);
    snapshot_take_init(&e->snapshot_take, e);
    snapshot_receive_init(&e->snapshot_receive, e);
    backup_init(e);
    if (!startup_identify(e, error, error_size)) {
        return false;
    }
    forming_init(e);
    return true;
}

bool engine_start(struct engine *e, char *error, size_t error_size)
{
    CHECK(e->identity.life != 0);
    if (!cluster_id_is_none(&e->identity.cluster) && !run(e, error, error_size)) {
        return false;
    }
    links_changed(e);
    links_tick(e);
    return true;
}

struct hello_facts engine_facts(const struct engine *e)
{
    return (struct hello_facts){
        .cluster = e->identity.cluster,
        .member = e->options.id,
        .life = e->identity.life,
        .boot = e->forwarder.boot, /* all of it: a copy of the directory may have the same count */
        .level_min = e->app.level_min,
        .level_max = e->app.level_max,
        .list_hash = e->forming.list_hash,
    };
}

enum hello_verdict engine_admit(const struct engine *e, const struct hello_facts *facts)
{
    struct hello_facts ours = engine_facts(e);
    enum hello_verdict verdict = hello_judge(&ours, facts);
    struct engine *engine = (struct engine *)(uintptr_t)e; /* the table returns non-const members */
    const struct member *newest = member_info_find(engine, facts->member);
    const struct member *known = member_info_of_life(engine, facts->life);
    bool is_member =
        known != NULL && member_info_is_configured(e, known) && known->info.id == facts->member;
    if (verdict != HELLO_ACCEPTED) {
        return verdict;
    }
    if (is_member) {
        return known == newest ? HELLO_ACCEPTED : HELLO_EARLIER_LIFE;
    }
    bool is_new = cluster_id_is_none(&facts->cluster);
    if (!e->running && is_new && !forming_is_first(e, facts->member)) {
        return HELLO_WRONG_MEMBER;
    }
    /* It may connect, but not instead of the configured life. */
    bool is_taken = newest != NULL && engine_is_up(e, newest);
    if (is_new) {
        bool is_expected = newest != NULL || !e->running || e->members.count == 0;
        return is_taken || !is_expected ? HELLO_WAITS : HELLO_ACCEPTED;
    }
    return is_taken || has_taken_out(e, facts->life) ? HELLO_EARLIER_LIFE : HELLO_ACCEPTED;
}

/* --- the known leader --- */

static void leader_changed(struct engine *e, uint64_t leader)
{
    log_write(LOG_INFO, "raft", "leader", "leader=%" PRIu64 " term=%" PRIu64, leader,
              (uint64_t)raft_current_term(&e->driver.raft));
    metric_add(METRIC_leader_changes_total, 1);
    e->known_leader = leader;
    e->election.campaign_at_ms = 0;
    read_index_reset(e);
    forwarder_resend(e);
}

static uint64_t leader_now(struct engine *e)
{
    uint64_t life = driver_leader_life(e);
    const struct member *m = life != 0 ? member_info_of_life(e, life) : NULL;
    return m != NULL ? m->info.id : 0;
}

void engine_observe(struct engine *e)
{
    struct raft *raft = &e->driver.raft;
    bool is_leader = raft_state(raft) == RAFT_LEADER;
    uint64_t leader = leader_now(e);
    if (is_leader != e->is_leader) {
        e->is_leader = is_leader;
        if (is_leader) {
            metric_add(METRIC_elections_won_total, 1);
            proposer_begin(e);
        } else {
            e->contact_ms = engine_now_ms(e);
            proposer_end(e);
        }
        e->app.leadership(e->app.ctx, is_leader);
    }
    if (leader != e->known_leader) {
        leader_changed(e, leader);
    }
    if (!e->stood_or_followed && (leader != 0 || raft_state(raft) != RAFT_FOLLOWER)) {
        e->stood_or_followed = true;
        raft_set_election_timeout(raft, e->options.election_timeout_ms);
    }
}

void engine_heard_leader(struct engine *e, const struct raft_message *message)
{
    if (driver_leader_life(e) != message->server_id) {
        return;
    }
    e->contact_ms = engine_now_ms(e);
    if (message->type == RAFT_APPEND_ENTRIES &&
        message->append_entries.leader_commit > e->leader_commit) {
        e->leader_commit = message->append_entries.leader_commit;
    }
}

void engine_link_refused(struct engine *e, uint64_t id)
{
    if (e->running) {
        fsm_forget_told(e, id);
        election_leader_gone(e, id);
    }
}

void engine_link_up(struct engine *e, uint64_t id, const struct hello_facts *facts)
{
    forming_heard(e, facts);
    if (!e->running) {
        return;
    }
    if (id == e->known_leader) {
        e->election.campaign_at_ms = 0;
        forwarder_resend(e);
    }
    fsm_forget_told(e, id);
    snapshot_send_end_to(e, id);
    snapshot_receive_tell_again(e, id);
    member_info_hurry(e);
}

/* Members that reject us may only be behind; unless no leader accepts us either. */
void engine_link_rejected(struct engine *e, uint64_t by, enum hello_verdict verdict)
{
    char sentence[256];
    bool is_led = e->is_leader || engine_now_ms(e) - e->contact_ms < REMOVED_MS;
    if (!e->running || verdict != HELLO_EARLIER_LIFE || is_led) {
        return;
    }
    (void)snprintf(sentence, sizeof sentence,
                   "member %" PRIu64 " says that this life of member %" PRIu64 " (%016" PRIx64
                   ") was taken out of the cluster, and it is refused for good. Keep its directory "
                   "aside, and start the member with an empty one",
                   by, e->options.id, e->identity.life);
    e->env.removed(e->env.ctx, sentence);
}

/* --- disk --- */

/* Against rm -rf under a running process: it would continue with the files it has open, and leave
 * parts of a log in the directory. */
static void check_directory(struct engine *e)
{
    int result = identity_probe(e->env.files);
    if (result == -ENOENT) {
        engine_fatal(e,
                     "the file identity is gone from %s: the directory was emptied or replaced "
                     "under this process",
                     e->options.data_dir);
    } else if (result == -EIO) {
        engine_fatal(e, "%s cannot be read: %s", e->options.data_dir, strerror(-result));
    }
}

bool engine_has_space(struct engine *e)
{
    return !e->disk_full && member_info_majority_has_space(e);
}

bool engine_has_transfer_target(struct engine *e)
{
    return member_info_majority_has_space(e) && transfer_target(e, 0) != 0;
}

static void check_space(struct engine *e)
{
    uint64_t now_ms = engine_now_ms(e);
    if (now_ms - e->space_checked_ms < SPACE_INTERVAL_MS) {
        return;
    }
    e->space_checked_ms = now_ms;
    check_directory(e);
    bool full = persist_is_full(&e->persist) ||
                e->env.files->free_bytes(e->env.files->ctx) < SPACE_BYTES_MIN;
    if (full != e->disk_full) {
        e->disk_full = full;
        member_info_hurry(e);
        log_write(full ? LOG_ERROR : LOG_INFO, "disk",
                  full ? "full: writes are refused until there is space" : "has space again", "%s",
                  "");
    }
    bool stalled = e->persist.busy && now_ms - e->persist.busy_since_ms >= STALL_UNFIT_MS;
    if (full || stalled) {
        transfer_begin(e, 0);
    }
}

/* --- input --- */

void engine_take(struct engine *e, struct consensus_op *ops)
{
    while (ops != NULL) {
        struct consensus_op *op = ops;
        ops = op->next;
        switch (op->lane) {
        case CONSENSUS_URGENT:
        case CONSENSUS_NORMAL:
            forwarder_add(e, op);
            break;
        case CONSENSUS_READ:
            read_index_add(e, op);
            break;
        case CONSENSUS_POST:
            op->done(op, ST_OK);
            break;
        case CONSENSUS_CHANGE:
            change_add(e, op);
            break;
        case CONSENSUS_BACKUP:
            backup_add(e, op);
            break;
        }
    }
}

static void receive_batch(struct engine *e, const struct member *from, const uint8_t *data,
                          size_t len)
{
    uint8_t refusal[20];
    enum status status = proposer_receive(e, from->info.life, data, len);
    if (status != ST_OK && status != ST_CORRUPT) {
        memcpy(refusal, data + 8, 16); /* boot and serial */
        store_u32(refusal + 16, status);
        engine_send(e, from->info.id, FRAME_REFUSE, refusal, sizeof refusal);
    }
}

static void dispatch(struct engine *e, struct member *from, uint8_t type, const uint8_t *data,
                     size_t len)
{
    switch ((enum frame_type)type) {
    case FRAME_RAFT:
        if (!driver_receive(e, from, data, len)) {
            log_write(LOG_WARN, "peer", "malformed raft message dropped", "from=%" PRIu64,
                      from->info.id);
        }
        break;
    case FRAME_BATCH:
        receive_batch(e, from, data, len);
        break;
    case FRAME_REFUSE:
        forwarder_refused(e, from->info.id, data, len);
        break;
    case FRAME_READ_INDEX:
    case FRAME_READ_INDEX_RESULT:
    case FRAME_CONFIRM:
    case FRAME_CONFIRM_RESULT:
        read_index_receive(e, from, type, data, len);
        break;
    case FRAME_INFO:
        member_info_receive(e, from, data, len);
        break;
    case FRAME_SNAPSHOT:
        snapshot_receive_piece(e, from, data, len);
        break;
    case FRAME_SNAPSHOT_RESULT:
        snapshot_send_receive(e, from, data, len);
        break;
    case FRAME_UNREADABLE:
        driver_unreadable(e, from, data, len);
        break;
    case FRAME_CHANGE:
        change_receive(e, from, data, len);
        break;
    case FRAME_CHANGE_RESULT:
        change_receive_result(e, data, len);
        break;
    case FRAME_FORM:   /* the cluster has formed */
    case FRAME_LET_IN: /* this life is admitted */
        break;
    }
}

/* What an unknown life of our cluster may send: that it leads, or wants to. */
static bool is_for_guests(uint8_t type)
{
    return type == FRAME_RAFT || type == FRAME_SNAPSHOT || type == FRAME_INFO ||
           type == FRAME_CONFIRM || type == FRAME_READ_INDEX_RESULT || type == FRAME_REFUSE;
}

void engine_receive(struct engine *e, uint64_t from, uint64_t life, uint8_t type,
                    const uint8_t *data, size_t len)
{
    if (e->closing) {
        return;
    }
    if (!e->running) {
        if (type == FRAME_FORM || type == FRAME_LET_IN) {
            forming_receive(e, from, (enum frame_type)type, data, len);
        }
        return;
    }
    struct member *m = member_info_sender(e, from, life);
    if (m != NULL && (member_info_is_configured(e, m) || is_for_guests(type))) {
        m->frame_ms = engine_now_ms(e);
        fsm_publish(e);
        dispatch(e, m, type, data, len);
    }
}

void engine_tick(struct engine *e)
{
    if (e->closing) {
        return;
    }
    links_tick(e);
    forming_tick(e);
    membership_tick(e);
    change_tick(e);
    forwarder_tick(e);
    read_index_tick(e);
    if (!e->running) {
        return;
    }
    driver_watch(e);
    fsm_publish(e);
    election_tick(e);
    check_space(e);
    transfer_tick(e);
    refusal_tick(e);
    member_info_tick(e);
    snapshot_send_tick(e);
    snapshot_receive_tick(e);
    persist_tick(&e->persist);
}

void engine_pump(struct engine *e)
{
    if (e->closing || !e->running) {
        return;
    }
    fsm_publish(e);
    forwarder_pump(e);
    proposer_pump(e);
    fsm_pump(e);
    read_index_pump(e);
    proposer_pump(e);
    election_pump(e);
    snapshot_receive_pump(e);
    snapshot_take_pump(e);
    persist_pump(&e->persist);
}

void engine_propose(struct engine *e)
{
    struct proposer *p = &e->proposer;
    if (!p->propose_asked) {
        p->propose_asked = true;
        p->propose_after = e->forwarder.added;
    }
}

static enum consensus_phase phase_of(const struct engine *e)
{
    if (e->running) {
        return CONSENSUS_MEMBER;
    }
    return e->forming.waits ? CONSENSUS_WAITING : CONSENSUS_FORMING;
}

void engine_status(struct engine *e, struct consensus_status *ret_status)
{
    uint64_t applied = e->fsm.applied_index;
    *ret_status = (struct consensus_status){
        .phase = phase_of(e),
        .leader = e->known_leader,
        .is_leader = e->is_leader,
        .applied_index = applied,
        .last_contact_ms = e->contact_ms,
        .level = e->fsm.level,
        .has_space = true,
    };
    if (e->running) {
        ret_status->term = raft_current_term(&e->driver.raft);
        ret_status->commit_index = raft_commit_index(&e->driver.raft);
        ret_status->caught_up =
            e->caught_up && (e->is_leader || applied + ENGINE_LAG_ENTRIES_MAX >= e->leader_commit);
        ret_status->has_space = engine_has_space(e);
    }
}

/* --- stop --- */

void engine_stop(struct engine *e)
{
    e->stopping = true;
    if (e->running) {
        transfer_begin(e, 0);
    }
}

bool engine_is_idle(struct engine *e)
{
    bool leads = e->is_leader && transfer_target(e, 0) != 0;
    return forwarder_is_empty(&e->forwarder) && !leads && e->proposer.inflight_count == 0;
}

/* No pool thread may be using anything of ours. */
bool engine_may_close(const struct engine *e)
{
    return !e->running || (!e->persist.busy && !snapshot_take_is_busy(&e->snapshot_take) &&
                           !snapshot_receive_is_busy(&e->snapshot_receive) &&
                           snapshot_send_is_idle(e) && !backup_is_busy(e));
}

void engine_fail_all(struct engine *e)
{
    /* Pool threads that return find nothing more to do. */
    e->closing = true;
    snapshot_send_end(e);
    forwarder_fail_all(e);
    read_index_fail_all(e);
    change_fail_all(e);
}

void engine_close(struct engine *e)
{
    e->closing = true;
    snapshot_receive_done(e);
    backup_done(e);
    if (e->persist.wal != NULL) {
        persist_done(&e->persist);
    }
    driver_close(&e->driver);
    forwarder_done(&e->forwarder);
    proposer_done(&e->proposer);
    e->running = false;
}
