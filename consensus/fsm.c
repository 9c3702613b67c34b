#include "consensus/fsm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* The part of a snapshot before the application's state: the sessions, and their length. */
#define SESSIONS_BYTES_MAX (16 * 1024)

/* --- entries --- */

bool fsm_understands(const struct engine *e, const void *data, const struct entry_header *header)
{
    size_t at = 0;
    if (header->level < e->app.level_min || header->level > e->app.level_max) {
        return false;
    }
    for (uint16_t i = 0; i < header->batches; i++) {
        size_t len;
        struct batch_header batch;
        const uint8_t *bytes = entry_next_batch(data, &at, &len);
        size_t op_at = 0;
        CHECK(batch_check(bytes, len, &batch) == ST_OK); /* entry_check() has checked it */
        for (uint32_t k = 0; k < batch.count; k++) {
            size_t op_len;
            const uint8_t *op = batch_next(bytes, &op_at, &op_len);
            if (!e->app.understands(op, op_len, header->level)) {
                return false;
            }
        }
    }
    return true;
}

/* Applies the operations of a batch, the first at `position`; returns the next position. */
static uint32_t apply_batch(struct engine *e, uint64_t index, const uint8_t *data, size_t len,
                            uint32_t position)
{
    struct batch_header header;
    enum status status = batch_check(data, len, &header);
    CHECK(status == ST_OK); /* entry_check() has checked it */
    bool ours = forwarder_is_ours(e, header.origin, header.boot, header.serial);
    if (header.origin != 0 &&
        !sessions_advance(&e->fsm.sessions, header.origin, header.boot, header.serial, index)) {
        metric_add(METRIC_operations_skipped_total, header.count);
        if (ours) {
            forwarder_skipped(e); /* had ours been applied, it would no longer be in flight */
        }
        return position;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < header.count; i++) {
        size_t op_len;
        const uint8_t *op = batch_next(data, &at, &op_len);
        struct consensus_op *waiting = ours ? e->forwarder.ops[i] : NULL;
        e->app.apply(e->app.ctx, position + i, op, op_len, waiting);
    }
    metric_add(METRIC_operations_applied_total, header.count);
    if (ours) {
        forwarder_applied(e);
    }
    return position + header.count;
}

static void raise_level(struct engine *e, uint64_t index, uint16_t level)
{
    log_write(LOG_INFO, "raft", "the level of the replicated format rises",
              "level=%u before=%u index=%" PRIu64, level, e->fsm.level, index);
    e->fsm.level = level;
    e->app.set_level(e->app.ctx, level);
}

static void answer_completed(struct engine *e)
{
    while (e->fsm.completed != NULL) {
        struct consensus_op *op = e->fsm.completed;
        e->fsm.completed = op->next;
        op->done(op, ST_OK);
    }
}

static void note_hash(struct engine *e, uint64_t index)
{
    struct fsm *f = &e->fsm;
    f->hashes[index % FSM_HASHES_KEPT] =
        (struct state_hash){.index = index, .hash = e->app.hash(e->app.ctx)};
}

static void apply_command(struct engine *e, uint64_t index, const struct log_entry *entry)
{
    struct fsm *f = &e->fsm;
    struct entry_header header;
    uint32_t position = 0;
    size_t at = 0;
    if (entry_check(entry->data, entry->len, &header) != ST_OK || header.index != index ||
        !cluster_id_equal(&header.cluster, &e->identity.cluster)) {
        engine_fatal(e, "the committed entry %" PRIu64 " is damaged or out of place", index);
        return;
    }
    e->app.begin(e->app.ctx, index, entry_stamp(entry->data), header.stamp_len);
    if (header.level > f->level) {
        raise_level(e, index, header.level);
    }
    for (uint16_t i = 0; i < header.batches; i++) {
        size_t len;
        const uint8_t *batch = entry_next_batch(entry->data, &at, &len);
        position = apply_batch(e, index, batch, len, position);
    }
    e->app.end(e->app.ctx);
    f->unpublished = true;
    metric_add(METRIC_entries_applied_total, 1);
    proposer_applied(e, index, header.term);
}

static void apply(struct engine *e, uint64_t index)
{
    struct fsm *f = &e->fsm;
    const struct log_entry *entry = log_get(&e->driver.log, index);
    if (entry == NULL) {
        engine_fatal(e, "the committed entry %" PRIu64 " is not in the log", index);
        return;
    }
    proposer_applying(e, index);
    f->log_bytes += entry->len;
    f->log_entries++;
    f->applied_index = index;
    if (entry->type == RAFT_COMMAND) {
        apply_command(e, index, entry);
    } else if (entry->type == RAFT_CHANGE) {
        driver_configured(e, index, entry->data, entry->len);
    }
    note_hash(e, index);
    /* More entries follow at once while a follower catches up, especially after a start. */
    if (f->completed != NULL || index >= raft_commit_index(&e->driver.raft)) {
        fsm_publish(e);
    }
    answer_completed(e); /* only now, when the whole entry is readable here */
}

/* Hashes that came before we had reached their index. */
static void compare_waiting(struct engine *e)
{
    for (size_t i = 0; i < e->members.count; i++) {
        struct member *m = &e->members.list[i];
        if (m->told_index != 0 && m->told_index <= e->fsm.applied_index) {
            uint64_t index = m->told_index;
            m->told_index = 0;
            fsm_compare(e, m, index, m->told_hash);
        }
    }
}

void fsm_pump(struct engine *e)
{
    struct driver *d = &e->driver;
    bool any = false;
    while (!d->installing && e->fsm.applied_index < raft_commit_index(&d->raft)) {
        apply(e, e->fsm.applied_index + 1);
        any = true;
    }
    if (any) {
        metric_set(METRIC_log_bytes, (int64_t)e->fsm.log_bytes);
        compare_waiting(e);
    }
}

void fsm_publish(struct engine *e)
{
    if (e->fsm.unpublished) {
        e->fsm.unpublished = false;
        e->app.publish(e->app.ctx);
    }
}

/* --- state hashes --- */

struct state_hash fsm_newest_hash(const struct engine *e)
{
    struct state_hash newest = e->fsm.hashes[e->fsm.applied_index % FSM_HASHES_KEPT];
    return newest.index == e->fsm.applied_index ? newest : (struct state_hash){0};
}

/* A member that differs from us is wrong, or we are: the majority is right. */
static void judge(struct engine *e, uint64_t index)
{
    static struct log_gate gate;
    uint64_t held;
    size_t agree = 1; /* this member */
    size_t differ = 0;
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        agree += !m->info.is_self && m->hash_agrees;
        differ += m->hash_differs;
    }
    if (differ == 0) {
        return;
    }
    if (log_gate_open(&gate, &held)) {
        log_write(LOG_ERROR, "raft", "replicas differ in their state",
                  "index=%" PRIu64 " agree=%zu differ=%zu", index, agree, differ);
    }
    if (differ > agree || (differ == agree && e->members.count == differ + agree)) {
        engine_fatal(e,
                     "the state of this replica at index %" PRIu64
                     " differs from that of %zu others: it must not go on. Move its directory "
                     "aside and start it with an empty one",
                     index, differ);
    }
}

void fsm_compare(struct engine *e, struct member *m, uint64_t index, uint64_t hash)
{
    const struct state_hash *ours = &e->fsm.hashes[index % FSM_HASHES_KEPT];
    if (index == 0) {
        return;
    }
    if (index > e->fsm.applied_index) {
        m->told_index = index; /* compared when we reach it */
        m->told_hash = hash;
        return;
    }
    if (ours->index != index) {
        return; /* too long ago */
    }
    m->hash_agrees = ours->hash == hash;
    m->hash_differs = !m->hash_agrees;
    judge(e, index);
}

void fsm_forget_told(struct engine *e, uint64_t id)
{
    struct member *m = member_info_find(e, id);
    if (m != NULL) {
        m->told_index = 0;
        m->hash_agrees = m->hash_differs = false;
    }
}

/* --- snapshots --- */

/* Scale the threshold with the snapshot, so that write amplification stays constant as the state
 * grows. */
static uint64_t log_bytes_max(const struct engine *e)
{
    uint64_t share = e->fsm.snapshot_bytes / SNAPSHOT_LOG_SHARE;
    bool is_large = share > SNAPSHOT_LOG_BYTES_DEFAULT;
    return is_large && share > e->options.snapshot_log_bytes ? share
                                                             : e->options.snapshot_log_bytes;
}

bool fsm_wants_snapshot(const struct engine *e)
{
    return e->fsm.log_bytes >= log_bytes_max(e);
}

uint64_t fsm_log_bytes_kept(const struct engine *e)
{
    uint64_t max = log_bytes_max(e);
    return e->fsm.snapshot_bytes > max ? e->fsm.snapshot_bytes : max;
}

struct fsm_snapshot {
    struct consensus_fsm app;
    void *taken;
    struct sessions sessions;
};

struct fsm_snapshot *fsm_snapshot_take(struct engine *e)
{
    struct fsm_snapshot *s = mem_alloc(sizeof *s);
    fsm_publish(e);
    *s = (struct fsm_snapshot){
        .app = e->app,
        .taken = e->app.take(e->app.ctx),
        .sessions = e->fsm.sessions,
    };
    return s;
}

void fsm_snapshot_encode(struct fsm_snapshot *s,
                         void (*write)(void *sink, const void *data, size_t len), void *sink)
{
    struct buffer sessions;
    uint8_t len[4];
    buffer_init(&sessions, SESSIONS_BYTES_MAX);
    sessions_encode(&s->sessions, &sessions);
    CHECK(!sessions.overflowed);
    store_u32(len, (uint32_t)sessions.len);
    write(sink, len, sizeof len);
    write(sink, sessions.data, sessions.len);
    buffer_done(&sessions);
    s->app.encode(s->taken, write, sink);
}

void fsm_snapshot_release(struct engine *e, struct fsm_snapshot *s)
{
    e->app.release(e->app.ctx, s->taken);
    free(s);
}

struct fsm_restore {
    struct consensus_fsm app;
    void *state;
    struct buffer head; /* received of the sessions and their length */
    bool head_done;
    struct sessions sessions;
};

struct fsm_restore *fsm_restore_begin(struct engine *e)
{
    struct fsm_restore *r = mem_zalloc(1, sizeof *r);
    r->app = e->app;
    r->state = e->app.restore_begin(e->app.ctx);
    buffer_init(&r->head, 4 + SESSIONS_BYTES_MAX);
    return r;
}

/* Consumes what belongs to the head; returns how many bytes, or SIZE_MAX if malformed. */
static size_t feed_head(struct fsm_restore *r, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    while (taken < len && !r->head_done) {
        size_t wanted = r->head.len < 4 ? 4 : 4 + (size_t)load_u32(r->head.data);
        if (wanted > 4 + SESSIONS_BYTES_MAX) {
            return SIZE_MAX;
        }
        size_t part = wanted - r->head.len < len - taken ? wanted - r->head.len : len - taken;
        buffer_append(&r->head, data + taken, part);
        taken += part;
        if (r->head.len >= 4 && r->head.len == 4 + (size_t)load_u32(r->head.data)) {
            const uint8_t *at = r->head.data + 4;
            size_t left = r->head.len - 4;
            if (sessions_decode(&r->sessions, &at, &left) != ST_OK || left != 0) {
                return SIZE_MAX;
            }
            r->head_done = true;
        }
    }
    return taken;
}

enum status fsm_restore_feed(struct fsm_restore *r, const uint8_t *data, size_t len)
{
    size_t taken = feed_head(r, data, len);
    if (taken == SIZE_MAX) {
        return ST_CORRUPT;
    }
    return taken < len ? r->app.restore_feed(r->state, data + taken, len - taken) : ST_OK;
}

enum status fsm_restore_end(struct fsm_restore *r)
{
    return r->head_done ? r->app.restore_end(r->state) : ST_CORRUPT;
}

bool fsm_restore_read(struct fsm_restore *r, struct snapshot_reader *reader, const char *malformed,
                      char *error, size_t error_size)
{
    for (;;) {
        const uint8_t *data;
        size_t len;
        if (!snapshot_reader_next(reader, &data, &len, error, error_size)) {
            return false;
        }
        enum status status = len > 0 ? fsm_restore_feed(r, data, len) : fsm_restore_end(r);
        if (status != ST_OK) {
            (void)snprintf(error, error_size, "%s", malformed);
            return false;
        }
        if (len == 0) {
            return true;
        }
    }
}

void fsm_restore_swap(struct engine *e, struct fsm_restore *r, uint64_t index, uint16_t level,
                      uint64_t bytes)
{
    struct fsm *f = &e->fsm;
    CHECK(index >= f->applied_index);
    e->app.restore_swap(e->app.ctx, r->state);
    f->sessions = r->sessions;
    f->applied_index = index;
    f->level = level;
    f->log_bytes = f->log_entries = 0;
    f->snapshot_bytes = bytes;
    f->unpublished = false;
    note_hash(e, index);
    buffer_done(&r->head);
    free(r);
    if (e->forwarder.active &&
        sessions_has(&f->sessions, e->identity.life, e->forwarder.boot, e->forwarder.serial)) {
        forwarder_overtaken(e);
    }
}

void fsm_restore_drop(struct engine *e, struct fsm_restore *r)
{
    if (r != NULL) {
        e->app.restore_drop(e->app.ctx, r->state);
        buffer_done(&r->head);
        free(r);
    }
}
