#include "consensus/consensus.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/disk/files_posix.h"
#include "consensus/loop.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"

/* --- operations --- */

static uint64_t relaxed(const _Atomic uint64_t *value)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)value, memory_order_relaxed);
}

/* 0 if it is not running, or stalled for less than STALL_GRAIN_MS. */
static uint64_t stalled_ms(uint64_t since_ms, uint64_t now_ms)
{
    uint64_t ms = since_ms != 0 ? clock_elapsed(since_ms, now_ms) : 0;
    return ms >= STALL_GRAIN_MS ? ms : 0;
}

/* The END of a backup must not be refused, or its slot would leak. It comes once for each slot. */
static bool gives_back(const struct consensus_op *op)
{
    return op->lane == CONSENSUS_BACKUP && op->backup->step == CONSENSUS_BACKUP_END;
}

static enum status admit(struct consensus *c, const struct consensus_op *op, uint64_t now_ms)
{
    size_t len = loop_is_replicated(op) ? op->len : 0;
    if (gives_back(op)) {
        admission_add(&c->admission, op->lane, len);
        return ST_OK;
    }
    if (stalled_ms(relaxed(&c->turned_ms), now_ms) >= STALL_UNFIT_MS) {
        return ST_STALLED; /* queued operations may still happen, this one surely not */
    }
    return admission_enter(&c->admission, op->lane, len, now_ms) ? ST_OK : ST_BUSY;
}

enum status consensus_submit(struct consensus *c, struct consensus_op *op)
{
    enum status status = ST_STOPPING;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t now_ms = now_ns / 1000000;
    atomic_fetch_add(&c->submitting, 1);
    if (!atomic_load(&c->stopping)) {
        status = admit(c, op, now_ms);
    }
    if (status == ST_OK) {
        op->taken_ns = now_ns;
        op->deadline_ms = now_ms + c->facts.write_timeout_ms;
        cds_wfcq_node_init(&op->node);
        TSAN_RELEASE(op);
        /* Only the first one in an empty queue must wake the loop. */
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

enum consensus_directory consensus_look(const char *data_dir, uint64_t *ret_id, char *error,
                                        size_t error_size)
{
    char sentence[512];
    struct identity identity = {0};
    enum consensus_directory found = CONSENSUS_DIRECTORY_REFUSED;
    struct files *files = files_posix_open(data_dir, error, error_size);
    if (files == NULL) {
        return found;
    }
    switch (identity_read(files, &identity, sentence, sizeof sentence)) {
    case IDENTITY_MISSING:
        found = CONSENSUS_DIRECTORY_NEW;
        break;
    case IDENTITY_FINE:
        found = identity.joins && cluster_id_is_none(&identity.cluster) ? CONSENSUS_DIRECTORY_WAITS
                                                                        : CONSENSUS_DIRECTORY_TAKEN;
        break;
    case IDENTITY_REFUSED:
        (void)snprintf(error, error_size, "%s: %s", data_dir, sentence);
        break;
    }
    *ret_id = identity.member;
    files_posix_close(files);
    return found;
}

struct consensus *consensus_create(const struct consensus_options *options,
                                   const struct consensus_fsm *app)
{
    const struct consensus_options *o = options;
    struct consensus *c = mem_zalloc(1, sizeof *c);
    c->app = *app;
    c->facts.level_max = app->level_max;
    c->facts.id = o->id;
    c->facts.write_timeout_ms = o->write_timeout_ms;
    c->facts.election_timeout_ms = o->election_timeout_ms;
    copy_text(c->facts.name, sizeof c->facts.name, o->name);
    copy_text(c->facts.data_dir, sizeof c->facts.data_dir, o->data_dir);
    copy_text(c->facts.advertise_http, sizeof c->facts.advertise_http, o->advertise_http);
    copy_text(c->facts.advertise_peer, sizeof c->facts.advertise_peer, o->advertise_peer);
    copy_text(c->facts.version, sizeof c->facts.version, o->version);
    c->members_count = o->members_count;
    memcpy(c->members, o->members, o->members_count * sizeof *o->members);
    c->secret = mem_strdup(o->secret);
    c->secret_old = o->secret_old != NULL ? mem_strdup(o->secret_old) : NULL;
    c->tls = o->tls;
    c->plain_too = o->plain_too;
    c->peer_listen = mem_strdup(o->peer_listen);
    c->peer_connections = o->peer_connections;
    c->engine_options = (struct engine_options){
        .id = o->id,
        .members = c->members,
        .members_count = o->members_count,
        .members_given = o->members_given,
        .joins = o->joins,
        .voters = o->voters,
        .replace_after_ms = o->replace_after_ms,
        .data_dir = c->facts.data_dir,
        .boot_salt = hello_salt(),
        .seed = hello_salt(),
        .election_timeout_ms = o->election_timeout_ms,
        .heartbeat_interval_ms = o->heartbeat_interval_ms,
        .snapshot_log_bytes = o->snapshot_log_bytes,
        .name = c->facts.name,
        .http_address = c->facts.advertise_http,
        .advertised_address = o->peer_given ? c->facts.advertise_peer : "",
        .version = c->facts.version,
    };
    cds_wfcq_init(&c->queue_head, &c->queue_tail);
    CHECK(pthread_mutex_init(&c->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&c->started_changed, NULL) == 0);
    return c;
}

bool consensus_start(struct consensus *c, char *error, size_t error_size)
{
    c->files = files_posix_open(c->facts.data_dir, error, error_size);
    if (c->files == NULL) {
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
    files_posix_close(c->files);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->started_changed);
    mem_free_secret(c->secret);
    mem_free_secret(c->secret_old);
    free(c->peer_listen);
    free(c);
}

/* --- status --- */

void consensus_propose(struct consensus *c)
{
    engine_propose(&c->engine);
}

uint64_t consensus_oldest_unapplied_ms(const struct consensus *c)
{
    return proposer_oldest_ms(&c->engine);
}

bool consensus_refuses_heartbeats(const struct consensus *c)
{
    return admission_refuses_heartbeats(&c->admission, clock_monotonic_ms()) ||
           refusal_anywhere(&c->engine);
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

uint32_t consensus_hold_up_ms(const struct consensus *c)
{
    return c->facts.election_timeout_ms + PEER_SILENCE_MS;
}

void consensus_status(const struct consensus *c, struct consensus_status *ret_status)
{
    uint64_t contact_ms = relaxed(&c->contact_ms);
    uint64_t now_ms = clock_monotonic_ms();
    bool is_leader = atomic_load_explicit(&c->is_leader, memory_order_relaxed);
    uint64_t loop_ms = stalled_ms(relaxed(&c->turned_ms), now_ms);
    uint64_t disk_ms = stalled_ms(relaxed(&c->disk.busy_since_ms), now_ms);
    uint64_t still_ms = loop_ms > disk_ms ? loop_ms : disk_ms;
    uint64_t silent_ms = is_leader ? 0 : clock_elapsed(contact_ms, now_ms);
    *ret_status = (struct consensus_status){
        .leader = relaxed(&c->leader),
        .is_leader = is_leader,
        .term = relaxed(&c->term),
        .applied_index = relaxed(&c->applied_index),
        .commit_index = relaxed(&c->commit_index),
        .last_contact_ms = silent_ms > still_ms ? silent_ms : still_ms,
        .loop_stalled_ms = loop_ms,
        .disk_stalled_ms = disk_ms,
        .caught_up = atomic_load_explicit(&c->caught_up, memory_order_relaxed),
        .has_space = atomic_load_explicit(&c->has_space, memory_order_relaxed),
        .phase = (enum consensus_phase)atomic_load_explicit(&c->phase, memory_order_relaxed),
        .level = (uint16_t)atomic_load_explicit(&c->level, memory_order_relaxed),
    };
}

const struct consensus_facts *consensus_facts(const struct consensus *c)
{
    return &c->facts;
}

void consensus_cluster(const struct consensus *c, char out[CONSENSUS_CLUSTER_SIZE])
{
    struct consensus *shared = (struct consensus *)(uintptr_t)c;
    pthread_mutex_lock(&shared->mutex);
    memcpy(out, c->cluster, sizeof c->cluster);
    pthread_mutex_unlock(&shared->mutex);
}

static uint64_t since_heard_ms(const struct member *m, uint64_t now_ms)
{
    return m->heard_ms == 0 ? UINT64_MAX : clock_elapsed(m->heard_ms, now_ms);
}

void consensus_members(const struct consensus *c, struct consensus_member_info *ret_members,
                       size_t *ret_count)
{
    struct consensus *shared = (struct consensus *)(uintptr_t)c;
    uint64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&shared->mutex);
    for (size_t i = 0; i < c->table.count; i++) {
        const struct member *m = &c->table.list[i];
        ret_members[i] = m->info;
        ret_members[i].last_heard_ms = m->info.is_self ? 0 : since_heard_ms(m, now_ms);
    }
    *ret_count = c->table.count;
    pthread_mutex_unlock(&shared->mutex);
}

size_t consensus_cluster_events(const struct consensus *c,
                                struct consensus_cluster_event *ret_events)
{
    struct consensus *shared = (struct consensus *)(uintptr_t)c;
    pthread_mutex_lock(&shared->mutex);
    size_t count = c->events_count;
    memcpy(ret_events, c->events, count * sizeof *ret_events);
    pthread_mutex_unlock(&shared->mutex);
    return count;
}

uint64_t consensus_disk_free(const struct consensus *c)
{
    return c->files->free_bytes(c->files->ctx);
}
