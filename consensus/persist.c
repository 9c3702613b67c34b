#include "consensus/persist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "consensus/driver.h"
#include "consensus/engine.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/metric.h"

/* Retry interval after a full disk. */
#define RETRY_MS 250
/* A new commit index is written by itself after this much silence. */
#define COMMIT_IDLE_MS 100

void persist_init(struct persist *p, struct engine *e, struct wal *wal,
                  const struct wal_state *state, uint64_t last_index)
{
    CHECK(wal != NULL);
    *p = (struct persist){
        .engine = e,
        .wal = wal,
        .state = *state,
        .frames = 1,
        .last_index = last_index,
        .durable_index = last_index,
    };
    p->jobs_end = &p->jobs;
    wal_frame_init(&p->building);
    wal_frame_init(&p->writing);
}

void persist_done(struct persist *p)
{
    CHECK(!p->busy);
    wal_frame_done(&p->building);
    wal_frame_done(&p->writing);
    wal_close(p->wal);
    p->wal = NULL;
}

bool persist_is_full(const struct persist *p)
{
    return p->retry_ms != 0;
}

/* --- records --- */

uint64_t persist_vote(struct persist *p, uint64_t term, uint64_t vote)
{
    CHECK(term >= p->state.term);
    p->state.term = term;
    p->state.vote = vote;
    wal_frame_state(&p->building, &p->state);
    return p->frames;
}

uint64_t persist_entry(struct persist *p, uint64_t index, const struct log_entry *entry)
{
    CHECK(index == p->last_index + 1);
    wal_frame_entry(&p->building, index, entry);
    p->last_index = index;
    return p->frames;
}

uint64_t persist_truncate(struct persist *p, uint64_t index, uint64_t term, uint32_t checksum)
{
    CHECK(index > p->state.commit && index <= p->last_index);
    wal_frame_truncate(&p->building, index, term, checksum);
    p->last_index = index - 1;
    if (p->durable_index >= index) {
        p->durable_index = index - 1;
    }
    /* Once durable, the frame being written counts only up to the truncation. */
    if (p->writing_last >= index) {
        p->writing_last = index - 1;
    }
    return p->frames;
}

uint64_t persist_reset(struct persist *p, uint64_t index, uint64_t term, uint32_t checksum)
{
    wal_frame_reset(&p->building, index, term, checksum);
    p->last_index = index;
    return p->frames;
}

void persist_commit(struct persist *p, uint64_t commit)
{
    CHECK(commit >= p->state.commit);
    p->state.commit = commit;
}

void persist_forget_entries(struct persist *p)
{
    p->durable_index = 0;
    p->writing_last = 0;
    p->last_index = 0;
}

/* --- writing --- */

static void fail(struct persist *p, const char *what, int result)
{
    char sentence[160];
    (void)snprintf(sentence, sizeof sentence, "%s: %s", what, strerror(-result));
    p->engine->env.fatal(p->engine->env.ctx, sentence);
}

static void work_run(struct engine_work *work)
{
    struct persist *p = CONTAINER_OF(work, struct persist, work);
    p->result = p->busy_writing ? wal_write(p->wal, &p->writing) : p->job->run(p->job);
}

static void note_full(struct persist *p)
{
    static struct log_gate gate;
    uint64_t held;
    p->retry_ms = engine_now_ms(p->engine) + RETRY_MS;
    if (log_gate_open(&gate, &held)) {
        log_write(LOG_ERROR, "disk", "full: the log cannot grow, trying again", "%s", "");
    }
}

static void frame_written(struct persist *p)
{
    uint64_t last = p->writing_last;
    metric_observe_us(HISTOGRAM_fsync_seconds, (clock_monotonic_ns() - p->begun_ns) / 1000);
    p->retry_ms = 0;
    p->frames_durable++;
    p->written_ms = engine_now_ms(p->engine);
    wal_frame_clear(&p->writing);
    if (last > p->durable_index) {
        p->durable_index = last;
    }
    if (!p->engine->closing) {
        driver_durable(p->engine);
    }
}

static void work_done(struct engine_work *work)
{
    struct persist *p = CONTAINER_OF(work, struct persist, work);
    CHECK(p->busy);
    p->busy = false;
    if (!p->busy_writing) {
        struct disk_job *job = p->job;
        p->job = NULL;
        job->done(job, p->result);
    } else if (p->result == 0) {
        p->busy_writing = false;
        frame_written(p);
    } else if (p->result == -ENOSPC) {
        note_full(p); /* busy_writing stays set: the same frame again */
    } else {
        fail(p, "the log could not be written", p->result);
    }
    persist_pump(p);
}

static void start(struct persist *p)
{
    p->busy = true;
    p->busy_since_ms = engine_now_ms(p->engine);
    p->work = (struct engine_work){.run = work_run, .done = work_done, .urgent = true};
    p->engine->env.work(p->engine->env.ctx, &p->work);
}

static void start_frame(struct persist *p)
{
    struct wal_frame empty = p->writing;
    CHECK(wal_frame_is_empty(&empty));
    wal_frame_state(&p->building, &p->state); /* carries the commit index */
    p->noted_commit = p->state.commit;
    p->writing_last = p->last_index;
    p->writing = p->building;
    p->building = empty;
    p->frames++;
    p->busy_writing = true;
    p->begun_ns = clock_monotonic_ns();
    start(p);
}

void persist_job(struct persist *p, struct disk_job *job)
{
    job->next = NULL;
    *p->jobs_end = job;
    p->jobs_end = &job->next;
    persist_pump(p);
}

/* What was gathered before a job was submitted goes first. */
void persist_pump(struct persist *p)
{
    if (p->busy || p->engine->closing) {
        return;
    }
    if (p->busy_writing) { /* the disk was full */
        if (engine_now_ms(p->engine) >= p->retry_ms) {
            start(p);
        }
    } else if (!wal_frame_is_empty(&p->building)) {
        start_frame(p);
    } else if (p->jobs != NULL) {
        p->job = p->jobs;
        p->jobs = p->job->next;
        if (p->jobs == NULL) {
            p->jobs_end = &p->jobs;
        }
        start(p);
    }
}

void persist_tick(struct persist *p)
{
    bool unnoted = p->state.commit > p->noted_commit && wal_frame_is_empty(&p->building);
    if (unnoted && !p->busy && engine_now_ms(p->engine) - p->written_ms >= COMMIT_IDLE_MS) {
        wal_frame_state(&p->building, &p->state);
    }
    persist_pump(p);
}
