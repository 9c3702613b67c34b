#include "client/lib/event_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/random.h"
#include "server/base/clock.h"
#include "server/base/text.h"

#define CONNECT_MS        2000
#define FIRST_BYTE_MS_MAX 5000
#define REFUSAL_BYTES_MAX (64 * 1024)
/* After a stream that lasted this long, the replicas are tried again without a pause. */
#define GOOD_MS    1000
#define PAUSE_MS   200
#define PAUSES_MAX 5 /* doublings */

static void connect_next(struct event_stream *stream);

bool event_stream_parse_position(const char *text, struct stream_position *ret_position)
{
    char index[TEXT_U64_SIZE];
    size_t len = strcspn(text, ".");
    uint64_t place;
    if (text[len] == '\0' || len >= sizeof index) {
        return false;
    }
    memcpy(index, text, len);
    index[len] = '\0';
    if (!text_parse_u64(index, UINT64_MAX, &ret_position->index) ||
        !text_parse_u64(text + len + 1, UINT64_MAX, &place)) {
        return false;
    }
    ret_position->cluster = (uint32_t)(place >> 32);
    ret_position->place = (uint32_t)place;
    return true;
}

/* Whether an event with this id was seen before. */
static bool is_seen(const struct event_stream *stream, const char *id)
{
    struct stream_position p, seen;
    if (id == NULL || !event_stream_parse_position(id, &p) ||
        !event_stream_parse_position(stream->position, &seen) || p.cluster != seen.cluster) {
        return false;
    }
    return p.index < seen.index || (p.index == seen.index && p.place <= seen.place);
}

static void give(struct event_stream *stream, struct stream_item item)
{
    item.server = stream->servers->urls[stream->server];
    stream->on_item(stream->ctx, &item);
}

static void take_reset(struct event_stream *stream, const json_t *json)
{
    const char *reason = json_string_value(json_object_get(json, "reason"));
    stream->synced = !stream->snapshot;
    give(stream, (struct stream_item){.kind = STREAM_RESET,
                                      .index = json_integer_value(json_object_get(json, "index")),
                                      .text = reason != NULL ? reason : "no reason given",
                                      .json = json});
    if (stream->snapshot) {
        give(stream, (struct stream_item){.kind = STREAM_BEGIN});
    }
}

static void take_json(struct event_stream *stream, const char *name, const json_t *json)
{
    const json_t *instance = json_object_get(json, "instance");
    if (strcmp(name, "reset") == 0) {
        take_reset(stream, json);
    } else if (strcmp(name, "synced") == 0) {
        stream->synced = true;
        give(stream,
             (struct stream_item){.kind = STREAM_SYNCED,
                                  .index = json_integer_value(json_object_get(json, "index")),
                                  .json = json});
    } else if (!json_is_object(instance)) {
        stream->fault = "it sent an event without an instance";
    } else if (strcmp(name, "present") == 0) {
        give(stream, (struct stream_item){.kind = STREAM_PRESENT, .json = json});
        return; /* it has no place in the order of events */
    } else if (!stream->synced || !is_seen(stream, stream->sse.last_id)) {
        give(stream, (struct stream_item){.kind = STREAM_EVENT, .json = json});
    } else {
        return;
    }
    /* In the middle of a snapshot there is no place to go on from. */
    if (stream->synced && stream->sse.last_id[0] != '\0') {
        memcpy(stream->position, stream->sse.last_id, sizeof stream->position);
    }
}

static void on_sse_event(void *ctx, const struct sse_event *event)
{
    struct event_stream *stream = ctx;
    if (stream->fault != NULL) {
        return;
    }
    json_t *json = json_loadb(event->data, event->data_len, 0, NULL);
    if (json_is_object(json)) {
        take_json(stream, event->name, json);
    } else {
        stream->fault = "it sent what is no JSON object";
    }
    json_decref(json);
}

static bool is_stream(const struct event_stream *stream, long status)
{
    static const char type[] = "text/event-stream";
    const char *given = http_header(stream->curl, "Content-Type");
    return status == 200 && given != NULL && strncasecmp(given, type, sizeof type - 1) == 0;
}

static void come_up(struct event_stream *stream)
{
    stream->up = true;
    give(stream, (struct stream_item){.kind = STREAM_UP});
    if (stream->snapshot && !stream->synced) {
        give(stream, (struct stream_item){.kind = STREAM_BEGIN});
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct event_stream *stream = ctx;
    size_t len = size * count;
    long status = 0;
    stream->heard_ms = clock_monotonic_ms();
    bool last = len <= 2 && (*data == '\r' || *data == '\n');
    curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
    if (last && !stream->up && is_stream(stream, status)) {
        come_up(stream);
    }
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct event_stream *stream = ctx;
    size_t len = size * count;
    stream->heard_ms = clock_monotonic_ms();
    if (!stream->up) {
        bytes_append(&stream->refusal, data, len);
        return stream->refusal.failed ? 0 : len;
    }
    if (!sse_feed(&stream->sse, data, len) && stream->fault == NULL) {
        stream->fault = "it sent a line that is too long";
    }
    return stream->fault != NULL ? 0 : len;
}

static void close_transfer(struct event_stream *stream)
{
    if (stream->curl != NULL) {
        /* Where a bookmark moved it without an event. */
        if (stream->up && stream->sse.last_id[0] != '\0') {
            memcpy(stream->position, stream->sse.last_id, sizeof stream->position);
        }
        curl_easy_cleanup(stream->curl);
        curl_slist_free_all(stream->headers);
        sse_done(&stream->sse);
        stream->curl = NULL;
        stream->headers = NULL;
    }
    stream->up = false;
}

/* Before the next round. Clients that were told the same do not come back all at once. */
static uint64_t choose_pause(const struct event_stream *stream)
{
    size_t doublings = stream->rounds < PAUSES_MAX ? stream->rounds : PAUSES_MAX;
    uint64_t own_ms = random_spread((uint64_t)PAUSE_MS << doublings);
    uint64_t asked_ms = stream->asked_ms > 0 ? (uint64_t)stream->asked_ms : 0;
    return asked_ms > own_ms ? asked_ms + random_below(asked_ms / 4) : own_ms;
}

/* Too much for now: 429 or 503. */
static void note_asked(struct event_stream *stream)
{
    int64_t asked_ms = http_retry_after_ms(stream->curl);
    if (asked_ms >= 0 && (stream->asked_ms < 0 || asked_ms < stream->asked_ms)) {
        stream->asked_ms = asked_ms;
    }
}

static void fail(struct event_stream *stream, const char *why)
{
    size_t count = stream->servers->count;
    uint64_t now_ms = clock_monotonic_ms();
    if (stream->up && now_ms - stream->began_ms >= GOOD_MS) {
        stream->tried = 0;
        stream->rounds = 0;
    }
    close_transfer(stream);
    /* Half a snapshot is none: it begins again, wherever the events among it were. */
    if (stream->snapshot && !stream->synced) {
        stream->position[0] = '\0';
    }
    const char *next = stream->servers->urls[(stream->server + 1) % count];
    bool again = ++stream->tried >= count;
    give(stream,
         (struct stream_item){.kind = STREAM_DOWN, .text = why, .again = again, .next = next});
    stream->server = (stream->server + 1) % count;
    uint64_t pause_ms = 0;
    if (again) {
        pause_ms = choose_pause(stream);
        stream->asked_ms = -1;
        stream->tried = 0;
        stream->rounds++;
    }
    loop_set(stream->loop, &stream->timer, now_ms + pause_ms);
}

/* A 4xx will be a 4xx everywhere, but for those about time. */
static bool is_refusal(long status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static void refuse(struct event_stream *stream, long status)
{
    json_t *json = stream->refusal.len > 0
                       ? json_loadb(stream->refusal.data, stream->refusal.len, 0, NULL)
                       : NULL;
    const char *message = json_string_value(json_object_get(json, "message"));
    close_transfer(stream);
    stream->ended = true;
    give(stream, (struct stream_item){.kind = STREAM_REFUSED,
                                      .status = status,
                                      .json = json,
                                      .text = message != NULL ? message : "the replica refused"});
    json_decref(json);
}

static void on_transfer_done(struct loop_transfer *transfer, CURLcode code)
{
    struct event_stream *stream = CONTAINER_OF(transfer, struct event_stream, transfer);
    char why[HTTP_WHY_SIZE];
    long status = 0;
    curl_easy_getinfo(stream->curl, CURLINFO_RESPONSE_CODE, &status);
    loop_unset(stream->loop, &stream->timer);
    if (!stream->up && code == CURLE_OK && is_refusal(status)) {
        refuse(stream, status);
        return;
    }
    if (stream->fault != NULL) {
        (void)snprintf(why, sizeof why, "%s", stream->fault);
    } else if (code != CURLE_OK) {
        (void)snprintf(why, sizeof why, "%s", curl_easy_strerror(code));
    } else if (stream->up) {
        (void)snprintf(why, sizeof why, "it ended the stream");
    } else {
        (void)snprintf(why, sizeof why, "status %ld, and no event stream", status);
        note_asked(stream);
    }
    fail(stream, why);
}

/* Due: the next attempt, or a look whether the replica still says something. */
static void on_timer(struct loop_timer *timer)
{
    struct event_stream *stream = CONTAINER_OF(timer, struct event_stream, timer);
    if (stream->curl == NULL) {
        connect_next(stream);
        return;
    }
    uint64_t limit_ms = stream->up ? STREAM_SILENCE_MS_MAX : FIRST_BYTE_MS_MAX;
    if (clock_monotonic_ms() - stream->heard_ms >= limit_ms) {
        loop_remove(stream->loop, &stream->transfer);
        fail(stream, "it has been silent for too long");
    } else {
        loop_set(stream->loop, timer, stream->heard_ms + limit_ms);
    }
}

/* False without memory; what was made is freed by close_transfer(). */
static bool prepare(struct event_stream *stream)
{
    char last_id[SSE_NAME_BYTES_MAX + 32];
    const char *path = bytes_text(&stream->path);
    stream->headers = http_add_headers(curl_slist_append(NULL, "Accept: text/event-stream"),
                                       stream->loop->shared);
    if (path == NULL || stream->headers == NULL) {
        return false;
    }
    if (stream->position[0] != '\0') {
        (void)snprintf(last_id, sizeof last_id, "Last-Event-ID: %s", stream->position);
        if (curl_slist_append(stream->headers, last_id) == NULL) {
            return false;
        }
    }
    CURL *curl = stream->curl;
    if (!http_prepare(curl, stream->servers->urls[stream->server], path, stream->loop->shared) ||
        !http_authorize(curl, stream->loop->shared)) {
        return false;
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, stream->headers);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, stream);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, stream);
    stream->transfer = (struct loop_transfer){curl, on_transfer_done};
    return loop_add(stream->loop, &stream->transfer);
}

static void connect_next(struct event_stream *stream)
{
    stream->fault = NULL;
    stream->began_ms = stream->heard_ms = clock_monotonic_ms();
    bytes_clear(&stream->refusal);
    stream->curl = curl_easy_init();
    if (stream->curl == NULL) {
        fail(stream, "no memory");
        return;
    }
    sse_init(&stream->sse, on_sse_event, stream);
    if (!prepare(stream)) {
        fail(stream, "no memory");
        return;
    }
    loop_set(stream->loop, &stream->timer, stream->heard_ms + FIRST_BYTE_MS_MAX);
}

static void make_path(struct bytes *path, const struct stream_options *options)
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

bool event_stream_start(struct event_stream *stream, struct loop *loop,
                        const struct servers *servers, size_t server,
                        const struct stream_options *options)
{
    const char *after = options->after != NULL ? options->after : "";
    stream->loop = loop;
    stream->servers = servers;
    stream->server = server % servers->count;
    stream->snapshot = options->snapshot;
    /* With a position there is a copy already, which the events go on from. */
    stream->synced = !options->snapshot || *after != '\0';
    stream->timer = (struct loop_timer){.due_ms = LOOP_NEVER, .on_due = on_timer};
    stream->tried = stream->rounds = 0;
    stream->asked_ms = -1;
    stream->up = stream->ended = false;
    stream->curl = NULL;
    stream->headers = NULL;
    bytes_init(&stream->path, PATH_BYTES_MAX);
    bytes_init(&stream->refusal, REFUSAL_BYTES_MAX);
    make_path(&stream->path, options);
    if (strlen(after) >= sizeof stream->position || bytes_text(&stream->path) == NULL) {
        bytes_done(&stream->path);
        stream->loop = NULL;
        return false;
    }
    memcpy(stream->position, after, strlen(after) + 1);
    loop_set(loop, &stream->timer, clock_monotonic_ms());
    return true;
}

void event_stream_fail(struct event_stream *stream, const char *why)
{
    stream->fault = why;
    stream->synced = !stream->snapshot;
}

void event_stream_stop(struct event_stream *stream)
{
    if (stream->loop == NULL) {
        return;
    }
    if (stream->curl != NULL) {
        loop_remove(stream->loop, &stream->transfer);
    }
    close_transfer(stream);
    loop_unset(stream->loop, &stream->timer);
    bytes_done(&stream->path);
    bytes_done(&stream->refusal);
    stream->loop = NULL;
}
