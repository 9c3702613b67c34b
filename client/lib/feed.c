#include "client/lib/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/chance.h"
#include "server/base/clock.h"
#include "server/base/text.h"

#define CONNECT_MS        2000
#define FIRST_BYTE_MS_MAX 5000
#define REFUSAL_BYTES_MAX (64 * 1024)
/* A stream that held for so long was a good one: the replicas get a new chance at once. */
#define GOOD_MS    1000
#define PAUSE_MS   200
#define PAUSES_MAX 5 /* doublings */

static void connect_next(struct feed *feed);

bool feed_parse_position(const char *text, uint64_t *ret_index, uint64_t *ret_place)
{
    char index[24];
    const char *dot = strchr(text, '.');
    if (dot == NULL || (size_t)(dot - text) >= sizeof index) {
        return false;
    }
    memcpy(index, text, (size_t)(dot - text));
    index[dot - text] = '\0';
    return text_parse_u64(index, UINT64_MAX, ret_index) &&
           text_parse_u64(dot + 1, UINT64_MAX, ret_place);
}

/* Whether an event with this id was seen before. */
static bool is_seen(const struct feed *feed, const char *id)
{
    uint64_t index, place, seen_index, seen_place;
    if (id == NULL || !feed_parse_position(id, &index, &place) ||
        !feed_parse_position(feed->position, &seen_index, &seen_place)) {
        return false;
    }
    return index < seen_index || (index == seen_index && place <= seen_place);
}

static void give(struct feed *feed, struct feed_item item)
{
    item.server = feed->servers->urls[feed->server];
    feed->on_item(feed->ctx, &item);
}

static void take_reset(struct feed *feed, const json_t *json)
{
    const char *reason = json_string_value(json_object_get(json, "reason"));
    feed->synced = !feed->snapshot;
    give(feed, (struct feed_item){.kind = FEED_RESET,
                                  .index = json_integer_value(json_object_get(json, "index")),
                                  .text = reason != NULL ? reason : "no reason given",
                                  .json = json});
    if (feed->snapshot) {
        give(feed, (struct feed_item){.kind = FEED_BEGIN});
    }
}

static void take_json(struct feed *feed, const char *name, const json_t *json)
{
    const json_t *instance = json_object_get(json, "instance");
    if (strcmp(name, "reset") == 0) {
        take_reset(feed, json);
    } else if (strcmp(name, "synced") == 0) {
        feed->synced = true;
        give(feed, (struct feed_item){.kind = FEED_SYNCED,
                                      .index = json_integer_value(json_object_get(json, "index")),
                                      .json = json});
    } else if (!json_is_object(instance)) {
        feed->fault = "it sent an event without an instance";
    } else if (strcmp(name, "present") == 0) {
        give(feed, (struct feed_item){.kind = FEED_PRESENT, .json = json});
        return; /* it has no place in the order of events */
    } else if (!feed->synced || !is_seen(feed, feed->sse.last_id)) {
        give(feed, (struct feed_item){.kind = FEED_EVENT, .json = json});
    } else {
        return;
    }
    /* In the middle of a snapshot there is no place to go on from. */
    if (feed->synced && feed->sse.last_id[0] != '\0') {
        memcpy(feed->position, feed->sse.last_id, sizeof feed->position);
    }
}

static void on_sse_event(void *ctx, const struct sse_event *event)
{
    struct feed *feed = ctx;
    if (feed->fault != NULL) {
        return;
    }
    json_t *json = json_loadb(event->data, event->data_len, 0, NULL);
    if (json_is_object(json)) {
        take_json(feed, event->name, json);
    } else {
        feed->fault = "it sent what is no JSON object";
    }
    json_decref(json);
}

static bool is_stream(const struct feed *feed, long status)
{
    static const char type[] = "text/event-stream";
    const char *given = http_header(feed->curl, "Content-Type");
    return status == 200 && given != NULL && strncasecmp(given, type, sizeof type - 1) == 0;
}

static void come_up(struct feed *feed)
{
    feed->up = true;
    give(feed, (struct feed_item){.kind = FEED_UP});
    if (feed->snapshot && !feed->synced) {
        give(feed, (struct feed_item){.kind = FEED_BEGIN});
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct feed *feed = ctx;
    size_t len = size * count;
    long status = 0;
    feed->heard_ms = clock_monotonic_ms();
    bool last = len <= 2 && (*data == '\r' || *data == '\n');
    curl_easy_getinfo(feed->curl, CURLINFO_RESPONSE_CODE, &status);
    if (last && !feed->up && is_stream(feed, status)) {
        come_up(feed);
    }
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct feed *feed = ctx;
    size_t len = size * count;
    feed->heard_ms = clock_monotonic_ms();
    if (!feed->up) {
        bytes_append(&feed->refusal, data, len);
        return feed->refusal.failed ? 0 : len;
    }
    if (!sse_feed(&feed->sse, data, len) && feed->fault == NULL) {
        feed->fault = "it sent a line that is too long";
    }
    return feed->fault != NULL ? 0 : len;
}

static void close_transfer(struct feed *feed)
{
    if (feed->curl != NULL) {
        /* Where a bookmark moved it without an event. */
        if (feed->up && feed->sse.last_id[0] != '\0') {
            memcpy(feed->position, feed->sse.last_id, sizeof feed->position);
        }
        curl_easy_cleanup(feed->curl);
        curl_slist_free_all(feed->headers);
        sse_done(&feed->sse);
        feed->curl = NULL;
        feed->headers = NULL;
    }
    feed->up = false;
}

static void fail(struct feed *feed, const char *why)
{
    size_t count = feed->servers->count;
    uint64_t now_ms = clock_monotonic_ms();
    if (feed->up && now_ms - feed->began_ms >= GOOD_MS) {
        feed->tried = 0;
        feed->rounds = 0;
    }
    close_transfer(feed);
    /* Half a snapshot is none: it begins again, wherever the events among it were. */
    if (feed->snapshot && !feed->synced) {
        feed->position[0] = '\0';
    }
    const char *next = feed->servers->urls[(feed->server + 1) % count];
    bool again = ++feed->tried >= count;
    give(feed, (struct feed_item){.kind = FEED_DOWN, .text = why, .again = again, .next = next});
    feed->server = (feed->server + 1) % count;
    uint64_t pause_ms = 0;
    if (again) {
        size_t doublings = feed->rounds < PAUSES_MAX ? feed->rounds : PAUSES_MAX;
        pause_ms = chance_spread((uint64_t)PAUSE_MS << doublings);
        feed->tried = 0;
        feed->rounds++;
    }
    loop_set(feed->loop, &feed->timer, now_ms + pause_ms);
}

/* A 4xx will be a 4xx everywhere, but for those about time. */
static bool is_refusal(long status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static void refuse(struct feed *feed, long status)
{
    json_t *json =
        feed->refusal.len > 0 ? json_loadb(feed->refusal.data, feed->refusal.len, 0, NULL) : NULL;
    const char *message = json_string_value(json_object_get(json, "message"));
    close_transfer(feed);
    feed->ended = true;
    give(feed, (struct feed_item){.kind = FEED_REFUSED,
                                  .status = status,
                                  .json = json,
                                  .text = message != NULL ? message : "the replica refused"});
    json_decref(json);
}

static void on_transfer_done(struct loop_transfer *transfer, CURLcode code)
{
    struct feed *feed = CONTAINER_OF(transfer, struct feed, transfer);
    char why[HTTP_WHY_SIZE];
    long status = 0;
    curl_easy_getinfo(feed->curl, CURLINFO_RESPONSE_CODE, &status);
    loop_unset(feed->loop, &feed->timer);
    if (!feed->up && code == CURLE_OK && is_refusal(status)) {
        refuse(feed, status);
        return;
    }
    if (feed->fault != NULL) {
        (void)snprintf(why, sizeof why, "%s", feed->fault);
    } else if (code != CURLE_OK) {
        (void)snprintf(why, sizeof why, "%s", curl_easy_strerror(code));
    } else if (feed->up) {
        (void)snprintf(why, sizeof why, "it ended the stream");
    } else {
        (void)snprintf(why, sizeof why, "status %ld, and no event stream", status);
    }
    fail(feed, why);
}

/* Due: the next attempt, or a look whether the replica still says something. */
static void on_timer(struct loop_timer *timer)
{
    struct feed *feed = CONTAINER_OF(timer, struct feed, timer);
    if (feed->curl == NULL) {
        connect_next(feed);
        return;
    }
    uint64_t limit_ms = feed->up ? FEED_SILENCE_MS_MAX : FIRST_BYTE_MS_MAX;
    if (clock_monotonic_ms() - feed->heard_ms >= limit_ms) {
        loop_remove(feed->loop, &feed->transfer);
        fail(feed, "it has been silent for too long");
    } else {
        loop_set(feed->loop, timer, feed->heard_ms + limit_ms);
    }
}

/* False without memory; what was made is freed by close_transfer(). */
static bool prepare(struct feed *feed)
{
    char last_id[SSE_NAME_BYTES_MAX + 32];
    const char *path = bytes_text(&feed->path);
    feed->headers = curl_slist_append(NULL, "Accept: text/event-stream");
    if (path == NULL || feed->headers == NULL) {
        return false;
    }
    if (feed->position[0] != '\0') {
        (void)snprintf(last_id, sizeof last_id, "Last-Event-ID: %s", feed->position);
        if (curl_slist_append(feed->headers, last_id) == NULL) {
            return false;
        }
    }
    CURL *curl = feed->curl;
    if (!http_prepare(curl, feed->servers->urls[feed->server], path, feed->loop->sockets)) {
        return false;
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, feed->headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, feed);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, feed);
    feed->transfer = (struct loop_transfer){curl, on_transfer_done};
    return loop_add(feed->loop, &feed->transfer);
}

static void connect_next(struct feed *feed)
{
    feed->fault = NULL;
    feed->began_ms = feed->heard_ms = clock_monotonic_ms();
    bytes_clear(&feed->refusal);
    feed->curl = curl_easy_init();
    if (feed->curl == NULL) {
        fail(feed, "no memory");
        return;
    }
    sse_init(&feed->sse, on_sse_event, feed);
    if (!prepare(feed)) {
        fail(feed, "no memory");
        return;
    }
    loop_set(feed->loop, &feed->timer, feed->heard_ms + FIRST_BYTE_MS_MAX);
}

static void make_path(struct bytes *path, const struct feed_options *options)
{
    const char *const pairs[][2] = {{"service", options->service},
                                    {"type", options->type},
                                    {"id", options->id},
                                    {"snapshot", options->snapshot ? "true" : NULL}};
    bytes_append_text(path, "/events");
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        if (pairs[i][1] != NULL) {
            bytes_append_query(path, pairs[i][0], pairs[i][1]);
        }
    }
    for (size_t i = 0; i < options->events_count; i++) {
        bytes_append_query(path, "event", options->events[i]);
    }
}

bool feed_start(struct feed *feed, struct loop *loop, const struct servers *servers, size_t server,
                const struct feed_options *options)
{
    const char *after = options->after != NULL ? options->after : "";
    feed->loop = loop;
    feed->servers = servers;
    feed->server = server % servers->count;
    feed->snapshot = options->snapshot;
    /* With a position there is a copy already, which the events go on from. */
    feed->synced = !options->snapshot || *after != '\0';
    feed->timer = (struct loop_timer){.due_ms = LOOP_NEVER, .on_due = on_timer};
    feed->tried = feed->rounds = 0;
    feed->up = feed->ended = false;
    feed->curl = NULL;
    feed->headers = NULL;
    bytes_init(&feed->path, PATH_BYTES_MAX);
    bytes_init(&feed->refusal, REFUSAL_BYTES_MAX);
    make_path(&feed->path, options);
    if (strlen(after) >= sizeof feed->position || bytes_text(&feed->path) == NULL) {
        bytes_done(&feed->path);
        feed->loop = NULL;
        return false;
    }
    memcpy(feed->position, after, strlen(after) + 1);
    loop_set(loop, &feed->timer, clock_monotonic_ms());
    return true;
}

void feed_fail(struct feed *feed, const char *why)
{
    feed->fault = why;
    feed->synced = !feed->snapshot;
}

void feed_stop(struct feed *feed)
{
    if (feed->loop == NULL) {
        return;
    }
    if (feed->curl != NULL) {
        loop_remove(feed->loop, &feed->transfer);
    }
    close_transfer(feed);
    loop_unset(feed->loop, &feed->timer);
    bytes_done(&feed->path);
    bytes_done(&feed->refusal);
    feed->loop = NULL;
}
