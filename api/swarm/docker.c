#include "api/swarm/docker.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "server/base/check.h"
#include "server/base/clock.h"

/* An event of a container has its labels. */
#define EVENT_BYTES_MAX (256u * 1024)
#define CONNECT_MS      3000L
#define RETRY_MS        1000u
#define POLL_MS         1000
/* filters={"type":["service","container","node"]} */
#define EVENTS_PATH                                                                                \
    "/events?filters=%7B%22type%22%3A%5B%22service%22%2C%22container%22%2C%22node%22%5D%7D"

/* --- events --- */

bool docker_event_matters(const char *text, size_t len)
{
    json_error_t why;
    json_t *json = json_loadb(text, len, 0, &why);
    const char *type = json_string_value(json_object_get(json, "Type"));
    const char *action = json_string_value(json_object_get(json, "Action"));
    const json_t *attributes = json_object_get(json_object_get(json, "Actor"), "Attributes");
    bool is_task = json_object_get(attributes, "com.docker.swarm.task.id") != NULL;
    bool matters =
        type != NULL && action != NULL &&
        (strcmp(type, "service") == 0 || strcmp(type, "node") == 0 ||
         (is_task && (strcmp(action, "start") == 0 || strcmp(action, "die") == 0 ||
                      strcmp(action, "kill") == 0 || strncmp(action, "health", 6) == 0)));
    json_decref(json);
    return matters;
}

/* Pieces end anywhere. An event that is too long is one that matters. */
static size_t take_events(char *data, size_t size, size_t count, void *ctx)
{
    struct docker *d = ctx;
    size_t left = size * count;
    while (left > 0) {
        char *end = memchr(data, '\n', left);
        size_t len = end != NULL ? (size_t)(end - data) : left;
        buffer_append(&d->line, data, len);
        d->changed |= d->line.overflowed;
        if (end != NULL) {
            d->changed |=
                d->line.overflowed || docker_event_matters((const char *)d->line.data, d->line.len);
            buffer_done(&d->line);
            buffer_init(&d->line, EVENT_BYTES_MAX);
            len++;
        }
        data += len;
        left -= len;
    }
    return size * count;
}

/* --- requests --- */

static size_t take_body(char *data, size_t size, size_t count, void *ctx)
{
    struct docker_request *r = ctx;
    buffer_append(&r->body, data, size * count);
    return r->body.overflowed ? 0 : size * count;
}

static CURL *make(struct docker *d, const char *path)
{
    char url[1024];
    CURL *c = curl_easy_init();
    CHECK(c != NULL);
    (void)snprintf(url, sizeof url, "%s%s", d->base, path);
    bool good = curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
                (d->socket[0] == '\0' ||
                 curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, d->socket) == CURLE_OK);
    CHECK(good);
    return c;
}

static void begin_events(struct docker *d)
{
    d->events = make(d, EVENTS_PATH);
    (void)curl_easy_setopt(d->events, CURLOPT_WRITEFUNCTION, take_events);
    (void)curl_easy_setopt(d->events, CURLOPT_WRITEDATA, d);
    buffer_done(&d->line);
    buffer_init(&d->line, EVENT_BYTES_MAX);
    if (curl_multi_add_handle(d->multi, d->events) != CURLM_OK) {
        curl_easy_cleanup(d->events);
        d->events = NULL;
    }
    d->changed = true; /* whatever happened in between */
}

static void end_events(struct docker *d)
{
    (void)curl_multi_remove_handle(d->multi, d->events);
    curl_easy_cleanup(d->events);
    d->events = NULL;
    d->events_retry_ms = clock_monotonic_ms() + RETRY_MS;
}

static void finish(struct docker_request *r, CURLcode code)
{
    long status = 0;
    (void)curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    r->good = code == CURLE_OK && status == 200 && !r->body.overflowed;
    if (code != CURLE_OK) {
        (void)snprintf(r->error, sizeof r->error, "%s", curl_easy_strerror(code));
    } else if (status != 200) {
        (void)snprintf(r->error, sizeof r->error, "the daemon answers %ld", status);
    }
}

/* Takes what has ended; of the requests if there are any. Returns how many of these. */
static size_t reap(struct docker *d, struct docker_request *requests, size_t count)
{
    int left;
    size_t ended = 0;
    for (CURLMsg *m; (m = curl_multi_info_read(d->multi, &left)) != NULL;) {
        CURL *easy = m->easy_handle;
        CURLcode code = m->data.result;
        if (easy == d->events) {
            end_events(d);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            if (requests[i].easy == easy) {
                finish(&requests[i], code);
                ended++;
            }
        }
        (void)curl_multi_remove_handle(d->multi, easy);
    }
    return ended;
}

static void step(struct docker *d, int within_ms)
{
    int running, ready;
    (void)curl_multi_perform(d->multi, &running);
    if (within_ms > 0) {
        (void)curl_multi_poll(d->multi, NULL, 0, within_ms, &ready);
        (void)curl_multi_perform(d->multi, &running);
    }
}

void docker_get(struct docker *d, struct docker_request *requests, size_t count, long within_ms)
{
    size_t left = count;
    uint64_t until_ms = clock_monotonic_ms() + (uint64_t)within_ms;
    for (size_t i = 0; i < count; i++) {
        struct docker_request *r = &requests[i];
        r->good = false;
        (void)snprintf(r->error, sizeof r->error, "the daemon does not answer");
        r->easy = make(d, r->path);
        (void)curl_easy_setopt(r->easy, CURLOPT_TIMEOUT_MS, within_ms);
        (void)curl_easy_setopt(r->easy, CURLOPT_WRITEFUNCTION, take_body);
        (void)curl_easy_setopt(r->easy, CURLOPT_WRITEDATA, r);
        CHECK(curl_multi_add_handle(d->multi, r->easy) == CURLM_OK);
    }
    while (left > 0 && !atomic_load(&d->ends) && clock_monotonic_ms() < until_ms + POLL_MS) {
        step(d, POLL_MS);
        left -= reap(d, requests, count);
    }
    for (size_t i = 0; i < count; i++) {
        (void)curl_multi_remove_handle(d->multi, requests[i].easy);
        curl_easy_cleanup(requests[i].easy);
        requests[i].easy = NULL;
    }
}

void docker_wait(struct docker *d, long within_ms)
{
    if (d->events == NULL && clock_monotonic_ms() >= d->events_retry_ms) {
        begin_events(d);
    }
    step(d, atomic_load(&d->ends) ? 0 : (int)within_ms);
    (void)reap(d, NULL, 0);
}

void docker_wake(struct docker *d)
{
    (void)curl_multi_wakeup(d->multi);
}

void docker_end(struct docker *d)
{
    atomic_store(&d->ends, true);
    docker_wake(d);
}

/* --- open and close --- */

bool docker_open(struct docker *d, const char *url)
{
    *d = (struct docker){.events = NULL};
    atomic_init(&d->ends, false);
    buffer_init(&d->line, EVENT_BYTES_MAX);
    if (!docker_url_parse(url, d->base, d->socket)) {
        return false;
    }
    d->multi = curl_multi_init();
    return d->multi != NULL;
}

void docker_close(struct docker *d)
{
    if (d->events != NULL) {
        end_events(d);
    }
    if (d->multi != NULL) {
        (void)curl_multi_cleanup(d->multi);
    }
    buffer_done(&d->line);
}
