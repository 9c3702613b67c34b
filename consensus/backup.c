#include "consensus/backup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "consensus/engine.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/metric.h"

/* How often free space is checked during the writing. */
#define SPACE_EVERY_BYTES (1u * 1024 * 1024)

void backup_init(struct engine *e)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        struct backup *b = &e->backups.list[i];
        *b = (struct backup){.engine = e};
        (void)snprintf(b->name, sizeof b->name, SNAPSHOT_BACKUP_TEMPORARY "%zu", i);
    }
}

bool backup_is_busy(const struct engine *e)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        if (e->backups.list[i].phase == BACKUP_BUSY) {
            return true;
        }
    }
    return false;
}

/* --- pool thread --- */

static bool has_space(const struct backup *b)
{
    const struct files *files = b->engine->env.files;
    return files->free_bytes(files->ctx) >= BACKUP_SPACE_KEPT;
}

static void sink(void *ctx, const void *data, size_t len)
{
    struct backup *b = ctx;
    b->unchecked += len;
    if (b->unchecked >= SPACE_EVERY_BYTES) {
        b->unchecked = 0;
        if (!has_space(b)) {
            snapshot_writer_fail(b->writer, -ENOSPC);
        }
    }
    snapshot_writer_add(b->writer, data, len);
    atomic_fetch_add_explicit(&b->op->backup->written, len, memory_order_relaxed);
}

static enum status status_of(const struct backup *b, int error)
{
    if (error == 0) {
        return ST_OK;
    }
    log_write(LOG_ERROR, "backup", "could not be written", "index=%" PRIu64 " reason=\"%s\"",
              b->meta.index, strerror(-error));
    return error == -ENOSPC ? ST_NO_SPACE : ST_IO;
}

static void encode(struct engine_work *work)
{
    struct backup *b = CONTAINER_OF(work, struct backup, work);
    struct engine *e = b->engine;
    int error = has_space(b) ? 0 : -ENOSPC;
    b->unchecked = 0;
    b->writer = error == 0 ? snapshot_writer_open(e->env.files, b->name, &e->identity.cluster,
                                                  &b->meta, &b->info, &error)
                           : NULL;
    if (b->writer != NULL) {
        fsm_snapshot_encode(b->state, sink, b);
        error = snapshot_writer_finish(b->writer, &b->bytes);
        b->writer = NULL;
    }
    b->status = status_of(b, error);
}

/* Opens the file with the first piece. Copies each piece to the caller's memory, which may outlive
 * this. Every block is verified: damage on the disk is never sent to a client. */
static void read_piece(struct engine_work *work)
{
    struct backup *b = CONTAINER_OF(work, struct backup, work);
    struct engine *e = b->engine;
    char error[256];
    struct snapshot_meta meta;
    const uint8_t *data;
    b->len = 0;
    if (b->reader == NULL) {
        b->reader = snapshot_reader_open(e->env.files, b->name, &e->identity.cluster, &meta, error,
                                         sizeof error);
    }
    if (b->reader == NULL || !snapshot_reader_raw(b->reader, &data, &b->len, error, sizeof error)) {
        log_write(LOG_ERROR, "backup", "cannot be read back", "index=%" PRIu64 " reason=\"%s\"",
                  b->meta.index, error);
        b->status = ST_IO;
    } else if (b->len > 0) {
        memcpy(b->op->backup->piece, data, b->len);
    }
}

static void remove_file(struct backup *b)
{
    const struct files *files = b->engine->env.files;
    snapshot_reader_close(b->reader);
    b->reader = NULL;
    int ignored UNUSED = files->unlink(files->ctx, b->name); /* the next start removes it */
}

static void end(struct engine_work *work)
{
    remove_file(CONTAINER_OF(work, struct backup, work));
}

/* --- loop --- */

static void answer(struct backup *b)
{
    struct consensus_op *op = b->op;
    b->op = NULL;
    op->done(op, b->engine->closing ? ST_STOPPING : b->status);
}

static void encoded(struct engine_work *work)
{
    struct backup *b = CONTAINER_OF(work, struct backup, work);
    struct consensus_backup *wanted = b->op->backup;
    fsm_snapshot_release(b->engine, b->state);
    b->state = NULL;
    b->phase = b->status == ST_OK ? BACKUP_HELD : BACKUP_FREE;
    if (b->status == ST_OK) {
        wanted->slot = (unsigned)(b - b->engine->backups.list) + 1;
        wanted->bytes = b->bytes;
        metric_add(METRIC_backups_taken_total, 1);
        log_write(LOG_INFO, "backup", "taken", "index=%" PRIu64 " bytes=%" PRIu64, b->meta.index,
                  b->bytes);
    }
    answer(b);
}

static void was_read(struct engine_work *work)
{
    struct backup *b = CONTAINER_OF(work, struct backup, work);
    b->phase = BACKUP_HELD;
    b->op->backup->len = b->len;
    answer(b);
}

static void ended(struct engine_work *work)
{
    struct backup *b = CONTAINER_OF(work, struct backup, work);
    b->phase = BACKUP_FREE;
    b->op->backup->slot = 0;
    answer(b);
}

static void begin(struct backup *b, struct consensus_op *op, void (*run)(struct engine_work *),
                  void (*done)(struct engine_work *))
{
    b->phase = BACKUP_BUSY;
    b->op = op;
    b->status = ST_OK;
    b->work = (struct engine_work){.run = run, .done = done};
    b->engine->env.work(b->engine->env.ctx, &b->work);
}

static struct backup *find_free(struct engine *e)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        if (e->backups.list[i].phase == BACKUP_FREE) {
            return &e->backups.list[i];
        }
    }
    return NULL;
}

static void take(struct engine *e, struct consensus_op *op)
{
    struct backup *b = find_free(e);
    struct consensus_backup *wanted = op->backup;
    wanted->slot = 0;
    if (e->fsm.applied_index == 0) {
        op->done(op, ST_NO_LEADER); /* a new life, admitted a moment ago, without a log */
        return;
    }
    if (b == NULL || e->driver.installing || snapshot_receive_is_installing(&e->snapshot_receive)) {
        op->done(op, ST_BUSY);
        return;
    }
    snapshot_take_meta(e, &b->meta);
    b->state = fsm_snapshot_take(e); /* makes the counted items readable */
    b->info = (struct snapshot_info){
        .hash = e->app.hash(e->app.ctx),
        .items = e->app.items != NULL ? e->app.items(e->app.ctx) : 0,
        .taken_ms = (uint64_t)clock_wall_ms(),
        .member = e->options.id,
    };
    wanted->index = b->meta.index;
    wanted->level = b->meta.level;
    wanted->hash = b->info.hash;
    cluster_id_text(&e->identity.cluster, wanted->cluster);
    begin(b, op, encode, encoded);
}

void backup_add(struct engine *e, struct consensus_op *op)
{
    unsigned slot = op->backup->slot;
    if (e->closing || e->stopping) {
        op->done(op, ST_STOPPING);
        return;
    }
    if (!e->running) {
        op->done(op, ST_NO_LEADER);
        return;
    }
    if (op->backup->step == CONSENSUS_BACKUP_TAKE) {
        take(e, op);
        return;
    }
    CHECK(slot >= 1 && slot <= BACKUPS_MAX);
    struct backup *b = &e->backups.list[slot - 1];
    CHECK(b->phase == BACKUP_HELD);
    if (op->backup->step == CONSENSUS_BACKUP_READ) {
        begin(b, op, read_piece, was_read);
    } else {
        begin(b, op, end, ended);
    }
}

void backup_done(struct engine *e)
{
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        struct backup *b = &e->backups.list[i];
        CHECK(b->phase != BACKUP_BUSY);
        if (b->phase == BACKUP_HELD) {
            remove_file(b);
            b->phase = BACKUP_FREE;
        }
    }
}
