#include "consensus/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <urcu.h>

#include "consensus/disk/files_posix.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define MEMBERS_MS    100
#define PEER_RETRY_MS 50
#define EXIT_REMOVED  3

/* --- engine_env --- */

static uint64_t env_now_ms(void *ctx)
{
    (void)ctx;
    return clock_monotonic_ms();
}

static enum status env_send(void *ctx, uint64_t to, const struct peer_message *message)
{
    struct consensus *c = ctx;
    return c->engine.closing ? ST_IO : peers_send(c->peers, to, message);
}

static bool env_is_up(void *ctx, uint64_t id)
{
    struct consensus *c = ctx;
    return !c->engine.closing && peers_is_up(c->peers, id);
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
    if (work->urgent) {
        disk_thread_post(&c->disk, work);
        return;
    }
    struct pool_work *p = mem_alloc(sizeof *p);
    *p = (struct pool_work){.consensus = c, .work = work};
    p->req.data = p;
    CHECK(uv_queue_work(&c->loop, &p->req, pool_run, pool_done) == 0);
}

static void env_link(void *ctx, uint64_t id, const char *address)
{
    struct consensus *c = ctx;
    peers_set(c->peers, id, address);
}

static void env_unlink(void *ctx, uint64_t id)
{
    struct consensus *c = ctx;
    peers_remove(c->peers, id);
}

static void env_review(void *ctx)
{
    struct consensus *c = ctx;
    peers_review(c->peers);
}

static void env_introduce(void *ctx, const struct hello_facts *self)
{
    struct consensus *c = ctx;
    peers_set_self(c->peers, self);
}

static void env_fatal(void *ctx, const char *sentence)
{
    (void)ctx;
    log_write(LOG_ERROR, "raft", "stopping at once: this replica cannot go on safely",
              "reason=\"%s\"", sentence);
    log_flush(LAST_WORDS_MS);
    _exit(CONSENSUS_EXIT_FATAL);
}

static void env_removed(void *ctx, const char *sentence)
{
    (void)ctx;
    log_write(LOG_ERROR, "raft", "stopping: no longer a member", "reason=\"%s\"", sentence);
    log_flush(LAST_WORDS_MS);
    _exit(EXIT_REMOVED);
}

/* --- crossing threads --- */

static void publish_waiting(struct consensus *c)
{
    const struct forwarder *o = &c->engine.forwarder;
    admission_set_waiting(&c->admission.heartbeats, o->urgent_waiting, o->urgent_bytes);
    admission_set_waiting(&c->admission.others, o->waiting - o->urgent_waiting,
                          o->waiting_bytes - o->urgent_bytes);
    metric_set(METRIC_queue_operations, (int64_t)o->waiting);
    metric_set(METRIC_queue_bytes, (int64_t)o->waiting_bytes);
}

struct taken {
    uint64_t ops, bytes;
};

static void drain(struct consensus *c)
{
    struct cds_wfcq_head head;
    struct cds_wfcq_tail tail;
    struct cds_wfcq_node *node;
    struct op_list ops;
    struct taken taken[CONSENSUS_LANES] = {{0}};
    cds_wfcq_init(&head, &tail);
    op_list_init(&ops);
    (void)__cds_wfcq_splice_blocking(&head, &tail, &c->queue_head, &c->queue_tail);
    while ((node = __cds_wfcq_dequeue_blocking(&head, &tail)) != NULL) {
        struct consensus_op *op = CONTAINER_OF(node, struct consensus_op, node);
        TSAN_ACQUIRE(op);
        op_list_add(&ops, op);
        CHECK(op->lane < CONSENSUS_LANES);
        taken[op->lane].ops++;
        taken[op->lane].bytes += loop_is_replicated(op) ? op->len : 0;
    }
    engine_take(&c->engine, ops.first);
    publish_waiting(c);
    for (unsigned lane = 0; lane < ARRAY_LENGTH(taken); lane++) {
        admission_taken(&c->admission, lane, taken[lane].ops, taken[lane].bytes);
    }
}

/* A change counts for Raft as soon as it is in the log, but may be lost again until it is
 * committed: whoever reads "voter" may rely on that vote. */
static void show_committed_role(const struct engine *e, struct consensus_member_info *info)
{
    const char *role = e->running ? member_info_committed_role(e, info->life) : "";
    if (role[0] != '\0') {
        (void)snprintf(info->role, sizeof info->role, "%s", role);
    }
}

static void publish_members(struct consensus *c)
{
    uint64_t leader = c->engine.running ? driver_leader_life(&c->engine) : 0;
    int64_t missing = 0;
    pthread_mutex_lock(&c->mutex);
    c->table = c->engine.members;
    c->events_count = cluster_events_list(&c->engine.cluster_events, c->events);
    cluster_id_text(&c->engine.identity.cluster, c->cluster);
    for (size_t i = 0; i < c->table.count; i++) {
        struct member *m = &c->table.list[i];
        struct consensus_member_info *info = &m->info;
        show_committed_role(&c->engine, info);
        info->is_leader = info->life == leader;
        info->reachable = info->is_self || engine_is_up(&c->engine, m);
        if (info->is_self) {
            info->applied_index = c->engine.fsm.applied_index;
            info->has_space = !c->engine.disk_full;
            info->refuses_heartbeats = c->engine.refusals.here;
        }
        missing += !info->reachable;
        (void)snprintf(info->trouble, sizeof info->trouble, "%s",
                       info->reachable || c->peers == NULL ? ""
                                                           : peers_trouble(c->peers, info->id));
    }
    pthread_mutex_unlock(&c->mutex);
    metric_set(METRIC_members_unreachable, missing);
}

static void publish(struct consensus *c)
{
    struct consensus_status s;
    engine_status(&c->engine, &s);
    /* No reader may see a member without its cluster, or hear of a change before it can read it. */
    if (s.phase != (enum consensus_phase)atomic_load_explicit(&c->phase, memory_order_relaxed) ||
        c->table.configured != c->engine.members.configured) {
        publish_members(c);
    }
    atomic_store_explicit(&c->leader, s.leader, memory_order_relaxed);
    atomic_store_explicit(&c->term, s.term, memory_order_relaxed);
    atomic_store_explicit(&c->applied_index, s.applied_index, memory_order_relaxed);
    atomic_store_explicit(&c->commit_index, s.commit_index, memory_order_relaxed);
    atomic_store_explicit(&c->contact_ms, s.last_contact_ms, memory_order_relaxed);
    atomic_store_explicit(&c->is_leader, s.is_leader, memory_order_relaxed);
    atomic_store_explicit(&c->caught_up, s.caught_up, memory_order_relaxed);
    atomic_store_explicit(&c->has_space, s.has_space, memory_order_relaxed);
    atomic_store_explicit(&c->phase, (uint32_t)s.phase, memory_order_relaxed);
    atomic_store_explicit(&c->level, s.level, memory_order_relaxed);
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

/* Logged after a long turn: until it ended, nobody on this thread could. */
static void note_turn(struct consensus *c, uint64_t now_ms)
{
    uint64_t before_ms = atomic_exchange_explicit(&c->turned_ms, now_ms, memory_order_relaxed);
    uint64_t took_ms = clock_elapsed(before_ms, now_ms);
    if (before_ms != 0 && took_ms >= STALL_COUNTS_MS) {
        metric_add(METRIC_loop_stalls_total, 1);
        log_write(LOG_WARN, "raft", "the loop stalled", "ms=%" PRIu64, took_ms);
    }
}

static void on_check(uv_check_t *check)
{
    struct consensus *c = check->data;
    note_turn(c, clock_monotonic_ms());
    if (!c->engine.closing) {
        pump(c);
    }
}

static enum hello_verdict on_admit(void *ctx, const struct hello_facts *theirs)
{
    const struct consensus *c = ctx;
    return engine_admit(&c->engine, theirs);
}

static void on_receive(void *ctx, const struct hello_facts *from, uint8_t type, const uint8_t *data,
                       size_t len)
{
    struct consensus *c = ctx;
    engine_receive(&c->engine, from->member, from->life, type, data, len);
}

static void on_link(void *ctx, uint64_t id, enum peer_state state, const struct hello_facts *facts)
{
    struct consensus *c = ctx;
    if (state == PEER_UP) {
        engine_link_up(&c->engine, id, facts);
    } else if (state == PEER_REFUSED) {
        engine_link_refused(&c->engine, id);
    }
}

static void on_rejected(void *ctx, uint64_t by, enum hello_verdict verdict)
{
    struct consensus *c = ctx;
    engine_link_rejected(&c->engine, by, verdict);
}

/* --- stopping, step by step --- */

static void close_handles(struct consensus *c)
{
    disk_thread_stop(&c->disk);
    uv_close((uv_handle_t *)&c->tick, NULL);
    uv_close((uv_handle_t *)&c->check, NULL);
    uv_close((uv_handle_t *)&c->wake, NULL);
}

/* Once no link calls back any more and no pool thread uses the engine. */
static void close_when_idle(struct consensus *c)
{
    if (c->links_closed && engine_may_close(&c->engine)) {
        engine_close(&c->engine);
        close_handles(c);
    }
}

static void on_peers_closed(void *ctx)
{
    struct consensus *c = ctx;
    c->links_closed = true;
    close_when_idle(c);
}

static void begin_close(struct consensus *c)
{
    engine_fail_all(&c->engine);
    peers_close(c->peers, on_peers_closed);
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
    begin_close(c);
}

static void on_tick(uv_timer_t *tick)
{
    struct consensus *c = tick->data;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t now_ms = now_ns / 1000000;
    note_turn(c, now_ms);
    if (c->engine.closing) {
        close_when_idle(c);
        return;
    }
    metric_observe_us(HISTOGRAM_loop_delay_seconds, clock_elapsed(c->expected_ns, now_ns) / 1000);
    c->expected_ns = now_ns + ENGINE_TICK_MS * 1000000ull;
    drain(c);
    refusal_set_here(&c->engine, admission_refuses_heartbeats(&c->admission, now_ms));
    engine_tick(&c->engine);
    if (now_ms - c->app_tick_ms >= ENGINE_APP_TICK_MS) {
        c->app_tick_ms = now_ms;
        c->app.tick(c->app.ctx, now_ms);
    }
    if (now_ms - c->members_ms >= MEMBERS_MS) {
        c->members_ms = now_ms;
        publish_members(c);
    }
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
        .self = engine_facts(&c->engine),
        .listen = c->peer_listen,
        .connections = c->peer_connections,
        .secret = c->secret,
        .secret_old = c->secret_old,
        .tls = c->tls,
        .plain_too = c->plain_too,
        .retry_ms = PEER_RETRY_MS,
        .ctx = c,
        .admit = on_admit,
        .receive = on_receive,
        .state = on_link,
        .rejected = on_rejected,
    };
    c->facts.life = options.self.life;
    c->peers = peers_create(&options, error, error_size);
    return c->peers != NULL;
}

static bool open_engine(struct consensus *c, char *error, size_t error_size)
{
    const struct engine_env env = {
        .ctx = c,
        .now_ms = env_now_ms,
        .send = env_send,
        .is_up = env_is_up,
        .work = env_work,
        .files = c->files,
        .link = env_link,
        .unlink = env_unlink,
        .review = env_review,
        .introduce = env_introduce,
        .fatal = env_fatal,
        .removed = env_removed,
    };
    return engine_open(&c->engine, &c->engine_options, &env, &c->app, error, error_size);
}

/* The numbers of this start are known only now. */
static bool start_engine(struct consensus *c, char *error, size_t error_size)
{
    if (!engine_start(&c->engine, error, error_size)) {
        return false;
    }
    struct hello_facts self = engine_facts(&c->engine);
    peers_set_self(c->peers, &self);
    return true;
}

static void init_handles(struct consensus *c)
{
    CHECK(uv_loop_init(&c->loop) == 0);
    c->tick.data = c->check.data = c->wake.data = c;
    CHECK(uv_async_init(&c->loop, &c->wake, on_wake) == 0);
    CHECK(uv_timer_init(&c->loop, &c->tick) == 0);
    CHECK(uv_check_init(&c->loop, &c->check) == 0);
    disk_thread_start(&c->disk, &c->loop);
}

static void start_handles(struct consensus *c)
{
    c->expected_ns = clock_monotonic_ns() + ENGINE_TICK_MS * 1000000ull;
    CHECK(uv_timer_start(&c->tick, on_tick, ENGINE_TICK_MS, ENGINE_TICK_MS) == 0);
    CHECK(uv_check_start(&c->check, on_check) == 0);
}

static void report_started(struct consensus *c, int started)
{
    pthread_mutex_lock(&c->mutex);
    c->started = started;
    pthread_cond_signal(&c->started_changed);
    pthread_mutex_unlock(&c->mutex);
}

/* Opens everything and reports the result. After a failure, the loop closes what was opened. */
static void open_all(struct consensus *c)
{
    char *error = c->start_error;
    size_t size = sizeof c->start_error;
    init_handles(c);
    if (!open_engine(c, error, size) || !open_links(c, error, size)) {
        engine_close(&c->engine);
        close_handles(c);
        report_started(c, -1);
    } else if (!start_engine(c, error, size)) {
        begin_close(c);
        report_started(c, -1);
    } else {
        start_handles(c);
        publish(c);
        publish_members(c);
        report_started(c, 1);
    }
}

void *loop_run(void *arg)
{
    struct consensus *c = arg;
    (void)pthread_setname_np(pthread_self(), "loop");
    rcu_register_thread();
    open_all(c);
    CHECK(uv_run(&c->loop, UV_RUN_DEFAULT) == 0);
    if (c->peers != NULL) {
        peers_destroy(c->peers);
    }
    CHECK(uv_loop_close(&c->loop) == 0);
    rcu_unregister_thread();
    return NULL;
}
