#include "client/cli/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define RETRY_AFTER_SECONDS_MAX 3600

struct http {
    CURL *curl;
    struct curl_slist *headers;
};

struct http *http_open(void)
{
    struct http *http = mem_zalloc(1, sizeof *http);
    http->curl = curl_easy_init();
    CHECK(http->curl != NULL);
    http->headers = curl_slist_append(NULL, "Accept: application/json");
    CHECK(http->headers != NULL);
    /* Without these two curl would ask for permission to send, and mark a body as a form. */
    CHECK(curl_slist_append(http->headers, "Expect:") != NULL);
    CHECK(curl_slist_append(http->headers, "Content-Type: application/json") != NULL);
    return http;
}

void http_close(struct http *http)
{
    curl_slist_free_all(http->headers);
    curl_easy_cleanup(http->curl);
    free(http);
}

static size_t collect(char *data, size_t size, size_t count, void *ctx)
{
    struct buffer *body = ctx;
    buffer_append(body, data, size * count);
    return body->overflowed ? 0 : size * count;
}

static void set_up(struct http *http, const char *url, const struct http_request *request,
                   const char *body, uint64_t connect_ms, uint64_t timeout_ms,
                   struct buffer *answer)
{
    CURL *curl = http->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "muster/" MUSTER_VERSION);
    /* A proxy between would answer for a replica, and nobody could tell what was done. */
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    /* curl repeats by itself a request whose reused connection turns out closed. */
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, request->read ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    }
}

/* After a failure: could the request have left? */
static bool may_be_sent(CURL *curl, CURLcode code)
{
    curl_off_t connected_us = 0;
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return false;
    case CURLE_OPERATION_TIMEDOUT:
        /* With TLS the handshake comes between; it is counted as sent to be safe. */
        curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connected_us);
        return connected_us > 0;
    default:
        return true;
    }
}

static const char *find_header(CURL *curl, const char *name)
{
    struct curl_header *header;
    return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value
                                                                                   : NULL;
}

static int64_t number_header(CURL *curl, const char *name, uint64_t max)
{
    const char *text = find_header(curl, name);
    uint64_t value;
    return text != NULL && text_parse_u64(text, max, &value) ? (int64_t)value : -1;
}

static void read_headers(CURL *curl, struct http_answer *answer)
{
    const char *leader = find_header(curl, "X-Muster-Leader");
    (void)snprintf(answer->leader, sizeof answer->leader, "%s", leader != NULL ? leader : "");
    answer->index = number_header(curl, "X-Muster-Index", INT64_MAX);
    answer->staleness_ms = number_header(curl, "X-Muster-Staleness-Ms", INT64_MAX);
    int64_t seconds = number_header(curl, "Retry-After", RETRY_AFTER_SECONDS_MAX);
    answer->retry_after_ms = seconds < 0 ? -1 : seconds * 1000;
}

/* False when it is none that a replica would give: what was read must be there, and be JSON. */
static bool read_answer(CURL *curl, const struct http_request *request, const struct buffer *body,
                        struct http_answer *ret_answer, char *why, size_t why_size)
{
    struct http_answer answer = {.body = NULL};
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
    if (body->len > 0) {
        answer.body = json_loadb((const char *)body->data, body->len, 0, NULL);
    }
    if (answer.body == NULL && answer.status < 300 && (request->read || body->len > 0)) {
        (void)snprintf(why, why_size, "status %ld, but not the JSON of a replica", answer.status);
        return false;
    }
    read_headers(curl, &answer);
    *ret_answer = answer;
    return true;
}

enum http_outcome http_exchange(struct http *http, const char *server,
                                const struct http_request *request, uint64_t connect_ms,
                                uint64_t timeout_ms, struct http_answer *ret_answer, char *why,
                                size_t why_size)
{
    enum http_outcome outcome = HTTP_ANSWERED;
    size_t url_size = strlen(server) + strlen(request->path) + 1;
    char *url = mem_alloc(url_size);
    char *body = request->body != NULL ? json_dumps(request->body, JSON_COMPACT) : NULL;
    struct buffer answer;
    buffer_init(&answer, HTTP_ANSWER_BYTES_MAX);
    (void)snprintf(url, url_size, "%s%s", server, request->path);
    CHECK(request->body == NULL || body != NULL);

    set_up(http, url, request, body, connect_ms, timeout_ms, &answer);
    CURLcode code = curl_easy_perform(http->curl);
    if (code != CURLE_OK) {
        (void)snprintf(why, why_size, "%s",
                       answer.overflowed ? "the answer is too long" : curl_easy_strerror(code));
        outcome = may_be_sent(http->curl, code) ? HTTP_BROKEN : HTTP_NOT_SENT;
    } else if (!read_answer(http->curl, request, &answer, ret_answer, why, why_size)) {
        outcome = HTTP_BROKEN;
    }
    buffer_done(&answer);
    free(body);
    free(url);
    return outcome;
}

void http_answer_done(struct http_answer *answer)
{
    json_decref(answer->body);
    answer->body = NULL;
}

const char *http_answer_code(const struct http_answer *answer)
{
    const char *code = json_string_value(json_object_get(answer->body, "error"));
    return code != NULL ? code : "";
}
