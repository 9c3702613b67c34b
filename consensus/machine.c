#include "consensus/machine.h"

#include <limits.h>
#include <stdlib.h>

#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define SNAPSHOT_MAGIC        0x5354534du /* "MSTS" */
#define SNAPSHOT_HEADER_BYTES 24
#define SNAPSHOT_AT_CRC       4
#define SNAPSHOT_AT_BODY      8

struct machine_snapshot {
    struct consensus_app app;
    void *taken;
    uint64_t cluster_id;
    uint64_t index;
    struct sessions sessions;
};

static struct engine *engine_of(struct raft_fsm *fsm)
{
    return fsm->data;
}

static void fatal(struct engine *e, const char *sentence)
{
    e->env.fatal(e->env.ctx, sentence);
}

/* --- entries --- */

/* Applies the operations of a bundle from `position` on; returns the next position. */
static uint32_t apply_bundle(struct engine *e, uint64_t index, const uint8_t *data, size_t len,
                             uint32_t position)
{
    struct bundle_header header;
    enum status status = bundle_check(data, len, &header);
    CHECK(status == ST_OK); /* entry_check() looked at it */
    if (header.origin != 0 &&
        !sessions_advance(&e->sessions, header.origin, header.boot, header.sequence, index)) {
        metric_add(METRIC_operations_skipped_total, header.count);
        if (outbox_is_ours(e, header.origin, header.boot, header.sequence)) {
            outbox_skipped(e); /* ours would not be on its way any more had it been applied */
        }
        return position;
    }
    bool ours = outbox_is_ours(e, header.origin, header.boot, header.sequence);
    size_t at = 0;
    for (uint32_t i = 0; i < header.count; i++) {
        size_t op_len;
        const uint8_t *op = bundle_next(data, &at, &op_len);
        struct consensus_op *waiting = ours ? e->outbox.ops[i] : NULL;
        e->app.apply(e->app.ctx, position + i, op, op_len, waiting);
    }
    metric_add(METRIC_operations_applied_total, header.count);
    if (ours) {
        outbox_applied(e);
    }
    return position + header.count;
}

/* A large snapshot is worth a longer log: with a fixed length each byte of log would cost the more
 * writing of snapshots the larger the state is. */
static uint64_t log_bytes_most(const struct engine *e)
{
    uint64_t share = e->snapshot_bytes / SNAPSHOT_LOG_SHARE;
    bool is_large = share > SNAPSHOT_LOG_BYTES_DEFAULT;
    return is_large && share > e->options.snapshot_log_bytes ? share
                                                             : e->options.snapshot_log_bytes;
}

/* When the log has grown by enough, libraft is told to take a snapshot at its next chance. */
static void count_log(struct engine *e, size_t len)
{
    e->log_bytes += len;
    e->log_entries++;
    metric_set(METRIC_log_bytes, (int64_t)e->log_bytes);
    if (e->log_bytes >= log_bytes_most(e) && !e->guard.storing_snapshot) {
        raft_set_snapshot_threshold(&e->raft, 1);
    }
}

static int machine_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct engine *e = engine_of(fsm);
    struct entry_header header;
    *result = NULL;
    if (entry_check(buf->base, buf->len, &header) != ST_OK ||
        header.cluster_id != e->options.cluster_id ||
        header.index != raft_last_applied(&e->raft) + 1 || header.index <= e->applied_index) {
        fatal(e, "a committed log entry is damaged or out of place");
        return RAFT_CORRUPT;
    }
    uint32_t position = 0;
    size_t at = 0;
    leader_applying(e, header.index);
    e->app.begin(e->app.ctx, header.index, entry_stamp(buf->base), header.stamp_len);
    for (uint16_t i = 0; i < header.bundles; i++) {
        size_t len;
        const uint8_t *bundle = entry_next_bundle(buf->base, &at, &len);
        position = apply_bundle(e, header.index, bundle, len, position);
    }
    e->applied_index = header.index;
    e->app.end(e->app.ctx);
    e->unpublished = true;
    metric_add(METRIC_entries_applied_total, 1);
    count_log(e, buf->len);
    leader_applied(e, header.index, header.term);
    /* More follow at once when a follower catches up, most of all at its start. */
    if (e->completed != NULL || header.index >= raft_commit_index(&e->raft)) {
        machine_publish(e);
    }
    /* Only now, when all of the entry can be read here. */
    while (e->completed != NULL) {
        struct consensus_op *op = e->completed;
        e->completed = op->next;
        op->done(op, ST_OK);
    }
    return 0;
}

void machine_publish(struct engine *e)
{
    if (e->unpublished) {
        e->unpublished = false;
        e->app.publish(e->app.ctx);
    }
}

/* --- snapshots --- */

/* Called by libraft when it decides for one; guard_snapshot_put(), which it calls next, does the
 * work. What is returned here is only a token. */
static int machine_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct engine *e = engine_of(fsm);
    /* A quarter of the log stays for members that are a little behind. */
    uint64_t trailing = e->log_entries / 4 + 1;
    raft_set_snapshot_threshold(&e->raft, UINT_MAX);
    raft_set_snapshot_trailing(&e->raft, trailing < UINT_MAX / 2 ? (unsigned)trailing : 1);
    e->log_bytes = e->log_entries = 0;
    *n_bufs = 1;
    *bufs = raft_malloc(sizeof **bufs);
    void *token = raft_malloc(8);
    CHECK(*bufs != NULL && token != NULL);
    (*bufs)[0] = (struct raft_buffer){.base = token, .len = 8};
    return 0;
}

struct machine_snapshot *machine_snapshot_take(struct engine *e)
{
    struct machine_snapshot *s = mem_alloc(sizeof *s);
    machine_publish(e);
    *s = (struct machine_snapshot){
        .app = e->app,
        .taken = e->app.take(e->app.ctx),
        .cluster_id = e->options.cluster_id,
        .index = e->applied_index,
        .sessions = e->sessions,
    };
    return s;
}

void machine_snapshot_encode(struct machine_snapshot *s, struct buffer *out)
{
    buffer_append_u32(out, SNAPSHOT_MAGIC);
    buffer_append_u32(out, 0);
    buffer_append_u64(out, s->cluster_id);
    buffer_append_u64(out, s->index);
    sessions_encode(&s->sessions, out);
    s->app.encode(s->taken, out);
    if (!out->overflowed) {
        store_u32(out->data + SNAPSHOT_AT_CRC,
                  crc32c(0, out->data + SNAPSHOT_AT_BODY, out->len - SNAPSHOT_AT_BODY));
    }
}

void machine_snapshot_release(struct engine *e, struct machine_snapshot *s)
{
    e->app.release(e->app.ctx, s->taken);
    free(s);
}

static enum status restore(struct engine *e, const uint8_t *data, size_t len)
{
    struct sessions sessions;
    if (len < SNAPSHOT_HEADER_BYTES || load_u32(data) != SNAPSHOT_MAGIC ||
        load_u32(data + SNAPSHOT_AT_CRC) !=
            crc32c(0, data + SNAPSHOT_AT_BODY, len - SNAPSHOT_AT_BODY) ||
        load_u64(data + 8) != e->options.cluster_id) {
        return ST_CORRUPT;
    }
    size_t bytes = len;
    uint64_t index = load_u64(data + 16);
    data += SNAPSHOT_HEADER_BYTES;
    len -= SNAPSHOT_HEADER_BYTES;
    enum status status = sessions_decode(&sessions, &data, &len);
    if (status == ST_OK) {
        status = e->app.restore(e->app.ctx, data, len);
    }
    if (status == ST_OK) {
        e->sessions = sessions;
        e->applied_index = index;
        e->log_bytes = e->log_entries = 0;
        e->snapshot_bytes = bytes;
        e->unpublished = false;
    }
    return status;
}

static int machine_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct engine *e = engine_of(fsm);
    if (restore(e, buf->base, buf->len) != ST_OK) {
        return RAFT_CORRUPT; /* the caller frees the buffer */
    }
    raft_free(buf->base);
    if (e->outbox.active &&
        sessions_has(&e->sessions, e->options.id, e->outbox.boot, e->outbox.sequence)) {
        outbox_overtaken(e);
    }
    return 0;
}

void machine_init(struct engine *e)
{
    e->fsm = (struct raft_fsm){
        .version = 1,
        .data = e,
        .apply = machine_apply,
        .snapshot = machine_snapshot,
        .restore = machine_restore,
    };
}
