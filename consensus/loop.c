#include "consensus/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <urcu.h>

#include "consensus/bootstrap.h"
#include "consensus/segments.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define TICK_MS       10
#define APP_TICK_MS   50
#define SYNC_MS       100
#define DIRECTORY_MS  100
#define PEER_RETRY_MS 50
#define DISK_RETRY_MS 250
#define EXIT_DISK     70 /* EX_SOFTWARE of sysexits.h */

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
    if (c->closing) {
        return ST_IO;
    }
    return peers_send(c->peers, to, type, bulk, head, head_len, payload, payload_len, sent, data);
}

static bool env_is_up(void *ctx, uint64_t id)
{
    struct consensus *c = ctx;
    return !c->closing && peers_is_up(c->peers, id);
}

struct pool_work {
    uv_work_t req;
    struct consensus *consensus;
    struct engine_work *work;
};

static void pool_run(uv_work_t *req)
{
    struct pool_work *p = req->data;
    p->work->run(p->work);
}

static void pool_done(uv_work_t *req, int status)
{
    struct pool_work *p = req->data;
    (void)status; /* never cancelled */
    p->work->done(p->work);
    free(p);
}

static void env_work(void *ctx, struct engine_work *work)
{
    struct consensus *c = ctx;
    struct pool_work *p = mem_alloc(sizeof *p);
    *p = (struct pool_work){.consensus = c, .work = work};
    p->req.data = p;
    CHECK(uv_queue_work(&c->loop, &p->req, pool_run, pool_done) == 0);
}

static void env_fatal(void *ctx, const char *sentence)
{
    (void)ctx;
    log_write(LOG_ERROR, "raft", "stopping at once: this replica cannot go on safely", "%s",
              sentence);
    _exit(EXIT_DISK);
}

static void env_mark(void *ctx, uint64_t term, uint64_t index)
{
    struct consensus *c = ctx;
    if (storage_mark(c->storage, term, index) != ST_OK) {
        env_fatal(c, "the watermark could not be written to disk");
    }
    c->marked = true;
}

static uint64_t env_disk_free(void *ctx)
{
    struct consensus *c = ctx;
    return storage_free_bytes(c->storage);
}

/* --- crossing --- */

static void publish_waiting(struct consensus *c)
{
    const struct outbox *o = &c->engine.outbox;
    atomic_store_explicit(&c->waiting_ops, o->waiting, memory_order_relaxed);
    atomic_store_explicit(&c->waiting_bytes, o->waiting_bytes, memory_order_relaxed);
    metric_set(METRIC_queue_operations, (int64_t)o->waiting);
    metric_set(METRIC_queue_bytes, (int64_t)o->waiting_bytes);
}

static void drain(struct consensus *c)
{
    struct cds_wfcq_head head;
    struct cds_wfcq_tail tail;
    struct cds_wfcq_node *node;
    struct op_list ops;
    uint64_t count = 0;
    uint64_t bytes = 0;
    cds_wfcq_init(&head, &tail);
    op_list_init(&ops);
    (void)__cds_wfcq_splice_blocking(&head, &tail, &c->queue_head, &c->queue_tail);
    while ((node = __cds_wfcq_dequeue_blocking(&head, &tail)) != NULL) {
        struct consensus_op *op = CONTAINER_OF(node, struct consensus_op, node);
        TSAN_ACQUIRE(op);
        op_list_add(&ops, op);
        count++;
        bytes += loop_is_replicated(op) ? op->len : 0;
    }
    engine_take(&c->engine, ops.first);
    publish_waiting(c);
    atomic_fetch_sub_explicit(&c->queued_ops, count, memory_order_relaxed);
    atomic_fetch_sub_explicit(&c->queued_bytes, bytes, memory_order_relaxed);
}

static void publish(struct consensus *c)
{
    struct consensus_status s;
    engine_status(&c->engine, &s);
    atomic_store_explicit(&c->leader, s.leader, memory_order_relaxed);
    atomic_store_explicit(&c->term, s.term, memory_order_relaxed);
    atomic_store_explicit(&c->applied_index, s.applied_index, memory_order_relaxed);
    atomic_store_explicit(&c->commit_index, s.commit_index, memory_order_relaxed);
    atomic_store_explicit(&c->contact_ms, s.last_contact_ms, memory_order_relaxed);
    atomic_store_explicit(&c->is_leader, s.is_leader, memory_order_relaxed);
    atomic_store_explicit(&c->caught_up, s.caught_up, memory_order_relaxed);
    atomic_store_explicit(&c->has_space, s.has_space, memory_order_relaxed);
}

static void publish_directory(struct consensus *c)
{
    pthread_mutex_lock(&c->mutex);
    memcpy(c->directory, c->engine.directory, sizeof c->directory);
    for (size_t i = 0; i < c->members_count; i++) {
        struct consensus_member_info *info = &c->directory[i].info;
        info->is_leader = info->id == c->engine.known_leader;
        info->reachable = info->is_self || env_is_up(c, info->id);
        if (info->is_self) {
            info->applied_index = raft_last_applied(&c->engine.raft);
            info->has_space = !c->engine.disk_full;
        }
    }
    pthread_mutex_unlock(&c->mutex);
}

/* --- callbacks of the loop --- */

static void pump(struct consensus *c)
{
    engine_pump(&c->engine);
    publish_waiting(c);
    publish(c);
}

static void on_wake(uv_async_t *wake)
{
    drain(wake->data);
}

static void on_check(uv_check_t *check)
{
    struct consensus *c = check->data;
    if (!c->closing) {
        pump(c);
    }
}

static void on_receive(void *ctx, uint64_t from, uint8_t type, const uint8_t *data, size_t len)
{
    struct consensus *c = ctx;
    engine_receive(&c->engine, from, type, data, len);
}

static void on_link(void *ctx, uint64_t id, enum peer_state state)
{
    struct consensus *c = ctx;
    if (state == PEER_UP) {
        engine_link_up(&c->engine, id);
    } else if (state == PEER_REFUSED) {
        engine_link_refused(&c->engine, id);
    }
}

static void sync_run(uv_work_t *work)
{
    struct consensus *c = work->data;
    c->sync_status = storage_sync(c->storage);
}

static void sync_done(uv_work_t *work, int status)
{
    struct consensus *c = work->data;
    (void)status;
    c->syncing = false;
    if (c->sync_status != ST_OK) {
        env_fatal(c, "the watermark could not be synced to disk");
    }
}

static void sync_watermark(struct consensus *c, uint64_t now_ms)
{
    if (c->marked && !c->syncing && now_ms - c->sync_ms >= SYNC_MS) {
        c->sync_ms = now_ms;
        c->marked = false;
        c->syncing = true;
        c->sync_work.data = c;
        CHECK(uv_queue_work(&c->loop, &c->sync_work, sync_run, sync_done) == 0);
    }
}

/* --- stop, one step after the other --- */

static void on_raft_closed(struct raft *raft)
{
    struct engine *e = CONTAINER_OF(raft, struct engine, raft);
    struct consensus *c = CONTAINER_OF(e, struct consensus, engine);
    raft_uv_close(&c->io);
    uv_close((uv_handle_t *)&c->tick, NULL);
    uv_close((uv_handle_t *)&c->check, NULL);
    uv_close((uv_handle_t *)&c->wake, NULL);
}

static void on_peers_closed(void *ctx)
{
    struct consensus *c = ctx;
    engine_close(&c->engine, on_raft_closed);
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
    if (engine_may_close(&c->engine)) {
        engine_fail_all(&c->engine);
        c->closing = true;
        peers_close(c->peers, on_peers_closed);
    }
}

static void on_tick(uv_timer_t *tick)
{
    struct consensus *c = tick->data;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t now_ms = now_ns / 1000000;
    if (c->closing) {
        return;
    }
    metric_observe_us(HISTOGRAM_loop_delay_seconds, clock_elapsed(c->expected_ns, now_ns) / 1000);
    c->expected_ns = now_ns + TICK_MS * 1000000ull;
    drain(c);
    engine_tick(&c->engine);
    if (now_ms - c->app_tick_ms >= APP_TICK_MS) {
        c->app_tick_ms = now_ms;
        c->app.tick(c->app.ctx, now_ms);
    }
    if (now_ms - c->directory_ms >= DIRECTORY_MS) {
        c->directory_ms = now_ms;
        publish_directory(c);
    }
    sync_watermark(c, now_ms);
    pump(c);
    if (atomic_load(&c->stopping)) {
        advance_stop(c, now_ms);
    }
}

/* --- the thread --- */

static bool open_links(struct consensus *c, char *error, size_t error_size)
{
    struct peers_options options = {
        .loop = &c->loop,
        .id = c->facts.id,
        .cluster_id = c->facts.cluster_id,
        .listen = c->peer_listen,
        .secret = c->secret,
        .retry_ms = PEER_RETRY_MS,
        .ctx = c,
        .receive = on_receive,
        .state = on_link,
    };
    c->peers = peers_create(&options, error, error_size);
    return c->peers != NULL;
}

static void refuse(const struct consensus *c, const char *why, char *error, size_t error_size)
{
    (void)snprintf(error, error_size,
                   "%s: %s. This replica must not go on with less than it had: move the directory "
                   "aside, make sure that all other members are healthy and show the same index "
                   "(GET /health), then start it with an empty directory",
                   storage_raft_dir(c->storage), why);
}

static bool open_engine(struct consensus *c, char *error, size_t error_size)
{
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
    char sentence[512];
    bootstrap_transport(&c->transport);
    const char *raft_dir = storage_raft_dir(c->storage);
    if (!segments_mend(raft_dir, sentence, sizeof sentence) ||
        !segments_check(raft_dir, sentence, sizeof sentence)) {
        refuse(c, sentence, error, error_size);
        return false;
    }
    if (raft_uv_init(&c->io, &c->loop, raft_dir, &c->transport) != 0) {
        (void)snprintf(error, error_size, "%s: %s", raft_dir, c->io.errmsg);
        return false;
    }
    raft_uv_set_auto_recovery(&c->io, false);
    raft_uv_set_disk_retry(&c->io, DISK_RETRY_MS);
    raft_uv_set_tracer(&c->io, &c->engine.guard.tracer);
    if (!engine_start(&c->engine, &c->engine_options, &env, &c->app, &c->io, c->members,
                      c->members_count, sentence, sizeof sentence)) {
        refuse(c, sentence, error, error_size);
        return false;
    }
    return true;
}

static void init_handles(struct consensus *c)
{
    CHECK(uv_loop_init(&c->loop) == 0);
    c->tick.data = c->check.data = c->wake.data = c;
    CHECK(uv_async_init(&c->loop, &c->wake, on_wake) == 0);
    CHECK(uv_timer_init(&c->loop, &c->tick) == 0);
    CHECK(uv_check_init(&c->loop, &c->check) == 0);
}

static void start_handles(struct consensus *c)
{
    c->expected_ns = clock_monotonic_ns() + TICK_MS * 1000000ull;
    CHECK(uv_timer_start(&c->tick, on_tick, TICK_MS, TICK_MS) == 0);
    CHECK(uv_check_start(&c->check, on_check) == 0);
    for (size_t i = 0; i < c->members_count; i++) {
        if (c->members[i].id != c->facts.id) {
            peers_set(c->peers, c->members[i].id, c->members[i].address);
        }
    }
}

static void tell_started(struct consensus *c, int started)
{
    pthread_mutex_lock(&c->mutex);
    c->started = started;
    pthread_cond_signal(&c->started_changed);
    pthread_mutex_unlock(&c->mutex);
}

/* Opens all and tells how that went. What was opened before a failure is closed by the loop. */
static void open_all(struct consensus *c)
{
    init_handles(c);
    if (!open_links(c, c->start_error, sizeof c->start_error)) {
        on_raft_closed(&c->engine.raft);
        tell_started(c, -1);
    } else if (!open_engine(c, c->start_error, sizeof c->start_error)) {
        c->closing = true;
        peers_close(c->peers, on_peers_closed);
        tell_started(c, -1);
    } else {
        start_handles(c);
        publish(c);
        publish_directory(c);
        tell_started(c, 1);
    }
}

void *loop_run(void *arg)
{
    struct consensus *c = arg;
    rcu_register_thread();
    open_all(c);
    CHECK(uv_run(&c->loop, UV_RUN_DEFAULT) == 0);
    if (c->peers != NULL) {
        peers_destroy(c->peers);
    }
    engine_done(&c->engine);
    CHECK(uv_loop_close(&c->loop) == 0);
    rcu_unregister_thread();
    return NULL;
}
