#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "api/http/download.h"
#include "api/http/internal.h"
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

static void add_field(struct buffer *out, const char *name, const char *value)
{
    buffer_append_text(out, name);
    buffer_append(out, ": ", 2);
    buffer_append_text(out, value);
    buffer_append(out, "\r\n", 2);
}

static void add_field_to(void *ctx, const char *name, const char *value)
{
    add_field(ctx, name, value);
}

static void make_head(struct connection *c)
{
    struct call *call = c->call;
    int status = call->exchange.response.status;
    struct buffer *out = &c->worker->head;
    char digits[TEXT_U64_SIZE];
    buffer_clear(out);
    buffer_append_text(out, "HTTP/1.1 ");
    buffer_append_text(out, text_format_u64((uint64_t)status, digits));
    buffer_append(out, " ", 1);
    buffer_append_text(out, reason(status));
    buffer_append(out, "\r\n", 2);
    reply_fields(call, add_field_to, out);
    if (reply_body_kind(call) == BODY_STREAM && !call->head.is_http_1_0) {
        add_field(out, "Transfer-Encoding", "chunked");
    }
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
    call->exchange.stream->owner = call;
    call->subscribed = true;
    subscriptions_add(&c->worker->subscriptions, &call->exchange.stream->subscription);
}

enum connection_state answer_begin(struct connection *c)
{
    struct call *call = c->call;
    struct exchange *x = &call->exchange;
    reply_settle(call);
    enum body_kind kind = reply_body_kind(call);
    bool is_head = x->request.method == METHOD_HEAD;
    c->is_last = c->is_last ||
                 atomic_load_explicit(&c->worker->context->draining, memory_order_relaxed) ||
                 (kind == BODY_STREAM && call->head.is_http_1_0);
    make_head(c);
    c->sent = c->taken = 0;
    c->body_at = 0;
    if (is_head || kind != BODY_PLAIN || !reply_has_body(x->response.status)) {
        (void)reply_body(&x->response, &c->body_at); /* none of it is sent */
    }
    if (is_head || kind == BODY_PLAIN) {
        return CONNECTION_SENDING;
    }
    if (kind == BODY_STREAM) {
        begin_stream(c);
        return CONNECTION_STREAM;
    }
    call->downloading = true;
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
    const char *body = reply_body(&c->call->exchange.response, &len);
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
    struct call *call = stream_of(s)->owner;
    call->idle = false;
    if (call->request != NULL) {
        http_protocol->resume(call);
    }
    connection_ready(call->connection);
}

static void cut(struct call *call)
{
    if (call->request != NULL) {
        http_protocol->cut(call);
    } else {
        call->connection->is_cut = true;
    }
    connection_ready(call->connection);
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
    struct call *call = CONTAINER_OF(x, struct call, exchange);
    log_write(LOG_INFO, "http", "the reader of a backup takes too long; cut off", "index=%" PRIu64,
              download->backup.backup.index);
    if (call->connection != NULL) {
        cut(call);
    }
}

void answer_cut_slow(struct worker *worker)
{
    download_check(&worker->downloads, cut_download);
}
