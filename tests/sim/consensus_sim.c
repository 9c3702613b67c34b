#include "tests/sim/consensus_sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "tests/plant/plant.h"
#include "tests/sim/checks.h"
#include "tests/sim/net.h"
#include "tests/sim/rng.h"
#include "tests/sim/truth.h"

#define TICK_MS     10
#define APP_TICK_MS 50
#define SYNC_MS     100
#define CLUSTER_ID  0x5eedu

struct tuning tuning;

/* --- what the engine does to the world --- */

static uint64_t env_now_ms(void *ctx)
{
    (void)ctx;
    return clock_monotonic_ms();
}

static enum status env_send(void *ctx, uint64_t to, uint8_t type, bool bulk, const void *head,
                            size_t head_len, const void *payload, size_t payload_len,
                            void (*sent)(void *data, enum status status), void *data)
{
    struct consensus *c = ctx;
    if (c->closing || c->member->dying) {
        return ST_IO;
    }
    const struct net_frame frame = {.type = type,
                                    .bulk = bulk,
                                    .head = head,
                                    .head_len = head_len,
                                    .payload = payload,
                                    .payload_len = payload_len};
    return net_send(c->member, to, &frame, sent, data);
}

static bool env_is_up(void *ctx, uint64_t id)
{
    struct consensus *c = ctx;
    return !c->closing && net_is_up(c->member->id, id);
}

/* Work for a pool thread: run at some moment, done a bit later. */
struct sim_work {
    struct happening event;
    struct sim_work *next;
    struct consensus *consensus;
    struct engine_work *work;
    bool has_run;
};

static void keep_work(struct happening *event)
{
    (void)event; /* freed by consensus_sim_abandon() */
}

static void work_step(struct sim_work *w)
{
    if (!w->has_run) {
        w->has_run = true;
        w->work->run(w->work);
        return;
    }
    struct sim_work **link = &w->consensus->works;
    while (*link != w) {
        link = &(*link)->next;
    }
    *link = w->next;
    w->work->done(w->work);
    w->work = NULL;
}

static void on_work(struct happening *event)
{
    struct sim_work *w = CONTAINER_OF(event, struct sim_work, event);
    work_step(w);
    if (w->work != NULL) {
        world_at(event, rng_between(50 * US, 30 * MS), event->member);
    } else {
        free(w);
    }
}

static void env_work(void *ctx, struct engine_work *work)
{
    struct consensus *c = ctx;
    struct sim_work *w = mem_zalloc(1, sizeof *w);
    *w = (struct sim_work){.event = {.run = on_work, .drop = keep_work},
                           .next = c->works,
                           .consensus = c,
                           .work = work};
    c->works = w;
    world_at(&w->event, rng_between(50 * US, 50 * MS), c->member);
}

static void env_mark(void *ctx, uint64_t term, uint64_t index)
{
    struct consensus *c = ctx;
    disk_mark(&c->member->disk, term, index);
    c->marked = true;
}

static uint64_t env_disk_free(void *ctx)
{
    struct consensus *c = ctx;
    return disk_free_bytes(&c->member->disk);
}

static void env_fatal(void *ctx, const char *sentence)
{
    struct consensus *c = ctx;
    member_die(c->member, sentence);
}

/* --- the app, watched --- */

static size_t app_stamp(void *ctx, uint8_t *out)
{
    struct consensus *c = ctx;
    size_t len = c->app.stamp(c->app.ctx, out);
    truth_stamped(out, len);
    return len;
}

static void app_begin(void *ctx, uint64_t index, const uint8_t *stamp, size_t stamp_len)
{
    struct consensus *c = ctx;
    truth_begin(c->member, index, stamp, stamp_len);
    c->app.begin(c->app.ctx, index, stamp, stamp_len);
}

static void app_apply(void *ctx, uint32_t position, const uint8_t *data, size_t len,
                      struct consensus_op *op)
{
    struct consensus *c = ctx;
    truth_apply(position, data, len);
    c->app.apply(c->app.ctx, position, data, len, op);
}

static void app_end(void *ctx)
{
    struct consensus *c = ctx;
    c->app.end(c->app.ctx);
    truth_end(c->member);
}

static void app_publish(void *ctx)
{
    struct consensus *c = ctx;
    c->app.publish(c->app.ctx);
    truth_published(c->member);
}

static void *app_take(void *ctx)
{
    struct consensus *c = ctx;
    return c->app.take(c->app.ctx);
}

static void app_release(void *ctx, void *snapshot)
{
    struct consensus *c = ctx;
    c->app.release(c->app.ctx, snapshot);
}

static enum status app_restore(void *ctx, const uint8_t *data, size_t len)
{
    struct consensus *c = ctx;
    enum status status = c->app.restore(c->app.ctx, data, len);
    if (status == ST_OK) {
        truth_restored(c->member);
    }
    return status;
}

static void app_tick(void *ctx, uint64_t now_ms)
{
    struct consensus *c = ctx;
    c->app.tick(c->app.ctx, now_ms);
}

static void app_leadership(void *ctx, bool leader)
{
    struct consensus *c = ctx;
    checks_leadership(c->member, leader, raft_current_term(&c->engine.raft));
    c->app.leadership(c->app.ctx, leader);
}

static bool app_propose(void *ctx, struct buffer *out)
{
    struct consensus *c = ctx;
    return c->app.propose(c->app.ctx, out);
}

/* --- turns of the loop --- */

static void drain(struct consensus *c)
{
    struct consensus_op *ops = c->queue.first;
    op_list_init(&c->queue);
    c->queued = 0;
    engine_take(&c->engine, ops);
}

static void pump(struct consensus *c)
{
    engine_pump(&c->engine);
    engine_status(&c->engine, &c->status);
}

void consensus_sim_pump(struct consensus *c)
{
    if (c->engine_open && !c->closing && !rng_chance(tuning.lazy_pump_millionths)) {
        pump(c);
    }
}

static void on_closed(struct raft *raft)
{
    struct engine *e = CONTAINER_OF(raft, struct engine, raft);
    struct consensus *c = CONTAINER_OF(e, struct consensus, engine);
    c->engine_open = false;
    c->member->closed = true;
}

static void advance_stop(struct consensus *c, uint64_t now_ms)
{
    if (!c->stop_begun) {
        c->stop_begun = true;
        c->stop_deadline_ms = now_ms + c->facts.write_timeout_ms;
        engine_stop(&c->engine);
        return;
    }
    if (!engine_is_idle(&c->engine) && now_ms < c->stop_deadline_ms) {
        return;
    }
    if (engine_may_close(&c->engine)) {
        engine_fail_all(&c->engine);
        c->closing = true;
        net_close(c->member);
        engine_close(&c->engine, on_closed);
    }
}

static void on_tick(struct happening *event)
{
    struct member *m = event->member;
    struct consensus *c = m->consensus;
    uint64_t now_ms = clock_monotonic_ms();
    free(event);
    if (c->closing) {
        return;
    }
    world_call(on_tick, member_true_ns(m, TICK_MS * MS + rng_below(300 * US)), m);
    drain(c);
    engine_tick(&c->engine);
    if (now_ms - c->app_tick_ms >= APP_TICK_MS) {
        c->app_tick_ms = now_ms;
        app_tick(c, now_ms);
    }
    if (c->marked && now_ms - c->sync_ms >= SYNC_MS) {
        c->sync_ms = now_ms;
        c->marked = false;
        disk_sync(&m->disk);
    }
    pump(c);
    if (c->stopping) {
        advance_stop(c, now_ms);
    }
}

static void on_wake(struct happening *event)
{
    struct consensus *c = event->member->consensus;
    free(event);
    if (!c->closing) {
        drain(c);
    }
}

void consensus_sim_receive(struct consensus *c, uint64_t from, uint8_t type, const uint8_t *data,
                           size_t len)
{
    if (!c->closing) {
        engine_receive(&c->engine, from, type, data, len);
    }
}

void consensus_sim_link_up(struct consensus *c, uint64_t id)
{
    if (!c->closing) {
        engine_link_up(&c->engine, id);
    }
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
    if (c->queued + c->engine.outbox.waiting >= QUEUE_OPS_MAX ||
        rng_chance(tuning.busy_millionths)) {
        return ST_BUSY;
    }
    if (is_write(op)) {
        truth_submitted(op->data, op->len);
    }
    op->taken_ns = clock_monotonic_ns();
    op->deadline_ms = op->taken_ns / 1000000 + c->facts.write_timeout_ms;
    if (c->queue.first == NULL) {
        world_call(on_wake, rng_below(200 * US), c->member);
    }
    op_list_add(&c->queue, op);
    c->queued++;
    return ST_OK;
}

struct consensus *consensus_create(const struct consensus_options *o,
                                   const struct consensus_app *app)
{
    struct consensus *c = mem_zalloc(1, sizeof *c);
    c->member = member_current;
    c->member->consensus = c;
    c->app = *app;
    c->facts.id = o->id;
    c->facts.cluster_id = CLUSTER_ID;
    c->facts.write_timeout_ms = o->write_timeout_ms;
    c->facts.election_timeout_ms = o->election_timeout_ms;
    (void)snprintf(c->facts.name, sizeof c->facts.name, "%s", o->name);
    (void)snprintf(c->facts.advertise_peer, sizeof c->facts.advertise_peer, "%s",
                   o->advertise_peer);
    (void)snprintf(c->facts.advertise_http, sizeof c->facts.advertise_http, "%s",
                   o->advertise_http);
    (void)snprintf(c->facts.version, sizeof c->facts.version, "%s", o->version);
    c->engine_options = (struct engine_options){
        .id = o->id,
        .cluster_id = CLUSTER_ID,
        .election_timeout_ms = o->election_timeout_ms,
        .heartbeat_interval_ms = o->heartbeat_interval_ms,
        .write_timeout_ms = o->write_timeout_ms,
        .snapshot_log_bytes = o->snapshot_log_bytes,
        .address = c->facts.advertise_peer,
        .name = c->facts.name,
        .http_address = c->facts.advertise_http,
        .version = c->facts.version,
    };
    op_list_init(&c->queue);
    return c;
}

bool consensus_start(struct consensus *c, char *error, size_t error_size)
{
    struct member *m = c->member;
    struct consensus_member list[MEMBERS_MAX];
    const struct engine_env env = {
        .ctx = c,
        .now_ms = env_now_ms,
        .send = env_send,
        .is_up = env_is_up,
        .work = env_work,
        .mark = env_mark,
        .disk_free = env_disk_free,
        .fatal = env_fatal,
    };
    const struct consensus_app watched = {
        .ctx = c,
        .stamp = app_stamp,
        .begin = app_begin,
        .apply = app_apply,
        .end = app_end,
        .publish = app_publish,
        .take = app_take,
        .encode = c->app.encode,
        .release = app_release,
        .restore = app_restore,
        .tick = app_tick,
        .leadership = app_leadership,
        .propose = app_propose,
    };
    disk_open(&m->disk);
    /* Chance that draws none: kept seeds go on as they were. */
    uint64_t salt = world_now_ns() * 0x9e3779b97f4a7c15u >> 32;
    c->engine_options.boot = BOOT(m->disk.boot, plant_is(PLANT_salt_forgotten) ? 0 : salt);
    c->engine_options.watermark_term = m->disk.mark_term;
    c->engine_options.watermark_index =
        plant_is(PLANT_watermark_forgotten) ? 0 : m->disk.mark_index;
    disk_init_io(&m->disk, &c->io);
    member_list(list);
    bool started = engine_start(&c->engine, &c->engine_options, &env, &watched, &c->io, list,
                                members_count, error, error_size);
    c->engine_open = true;
    if (!started) {
        return false;
    }
    engine_status(&c->engine, &c->status);
    world_call(on_tick, member_true_ns(m, TICK_MS * MS), m);
    return true;
}

void consensus_sim_abandon(struct consensus *c)
{
    struct consensus_op *op;
    if (!c->engine_open) {
        return;
    }
    c->stopping = true;
    while (c->works != NULL) {
        struct sim_work *w = c->works;
        while (w->work != NULL) {
            work_step(w);
        }
    }
    engine_fail_all(&c->engine);
    while ((op = op_list_take(&c->queue)) != NULL) {
        free(op->data);
        op->done(op, ST_STOPPING);
    }
    c->closing = true;
    net_close(c->member);
    engine_close(&c->engine, on_closed);
}

void consensus_stop(struct consensus *c)
{
    CHECK(!c->engine_open); /* member.c has stopped it in virtual time */
}

void consensus_destroy(struct consensus *c)
{
    if (c != NULL) {
        consensus_sim_abandon(c); /* of a start that failed */
        engine_done(&c->engine);
        c->member->consensus = NULL;
        free(c);
    }
}

void consensus_propose(struct consensus *c)
{
    struct leader *l = &c->engine.leader;
    if (!l->propose_asked) {
        l->propose_asked = true;
        c->member->asked_ns = world_now_ns();
        l->propose_after = plant_is(PLANT_expire_overtakes) ? 0 : c->engine.outbox.added;
    }
}

uint64_t consensus_oldest_unapplied_ms(const struct consensus *c)
{
    return plant_is(PLANT_stall_counts) ? 0 : leader_oldest_ms(&c->engine);
}

void consensus_status(const struct consensus *c, struct consensus_status *ret_status)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t contact_ms = c->status.last_contact_ms;
    *ret_status = c->status;
    ret_status->has_space = c->status.has_space || plant_is(PLANT_full_disk_counts);
    ret_status->last_contact_ms = c->status.is_leader ? 0 : clock_elapsed(contact_ms, now_ms);
}

const struct consensus_facts *consensus_facts(const struct consensus *c)
{
    return &c->facts;
}

void consensus_members(const struct consensus *c, struct consensus_member_info *ret_members,
                       size_t *ret_count)
{
    for (size_t i = 0; i < c->engine.members; i++) {
        ret_members[i] = c->engine.directory[i].info;
    }
    *ret_count = c->engine.members;
}

uint64_t consensus_disk_free(const struct consensus *c)
{
    return disk_free_bytes(&c->member->disk);
}
