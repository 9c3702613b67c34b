#include "consensus/consensus.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/bootstrap.h"
#include "consensus/hello.h"
#include "consensus/loop.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"

/* --- operations --- */

static uint64_t relaxed(const _Atomic uint64_t *value)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)value, memory_order_relaxed);
}

static bool is_full(const struct consensus *c, size_t len)
{
    return relaxed(&c->queued_ops) + relaxed(&c->waiting_ops) >= QUEUE_OPS_MAX ||
           relaxed(&c->queued_bytes) + relaxed(&c->waiting_bytes) + len > QUEUE_BYTES_MAX;
}

enum status consensus_submit(struct consensus *c, struct consensus_op *op)
{
    enum status status = ST_OK;
    size_t len = loop_is_replicated(op) ? op->len : 0;
    atomic_fetch_add(&c->submitting, 1);
    if (atomic_load(&c->stopping)) {
        status = ST_STOPPING;
    } else if (is_full(c, len)) {
        status = ST_BUSY;
    } else {
        op->taken_ns = clock_monotonic_ns();
        op->deadline_ms = op->taken_ns / 1000000 + c->facts.write_timeout_ms;
        atomic_fetch_add_explicit(&c->queued_ops, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&c->queued_bytes, len, memory_order_relaxed);
        cds_wfcq_node_init(&op->node);
        TSAN_RELEASE(op);
        /* Only the first into an empty queue has to wake the loop. */
        if (!cds_wfcq_enqueue(&c->queue_head, &c->queue_tail, &op->node)) {
            (void)uv_async_send(&c->wake);
        }
    }
    atomic_fetch_sub(&c->submitting, 1);
    return status;
}

/* --- start --- */

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from);
}

struct consensus *consensus_create(const struct consensus_options *options,
                                   const struct consensus_app *app)
{
    const struct consensus_options *o = options;
    struct consensus *c = mem_zalloc(1, sizeof *c);
    c->app = *app;
    c->facts.id = o->id;
    c->facts.write_timeout_ms = o->write_timeout_ms;
    c->facts.election_timeout_ms = o->election_timeout_ms;
    copy_text(c->facts.name, sizeof c->facts.name, o->name);
    copy_text(c->facts.data_dir, sizeof c->facts.data_dir, o->data_dir);
    copy_text(c->facts.advertise_http, sizeof c->facts.advertise_http, o->advertise_http);
    copy_text(c->facts.advertise_peer, sizeof c->facts.advertise_peer, o->advertise_peer);
    copy_text(c->facts.version, sizeof c->facts.version, o->version);
    c->members_given = o->members_given;
    c->members_count = o->members_count;
    memcpy(c->members, o->members, o->members_count * sizeof *o->members);
    c->secret = mem_strdup(o->secret);
    c->peer_listen = mem_strdup(o->peer_listen);
    c->engine_options = (struct engine_options){
        .id = o->id,
        .election_timeout_ms = o->election_timeout_ms,
        .heartbeat_interval_ms = o->heartbeat_interval_ms,
        .snapshot_log_bytes = o->snapshot_log_bytes,
        .address = c->facts.advertise_peer,
        .name = c->facts.name,
        .http_address = c->facts.advertise_http,
        .version = c->facts.version,
    };
    cds_wfcq_init(&c->queue_head, &c->queue_tail);
    CHECK(pthread_mutex_init(&c->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&c->started_changed, NULL) == 0);
    return c;
}

/* Whose directory it is, and the members that it says; a new one gets its first entry. */
static bool open_storage(struct consensus *c, char *error, size_t error_size)
{
    struct storage_identity expected = {.member_id = c->facts.id};
    struct storage_identity found;
    bootstrap_members_text(c->members, c->members_count, expected.members, sizeof expected.members);
    expected.cluster_id = bootstrap_cluster_id(expected.members);
    c->storage =
        storage_open(c->facts.data_dir, &expected, c->members_given, &found, error, error_size);
    if (c->storage == NULL) {
        return false;
    }
    c->facts.cluster_id = found.cluster_id;
    c->engine_options.cluster_id = found.cluster_id;
    c->engine_options.boot = BOOT(storage_boot(c->storage), hello_salt());
    storage_watermark(c->storage, &c->engine_options.watermark_term,
                      &c->engine_options.watermark_index);
    if (!bootstrap_parse_members(found.members, c->members, &c->members_count)) {
        (void)snprintf(error, error_size, "%s: the members in its identity file are malformed",
                       c->facts.data_dir);
        return false;
    }
    return !storage_is_new(c->storage) ||
           bootstrap_log(c->storage, c->facts.id, c->members, c->members_count, error, error_size);
}

bool consensus_start(struct consensus *c, char *error, size_t error_size)
{
    if (!open_storage(c, error, error_size)) {
        return false;
    }
    CHECK(pthread_create(&c->thread, NULL, loop_run, c) == 0);
    pthread_mutex_lock(&c->mutex);
    while (c->started == 0) {
        pthread_cond_wait(&c->started_changed, &c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    if (c->started < 0) {
        (void)snprintf(error, error_size, "%s", c->start_error);
        (void)pthread_join(c->thread, NULL);
        return false;
    }
    return true;
}

void consensus_stop(struct consensus *c)
{
    struct cds_wfcq_node *node;
    atomic_store(&c->stopping, true);
    while (atomic_load(&c->submitting) > 0) {
        (void)sched_yield();
    }
    (void)pthread_join(c->thread, NULL);
    while ((node = __cds_wfcq_dequeue_blocking(&c->queue_head, &c->queue_tail)) != NULL) {
        struct consensus_op *op = CONTAINER_OF(node, struct consensus_op, node);
        free(op->data);
        op->done(op, ST_STOPPING);
    }
}

void consensus_destroy(struct consensus *c)
{
    if (c == NULL) {
        return;
    }
    storage_close(c->storage);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->started_changed);
    free(c->secret);
    free(c->peer_listen);
    free(c);
}

/* --- how it stands --- */

void consensus_propose(struct consensus *c)
{
    struct leader *l = &c->engine.leader;
    if (!l->propose_asked) {
        l->propose_asked = true;
        l->propose_after = c->engine.outbox.added;
    }
}

uint64_t consensus_oldest_unapplied_ms(const struct consensus *c)
{
    return leader_oldest_ms(&c->engine);
}

void consensus_status(const struct consensus *c, struct consensus_status *ret_status)
{
    uint64_t contact_ms = relaxed(&c->contact_ms);
    uint64_t now_ms = clock_monotonic_ms();
    bool is_leader = atomic_load_explicit(&c->is_leader, memory_order_relaxed);
    *ret_status = (struct consensus_status){
        .leader = relaxed(&c->leader),
        .is_leader = is_leader,
        .term = relaxed(&c->term),
        .applied_index = relaxed(&c->applied_index),
        .commit_index = relaxed(&c->commit_index),
        .last_contact_ms = is_leader ? 0 : clock_elapsed(contact_ms, now_ms),
        .caught_up = atomic_load_explicit(&c->caught_up, memory_order_relaxed),
        .has_space = atomic_load_explicit(&c->has_space, memory_order_relaxed),
    };
}

const struct consensus_facts *consensus_facts(const struct consensus *c)
{
    return &c->facts;
}

static uint64_t since_heard_ms(const struct directory_entry *entry, uint64_t now_ms)
{
    return entry->heard_ms == 0 ? UINT64_MAX : clock_elapsed(entry->heard_ms, now_ms);
}

void consensus_members(const struct consensus *c, struct consensus_member_info *ret_members,
                       size_t *ret_count)
{
    struct consensus *shared = (struct consensus *)(uintptr_t)c;
    uint64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&shared->mutex);
    for (size_t i = 0; i < c->members_count; i++) {
        const struct directory_entry *entry = &c->directory[i];
        ret_members[i] = entry->info;
        ret_members[i].last_heard_ms = entry->info.is_self ? 0 : since_heard_ms(entry, now_ms);
    }
    pthread_mutex_unlock(&shared->mutex);
    *ret_count = c->members_count;
}

uint64_t consensus_disk_free(const struct consensus *c)
{
    return storage_free_bytes(c->storage);
}
