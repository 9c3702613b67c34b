#include "client/bench/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client/bench/worker.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

#define MS_NS 1000000u

static void set_up_worker(struct load *load, struct worker *w, uint32_t number)
{
    const struct load_options *options = load->options;
    w->load = load;
    w->idle_end = &w->idle;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(w->epoll >= 0);
    w->scratch = mem_alloc(CHANNEL_SCRATCH_BYTES);
    buffer_init(&w->body, HEARTBEAT_BODY_BYTES_MAX);
    w->channels_count = options->connections / options->threads +
                        (number < options->connections % options->threads ? 1 : 0);
    w->channels = mem_zalloc(w->channels_count, sizeof *w->channels);
    for (uint32_t i = 0; i < w->channels_count; i++) {
        uint32_t target = (number + i * options->threads) % options->targets_count;
        channel_init(&w->channels[i], &options->targets[target], w->epoll);
    }
    if (options->rate > 0) {
        schedule_init(&w->schedule, load->begin_ns, options->rate, number, options->threads);
    }
}

static void tear_down_worker(struct worker *w)
{
    for (uint32_t i = 0; i < w->channels_count; i++) {
        channel_done(&w->channels[i]);
    }
    free(w->channels);
    free(w->scratch);
    buffer_done(&w->body);
    (void)close(w->epoll);
}

static void show_progress(const struct load *load, const struct worker *workers,
                          uint64_t *seen_succeeded)
{
    const struct load_options *options = load->options;
    uint64_t succeeded = 0;
    uint64_t failed = 0;
    for (uint32_t i = 0; i < options->threads; i++) {
        succeeded += atomic_load_explicit(&workers[i].succeeded, memory_order_relaxed);
        failed += atomic_load_explicit(&workers[i].failed, memory_order_relaxed);
    }
    fprintf(stderr, "\r%s: %4.0f s  %10llu done  %8llu/s  %llu failed ", options->progress,
            (double)(clock_monotonic_ns() - load->begin_ns) / 1e9, (unsigned long long)succeeded,
            (unsigned long long)(succeeded - *seen_succeeded), (unsigned long long)failed);
    (void)fflush(stderr);
    *seen_succeeded = succeeded;
}

/* Waits for all threads, once a second with a line of how they fare. */
static void wait_for_workers(const struct load *load, struct worker *workers)
{
    uint64_t seen_succeeded = 0;
    bool shown = false;
    struct timespec wake;
    CHECK(clock_gettime(CLOCK_REALTIME, &wake) == 0);
    for (uint32_t i = 0; i < load->options->threads;) {
        wake.tv_sec++;
        while (i < load->options->threads &&
               pthread_timedjoin_np(workers[i].thread, NULL, &wake) == 0) {
            i++;
        }
        if (load->options->progress != NULL && i < load->options->threads) {
            show_progress(load, workers, &seen_succeeded);
            shown = true;
        }
    }
    if (shown) {
        fputc('\n', stderr);
    }
}

static void add_up(struct load_result *sum, const struct load_result *part)
{
    sum->sent += part->sent;
    sum->succeeded += part->succeeded;
    for (int i = 0; i <= LOAD_STATUS_MAX; i++) {
        sum->statuses[i] += part->statuses[i];
    }
    sum->broken += part->broken;
    sum->timed_out += part->timed_out;
    sum->malformed += part->malformed;
    sum->unfinished += part->unfinished;
    sum->connect_failures += part->connect_failures;
    sum->reconnects += part->reconnects;
    sum->renewed += part->renewed;
    sum->body_bytes += part->body_bytes;
    sum->late += part->late;
    sum->unsent += part->unsent;
    sum->cpu_ns += part->cpu_ns;
    latency_merge(&sum->latency, &part->latency);
    for (size_t i = 0; i < TARGETS_MAX; i++) {
        sum->targets[i].succeeded += part->targets[i].succeeded;
        sum->targets[i].failed += part->targets[i].failed;
        sum->targets[i].unfinished += part->targets[i].unfinished;
        sum->targets[i].connect_failures += part->targets[i].connect_failures;
    }
}

static void collect(const struct load *load, const struct worker *workers,
                    struct load_result *ret_result)
{
    const struct load_options *options = load->options;
    uint64_t ended_ns = load->measure_ns;
    *ret_result = (struct load_result){.sent = 0};
    for (uint32_t i = 0; i < options->threads; i++) {
        add_up(ret_result, &workers[i].result);
        ended_ns = workers[i].ended_ns > ended_ns ? workers[i].ended_ns : ended_ns;
    }
    uint64_t next = atomic_load(&load->next);
    ret_result->numbers =
        options->requests > 0 && next > options->requests ? options->requests : next;
    /* A run that ended without an answer still took its time, and without a success. */
    bool stopped = options->stop != NULL && atomic_load(options->stop);
    if (load->end_ns != UINT64_MAX && !stopped && options->requests == 0 &&
        ended_ns < load->end_ns) {
        ended_ns = load->end_ns;
    }
    ret_result->elapsed_ns = ended_ns - load->measure_ns;
    uint64_t last_ns = atomic_load(&load->last_success_ns);
    ret_result->gap_ns = atomic_load(&load->gap_ns);
    if (ended_ns > last_ns && ended_ns - last_ns > ret_result->gap_ns) {
        ret_result->gap_ns = ended_ns - last_ns;
    }
}

void load_run(const struct load_options *options, struct load_result *ret_result)
{
    struct load load = {.options = options};
    CHECK(options->threads > 0 && options->threads <= options->connections);
    CHECK(options->requests > 0 || options->duration_ms > 0);
    struct worker *workers = mem_zalloc(options->threads, sizeof *workers);
    load.begin_ns = clock_monotonic_ns();
    load.measure_ns = load.begin_ns + options->warmup_ms * MS_NS;
    load.end_ns =
        options->duration_ms > 0 ? load.measure_ns + options->duration_ms * MS_NS : UINT64_MAX;
    atomic_store(&load.last_success_ns, load.measure_ns);
    for (uint32_t i = 0; i < options->threads; i++) {
        set_up_worker(&load, &workers[i], i);
    }
    for (uint32_t i = 0; i < options->threads; i++) {
        CHECK(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) == 0);
    }
    wait_for_workers(&load, workers);
    collect(&load, workers, ret_result);
    for (uint32_t i = 0; i < options->threads; i++) {
        tear_down_worker(&workers[i]);
    }
    free(workers);
}

uint64_t load_failures(const struct load_result *result)
{
    return result->sent - result->succeeded - result->unfinished;
}
