#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

#include "api/http/audited_line.h"
#include "api/http/download.h"
#include "api/http/internal.h"
#include "api/http/representation.h"
#include "api/http/stream.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/base/text.h"

/* --- the head --- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {201, "Created"},
                   {204, "No Content"},
                   {304, "Not Modified"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"},
                   {421, "Misdirected Request"},
                   {422, "Unprocessable Content"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {505, "HTTP Version Not Supported"},
                   {507, "Insufficient Storage"}};
    for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Status";
}

/* "Sun, 29 Nov 2026 11:22:46 GMT", made once a second. */
static const char *date(struct worker *worker)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(clock_wall_ms() / 1000);
    if (now != worker->date_s) {
        struct tm tm;
        worker->date_s = now;
        (void)gmtime_r(&now, &tm);
        (void)snprintf(worker->date, sizeof worker->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                       days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    return worker->date;
}

static void add_field(struct buffer *out, const char *name, const char *value)
{
    buffer_append_text(out, name);
    buffer_append(out, ": ", 2);
    buffer_append_text(out, value);
    buffer_append(out, "\r\n", 2);
}

enum body_kind { BODY_PLAIN, BODY_STREAM, BODY_DOWNLOAD };

static enum body_kind body_of(const struct call *call)
{
    const struct exchange *x = &call->exchange;
    if (x->stream != NULL) {
        return BODY_STREAM;
    }
    return x->download != NULL && x->download->held && !call->late ? BODY_DOWNLOAD : BODY_PLAIN;
}

/* Of a plain answer: its own, or one that is shared. */
static const char *body_text(const struct response *response, size_t *ret_len)
{
    const struct rendered *shared = response->shared;
    *ret_len = shared != NULL ? shared->len : response->body.len;
    return shared != NULL ? shared->data : (const char *)response->body.data;
}

static bool status_has_body(int status)
{
    return status != 204 && status != 304;
}

static void add_length(struct buffer *out, const struct call *call)
{
    const struct exchange *x = &call->exchange;
    char digits[TEXT_U64_SIZE];
    size_t len;
    switch (body_of(call)) {
    case BODY_STREAM:
        if (!call->head.is_http_1_0) {
            add_field(out, "Transfer-Encoding", "chunked");
        }
        break;
    case BODY_DOWNLOAD:
        add_field(out, "Content-Length", text_format_u64(x->download->backup.backup.bytes, digits));
        break;
    case BODY_PLAIN:
        if (status_has_body(x->response.status)) {
            (void)body_text(&x->response, &len);
            add_field(out, "Content-Length", text_format_u64(len, digits));
        }
        break;
    }
}

static void make_head(struct connection *c)
{
    struct worker *worker = c->worker;
    struct call *call = c->call;
    struct exchange *x = &call->exchange;
    struct response *response = &x->response;
    struct buffer *out = &worker->head;
    char digits[TEXT_U64_SIZE];
    if (x->site->headers != NULL && !x->permit.is_closed) {
        x->site->headers(x, response);
    }
    origin_headers(&x->context->origins, &x->request, response);
    buffer_clear(out);
    buffer_append_text(out, "HTTP/1.1 ");
    buffer_append_text(out, text_format_u64((uint64_t)response->status, digits));
    buffer_append(out, " ", 1);
    buffer_append_text(out, reason(response->status));
    buffer_append(out, "\r\n", 2);
    add_field(out, "Date", date(worker));
    if (response->content_type != NULL && status_has_body(response->status)) {
        add_field(out, "Content-Type", response->content_type);
    }
    if (response->status == 401) {
        add_field(out, "WWW-Authenticate", "Bearer realm=\"muster\"");
    }
    for (size_t i = 0; i < response->headers_count; i++) {
        add_field(out, response->headers[i].name, response->headers[i].value);
    }
    add_length(out, call);
    if (c->is_last) {
        add_field(out, "Connection", "close");
    } else if (call->head.is_http_1_0) {
        add_field(out, "Connection", "keep-alive");
    }
    buffer_append(out, "\r\n", 2);
    CHECK(!out->overflowed);
    c->out = (const char *)out->data;
    c->out_len = out->len;
}

/* --- begin --- */

static void begin_stream(struct connection *c)
{
    struct call *call = c->call;
    int bytes = STREAM_SOCKET_BYTES;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    call->exchange.stream->owner = c;
    call->subscribed = true;
    subscriptions_add(&c->worker->subscriptions, &call->exchange.stream->subscription);
}

static void count(const struct response *response)
{
    metric_add(METRIC_http_requests_total, 1);
    if (response->status >= 400) {
        metric_add(METRIC_http_errors_total, 1);
    }
}

enum connection_state answer_begin(struct connection *c)
{
    struct call *call = c->call;
    struct exchange *x = &call->exchange;
    representation_settle(x);
    audited_end(x);
    enum body_kind kind = body_of(call);
    bool is_head = x->request.method == METHOD_HEAD;
    c->is_last = c->is_last ||
                 atomic_load_explicit(&c->worker->context->draining, memory_order_relaxed) ||
                 (kind == BODY_STREAM && call->head.is_http_1_0);
    make_head(c);
    count(&x->response);
    c->sent = c->taken = 0;
    c->body_at = 0;
    if (is_head || kind != BODY_PLAIN || !status_has_body(x->response.status)) {
        (void)body_text(&x->response, &c->body_at); /* none of it is sent */
    }
    if (is_head || kind == BODY_PLAIN) {
        return CONNECTION_SENDING;
    }
    if (kind == BODY_STREAM) {
        begin_stream(c);
        return CONNECTION_STREAM;
    }
    download_list(x->download, &c->worker->downloads);
    return CONNECTION_DOWNLOAD;
}

/* --- send --- */

/* A client without a window: what is not sent stays with us, where it is counted. */
static void limit_unsent(const struct connection *c)
{
    int bytes = HTTP_UNSENT_BYTES_MAX;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
}

/* Text, then the body of a plain answer. */
static enum answer_progress flush(struct connection *c)
{
    size_t len;
    const char *body = body_text(&c->call->exchange.response, &len);
    while (c->out_len > 0 || c->body_at < len) {
        if (!c->writable) {
            return ANSWER_BLOCKED;
        }
        if (c->sent == 0 && len > HTTP_UNSENT_BYTES_MAX) {
            limit_unsent(c);
        }
        /* They are not const there, but nothing is changed. */
        struct iovec pieces[] = {
            {(void *)(uintptr_t)c->out, c->out_len},
            {(void *)(uintptr_t)(len > c->body_at ? body + c->body_at : NULL), len - c->body_at}};
        ssize_t sent = channel_send(c, pieces, len > c->body_at ? 2 : 1);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            c->writable = false;
            return errno == EAGAIN ? ANSWER_BLOCKED : ANSWER_BROKEN;
        }
        size_t of_text = (size_t)sent < c->out_len ? (size_t)sent : c->out_len;
        c->sent += (size_t)sent;
        c->out += of_text;
        c->out_len -= of_text;
        c->body_at += (size_t)sent - of_text;
    }
    return ANSWER_OVER;
}

/* Room for a piece of a stream, with the size of its chunk before and a line's end behind it. */
#define CHUNK_HEAD_BYTES 8 /* four digits at most, CR LF */

static void frame(struct connection *c, size_t len)
{
    char *piece = c->worker->piece + CHUNK_HEAD_BYTES;
    c->out = piece;
    c->out_len = len;
    if (!c->call->head.is_http_1_0) {
        char size[CHUNK_HEAD_BYTES + 1];
        int size_len = snprintf(size, sizeof size, "%zx\r\n", len);
        memcpy(piece - size_len, size, (size_t)size_len);
        memcpy(piece + len, "\r\n", 2);
        c->out -= size_len;
        c->out_len += (size_t)size_len + 2;
    }
}

static enum answer_progress stream_on(struct connection *c)
{
    struct stream *stream = c->call->exchange.stream;
    struct subscriptions *all = &c->worker->subscriptions;
    enum answer_progress progress;
    while ((progress = flush(c)) == ANSWER_OVER) {
        if (c->call->streamed) {
            return ANSWER_OVER;
        }
        if (c->call->idle) {
            return ANSWER_BLOCKED;
        }
        size_t len =
            stream->kind->read(stream, c->worker->piece + CHUNK_HEAD_BYTES, WORKER_PIECE_BYTES);
        if (len > 0) {
            subscriptions_moved(all, &stream->subscription);
            frame(c, len);
        } else if (stream->subscription.closed) {
            c->call->streamed = true;
            frame(c, 0);
            c->out_len = c->call->head.is_http_1_0 ? 0 : c->out_len;
        } else {
            c->call->idle = true;
            subscriptions_idle(all, &stream->subscription);
            return ANSWER_BLOCKED;
        }
    }
    return progress;
}

static enum answer_progress download_on(struct connection *c)
{
    struct download *download = c->call->exchange.download;
    enum answer_progress progress;
    if (download->waiting) {
        return ANSWER_BLOCKED;
    }
    while ((progress = flush(c)) == ANSWER_OVER) {
        if (c->call->streamed) {
            return ANSWER_OVER;
        }
        size_t len = download_read(download, c->worker->piece, WORKER_PIECE_BYTES);
        if (len == SIZE_MAX) {
            return ANSWER_BROKEN;
        }
        if (len == 0) {
            c->call->held = true;
            return ANSWER_BLOCKED;
        }
        c->out = c->worker->piece;
        c->out_len = len;
        c->call->downloaded += len;
        c->call->streamed = c->call->downloaded == download->backup.backup.bytes;
    }
    return progress;
}

enum answer_progress answer_go_on(struct connection *c)
{
    switch (c->state) {
    case CONNECTION_STREAM:
        return stream_on(c);
    case CONNECTION_DOWNLOAD:
        return download_on(c);
    default:
        return flush(c);
    }
}

void answer_keep_rest(struct connection *c)
{
    bool is_own = c->out_own != NULL && c->out >= c->out_own && c->out < c->out_own + c->out_size;
    if (c->out_len == 0) {
        free(c->out_own);
        c->out_own = NULL;
    } else if (!is_own) {
        char *own = mem_alloc(c->out_len);
        memcpy(own, c->out, c->out_len);
        free(c->out_own);
        c->out = c->out_own = own;
        c->out_size = c->out_len;
    }
}

/* --- clients that are too slow --- */

bool answer_is_slow(struct connection *c)
{
    int unsent = 0;
    (void)ioctl(c->fd, SIOCOUTQ, &unsent);
    uint64_t taken = clock_elapsed((uint64_t)unsent, c->sent);
    bool is_slow = taken < c->taken + HTTP_RATE_BYTES_MIN;
    uint64_t held;
    c->taken = taken;
    c->due_ms = c->worker->now_ms + HTTP_RATE_MS;
    if (is_slow) {
        metric_add(METRIC_http_readers_cut_total, 1);
        if (log_gate_open(&c->worker->slow_gate, &held)) {
            log_write(LOG_INFO, "http", "the reader of an answer stands still; cut off",
                      "sent=%" PRIu64 " held_back=%" PRIu64, c->sent, held);
        }
    }
    return is_slow;
}

static void wake_worker(void *ctx)
{
    worker_wake(ctx);
}

static struct stream *stream_of(struct subscription *s)
{
    return CONTAINER_OF(s, struct stream, subscription);
}

static void resume_stream(struct subscription *s)
{
    struct connection *c = stream_of(s)->owner;
    c->call->idle = false;
    connection_ready(c);
}

static void cut(struct connection *c)
{
    c->is_cut = true;
    connection_ready(c);
}

static void cut_stream(struct subscription *s)
{
    const struct stream *stream = stream_of(s);
    char position[64];
    stream->kind->describe(stream, position, sizeof position);
    log_write(LOG_INFO, "http", "the reader of an event stream has stopped reading; cut off",
              "resumes_at=\"%s\"", position);
    cut(stream->owner);
}

void answer_start(struct worker *worker)
{
    const struct subscription_actions actions = {
        .wake = wake_worker, .resume = resume_stream, .cut = cut_stream, .ctx = worker};
    subscriptions_start(&worker->subscriptions, worker->context->node, &actions);
}

static void cut_download(struct download *download)
{
    struct exchange *x = download->owner;
    const struct call *call = CONTAINER_OF(x, struct call, exchange);
    log_write(LOG_INFO, "http", "the reader of a backup takes too long; cut off", "index=%" PRIu64,
              download->backup.backup.index);
    if (call->connection != NULL) {
        cut(call->connection);
    }
}

void answer_cut_slow(struct worker *worker)
{
    download_check(&worker->downloads, cut_download);
}
