#include "client/bench/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "client/bench/channel.h"
#include "client/bench/schedule.h"
#include "client/lib/sse.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

#define MS_NS          1000000u
#define EVENTS_AT_ONCE 256
#define SWEEP_NS       20000000u
#define RECONNECT_NS   100000000u
#define POLL_WAIT_MS   30000u
/* More at once would overrun the replicas' queues of connections. */
#define CONNECTING_MAX 64
/* Watchers that are not in place are waited for as long as others get there. */
#define READY_MS 3000u
/* For a write that is under way at the end. */
#define GRACE_MS 1000u

struct watcher {
    struct channel channel; /* first: epoll's pointer is to it */
    struct watch *watch;
    struct sse sse;
    uint64_t index; /* of the service, as last reported; 0: not asked yet */
    uint64_t told;  /* number of the last write that it knows of */
    uint32_t heard; /* events of the stream that are to be counted */
    bool broken;    /* the stream is none, or there was no memory: nothing of it is counted */
    bool ready;     /* listening */
};

struct watch {
    const struct watch_options *options;
    struct watch_result *result;
    int epoll;
    char *scratch;
    struct buffer body;
    struct watcher *watchers;
    struct channel *writers; /* one a target */
    uint32_t ready;
    uint32_t connecting;
    uint64_t sweep_ns;
    uint64_t cut_ns; /* nothing is waited for any longer */
    /* the write under way */
    uint64_t write; /* its number from 1; 0: none so far */
    bool writing;
    bool acknowledged;
    uint64_t sent_ns;
    uint64_t acknowledged_ns;
    uint64_t last_told_ns;
    uint32_t told;
};

static bool is_stopped(const struct watch *w)
{
    return w->options->stop != NULL && atomic_load(w->options->stop);
}

static void set_ready(struct watch *w, struct watcher *watcher, bool ready)
{
    if (watcher->ready != ready) {
        watcher->ready = ready;
        w->ready += ready ? 1u : UINT32_MAX;
    }
}

static void note_told(struct watch *w, struct watcher *watcher)
{
    if (watcher->told == w->write || !w->writing) {
        return;
    }
    uint64_t now_ns = clock_monotonic_ns();
    watcher->told = w->write;
    w->told++;
    w->last_told_ns = now_ns;
    w->result->told++;
    latency_add(&w->result->each, w->acknowledged ? now_ns - w->acknowledged_ns : 0);
}

/* Marks of a listing are no events of the registry. */
static void count_event(void *data, const struct sse_event *event)
{
    static const char *const marks[] = {"present", "synced", "reset"};
    struct watcher *watcher = data;
    for (size_t i = 0; i < ARRAY_LENGTH(marks); i++) {
        if (strcmp(event->name, marks[i]) == 0) {
            return;
        }
    }
    watcher->heard++;
}

static void take_events(void *data, const char *bytes, size_t len)
{
    struct watcher *watcher = data;
    watcher->broken = watcher->broken || !sse_feed(&watcher->sse, bytes, len);
}

/* The watcher's next request: the stream, or the service as it is, or as it will be. */
static void ask(struct watcher *watcher)
{
    struct watch *w = watcher->watch;
    struct channel *channel = &watcher->channel;
    const char *prefix = w->options->work->prefix;
    const char *host = channel->target->name;
    const char *headers = w->options->work->headers;
    buffer_clear(&channel->out);
    if (w->options->stream) {
        sse_done(&watcher->sse);
        sse_init(&watcher->sse, count_event, watcher);
        watcher->broken = false;
        watcher->heard = 0;
        buffer_printf(&channel->out,
                      "GET /events?service=%s-s0 HTTP/1.1\r\nHost: %s\r\n"
                      "Accept: text/event-stream\r\n%s\r\n",
                      prefix, host, headers);
    } else if (watcher->index == 0) {
        buffer_printf(&channel->out, "GET /services/%s-s0?limit=1 HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                      prefix, host, headers);
    } else {
        buffer_printf(&channel->out,
                      "GET /services/%s-s0?limit=1&index=%" PRIu64
                      "&wait=%us HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                      prefix, watcher->index, POLL_WAIT_MS / 1000, host, headers);
    }
    channel->deadline_ns =
        w->options->stream ? UINT64_MAX
                           : clock_monotonic_ns() + (POLL_WAIT_MS + w->options->timeout_ms) * MS_NS;
    if (channel_send(channel) != CHANNEL_NOTHING) {
        channel->deadline_ns = clock_monotonic_ns() + RECONNECT_NS;
        set_ready(w, watcher, false);
        return;
    }
    set_ready(w, watcher, !w->options->stream && watcher->index != 0);
}

/* Reconnects a little later. */
static void lose(struct watcher *watcher)
{
    channel_close(&watcher->channel);
    watcher->channel.deadline_ns = clock_monotonic_ns() + RECONNECT_NS;
    set_ready(watcher->watch, watcher, false);
}

static void handle_poll_answer(struct watcher *watcher)
{
    struct watch *w = watcher->watch;
    struct channel *channel = &watcher->channel;
    uint64_t index = answer_number(&channel->answer, "index");
    if (channel->answer.status != 200 || index == 0) {
        w->result->refused++;
        lose(watcher);
        return;
    }
    if (watcher->index != 0 && index > watcher->index) {
        note_told(w, watcher);
    }
    watcher->index = index;
    if (channel->state == CHANNEL_IDLE) {
        ask(watcher);
    } else {
        lose(watcher);
    }
}

static void handle_stream(struct watcher *watcher)
{
    struct watch *w = watcher->watch;
    struct channel *channel = &watcher->channel;
    /* The first bytes are the bookmark of where the stream begins. */
    if (channel->state == CHANNEL_BUSY && channel->answer.status == 200 &&
        channel->answer.body_bytes > 0) {
        set_ready(w, watcher, true);
    }
    if (watcher->heard > 0) {
        watcher->heard = 0;
        note_told(w, watcher);
    }
}

static void handle_watcher(struct watcher *watcher, enum channel_event event, bool was_connecting)
{
    struct watch *w = watcher->watch;
    w->connecting -= was_connecting && event != CHANNEL_NOTHING ? 1u : 0u;
    switch (event) {
    case CHANNEL_NOTHING:
        if (w->options->stream) {
            handle_stream(watcher);
        }
        break;
    case CHANNEL_OPENED:
        ask(watcher);
        break;
    case CHANNEL_ANSWERED:
        if (!w->options->stream) {
            handle_poll_answer(watcher);
            break;
        }
        /* A stream has no end, unless the replica stops or refuses it. */
        handle_stream(watcher);
        w->result->refused += watcher->channel.answer.status != 200;
        lose(watcher);
        break;
    case CHANNEL_LOST:
    case CHANNEL_REFUSED:
    case CHANNEL_BROKEN:
    case CHANNEL_MALFORMED:
        lose(watcher);
        break;
    }
}

static void handle_writer(struct watch *w, struct channel *channel, enum channel_event event)
{
    if (event == CHANNEL_NOTHING || event == CHANNEL_OPENED) {
        return;
    }
    if (channel->state == CHANNEL_DOWN) {
        channel->deadline_ns = clock_monotonic_ns() + RECONNECT_NS;
    }
    if (event == CHANNEL_REFUSED || event == CHANNEL_LOST || !w->writing) {
        return;
    }
    int status = channel->answer.status;
    if (event == CHANNEL_ANSWERED && (status == 200 || status == 201)) {
        w->acknowledged = true;
        w->acknowledged_ns = clock_monotonic_ns();
        w->result->writes++;
        latency_add(&w->result->write, w->acknowledged_ns - w->sent_ns);
    } else {
        w->writing = false;
        w->result->failed++;
    }
}

/* Opens what is down, and gives up polls that were forgotten. */
static void sweep(struct watch *w, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->options->targets_count; i++) {
        struct channel *writer = &w->writers[i];
        if (writer->state == CHANNEL_DOWN && writer->deadline_ns <= now_ns) {
            handle_writer(w, writer, channel_connect(writer));
        }
    }
    for (uint32_t i = 0; i < w->options->watchers; i++) {
        struct watcher *watcher = &w->watchers[i];
        struct channel *channel = &watcher->channel;
        if (channel->state == CHANNEL_BUSY && channel->deadline_ns <= now_ns) {
            lose(watcher);
        }
        if (channel->state == CHANNEL_DOWN && channel->deadline_ns <= now_ns &&
            w->connecting < CONNECTING_MAX) {
            w->result->reconnects += channel->deadline_ns > 0;
            w->connecting++;
            enum channel_event event = channel_connect(channel);
            handle_watcher(watcher, event, true);
        }
    }
}

/* Waits for events, up to a point in time, and handles them. */
static void pump(struct watch *w, uint64_t until_ns)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns >= w->sweep_ns) {
        sweep(w, now_ns);
        /* Connections wait for each other: the next may begin as soon as these are there. */
        w->sweep_ns = now_ns + (w->connecting > 0 ? MS_NS : SWEEP_NS);
    }
    until_ns = until_ns < w->sweep_ns ? until_ns : w->sweep_ns;
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    const struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                     .tv_nsec = (long)(wait_ns % 1000000000u)};
    int count = epoll_pwait2(w->epoll, events, EVENTS_AT_ONCE, &timeout, NULL);
    CHECK(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) {
        struct channel *channel = events[i].data.ptr;
        bool connecting = channel->state == CHANNEL_CONNECTING;
        enum channel_event event = channel_handle(channel, events[i].events, w->scratch);
        if (channel >= w->writers && channel < w->writers + w->options->targets_count) {
            handle_writer(w, channel, event);
        } else {
            handle_watcher(CONTAINER_OF(channel, struct watcher, channel), event, connecting);
        }
    }
}

/* A replica that hangs takes connections, and got none of its watchers in place. */
static bool is_dead(const struct watch *w, uint32_t target)
{
    return target < w->options->watchers && w->result->targets_ready[target] == 0;
}

/* Starts write number `w->write` at the next replica that has a connection. */
static bool start_write(struct watch *w)
{
    const struct watch_options *options = w->options;
    for (uint32_t i = 0; i < options->targets_count; i++) {
        uint32_t target = (uint32_t)((w->write + i) % options->targets_count);
        struct channel *writer = &w->writers[target];
        if (writer->state != CHANNEL_IDLE || is_dead(w, target)) {
            continue;
        }
        buffer_clear(&writer->out);
        work_write(options->work, w->write, writer->target->name, &w->body, &writer->out);
        w->writing = true;
        w->acknowledged = false;
        w->told = 0;
        w->sent_ns = clock_monotonic_ns();
        w->last_told_ns = w->sent_ns;
        handle_writer(w, writer, channel_send(writer));
        return true;
    }
    return false;
}

/* One write, until it is acknowledged and all are told, or until its time is over. */
static void write_once(struct watch *w)
{
    w->write++;
    if (!start_write(w)) {
        w->result->failed++;
        pump(w, clock_monotonic_ns() + SWEEP_NS);
        return;
    }
    uint32_t listening = w->ready;
    uint64_t end_ns = clock_monotonic_ns() + w->options->timeout_ms * MS_NS;
    end_ns = end_ns < w->cut_ns ? end_ns : w->cut_ns;
    while (w->writing && !(w->acknowledged && w->told >= listening) && !is_stopped(w) &&
           clock_monotonic_ns() < end_ns) {
        pump(w, end_ns);
    }
    if (is_stopped(w)) {
        return;
    }
    if (w->writing && !w->acknowledged) {
        w->result->failed++;
    } else if (w->writing && w->told >= listening) {
        bool after = w->last_told_ns > w->acknowledged_ns;
        latency_add(&w->result->last, after ? w->last_told_ns - w->acknowledged_ns : 0);
        latency_add(&w->result->whole, w->last_told_ns - w->sent_ns);
    } else if (w->writing) {
        w->result->missed += listening - w->told;
    }
    w->writing = false;
}

static void await_ready(struct watch *w)
{
    uint64_t end_ns = clock_monotonic_ns() + READY_MS * MS_NS;
    uint32_t most = 0;
    while (w->ready < w->options->watchers && !is_stopped(w) && clock_monotonic_ns() < end_ns) {
        pump(w, end_ns);
        if (w->ready > most) {
            most = w->ready;
            end_ns = clock_monotonic_ns() + READY_MS * MS_NS;
        }
    }
    w->result->ready = w->ready;
    for (uint32_t i = 0; i < w->options->watchers; i++) {
        w->result->targets_ready[i % w->options->targets_count] += w->watchers[i].ready;
    }
}

static void show_progress(const struct watch *w, uint64_t began_ns, uint64_t *next_ns)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (!w->options->progress || now_ns < *next_ns) {
        return;
    }
    *next_ns = now_ns + 1000 * MS_NS;
    fprintf(stderr, "\rmeasuring: %4.0f s  %u watchers  %" PRIu64 " writes  last told %.1f ms ",
            (double)(now_ns - began_ns) / 1e9, w->ready, w->result->writes,
            (double)latency_percentile_ns(&w->result->last, 500000) / 1e6);
    (void)fflush(stderr);
}

static void measure(struct watch *w)
{
    const struct watch_options *options = w->options;
    struct schedule schedule;
    uint64_t began_ns = clock_monotonic_ns();
    uint64_t end_ns =
        options->duration_ms > 0 ? began_ns + options->duration_ms * MS_NS : UINT64_MAX;
    uint64_t progress_ns = began_ns + 1000 * MS_NS;
    w->cut_ns = end_ns != UINT64_MAX ? end_ns + GRACE_MS * MS_NS : UINT64_MAX;
    schedule_init(&schedule, began_ns, options->rate, 0, 1);
    for (uint64_t done = 0; options->requests == 0 || done < options->requests; done++) {
        uint64_t due_ns = schedule_due_ns(&schedule);
        while (clock_monotonic_ns() < due_ns && due_ns < end_ns && !is_stopped(w)) {
            pump(w, due_ns);
        }
        if (clock_monotonic_ns() >= end_ns || due_ns >= end_ns || is_stopped(w)) {
            break;
        }
        write_once(w);
        schedule_advance(&schedule);
        show_progress(w, began_ns, &progress_ns);
    }
    if (options->progress) {
        fputc('\n', stderr);
    }
    w->result->elapsed_ns = clock_monotonic_ns() - began_ns;
}

static void set_up(struct watch *w)
{
    const struct watch_options *options = w->options;
    const uint32_t targets = options->targets_count;
    CHECK(targets > 0);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(w->epoll >= 0);
    w->scratch = mem_alloc(CHANNEL_SCRATCH_BYTES);
    buffer_init(&w->body, REGISTER_BODY_BYTES_MAX);
    w->writers = mem_zalloc(targets, sizeof *w->writers);
    for (uint32_t i = 0; i < targets; i++) {
        channel_init(&w->writers[i], &options->targets[i], w->epoll);
    }
    w->watchers = mem_zalloc(options->watchers, sizeof *w->watchers);
    for (uint32_t i = 0; i < options->watchers; i++) {
        struct watcher *watcher = &w->watchers[i];
        channel_init(&watcher->channel, &options->targets[i % targets], w->epoll);
        watcher->watch = w;
        if (options->stream) {
            watcher->channel.answer.body_cb = take_events;
            watcher->channel.answer.data = watcher;
        }
    }
}

static void tear_down(struct watch *w)
{
    for (uint32_t i = 0; i < w->options->targets_count; i++) {
        channel_done(&w->writers[i]);
    }
    for (uint32_t i = 0; i < w->options->watchers; i++) {
        channel_done(&w->watchers[i].channel);
        sse_done(&w->watchers[i].sse);
    }
    free(w->writers);
    free(w->watchers);
    free(w->scratch);
    buffer_done(&w->body);
    (void)close(w->epoll);
}

static uint64_t cpu_ns(void)
{
    struct timespec spent;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent) == 0);
    return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

void watch_run(const struct watch_options *options, struct watch_result *ret_result)
{
    struct watch w = {.options = options, .result = ret_result};
    memset(ret_result, 0, sizeof *ret_result);
    set_up(&w);
    await_ready(&w);
    uint64_t before_ns = cpu_ns();
    if (w.ready > 0 && !is_stopped(&w)) {
        measure(&w);
    }
    ret_result->cpu_ns = cpu_ns() - before_ns;
    tear_down(&w);
}
