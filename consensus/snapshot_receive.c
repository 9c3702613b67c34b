#include "consensus/snapshot_receive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/engine.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define HEAD_BYTES 32
/* Limit on pieces received and not written yet: more than a leader has in flight. */
#define ARRIVED_BYTES_MAX (8u * SNAPSHOT_CHUNK_BYTES)
/* Space that must stay free beside the file. */
#define SPACE_BYTES_MIN (16ull * 1024 * 1024)
/* A transfer without progress for this long is abandoned. */
#define STALL_MS 10000
/* Interval between reports to the leader. */
#define TELL_MS 1000

/* Allowed transitions: for each phase, the bits of its successors. */
static const uint8_t allowed[RECEIVE_PHASES] = {
    [RECEIVE_IDLE] = 1 << RECEIVE_RECEIVING,
    [RECEIVE_RECEIVING] = 1 << RECEIVE_VERIFYING | 1 << RECEIVE_IDLE,
    [RECEIVE_VERIFYING] = 1 << RECEIVE_PUBLISHING | 1 << RECEIVE_IDLE,
    [RECEIVE_PUBLISHING] = 1 << RECEIVE_RESETTING,
    [RECEIVE_RESETTING] = 1 << RECEIVE_IDLE,
};

static void move(struct snapshot_receive *r, enum receive_phase to)
{
    CHECK((allowed[r->phase] >> to & 1) != 0);
    r->phase = to;
}

void snapshot_receive_init(struct snapshot_receive *r, struct engine *e)
{
    *r = (struct snapshot_receive){.engine = e};
    buffer_init(&r->arrived, ARRIVED_BYTES_MAX);
    buffer_init(&r->writing, ARRIVED_BYTES_MAX);
}

bool snapshot_receive_is_installing(const struct snapshot_receive *r)
{
    return r->phase >= RECEIVE_PUBLISHING;
}

bool snapshot_receive_is_busy(const struct snapshot_receive *r)
{
    return r->working;
}

static void answer(struct engine *e, uint64_t to, uint64_t transfer, uint64_t offset)
{
    uint8_t bytes[16];
    store_u64(bytes, transfer);
    store_u64(bytes + 8, offset);
    engine_send(e, to, FRAME_SNAPSHOT_RESULT, bytes, sizeof bytes);
}

static void tell(struct snapshot_receive *r, uint64_t offset)
{
    r->told = offset;
    r->told_ms = engine_now_ms(r->engine);
    answer(r->engine, r->from, r->transfer, offset);
}

/* Drops what was received. No pool thread may be using it. */
static void drop(struct snapshot_receive *r)
{
    CHECK(!r->working);
    if (r->file != NULL) {
        snapshot_receiver_abandon(r->file);
        r->file = NULL;
    }
    fsm_restore_drop(r->engine, r->restore);
    r->restore = NULL;
    buffer_done(&r->arrived);
    buffer_done(&r->writing);
}

/* Resets all to idle. */
static void clear(struct snapshot_receive *r)
{
    drop(r);
    r->given_up = false;
    if (r->phase != RECEIVE_IDLE) {
        move(r, RECEIVE_IDLE);
    }
}

static void give_up(struct snapshot_receive *r, const char *why)
{
    if (r->given_up) {
        return;
    }
    log_write(LOG_WARN, "snapshot", "not taken", "from=%" PRIu64 " reason=\"%s\"", r->from, why);
    tell(r, SNAPSHOT_STOP);
    r->given_up = true;
    if (!r->working) {
        clear(r);
    }
}

/* --- pool thread --- */

static void run_write(struct engine_work *work)
{
    struct snapshot_receive *r = CONTAINER_OF(work, struct snapshot_receive, work);
    r->result = 0;
    if (r->file == NULL) {
        r->file = snapshot_receiver_open(r->engine->env.files, &r->result);
    }
    if (r->result == 0) {
        r->result = snapshot_receiver_add(r->file, r->writing.data, r->writing.len);
    }
}

static void run_verify(struct engine_work *work)
{
    struct snapshot_receive *r = CONTAINER_OF(work, struct snapshot_receive, work);
    struct engine *e = r->engine;
    r->error[0] = '\0';
    r->result = snapshot_receiver_finish(r->file);
    r->file = NULL;
    if (r->result != 0) {
        return;
    }
    struct snapshot_reader *reader =
        snapshot_reader_open(e->env.files, SNAPSHOT_RECEIVED_TEMPORARY, &e->identity.cluster,
                             &r->meta, r->error, sizeof r->error);
    if (reader == NULL) {
        return;
    }
    r->bytes = snapshot_reader_file_bytes(reader);
    if (r->meta.level < e->app.level_min || r->meta.level > e->app.level_max) {
        (void)snprintf(r->error, sizeof r->error,
                       "it is of level %u, and this version reads %u to %u: upgrade this replica",
                       r->meta.level, e->app.level_min, e->app.level_max);
    } else {
        bool sound UNUSED = fsm_restore_read(r->restore, reader, "the state in it is malformed",
                                             r->error, sizeof r->error); /* checked by verified() */
    }
    snapshot_reader_close(reader);
}

static int run_publish(struct disk_job *job)
{
    struct snapshot_receive *r = CONTAINER_OF(job, struct snapshot_receive, job);
    return snapshot_publish(r->engine->env.files, SNAPSHOT_RECEIVED_TEMPORARY, r->meta.index,
                            r->meta.term);
}

/* --- loop --- */

static void start(struct snapshot_receive *r, void (*run)(struct engine_work *work),
                  void (*done)(struct engine_work *work))
{
    CHECK(!r->working);
    r->working = true;
    r->work = (struct engine_work){.run = run, .done = done};
    r->engine->env.work(r->engine->env.ctx, &r->work);
}

static void published(struct disk_job *job, int result)
{
    struct snapshot_receive *r = CONTAINER_OF(job, struct snapshot_receive, job);
    struct engine *e = r->engine;
    if (result != 0) {
        engine_fatal(e, "a snapshot from the leader could not be put in place: %s",
                     strerror(-result));
        return;
    }
    move(r, RECEIVE_RESETTING);
    r->frame = persist_reset(&e->persist, r->meta.index, r->meta.term, r->meta.checksum);
}

static void installed(struct snapshot_receive *r)
{
    struct engine *e = r->engine;
    fsm_restore_swap(e, r->restore, r->meta.index, r->meta.level, r->bytes);
    r->restore = NULL;
    metric_add(METRIC_snapshots_installed_total, 1);
    log_write(LOG_INFO, "snapshot", "installed", "index=%" PRIu64 " bytes=%" PRIu64, r->meta.index,
              r->bytes);
    driver_installed(e, &r->meta);
    tell(r, SNAPSHOT_IN_PLACE);
    clear(r);
}

static void verified(struct engine_work *work)
{
    struct snapshot_receive *r = CONTAINER_OF(work, struct snapshot_receive, work);
    struct engine *e = r->engine;
    r->working = false;
    if (r->given_up) {
        clear(r);
    } else if (r->result != 0 && r->result != -ENOSPC) {
        engine_fatal(e, "a snapshot from the leader could not be written: %s",
                     strerror(-r->result));
    } else if (r->result != 0 || r->error[0] != '\0') {
        give_up(r, r->result != 0 ? "the disk is full" : r->error);
    } else if (!driver_install(e, r->life, r->term, &r->meta)) {
        give_up(r, "it is not needed any more");
    } else {
        move(r, RECEIVE_PUBLISHING);
        r->job = (struct disk_job){.run = run_publish, .done = published};
        persist_job(&e->persist, &r->job);
    }
}

static void written(struct engine_work *work)
{
    struct snapshot_receive *r = CONTAINER_OF(work, struct snapshot_receive, work);
    r->working = false;
    buffer_clear(&r->writing);
    if (r->given_up) {
        clear(r);
    } else if (r->result == -ENOSPC) {
        give_up(r, "the disk is full");
    } else if (r->result != 0) {
        engine_fatal(r->engine, "a snapshot from the leader could not be written: %s",
                     strerror(-r->result));
    } else {
        tell(r, r->offset - r->arrived.len);
        snapshot_receive_pump(r->engine);
    }
}

void snapshot_receive_pump(struct engine *e)
{
    struct snapshot_receive *r = &e->snapshot_receive;
    if (r->phase == RECEIVE_RECEIVING && !r->working) {
        if (r->arrived.len > 0) {
            struct buffer empty = r->writing;
            r->writing = r->arrived;
            r->arrived = empty;
            start(r, run_write, written);
        } else if (r->offset == r->total) {
            move(r, RECEIVE_VERIFYING);
            r->restore = fsm_restore_begin(e);
            start(r, run_verify, verified);
        }
    }
    if (r->phase == RECEIVE_RESETTING && e->persist.frames_durable >= r->frame) {
        installed(r);
    }
}

static bool begin(struct snapshot_receive *r, const struct member *from, const uint8_t *data)
{
    struct engine *e = r->engine;
    r->from = from->info.id;
    r->life = from->info.life;
    r->transfer = load_u64(data);
    r->term = load_u64(data + 8);
    r->total = load_u64(data + 24);
    r->offset = r->told = 0;
    move(r, RECEIVE_RECEIVING);
    uint64_t room = e->env.files->free_bytes(e->env.files->ctx);
    if (room < SPACE_BYTES_MIN || r->total > room - SPACE_BYTES_MIN) {
        give_up(r, "the disk has no room for it");
        return false;
    }
    log_write(LOG_INFO, "snapshot", "receiving", "from=%" PRIu64 " bytes=%" PRIu64, r->from,
              r->total);
    return true;
}

void snapshot_receive_piece(struct engine *e, const struct member *from, const uint8_t *data,
                            size_t len)
{
    struct snapshot_receive *r = &e->snapshot_receive;
    if (len < HEAD_BYTES || load_u64(data + 8) < raft_current_term(&e->driver.raft) ||
        load_u64(data + 8) > INT64_MAX) {
        return; /* from a deposed leader, or in the last possible term */
    }
    bool known = r->life == from->info.life && r->transfer == load_u64(data) &&
                 r->term == load_u64(data + 8);
    if (len == HEAD_BYTES) {
        answer(e, from->info.id, load_u64(data), known ? r->told : SNAPSHOT_STOP);
        return;
    }
    bool same = known && r->phase != RECEIVE_IDLE;
    if (!same && r->phase == RECEIVE_RECEIVING && r->term <= load_u64(data + 8)) {
        give_up(r, "another one is sent instead");
    }
    if (r->phase == RECEIVE_IDLE && load_u64(data + 16) == 0) {
        if (!begin(r, from, data)) {
            return;
        }
        same = true;
    }
    if (!same) {
        /* A pool thread still uses an earlier one, or this is not the first piece: otherwise the
         * leader would wait. */
        answer(e, from->info.id, load_u64(data), SNAPSHOT_STOP);
        return;
    }
    if (r->phase != RECEIVE_RECEIVING || r->given_up) {
        return;
    }
    size_t piece = len - HEAD_BYTES;
    if (load_u64(data + 16) != r->offset || load_u64(data + 24) != r->total ||
        piece > r->total - r->offset || r->arrived.len + piece > ARRIVED_BYTES_MAX) {
        give_up(r, "its pieces do not fit together");
        return;
    }
    buffer_append(&r->arrived, data + HEAD_BYTES, piece);
    r->offset += piece;
    r->moved_ms = engine_now_ms(e);
    e->contact_ms = r->moved_ms;
    snapshot_receive_pump(e);
}

void snapshot_receive_tick(struct engine *e)
{
    struct snapshot_receive *r = &e->snapshot_receive;
    uint64_t now_ms = engine_now_ms(e);
    if (r->phase == RECEIVE_RECEIVING && now_ms - r->moved_ms > STALL_MS) {
        give_up(r, "its leader sends no more");
    }
    if (r->phase == RECEIVE_VERIFYING && now_ms - r->told_ms >= TELL_MS) {
        tell(r, r->total);
    }
}

void snapshot_receive_tell_again(struct engine *e, uint64_t id)
{
    struct snapshot_receive *r = &e->snapshot_receive;
    if (r->from == id && r->transfer != 0) {
        tell(r, r->told);
    }
}

void snapshot_receive_done(struct engine *e)
{
    drop(&e->snapshot_receive);
}
