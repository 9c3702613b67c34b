/* The thread of a sink: whether this replica leads, the connection, what is sent and confirmed. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <urcu.h>

#include "api/sink/sink.h"
#include "server/base/clock.h"
#include "server/base/log.h"

/* How soon a new leader begins, when nothing else wakes it. */
#define LEADS_MS 200
/* With a connection: what comes from outside is looked at so often. */
#define DELIVER_MS 1000
/* Between attempts to connect: doubled from the first to the last. */
#define BACK_OFF_FIRST_MS 250u
#define BACK_OFF_LAST_MS  5000u
/* A connection that has lasted so long was a good one. */
#define GOOD_AFTER_MS 5000
/* At the end, for what is on its way. */
#define FINISH_MS 1000

bool sink_goes_on(const struct sink *s)
{
    return !atomic_load(&s->draining) && !atomic_load(&s->stopping);
}

/* --- the connection --- */

static void disconnect(struct sink *s)
{
    if (s->connected) {
        s->kind->close(s);
        s->connected = false;
        metric_set(s->kind->connected, 0);
    }
    if (s->feed.begun && sink_goes_on(s)) {                    /* else the node may be gone */
        sink_feed_begin(&s->feed, s->node, s->feed.confirmed); /* the rest is sent again */
    }
}

static uint64_t back_off_ms(unsigned failures)
{
    uint64_t ms = failures > 5 ? BACK_OFF_LAST_MS : BACK_OFF_FIRST_MS << (failures - 1);
    ms = ms > BACK_OFF_LAST_MS ? BACK_OFF_LAST_MS : ms;
    return ms * 3 / 4 + clock_monotonic_ns() / 1000 % (ms / 2);
}

/* One line for each trouble, however long it lasts. */
static void fail(struct sink *s, const char *error)
{
    disconnect(s);
    s->failures++;
    s->retry_ms = clock_monotonic_ms() + back_off_ms(s->failures);
    metric_add(s->kind->failures_total, 1);
    if (strcmp(s->trouble, error) != 0 && sink_goes_on(s)) {
        (void)snprintf(s->trouble, sizeof s->trouble, "%s", error);
        log_write(LOG_WARN, s->kind->name, "cannot send events: trying again",
                  "reason=\"%s\" after=%llu.%u", error, (unsigned long long)s->feed.confirmed.index,
                  s->feed.confirmed.position);
    }
}

static bool connect_now(struct sink *s)
{
    char error[SINK_ERROR_SIZE] = "";
    atomic_store(&s->connecting, true);
    s->connected = s->kind->connect(s, error, sizeof error);
    atomic_store(&s->connecting, false);
    if (!s->connected) {
        s->kind->close(s);
        fail(s, error);
        return false;
    }
    s->connected_ms = clock_monotonic_ms();
    metric_set(s->kind->connected, 1);
    return true;
}

/* It works: what was wrong is over. */
static void note_good(struct sink *s)
{
    s->failures = 0;
    if (s->trouble[0] != '\0') {
        s->trouble[0] = '\0';
        log_write(LOG_INFO, s->kind->name, "sending events again", "after=%llu.%u",
                  (unsigned long long)s->feed.confirmed.index, s->feed.confirmed.position);
    }
}

/* --- events --- */

/* False: the connection has failed. */
static bool send_some(struct sink *s, bool *ret_moved)
{
    struct sink_feed *feed = &s->feed;
    const struct sink_message *m;
    char error[SINK_ERROR_SIZE] = "";
    while (feed->sent_count < SINK_WINDOW && feed->sent_bytes < SINK_WINDOW_BYTES &&
           sink_goes_on(s) && (s->kind->accepts == NULL || s->kind->accepts(s)) &&
           (m = sink_feed_next(feed, s->node)) != NULL) {
        if (!s->kind->send(s, m, error, sizeof error)) {
            fail(s, error);
            return false;
        }
        metric_add(strcmp(m->event, "reset") == 0 ? s->kind->resets_total : s->kind->sent_total, 1);
        sink_feed_sent(feed, m);
        *ret_moved = true;
    }
    return true;
}

static bool deliver(struct sink *s, bool *ret_moved)
{
    char error[SINK_ERROR_SIZE] = "";
    size_t confirmed = 0;
    if (!s->kind->deliver(s, &confirmed, error, sizeof error)) {
        sink_feed_confirm(&s->feed, confirmed);
        fail(s, error);
        return false;
    }
    sink_feed_confirm(&s->feed, confirmed);
    if (confirmed > 0 || clock_elapsed(s->connected_ms, clock_monotonic_ms()) > GOOD_AFTER_MS) {
        note_good(s);
    }
    *ret_moved |= confirmed > 0;
    return true;
}

/* --- leadership --- */

static void follow(struct sink *s)
{
    if (s->leads) {
        s->leads = false;
        s->feed.begun = false;
        disconnect(s);
        sink_position_forget(&s->writer);
        s->trouble[0] = '\0';
        s->failures = 0;
        s->begin = SINK_BEGIN_AT;
        metric_set(s->kind->waiting, 0);
    }
}

static bool leads(struct sink *s)
{
    struct node_status status;
    node_status(s->node, &status);
    if (!status.is_leader || !status.caught_up) {
        follow(s);
        return false;
    }
    s->leads = true;
    return true;
}

static void log_begin(struct sink *s, enum sink_begin begin, struct event_id after)
{
    if (begin == SINK_BEGIN_AT) {
        log_write(LOG_INFO, s->kind->name, "this replica sends the events", "after=%llu.%u",
                  (unsigned long long)after.index, after.position);
    } else if (begin == SINK_BEGIN_LEVEL && s->begin != begin) {
        log_write(LOG_INFO, s->kind->name,
                  "sinks of events begin when all members have a version that knows them",
                  "level=%d", LEVEL_SINKS);
    } else if (begin == SINK_BEGIN_NO_ROOM && s->begin != begin) {
        log_write(LOG_WARN, s->kind->name, "there are as many sinks of events as there may be",
                  "most=%d", SINKS_MAX);
    }
    s->begin = begin;
}

static bool begin(struct sink *s)
{
    struct event_id after = {0};
    if (s->feed.begun) {
        return true;
    }
    enum sink_begin outcome = sink_position_find(&s->writer, &after);
    log_begin(s, outcome, after);
    if (outcome != SINK_BEGIN_AT) {
        return false;
    }
    sink_feed_begin(&s->feed, s->node, after);
    return true;
}

/* --- turns --- */

/* Returns how long there is nothing to do, unless something happens. */
static long turn(struct sink *s)
{
    bool moved = false;
    if (!leads(s) || !begin(s)) {
        return LEADS_MS;
    }
    uint64_t now_ms = clock_monotonic_ms();
    long within_ms = s->connected ? DELIVER_MS : LEADS_MS;
    if (s->connected || (now_ms >= s->retry_ms && connect_now(s))) {
        (void)(send_some(s, &moved) && deliver(s, &moved));
    }
    if (!sink_goes_on(s)) {
        return 0; /* connecting may have taken longer than the node lives */
    }
    metric_set(s->kind->waiting, (int64_t)sink_feed_waiting(&s->feed, s->node));
    long write_ms = sink_position_write(&s->writer, s->feed.confirmed, now_ms, false);
    if (write_ms >= 0 && write_ms < within_ms) {
        within_ms = write_ms;
    }
    return moved ? 0 : within_ms;
}

static void sleep_for(struct sink *s, long within_ms)
{
    struct pollfd fds[2] = {{.fd = s->lane.fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (s->connected && s->kind->descriptor != NULL) {
        fds[1].fd = s->kind->descriptor(s);
    }
    (void)poll(fds, 2, (int)within_ms);
}

/* What is on its way may still be confirmed: then the next leader does not send it again. */
static void finish(struct sink *s)
{
    uint64_t until_ms = clock_monotonic_ms() + FINISH_MS;
    bool moved = false;
    while (s->leads && s->connected && !atomic_load(&s->stopping) &&
           clock_monotonic_ms() < until_ms) {
        lane_clear(&s->lane);
        (void)(s->feed.sent_count == 0 || deliver(s, &moved));
        (void)sink_position_write(&s->writer, s->feed.confirmed, clock_monotonic_ms(), true);
        if (s->feed.sent_count == 0 && sink_position_is_written(&s->writer, s->feed.confirmed)) {
            break;
        }
        sleep_for(s, 50);
    }
}

void *sink_run(void *arg)
{
    struct sink *s = arg;
    rcu_register_thread();
    while (sink_goes_on(s)) {
        lane_clear(&s->lane);
        sleep_for(s, turn(s));
    }
    finish(s);
    s->feed.begun = false; /* the node may be gone from here on */
    disconnect(s);
    rcu_unregister_thread();
    return NULL;
}
