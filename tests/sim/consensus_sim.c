#include "tests/sim/consensus_sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "tests/mutants/mutant.h"
#include "tests/sim/checks.h"
#include "tests/sim/crowd.h"
#include "tests/sim/faults.h"
#include "tests/sim/growth.h"
#include "tests/sim/mutants.h"
#include "tests/sim/net.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"

struct tuning tuning;

/* --- engine_env --- */

static uint64_t env_now_ms(void *ctx)
{
    (void)ctx;
    return clock_monotonic_ms();
}

static enum status env_send(void *ctx, uint64_t to, const struct peer_message *message)
{
    struct consensus *c = ctx;
    if (c->closing || c->member->dying) {
        return ST_IO;
    }
    checks_sent(c->member, to, message);
    return net_send(c->member, to, message);
}

static bool env_is_up(void *ctx, uint64_t id)
{
    struct consensus *c = ctx;
    return !c->closing && net_is_up(c->member->id, id);
}

/* Work for a pool thread: run at some moment, completed a bit later. */
struct sim_work {
    struct sim_event event;
    struct sim_work *next;
    struct consensus *consensus;
    struct engine_work *work;
    bool has_run;
};

static void finish_work(struct sim_work *w)
{
    struct sim_work **link = &w->consensus->works;
    while (*link != w) {
        link = &(*link)->next;
    }
    *link = w->next;
    struct engine_work *work = w->work;
    free(w);
    work->done(work);
}

static void on_work(struct sim_event *event)
{
    struct sim_work *w = CONTAINER_OF(event, struct sim_work, event);
    if (w->has_run) {
        finish_work(w);
        return;
    }
    w->has_run = true;
    w->work->run(w->work);
    world_at(event, rng_between(20 * US, event->member->latency_ns), event->member);
}

static void env_work(void *ctx, struct engine_work *work)
{
    struct consensus *c = ctx;
    struct sim_work *w = mem_zalloc(1, sizeof *w);
    *w = (struct sim_work){
        .event = {.run = on_work}, .next = c->works, .consensus = c, .work = work};
    c->works = w;
    world_at(&w->event, rng_between(20 * US, c->member->latency_ns), c->member);
}

static void env_link(void *ctx, uint64_t id, const char *address UNUSED)
{
    struct consensus *c = ctx;
    net_dial(c->member->id, id);
}

static void env_unlink(void *ctx, uint64_t id)
{
    struct consensus *c = ctx;
    net_hang_up(c->member->id, id);
    net_break(id, c->member->id);
}

static void env_review(void *ctx)
{
    struct consensus *c = ctx;
    net_review(c->member);
}

static void env_introduce(void *ctx, const struct hello_facts *self)
{
    struct consensus *c = ctx;
    checks_member_of_cluster(c->member, self);
    net_introduce(c->member);
}

static void env_removed(void *ctx, const char *sentence)
{
    struct consensus *c = ctx;
    growth_removed(c->member);
    member_die(c->member, sentence);
}

static void env_fatal(void *ctx, const char *sentence)
{
    struct consensus *c = ctx;
    member_die(c->member, sentence);
}

/* --- turns of the loop --- */

static void drain(struct consensus *c)
{
    struct consensus_op *ops = c->queue.first;
    for (const struct consensus_op *op = ops; op != NULL; op = op->next) {
        admission_taken(&c->admission, op->lane, 1, 0);
    }
    op_list_init(&c->queue);
    engine_take(&c->engine, ops);
}

static void pump(struct consensus *c)
{
    engine_pump(&c->engine);
    mutants_pumped(&c->engine);
    engine_status(&c->engine, &c->status);
}

void consensus_sim_pump(struct consensus *c)
{
    if (c->engine_open && !c->engine.closing && !rng_chance(tuning.lazy_pump_millionths)) {
        pump(c);
    }
}

static void close_when_idle(struct consensus *c)
{
    if (engine_may_close(&c->engine)) {
        engine_close(&c->engine);
        c->engine_open = false;
        c->member->closed = true;
    }
}

static void advance_stop(struct consensus *c, uint64_t now_ms)
{
    if (!c->stop_begun) {
        c->stop_begun = true;
        c->stop_deadline_ms = now_ms + c->facts.write_timeout_ms;
    }
    if (!engine_is_idle(&c->engine) && now_ms < c->stop_deadline_ms) {
        engine_stop(&c->engine);
        return;
    }
    engine_fail_all(&c->engine);
    c->closing = true;
}

static void on_tick(struct sim_event *event)
{
    struct sim_member *m = event->member;
    struct consensus *c = m->consensus;
    uint64_t now_ms = clock_monotonic_ms();
    free(event);
    world_call(on_tick, member_true_ns(m, ENGINE_TICK_MS * MS + rng_below(300 * US)), m);
    if (c->closing) {
        close_when_idle(c);
        return;
    }
    drain(c);
    refusal_set_here(&c->engine, !mutant_is(MUTANT_follower_refusal_untold) &&
                                     admission_refuses_heartbeats(&c->admission, now_ms));
    engine_tick(&c->engine);
    if (now_ms - c->app_tick_ms >= ENGINE_APP_TICK_MS) {
        c->app_tick_ms = now_ms;
        c->app.tick(c->app.ctx, now_ms);
    }
    pump(c);
    if (c->stopping) {
        advance_stop(c, now_ms);
    }
}

static void on_wake(struct sim_event *event)
{
    struct consensus *c = event->member->consensus;
    free(event);
    if (!c->closing) {
        drain(c);
    }
}

void consensus_sim_receive(struct consensus *c, const struct hello_facts *from, uint8_t type,
                           const uint8_t *data, size_t len)
{
    if (!c->closing) {
        engine_receive(&c->engine, from->member, from->life, type, data, len);
    }
}

void consensus_sim_link_up(struct consensus *c, const struct hello_facts *facts)
{
    if (!c->closing) {
        engine_link_up(&c->engine, facts->member, facts);
    }
}

void consensus_sim_link_rejected(struct consensus *c, uint64_t by, enum hello_verdict verdict)
{
    engine_link_rejected(&c->engine, by, verdict);
}

void consensus_sim_link_refused(struct consensus *c, uint64_t id)
{
    if (!c->closing) {
        engine_link_refused(&c->engine, id);
    }
}

/* --- consensus.h --- */

static bool is_write(const struct consensus_op *op)
{
    return op->lane == CONSENSUS_URGENT || op->lane == CONSENSUS_NORMAL;
}

enum status consensus_submit(struct consensus *c, struct consensus_op *op)
{
    if (c->stopping) {
        return ST_STOPPING;
    }
    unsigned crowd = crowd_at(c->member);
    const struct forwarder *o = &c->engine.forwarder;
    admission_set_waiting(&c->admission.heartbeats,
                          o->urgent_waiting + ((crowd & CROWD_HEARTBEATS) != 0 ? QUEUE_OPS_MAX : 0),
                          0);
    admission_set_waiting(
        &c->admission.others,
        o->waiting - o->urgent_waiting + ((crowd & CROWD_OTHERS) != 0 ? QUEUE_OPS_MAX : 0), 0);
    bool busy = rng_chance(tuning.busy_millionths) && op->lane != CONSENSUS_URGENT;
    if (busy || !admission_enter(&c->admission, op->lane, 0, clock_monotonic_ms())) {
        if (op->lane == CONSENSUS_URGENT && (crowd & CROWD_HEARTBEATS) == 0) {
            world_violation("heartbeats_have_their_share",
                            "member %" PRIu64 " refused one because of other writes",
                            c->member->id);
        }
        return ST_BUSY;
    }
    if (is_write(op)) {
        oracle_submitted(op->data, op->len);
    }
    op->taken_ns = clock_monotonic_ns();
    op->deadline_ms = op->taken_ns / 1000000 + c->facts.write_timeout_ms;
    if (c->queue.first == NULL) {
        world_call(on_wake, rng_below(200 * US), c->member);
    }
    op_list_add(&c->queue, op);
    return ST_OK;
}

struct consensus *consensus_create(const struct consensus_options *o,
                                   const struct consensus_fsm *app)
{
    struct consensus *c = mem_zalloc(1, sizeof *c);
    c->member = member_current;
    c->member->consensus = c;
    c->app = *app;
    c->facts.id = o->id;
    c->facts.write_timeout_ms = o->write_timeout_ms;
    c->facts.election_timeout_ms = o->election_timeout_ms;
    (void)snprintf(c->facts.name, sizeof c->facts.name, "%s", o->name);
    (void)snprintf(c->facts.data_dir, sizeof c->facts.data_dir, "%s", o->data_dir);
    (void)snprintf(c->facts.advertise_peer, sizeof c->facts.advertise_peer, "%s",
                   o->advertise_peer);
    (void)snprintf(c->facts.advertise_http, sizeof c->facts.advertise_http, "%s",
                   o->advertise_http);
    (void)snprintf(c->facts.version, sizeof c->facts.version, "%s", o->version);
    memcpy(c->list, o->members, o->members_count * sizeof *o->members);
    c->engine_options = (struct engine_options){
        .id = o->id,
        .members = c->list,
        .members_count = o->members_count,
        .members_given = o->members_given,
        .joins = o->joins,
        .voters = o->voters,
        .replace_after_ms = o->replace_after_ms,
        .data_dir = c->facts.data_dir,
        .election_timeout_ms = o->election_timeout_ms,
        .heartbeat_interval_ms = o->heartbeat_interval_ms,
        .write_timeout_ms = o->write_timeout_ms,
        .snapshot_log_bytes = o->snapshot_log_bytes,
        .name = c->facts.name,
        .http_address = c->facts.advertise_http,
        .advertised_address = o->peer_given ? c->facts.advertise_peer : "",
        .version = c->facts.version,
    };
    op_list_init(&c->queue);
    return c;
}

static void open_files(struct consensus *c)
{
    struct sim_member *m = c->member;
    c->disk_files = files_boot(m->disk);
    if (m->plans_start) {
        m->plans_start = false;
        m->error_is_planned = m->start_plan.fate == FILES_ERROR;
        files_plan(m->disk, &m->start_plan);
    }
    mutants_wrap_files(c);
}

bool consensus_start(struct consensus *c, char *error, size_t error_size)
{
    struct sim_member *m = c->member;
    const struct consensus_fsm watched = app_watched(c);
    open_files(c);
    const struct engine_env env = {
        .ctx = c,
        .now_ms = env_now_ms,
        .send = env_send,
        .is_up = env_is_up,
        .work = env_work,
        .files = &c->files,
        .link = env_link,
        .unlink = env_unlink,
        .review = env_review,
        .introduce = env_introduce,
        .fatal = env_fatal,
        .removed = env_removed,
    };
    uint32_t salt = (uint32_t)rng_next();
    c->engine_options.boot_salt = mutant_is(MUTANT_salt_forgotten) ? 0 : salt;
    c->engine_options.seed = (uint32_t)rng_next();
    bool started = engine_open(&c->engine, &c->engine_options, &env, &watched, error, error_size) &&
                   engine_start(&c->engine, error, error_size);
    c->engine_open = true;
    if (!started) {
        return false;
    }
    struct hello_facts facts = engine_facts(&c->engine);
    c->facts.life = facts.life;
    checks_identified(m, &facts);
    if (c->engine.running) {
        checks_member_of_cluster(m, &facts);
    }
    engine_status(&c->engine, &c->status);
    world_call(on_tick, member_true_ns(m, ENGINE_TICK_MS * MS), m);
    return true;
}

bool consensus_sim_abandon(struct consensus *c)
{
    struct consensus_op *op;
    if (!c->engine_open) {
        return true;
    }
    if (c->works != NULL || !engine_may_close(&c->engine)) {
        return false;
    }
    c->stopping = c->closing = true;
    engine_fail_all(&c->engine);
    while ((op = op_list_take(&c->queue)) != NULL) {
        free(op->data);
        op->done(op, ST_STOPPING);
    }
    engine_close(&c->engine);
    c->engine_open = false;
    return true;
}

void consensus_stop(struct consensus *c)
{
    CHECK(!c->engine_open); /* member.c has stopped it in virtual time */
}

void consensus_destroy(struct consensus *c)
{
    if (c != NULL) {
        (void)consensus_sim_abandon(c); /* left by a failed start */
        c->member->consensus = NULL;
        free(c);
    }
}

void consensus_propose(struct consensus *c)
{
    struct proposer *p = &c->engine.proposer;
    if (!p->propose_asked) {
        c->member->asked_ns = world_now_ns();
        engine_propose(&c->engine);
        if (mutant_is(MUTANT_expire_overtakes)) {
            p->propose_after = 0;
        }
    }
}

uint64_t consensus_oldest_unapplied_ms(const struct consensus *c)
{
    return mutant_is(MUTANT_stall_counts) ? 0 : proposer_oldest_ms(&c->engine);
}

bool consensus_refuses_heartbeats(const struct consensus *c)
{
    bool here = !mutant_is(MUTANT_time_counts_while_refused) &&
                admission_refuses_heartbeats(&c->admission, clock_monotonic_ms());
    return here || c->engine.refusals.elsewhere;
}

bool consensus_knows_all(const struct consensus *c)
{
    return c->engine.is_leader && c->engine.proposer.noop_committed;
}

void consensus_set_available(struct consensus *c, bool available)
{
    c->engine.available = available;
}

void consensus_say_leaving(struct consensus *c)
{
    member_info_say_leaving(&c->engine);
}

size_t consensus_presence(const struct consensus *c, struct consensus_presence *ret_members)
{
    return member_info_presence(&c->engine, ret_members);
}

/* Simulated links detect losses at once. */
uint32_t consensus_hold_up_ms(const struct consensus *c)
{
    return c->facts.election_timeout_ms;
}

void consensus_status(const struct consensus *c, struct consensus_status *ret_status)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t contact_ms = c->status.last_contact_ms;
    *ret_status = c->status;
    ret_status->has_space = c->status.has_space || mutant_is(MUTANT_full_disk_counts);
    ret_status->last_contact_ms = c->status.is_leader ? 0 : clock_elapsed(contact_ms, now_ms);
}

const struct consensus_facts *consensus_facts(const struct consensus *c)
{
    return &c->facts;
}

void consensus_cluster(const struct consensus *c, char out[CONSENSUS_CLUSTER_SIZE])
{
    cluster_id_text(&c->engine.identity.cluster, out);
}

size_t consensus_cluster_events(const struct consensus *c,
                                struct consensus_cluster_event *ret_events)
{
    return cluster_events_list(&c->engine.cluster_events, ret_events);
}

void consensus_members(const struct consensus *c, struct consensus_member_info *ret_members,
                       size_t *ret_count)
{
    for (size_t i = 0; i < c->engine.members.count; i++) {
        ret_members[i] = c->engine.members.list[i].info;
    }
    *ret_count = c->engine.members.count;
}

uint64_t consensus_disk_free(const struct consensus *c)
{
    return c->files.free_bytes(c->files.ctx);
}
