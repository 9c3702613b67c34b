#include "consensus/disk_thread.h"

#include <inttypes.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/metric.h"

static void note_done(struct disk_thread *t)
{
    uint64_t since_ms = atomic_exchange_explicit(&t->busy_since_ms, 0, memory_order_relaxed);
    uint64_t took_ms = clock_elapsed(since_ms, clock_monotonic_ms());
    if (took_ms >= STALL_COUNTS_MS) {
        metric_add(METRIC_disk_stalls_total, 1);
        log_write(LOG_WARN, "disk", "stalled", "ms=%" PRIu64, took_ms);
    }
}

static void *run(void *arg)
{
    struct disk_thread *t = arg;
    (void)pthread_setname_np(pthread_self(), "disk");
    pthread_mutex_lock(&t->mutex);
    for (;;) {
        while (t->todo == NULL && !t->stopping) {
            pthread_cond_wait(&t->changed, &t->mutex);
        }
        struct engine_work *work = t->todo;
        if (work == NULL) {
            break;
        }
        t->todo = NULL;
        pthread_mutex_unlock(&t->mutex);
        work->run(work);
        note_done(t);
        pthread_mutex_lock(&t->mutex);
        t->finished = true;
        CHECK(uv_async_send(&t->done) == 0);
    }
    pthread_mutex_unlock(&t->mutex);
    return NULL;
}

static void on_done(uv_async_t *done)
{
    struct disk_thread *t = done->data;
    pthread_mutex_lock(&t->mutex);
    bool is_done = t->current != NULL && t->finished;
    t->finished = t->finished && !is_done;
    pthread_mutex_unlock(&t->mutex);
    if (is_done) {
        struct engine_work *work = t->current;
        t->current = NULL;
        work->done(work);
    }
}

void disk_thread_start(struct disk_thread *t, uv_loop_t *loop)
{
    *t = (struct disk_thread){.current = NULL};
    CHECK(pthread_mutex_init(&t->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&t->changed, NULL) == 0);
    CHECK(uv_async_init(loop, &t->done, on_done) == 0);
    t->done.data = t;
    CHECK(pthread_create(&t->thread, NULL, run, t) == 0);
}

void disk_thread_post(struct disk_thread *t, struct engine_work *work)
{
    CHECK(t->current == NULL);
    t->current = work;
    atomic_store_explicit(&t->busy_since_ms, clock_monotonic_ms(), memory_order_relaxed);
    pthread_mutex_lock(&t->mutex);
    t->todo = work;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->mutex);
}

void disk_thread_stop(struct disk_thread *t)
{
    CHECK(t->current == NULL);
    pthread_mutex_lock(&t->mutex);
    t->stopping = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->mutex);
    CHECK(pthread_join(t->thread, NULL) == 0);
    pthread_mutex_destroy(&t->mutex);
    pthread_cond_destroy(&t->changed);
    uv_close((uv_handle_t *)&t->done, NULL);
}
