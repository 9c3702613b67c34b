#include "client/bench/worker.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/clock.h"

#define EVENTS_AT_ONCE 256
/* How often all connections are looked at for time-outs and for those to be opened again. */
#define SWEEP_NS     20000000u
#define RECONNECT_NS 100000000u
#define MS_NS        1000000u

static void put_idle(struct worker *w, struct channel *channel)
{
    channel->next = NULL;
    *w->idle_end = channel;
    w->idle_end = &channel->next;
}

static struct channel *take_idle(struct worker *w)
{
    struct channel *channel = w->idle;
    w->idle = channel->next;
    if (w->idle == NULL) {
        w->idle_end = &w->idle;
    }
    return channel;
}

static struct load_target *target_of(struct worker *w, const struct channel *channel)
{
    return &w->result.targets[channel->target - w->load->options->targets];
}

static void add_failure(struct worker *w, uint64_t *counter, const struct channel *channel)
{
    if (channel->counted) {
        (*counter)++;
        target_of(w, channel)->failed++;
        atomic_fetch_add_explicit(&w->failed, 1, memory_order_relaxed);
    }
}

static void add_connect_failure(struct worker *w, const struct channel *channel)
{
    w->result.connect_failures++;
    target_of(w, channel)->connect_failures++;
}

static void go_down(struct channel *channel, uint64_t now_ns)
{
    channel->deadline_ns = now_ns + RECONNECT_NS;
}

/* The longest time between two successes of all threads, found as they pass. */
static void note_success(struct load *load, uint64_t now_ns)
{
    uint64_t last_ns =
        atomic_exchange_explicit(&load->last_success_ns, now_ns, memory_order_relaxed);
    uint64_t gap_ns = clock_elapsed(last_ns, now_ns);
    uint64_t longest_ns = atomic_load_explicit(&load->gap_ns, memory_order_relaxed);
    while (gap_ns > longest_ns &&
           !atomic_compare_exchange_weak_explicit(&load->gap_ns, &longest_ns, gap_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void count_answer(struct worker *w, const struct channel *channel, uint64_t now_ns)
{
    const struct answer *answer = &channel->answer;
    struct load_result *result = &w->result;
    if (!channel->counted) {
        return;
    }
    result->statuses[answer->status]++;
    result->body_bytes += answer->body_bytes;
    if (answer->status < 200 || answer->status > 299) {
        target_of(w, channel)->failed++;
        atomic_fetch_add_explicit(&w->failed, 1, memory_order_relaxed);
        return;
    }
    latency_add(&result->latency, now_ns - channel->due_ns);
    result->succeeded++;
    target_of(w, channel)->succeeded++;
    atomic_store_explicit(&w->succeeded, result->succeeded, memory_order_relaxed);
    note_success(w->load, now_ns);
    if (w->load->options->work->kind == WORK_HEARTBEAT) {
        result->renewed += answer_number(answer, "renewed");
    }
}

static void handle(struct worker *w, struct channel *channel, enum channel_event event);

/* Sends the next request on an idle channel. False when there is no more work. */
static bool start(struct worker *w, struct channel *channel, uint64_t due_ns, uint64_t now_ns)
{
    const struct load_options *options = w->load->options;
    uint64_t number = atomic_fetch_add_explicit(&w->load->next, 1, memory_order_relaxed);
    if (options->requests > 0 && number >= options->requests) {
        w->ended = true;
        return false;
    }
    channel->due_ns = due_ns;
    channel->deadline_ns = now_ns + options->timeout_ms * MS_NS;
    channel->counted = due_ns >= w->load->measure_ns;
    if (channel->counted) {
        w->result.sent++;
        w->result.late += now_ns - due_ns >= LOAD_LATE_NS;
    }
    buffer_clear(&channel->out);
    work_write(options->work, number, channel->target->name, &w->body, &channel->out);
    w->busy++;
    handle(w, channel, channel_send(channel));
    return true;
}

/* Gives work to idle channels, as far as it is due. All that one wait has brought is read before
 * anything is sent: a replica then finds several requests at once, and works cheaper for it. */
static void feed(struct worker *w)
{
    bool open_loop = w->load->options->rate > 0;
    uint64_t now_ns = clock_monotonic_ns();
    while (w->idle != NULL && !w->ended) {
        uint64_t due_ns = open_loop ? schedule_due_ns(&w->schedule) : now_ns;
        if (due_ns > now_ns || due_ns >= w->load->end_ns) {
            return;
        }
        struct channel *channel = take_idle(w);
        if (!start(w, channel, due_ns, now_ns)) {
            put_idle(w, channel);
            return;
        }
        if (open_loop) {
            schedule_advance(&w->schedule);
        }
        now_ns = open_loop ? now_ns : clock_monotonic_ns();
    }
}

static void handle(struct worker *w, struct channel *channel, enum channel_event event)
{
    uint64_t now_ns;
    if (event == CHANNEL_NOTHING) {
        return;
    }
    now_ns = clock_monotonic_ns();
    switch (event) {
    case CHANNEL_OPENED:
        put_idle(w, channel);
        break;
    case CHANNEL_ANSWERED:
        w->busy--;
        w->ended_ns = now_ns;
        count_answer(w, channel, now_ns);
        if (channel->state == CHANNEL_IDLE) {
            put_idle(w, channel);
        } else {
            channel->deadline_ns = now_ns;
        }
        break;
    case CHANNEL_BROKEN:
        w->busy--;
        add_failure(w, &w->result.broken, channel);
        go_down(channel, now_ns);
        break;
    case CHANNEL_MALFORMED:
        w->busy--;
        add_failure(w, &w->result.malformed, channel);
        go_down(channel, now_ns);
        break;
    case CHANNEL_REFUSED:
        add_connect_failure(w, channel);
        go_down(channel, now_ns);
        break;
    case CHANNEL_LOST:
    case CHANNEL_NOTHING:
        go_down(channel, now_ns);
        break;
    }
}

/* An idle channel that is lost, or sends what nobody asked for, is still in the list. */
static void handle_idle_lost(struct worker *w, struct channel *channel)
{
    struct channel **at = &w->idle;
    while (*at != NULL && *at != channel) {
        at = &(*at)->next;
    }
    CHECK(*at != NULL);
    *at = channel->next;
    if (channel->next == NULL) {
        w->idle_end = at;
    }
    go_down(channel, clock_monotonic_ns());
}

/* Time-outs, and channels that are to be opened again. */
static void sweep(struct worker *w, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->channels_count; i++) {
        struct channel *channel = &w->channels[i];
        if (channel->state == CHANNEL_IDLE || channel->deadline_ns > now_ns) {
            continue;
        }
        if (channel->state == CHANNEL_BUSY) {
            w->busy--;
            add_failure(w, &w->result.timed_out, channel);
            channel_close(channel);
        } else if (channel->state == CHANNEL_CONNECTING) {
            channel_close(channel);
            add_connect_failure(w, channel);
        }
        if (!w->ended) {
            w->result.reconnects++;
            channel->deadline_ns = now_ns + w->load->options->timeout_ms * MS_NS;
            handle(w, channel, channel_connect(channel));
        }
    }
}

static bool is_over(const struct worker *w, uint64_t now_ns)
{
    const atomic_bool *stop = w->load->options->stop;
    return now_ns >= w->load->end_ns ||
           (stop != NULL && atomic_load_explicit(stop, memory_order_relaxed));
}

/* By time: what was due before and found no connection is part of the result. */
static void end(struct worker *w, uint64_t now_ns)
{
    w->ended = true;
    if (w->load->options->rate > 0) {
        uint64_t end_ns = now_ns < w->load->end_ns ? now_ns : w->load->end_ns;
        w->result.unsent = schedule_left(&w->schedule, end_ns);
    }
}

/* The duration is over, and so is the time for answers that were under way. */
static void cut_off(struct worker *w)
{
    for (uint32_t i = 0; i < w->channels_count; i++) {
        struct channel *channel = &w->channels[i];
        if (channel->state == CHANNEL_BUSY) {
            w->result.unfinished += channel->counted;
            target_of(w, channel)->unfinished += channel->counted;
            channel_close(channel);
        }
    }
    w->busy = 0;
}

/* Until something is due: a request, or a look at all channels. */
static void wait_for_events(struct worker *w, struct epoll_event *events, uint64_t now_ns)
{
    uint64_t until_ns = w->sweep_ns;
    if (w->load->options->rate > 0 && w->idle != NULL && !w->ended &&
        schedule_due_ns(&w->schedule) < until_ns) {
        until_ns = schedule_due_ns(&w->schedule);
    }
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    const struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                     .tv_nsec = (long)(wait_ns % 1000000000u)};
    int count = epoll_pwait2(w->epoll, events, EVENTS_AT_ONCE, &timeout, NULL);
    CHECK(count >= 0 || errno == EINTR);
    for (int i = 0; i < count; i++) {
        struct channel *channel = events[i].data.ptr;
        bool idle = channel->state == CHANNEL_IDLE;
        enum channel_event event = channel_handle(channel, events[i].events, w->scratch);
        if (!idle) {
            handle(w, channel, event);
        } else if (event != CHANNEL_NOTHING) {
            handle_idle_lost(w, channel);
        }
    }
}

static void connect_all(struct worker *w)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < w->channels_count; i++) {
        struct channel *channel = &w->channels[i];
        channel->deadline_ns = now_ns + w->load->options->timeout_ms * MS_NS;
        handle(w, channel, channel_connect(channel));
    }
}

void *worker_run(void *worker)
{
    struct worker *w = worker;
    struct epoll_event events[EVENTS_AT_ONCE];
    struct rusage usage;
    /* A due time may be met to the microsecond; the default lets timers be 50 of them late. */
    (void)prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
    connect_all(w);
    w->sweep_ns = clock_monotonic_ns() + SWEEP_NS;
    do {
        feed(w);
        wait_for_events(w, events, clock_monotonic_ns());
        uint64_t now_ns = clock_monotonic_ns();
        if (!w->ended && is_over(w, now_ns)) {
            end(w, now_ns);
            w->cut_ns = now_ns + LOAD_GRACE_MS * MS_NS;
        }
        if (w->cut_ns > 0 && now_ns >= w->cut_ns) {
            cut_off(w);
        }
        if (now_ns >= w->sweep_ns) {
            sweep(w, now_ns);
            w->sweep_ns = now_ns + SWEEP_NS;
        }
    } while (!w->ended || w->busy > 0);
    CHECK(getrusage(RUSAGE_THREAD, &usage) == 0);
    w->result.cpu_ns =
        ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000u +
        ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000u;
    return NULL;
}
