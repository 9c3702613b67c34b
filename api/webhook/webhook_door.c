/* The door of webhooks: a sink that sends every event to a URL, several with one POST. */
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "api/core/door.h"
#include "api/sink/sink.h"
#include "api/webhook/webhook_sign.h"
#include "server/base/buffer.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define CONNECT_MS 3000L
#define ANSWER_MS  10000L
/* One more event always fits: a batch is closed by SINK_WINDOW_BYTES. */
#define BODY_MAX (SINK_WINDOW_BYTES + EVENT_TEXT_BYTES_MAX + 1024)

extern const struct door_kind webhook_door;

struct webhook {
    struct door door;
    struct sink sink;
    const char *url, *secret, *ca; /* the options' */
    atomic_bool aborted;
    /* the sink's thread */
    CURL *curl;
    struct buffer batch; /* the body, without its end */
    size_t events;       /* in it */
    char first[EVENT_ID_SIZE], last[EVENT_ID_SIZE];
};

static struct webhook *of_sink(struct sink *sink)
{
    return CONTAINER_OF(sink, struct webhook, sink);
}

static struct webhook *of_door(struct door *door)
{
    return CONTAINER_OF(door, struct webhook, door);
}

/* --- the request --- */

static size_t ignore(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static int is_over(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&((struct webhook *)ctx)->aborted);
}

static bool set_options(struct webhook *w)
{
    CURL *c = w->curl;
    return curl_easy_setopt(c, CURLOPT_URL, w->url) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && /* none from the environment */
           curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, ANSWER_MS) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, ignore) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, is_over) == CURLE_OK &&
           curl_easy_setopt(c, CURLOPT_XFERINFODATA, w) == CURLE_OK &&
           (w->ca == NULL || w->ca[0] == '\0' ||
            curl_easy_setopt(c, CURLOPT_CAINFO, w->ca) == CURLE_OK);
}

/* False without memory. */
static bool add_header(struct curl_slist **headers, const char *name, const char *value)
{
    char line[256];
    (void)snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (longer != NULL) {
        *headers = longer;
    }
    return longer != NULL;
}

static bool add_headers(struct webhook *w, struct curl_slist **headers)
{
    char signature[WEBHOOK_SIGNATURE_SIZE];
    uint64_t seconds = (uint64_t)clock_wall_ms() / 1000;
    return add_header(headers, "Content-Type", "application/json") &&
           add_header(headers, "User-Agent", "muster/" MUSTER_VERSION) &&
           add_header(headers, "Expect", "") && /* no 100-continue */
           add_header(headers, "X-Muster-First-Event", w->first) &&
           add_header(headers, "X-Muster-Last-Event", w->last) &&
           (w->secret == NULL || w->secret[0] == '\0' ||
            (webhook_sign(w->secret, seconds, w->batch.data, w->batch.len, signature) &&
             add_header(headers, "X-Muster-Signature", signature)));
}

static bool post(struct webhook *w, char *error, size_t error_size)
{
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long status = 0;
    buffer_append_text(&w->batch, "]}");
    if (add_headers(w, &headers) &&
        curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
        curl_easy_setopt(w->curl, CURLOPT_POSTFIELDS, w->batch.data) == CURLE_OK &&
        curl_easy_setopt(w->curl, CURLOPT_POSTFIELDSIZE, (long)w->batch.len) == CURLE_OK) {
        code = curl_easy_perform(w->curl);
        (void)curl_easy_getinfo(w->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    (void)curl_easy_setopt(w->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        (void)snprintf(error, error_size, "%s", curl_easy_strerror(code));
        return false;
    }
    if (status < 200 || status > 299) {
        (void)snprintf(error, error_size, "the receiver answers %ld", status);
        return false;
    }
    return true;
}

/* --- the sink --- */

static void start_batch(struct webhook *w)
{
    buffer_clear(&w->batch);
    buffer_append_text(&w->batch, "{\"events\":[");
    w->events = 0;
}

static bool webhook_connect(struct sink *sink, char *error, size_t error_size)
{
    struct webhook *w = of_sink(sink);
    w->curl = curl_easy_init();
    if (w->curl == NULL || !set_options(w)) {
        (void)snprintf(error, error_size, "the request cannot be made");
        return false;
    }
    start_batch(w);
    return true;
}

static bool webhook_send(struct sink *sink, const struct sink_message *m, char *error,
                         size_t error_size)
{
    struct webhook *w = of_sink(sink);
    if (w->events > 0) {
        buffer_append_byte(&w->batch, ',');
    } else {
        memcpy(w->first, m->id_text, sizeof w->first);
    }
    memcpy(w->last, m->id_text, sizeof w->last);
    buffer_append(&w->batch, m->body, m->body_len);
    w->events++;
    (void)snprintf(error, error_size, "no memory");
    return !w->batch.overflowed;
}

static bool webhook_deliver(struct sink *sink, size_t *ret_confirmed, char *error,
                            size_t error_size)
{
    struct webhook *w = of_sink(sink);
    if (w->events == 0) {
        return true;
    }
    if (!post(w, error, error_size)) {
        return false;
    }
    *ret_confirmed = w->events;
    start_batch(w);
    return true;
}

static void webhook_close(struct sink *sink)
{
    struct webhook *w = of_sink(sink);
    curl_easy_cleanup(w->curl);
    w->curl = NULL;
    buffer_done(&w->batch);
}

static void webhook_abort(struct sink *sink)
{
    atomic_store(&of_sink(sink)->aborted, true);
}

static const struct sink_kind webhook_sink = {
    .name = "webhook",
    .connected = METRIC_webhook_connected,
    .sent_total = METRIC_webhook_sent_total,
    .failures_total = METRIC_webhook_failures_total,
    .resets_total = METRIC_webhook_resets_total,
    .waiting = METRIC_webhook_waiting_events,
    .connect = webhook_connect,
    .send = webhook_send,
    .deliver = webhook_deliver,
    .close = webhook_close,
    .abort = webhook_abort,
};

/* --- the door --- */

static bool webhook_open(const struct door_options *options, struct door **ret_door, char *error,
                         size_t error_size)
{
    if (options->webhook_url == NULL || options->webhook_url[0] == '\0') {
        return true;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)snprintf(error, error_size, "libcurl cannot be set up for --webhook-url");
        return false;
    }
    struct webhook *w = mem_zalloc(1, sizeof *w);
    w->door.kind = &webhook_door;
    w->sink.kind = &webhook_sink;
    w->url = options->webhook_url;
    w->secret = options->webhook_secret;
    w->ca = options->webhook_ca;
    atomic_init(&w->aborted, false);
    buffer_init(&w->batch, BODY_MAX);
    *ret_door = &w->door;
    return true;
}

static bool webhook_start(struct door *door, struct node *node, char *error, size_t error_size)
{
    struct webhook *w = of_door(door);
    if (!sink_start(&w->sink, node, error, error_size)) {
        return false;
    }
    log_write(LOG_INFO, "webhook", "events go to a URL when this replica leads", "signed=%s",
              w->secret != NULL && w->secret[0] != '\0' ? "yes" : "no");
    return true;
}

static void webhook_drain(struct door *door)
{
    sink_drain(&of_door(door)->sink);
}

static void webhook_stop(struct door *door)
{
    struct webhook *w = of_door(door);
    if (sink_stop(&w->sink)) { /* else its thread still uses it, and the process ends soon */
        free(w);
    }
}

const struct door_kind webhook_door = {.name = "webhook",
                                       .open = webhook_open,
                                       .start = webhook_start,
                                       .drain = webhook_drain,
                                       .stop = webhook_stop};
