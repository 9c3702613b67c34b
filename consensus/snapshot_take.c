#include "consensus/snapshot_take.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/metric.h"

/* Retry interval after a full disk. */
#define RETRY_MS 5000

void snapshot_take_init(struct snapshot_take *t, struct engine *e)
{
    *t = (struct snapshot_take){.engine = e};
}

bool snapshot_take_is_busy(const struct snapshot_take *t)
{
    return t->phase == TAKE_ENCODING;
}

/* --- encoding: pool thread --- */

static void sink(void *writer, const void *data, size_t len)
{
    snapshot_writer_add(writer, data, len);
}

static void encode(struct engine_work *work)
{
    struct snapshot_take *t = CONTAINER_OF(work, struct snapshot_take, work);
    struct engine *e = t->engine;
    int error = 0;
    struct snapshot_writer *w = snapshot_writer_open(e->env.files, SNAPSHOT_TAKEN_TEMPORARY,
                                                     &e->identity.cluster, &t->meta, NULL, &error);
    if (w == NULL) {
        t->result = error;
        return;
    }
    fsm_snapshot_encode(t->state, sink, w);
    t->result = snapshot_writer_finish(w, &t->bytes);
}

/* --- loop --- */

static void fail(struct snapshot_take *t, int result)
{
    struct engine *e = t->engine;
    t->phase = TAKE_IDLE;
    if (result != -ENOSPC) {
        engine_fatal(e, "a snapshot could not be written: %s", strerror(-result));
        return;
    }
    t->not_before_ms = engine_now_ms(e) + RETRY_MS;
    log_write(LOG_ERROR, "disk", "full: no room for a snapshot, trying again", "index=%" PRIu64,
              t->meta.index);
}

static void encoded(struct engine_work *work)
{
    struct snapshot_take *t = CONTAINER_OF(work, struct snapshot_take, work);
    fsm_snapshot_release(t->engine, t->state);
    t->state = NULL;
    if (t->result != 0) {
        fail(t, t->result);
        return;
    }
    t->phase = TAKE_WAITING;
    snapshot_take_pump(t->engine);
}

static int run_publish(struct disk_job *job)
{
    struct snapshot_take *t = CONTAINER_OF(job, struct snapshot_take, job);
    return snapshot_publish(t->engine->env.files, SNAPSHOT_TAKEN_TEMPORARY, t->meta.index,
                            t->meta.term);
}

static int run_compact(struct disk_job *job)
{
    struct snapshot_take *t = CONTAINER_OF(job, struct snapshot_take, job);
    return wal_compact(t->engine->persist.wal, t->compact_to);
}

static void compacted(struct disk_job *job, int result)
{
    struct snapshot_take *t = CONTAINER_OF(job, struct snapshot_take, job);
    t->phase = TAKE_IDLE;
    if (result != 0) {
        fail(t, result);
    }
}

/* The last entry of a reachable member that has less than the snapshot at `index`, or is being sent
 * an older one. It must be kept, with those after it: libraft needs its term, and of all dropped
 * entries knows only that of the newest snapshot. */
static uint64_t needed_from(const struct engine *e, uint64_t index)
{
    uint64_t from = index + 1, sending = snapshot_send_oldest(e);
    if (sending != 0 && sending < from) {
        from = sending;
    }
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        raft_index match;
        if (engine_is_up(e, m) && raft_match_index(&e->driver.raft, m->info.life, &match) == 0 &&
            match >= log_first_index(&e->driver.log) && match < from) {
            from = match;
        }
    }
    return from;
}

/* How many entries before the snapshot at `index` to keep. For lagging members, what they lack, if
 * that is smaller than the snapshot: a member that has just received a snapshot would otherwise
 * find that the next one has dropped what follows it, over and over. For a member being sent a
 * snapshot, all it lacks. And always a quarter of the log. */
static unsigned trailing(const struct engine *e, uint64_t index, uint64_t entries)
{
    uint64_t from = needed_from(e, index), sending = snapshot_send_oldest(e);
    uint64_t kept = 0, bytes = 0;
    const struct log_entry *entry;
    while (index - kept >= from && (entry = log_get(&e->driver.log, index - kept)) != NULL) {
        bool is_dear = (bytes += entry->len) > fsm_log_bytes_kept(e);
        if (is_dear && (sending == 0 || index - kept < sending)) {
            break;
        }
        kept++;
    }
    kept = kept > entries / 4 + 1 ? kept : entries / 4 + 1;
    return kept < UINT32_MAX / 2 ? (unsigned)kept : UINT32_MAX / 2;
}

static void published(struct disk_job *job, int result)
{
    struct snapshot_take *t = CONTAINER_OF(job, struct snapshot_take, job);
    struct engine *e = t->engine;
    if (result != 0) {
        fail(t, result);
        return;
    }
    metric_add(METRIC_snapshots_taken_total, 1);
    metric_observe_us(HISTOGRAM_snapshot_seconds, (clock_monotonic_ns() - t->begun_ns) / 1000);
    log_write(LOG_INFO, "snapshot", "stored", "index=%" PRIu64 " bytes=%" PRIu64, t->meta.index,
              t->bytes);
    e->fsm.snapshot_bytes = t->bytes;
    driver_snapshot_taken(e, &t->meta, trailing(e, t->meta.index, t->entries));
    if (e->driver.installing) {
        t->phase =
            TAKE_IDLE; /* the log on disk is needed until the leader's snapshot is in place */
        return;
    }
    t->compact_to = e->driver.log.first_index - 1;
    CHECK(t->compact_to <= e->driver.raft.trail.snapshot.index);
    t->phase = TAKE_COMPACTING;
    t->job = (struct disk_job){.run = run_compact, .done = compacted};
    persist_job(&e->persist, &t->job);
}

static void publish_when_durable(struct engine *e)
{
    struct snapshot_take *t = &e->snapshot_take;
    if (e->driver.installing || e->driver.raft.trail.snapshot.index >= t->meta.index) {
        t->phase = TAKE_IDLE; /* replaced by one from the leader */
        return;
    }
    if (e->persist.durable_index >= t->meta.index) {
        t->phase = TAKE_PUBLISHING;
        t->job = (struct disk_job){.run = run_publish, .done = published};
        persist_job(&e->persist, &t->job);
    }
}

void snapshot_take_meta(struct engine *e, struct snapshot_meta *ret_meta)
{
    struct raft *raft = &e->driver.raft;
    struct buffer conf;
    memset(ret_meta, 0, sizeof *ret_meta);
    ret_meta->index = e->fsm.applied_index;
    CHECK(log_position(&e->driver.log, ret_meta->index, &ret_meta->term, &ret_meta->checksum));
    ret_meta->level = e->fsm.level;
    ret_meta->configuration_index = raft->configuration_committed_index;
    CHECK(ret_meta->configuration_index <= ret_meta->index);
    buffer_init(&conf, sizeof ret_meta->configuration);
    configuration_encode(&raft->configuration_committed, &conf);
    CHECK(!conf.overflowed);
    ret_meta->configuration_len = conf.len;
    memcpy(ret_meta->configuration, conf.data, conf.len);
    buffer_done(&conf);
}

static void begin(struct engine *e)
{
    struct snapshot_take *t = &e->snapshot_take;
    snapshot_take_meta(e, &t->meta);
    t->state = fsm_snapshot_take(e);
    t->entries = e->fsm.log_entries;
    e->fsm.log_bytes = e->fsm.log_entries = 0;
    t->begun_ns = clock_monotonic_ns();
    t->phase = TAKE_ENCODING;
    t->work = (struct engine_work){.run = encode, .done = encoded};
    e->env.work(e->env.ctx, &t->work);
}

void snapshot_take_pump(struct engine *e)
{
    struct snapshot_take *t = &e->snapshot_take;
    if (t->phase == TAKE_WAITING) {
        publish_when_durable(e);
    }
    if (t->phase == TAKE_IDLE && fsm_wants_snapshot(e) && !e->driver.installing &&
        !snapshot_receive_is_installing(&e->snapshot_receive) && !e->stopping &&
        engine_now_ms(e) >= t->not_before_ms) {
        begin(e);
    }
}
