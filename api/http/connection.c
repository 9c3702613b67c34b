#include "api/http/connection.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "api/http/download.h"
#include "api/http/stream.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/base/text.h"

/* How much of a body that is over its limit is read and thrown away, so that the client gets to see
 * the answer and the connection stays usable. */
#define DISCARD_BYTES_MAX (16u * 1024 * 1024)

#define STREAM_BLOCK_BYTES   1024
#define DOWNLOAD_BLOCK_BYTES (64u * 1024)
/* How many finished calls go on in one turn: ten thousand long-polls may be answered at once, and
 * others want their turn, too. */
#define WRITES_RESUMED_MAX 4096
#define READS_RESUMED_MAX  512

enum call_state {
    CALL_NEW,       /* target seen */
    CALL_BODY,      /* headers seen */
    CALL_SUSPENDED, /* with the node */
    CALL_READY,     /* the response is complete */
    CALL_GONE,      /* still with the node, but the client has gone away */
    CALL_LATE,   /* still with the node, which should have answered by now; the response is made */
    CALL_STREAM, /* events are sent as they come, until the client has gone away */
    CALL_DOWNLOAD, /* sent as the client takes it; suspended while the node reads */
};

struct call {
    struct exchange exchange;
    struct worker *worker;
    struct MHD_Connection *connection;
    struct cds_wfcq_node finished; /* in worker's queue */
    enum call_state state;
    bool watched;  /* is in worker's watch_fd */
    bool deserted; /* a stream without a client */
    /* Of a late one: the node is done with it; libmicrohttpd is. Freed when both are. */
    bool returned, answered;
    struct call *previous, *following; /* when suspended: in worker's list */
    char *target;
    uint64_t received; /* bytes of body */
};

/* Stands at a connection over the limit. */
static char crowded_mark;

/* On the node's loop thread: only the first of several calls wakes the worker. */
static void wake(struct exchange *x)
{
    struct call *call = CONTAINER_OF(x, struct call, exchange);
    struct worker *worker = call->worker;
    struct call_queue *queue =
        x->stage == STAGE_WRITE ? &worker->finished_writes : &worker->finished_reads;
    TSAN_RELEASE(call);
    if (!cds_wfcq_enqueue(&queue->head, &queue->tail, &call->finished)) {
        worker_wake(worker);
    }
}

static void wake_worker(void *ctx)
{
    worker_wake(ctx);
}

void *connection_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct worker *worker = cls;
    struct call *call = mem_alloc(sizeof *call);
    call->worker = worker;
    call->connection = connection;
    cds_wfcq_node_init(&call->finished);
    call->state = CALL_NEW;
    call->watched = call->deserted = call->returned = call->answered = false;
    call->target = mem_strdup(target);
    call->received = 0;
    exchange_init(&call->exchange, worker->context, &worker->scratch, wake);
    return call;
}

static int connection_socket(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static int socket_of(const struct call *call)
{
    return connection_socket(call->connection);
}

static void watch_client(struct call *call)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = call};
    call->watched = epoll_ctl(call->worker->watch_fd, EPOLL_CTL_ADD, socket_of(call), &event) == 0;
}

static void unwatch_client(struct call *call)
{
    if (call->watched) {
        (void)epoll_ctl(call->worker->watch_fd, EPOLL_CTL_DEL, socket_of(call), NULL);
        call->watched = false;
    }
}

static void call_free(struct call *call)
{
    exchange_done(&call->exchange);
    free(call->target);
    free(call);
}

void connection_completed(void *cls, struct MHD_Connection *connection, void **request,
                          enum MHD_RequestTerminationCode how)
{
    (void)cls, (void)connection, (void)how;
    struct call *call = *request;
    *request = NULL;
    if (call == NULL || call->state == CALL_GONE) {
        return; /* freed when the node is done with it */
    }
    CHECK(call->state != CALL_SUSPENDED);
    if (call->state == CALL_LATE && !call->returned) {
        call->answered = true;
        return;
    }
    if (call->state == CALL_STREAM) {
        unwatch_client(call);
        subscriptions_remove(&call->worker->subscriptions, &call->exchange.stream->subscription);
    }
    struct download *download = call->exchange.download;
    if (download != NULL && download->held) {
        call->state = CALL_GONE;
        if (download_end(download) == ST_OK) {
            return;
        }
    }
    call_free(call);
}

void connection_counted(void *cls, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code)
{
    struct worker *worker = cls;
    struct api_context *context = worker->context;
    if (code != MHD_CONNECTION_NOTIFY_STARTED) {
        if (*socket_context == &crowded_mark) {
            crowd_remove(&worker->crowd, connection_socket(connection));
        }
        (void)atomic_fetch_sub(&context->connections, 1);
        metric_add(METRIC_http_connections, -1);
        return;
    }
    metric_add(METRIC_http_connections, 1);
    if (atomic_fetch_add(&context->connections, 1) >= context->connections_max) {
        /* One answer, and no place to rest: the next one is to get it. */
        *socket_context = &crowded_mark;
        crowd_add(&worker->crowd, connection_socket(connection), clock_monotonic_ms());
        (void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
                                        (unsigned)HTTP_SPARE_IDLE_SECONDS);
    }
}

static bool is_crowded(const struct call *call)
{
    return MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
               ->socket_context == &crowded_mark;
}

/* --- the answer --- */

static void add_headers(struct MHD_Response *mhd, struct exchange *x, bool last)
{
    struct response *response = &x->response;
    if (x->site->headers != NULL) {
        x->site->headers(x, response);
    }
    origin_headers(&x->context->origins, &x->request, response);
    if (response->content_type != NULL) {
        (void)MHD_add_response_header(mhd, "Content-Type", response->content_type);
    }
    for (size_t i = 0; i < response->headers_count; i++) {
        (void)MHD_add_response_header(mhd, response->headers[i].name, response->headers[i].value);
    }
    if (x->stream == NULL &&
        (last || atomic_load_explicit(&x->context->draining, memory_order_relaxed))) {
        (void)MHD_add_response_header(mhd, "Connection", "close");
    }
}

/* libmicrohttpd asks for the next piece of a stream. */
static ssize_t read_stream(void *cls, uint64_t at, char *out, size_t max)
{
    struct call *call = cls;
    struct stream *stream = call->exchange.stream;
    struct subscriptions *all = &call->worker->subscriptions;
    (void)at;
    size_t len = call->deserted ? 0 : stream->kind->read(stream, out, max);
    if (len > 0) {
        subscriptions_moved(all, &stream->subscription);
        return (ssize_t)len;
    }
    if (stream->subscription.closed || call->deserted) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    subscriptions_idle(all, &stream->subscription);
    MHD_suspend_connection(call->connection);
    return 0;
}

static struct stream *stream_of(struct subscription *s)
{
    return CONTAINER_OF(s, struct stream, subscription);
}

static void resume_stream(struct subscription *s)
{
    const struct call *call = stream_of(s)->owner;
    MHD_resume_connection(call->connection);
}

static void cut_stream(struct subscription *s)
{
    const struct stream *stream = stream_of(s);
    const struct call *call = stream->owner;
    char position[64];
    stream->kind->describe(stream, position, sizeof position);
    log_write(LOG_INFO, "http", "the reader of an event stream has stopped reading; cut off",
              "resumes_at=\"%s\"", position);
    (void)shutdown(socket_of(call), SHUT_RDWR);
}

void connection_subscriptions_start(struct worker *worker)
{
    const struct subscription_actions actions = {
        .wake = wake_worker, .resume = resume_stream, .cut = cut_stream, .ctx = worker};
    subscriptions_start(&worker->subscriptions, worker->context->node, &actions);
}

static struct MHD_Response *stream_response(struct call *call)
{
    /* Pieces go into the connection's own memory; the block is for clients of HTTP/1.0. */
    struct MHD_Response *mhd = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, read_stream, call, NULL);
    int bytes = STREAM_SOCKET_BYTES;
    (void)setsockopt(socket_of(call), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    call->state = CALL_STREAM;
    call->exchange.stream->owner = call;
    subscriptions_add(&call->worker->subscriptions, &call->exchange.stream->subscription);
    watch_client(call);
    return mhd;
}

/* libmicrohttpd asks for the next piece of a download. */
static ssize_t read_download(void *cls, uint64_t at, char *out, size_t max)
{
    struct call *call = cls;
    (void)at;
    size_t len = download_read(call->exchange.download, out, max);
    if (len == 0) {
        MHD_suspend_connection(call->connection);
        return 0;
    }
    return len != SIZE_MAX ? (ssize_t)len : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void cut_download(struct download *download)
{
    const struct exchange *x = download->owner;
    const struct call *call = CONTAINER_OF(x, struct call, exchange);
    log_write(LOG_INFO, "http", "the reader of a backup takes too long; cut off", "index=%" PRIu64,
              download->backup.backup.index);
    (void)shutdown(socket_of(call), SHUT_RDWR);
}

void connection_cut_slow(struct worker *worker)
{
    download_check(&worker->downloads, cut_download);
}

/* Its length is known, so that a client notices when it is cut off. */
static struct MHD_Response *download_response(struct call *call)
{
    struct download *download = call->exchange.download;
    call->state = CALL_DOWNLOAD;
    download_list(download, &call->worker->downloads);
    return MHD_create_response_from_callback(download->backup.backup.bytes, DOWNLOAD_BLOCK_BYTES,
                                             read_download, call, NULL);
}

static void shared_sent(void *text)
{
    rendered_sent(text);
}

static struct MHD_Response *shared_response(struct response *response)
{
    struct rendered *text = response->shared;
    /* It is not const there, but nothing is changed. */
    struct MHD_Response *mhd = MHD_create_response_from_buffer_with_free_callback_cls(
        text->len, (void *)(uintptr_t)text->data, shared_sent, text);
    if (mhd != NULL) {
        response->shared = NULL;
    }
    return mhd;
}

static struct MHD_Response *plain_response(struct call *call)
{
    if (call->exchange.response.shared != NULL) {
        return shared_response(&call->exchange.response);
    }
    size_t len;
    uint8_t *body = buffer_take(&call->exchange.response.body, &len);
    struct MHD_Response *mhd = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (mhd == NULL) {
        free(body);
    }
    return mhd;
}

static enum MHD_Result answer(struct call *call)
{
    const struct response *response = &call->exchange.response;
    struct MHD_Response *mhd = call->exchange.stream != NULL     ? stream_response(call)
                               : call->exchange.download != NULL ? download_response(call)
                                                                 : plain_response(call);
    if (mhd == NULL) {
        return MHD_NO;
    }
    add_headers(mhd, &call->exchange, is_crowded(call));
    metric_add(METRIC_http_requests_total, 1);
    if (response->status >= 400) {
        metric_add(METRIC_http_errors_total, 1);
    }
    enum MHD_Result result = MHD_queue_response(call->connection, (unsigned)response->status, mhd);
    MHD_destroy_response(mhd);
    return result;
}

/* The client has gone away: gets the connection closed, without the library's complaint that a
 * refusal brings. The exchange is still the node's. */
static enum MHD_Result answer_nobody(struct call *call)
{
    struct MHD_Response *mhd = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    if (mhd == NULL) {
        return MHD_NO;
    }
    (void)MHD_add_response_header(mhd, "Connection", "close");
    enum MHD_Result result =
        MHD_queue_response(call->connection, MHD_HTTP_SERVICE_UNAVAILABLE, mhd);
    MHD_destroy_response(mhd);
    return result;
}

/* --- the request --- */

static const char *find_header(const void *transport, const char *name)
{
    /* The library takes it without const, and changes nothing. */
    return MHD_lookup_connection_value((struct MHD_Connection *)(uintptr_t)transport,
                                       MHD_HEADER_KIND, name);
}

static const char *header(const struct call *call, const char *name)
{
    return find_header(call->connection, name);
}

/* Whether to answer before the body: it is over the limit, and the client either waits to be asked
 * for it or would send more than we care to throw away. The connection is closed then. */
static bool must_refuse_body(const struct call *call)
{
    const char *length = header(call, MHD_HTTP_HEADER_CONTENT_LENGTH);
    size_t limit = call->exchange.request.body.limit;
    uint64_t len;
    if (length == NULL || !text_parse_u64(length, UINT64_MAX, &len) || len <= limit) {
        return false;
    }
    return header(call, MHD_HTTP_HEADER_EXPECT) != NULL || len > limit + DISCARD_BYTES_MAX;
}

static enum MHD_Result begin(struct call *call, const char *method)
{
    struct request *request = &call->exchange.request;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    request->method = request_method(method);
    request->find_header = find_header;
    request->transport = call->connection;
    request->peer = info->client_addr;
    exchange_route(&call->exchange, call->target);
    if (is_crowded(call)) {
        crowd_remove(&call->worker->crowd, socket_of(call));
        exchange_crowded(&call->exchange);
    }
    call->state = CALL_BODY;
    if (!must_refuse_body(call)) {
        return MHD_YES;
    }
    request->body.overflowed = true;
    CHECK(exchange_start(&call->exchange));
    call->state = CALL_READY;
    return answer(call);
}

static enum MHD_Result take_body(struct call *call, const char *piece, size_t *len)
{
    struct buffer *body = &call->exchange.request.body;
    call->received += *len;
    buffer_append(body, piece, *len);
    *len = 0;
    return call->received <= body->limit + DISCARD_BYTES_MAX ? MHD_YES : MHD_NO;
}

/* A read may wait for minutes, so its client is watched. A write is over soon, and its client is
 * answered even if it has closed its half of the connection. */
static void suspend(struct call *call)
{
    struct worker *worker = call->worker;
    call->state = CALL_SUSPENDED;
    call->previous = NULL;
    call->following = worker->suspended;
    if (call->following != NULL) {
        call->following->previous = call;
    }
    worker->suspended = call;
    MHD_suspend_connection(call->connection);
    if (call->exchange.stage != STAGE_WRITE) {
        watch_client(call);
    }
}

static void resume(struct call *call, enum call_state state)
{
    *(call->previous != NULL ? &call->previous->following : &call->worker->suspended) =
        call->following;
    if (call->following != NULL) {
        call->following->previous = call->previous;
    }
    unwatch_client(call);
    call->state = state;
    MHD_resume_connection(call->connection);
}

static enum MHD_Result answer_late(struct call *call)
{
    enum MHD_Result result = answer(call);
    call->answered = true;
    if (call->returned) {
        call_free(call);
    }
    return result;
}

enum MHD_Result connection_handle(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    (void)cls, (void)connection, (void)url, (void)version;
    struct call *call = *request;
    switch (call->state) {
    case CALL_NEW:
        return begin(call, method);
    case CALL_BODY:
        if (*upload_size > 0) {
            return take_body(call, upload, upload_size);
        }
        if (!exchange_start(&call->exchange)) {
            suspend(call);
            return MHD_YES;
        }
        call->state = CALL_READY;
        return answer(call);
    case CALL_READY:
        return answer(call);
    case CALL_SUSPENDED:
        return MHD_YES;
    case CALL_GONE:
        return answer_nobody(call);
    case CALL_LATE:
        *request = NULL;
        return answer_late(call);
    case CALL_STREAM:
    case CALL_DOWNLOAD:
        break; /* libmicrohttpd has its mhd */
    }
    return MHD_NO;
}

static void go_on(struct call *call)
{
    TSAN_ACQUIRE(call);
    cds_wfcq_node_init(&call->finished);
    if (call->state == CALL_GONE || (call->state == CALL_LATE && call->answered)) {
        call_free(call);
    } else if (call->state == CALL_DOWNLOAD) {
        download_stepped(call->exchange.download);
        MHD_resume_connection(call->connection);
    } else if (call->state == CALL_LATE) {
        call->returned = true;
    } else if (exchange_resume(&call->exchange)) {
        resume(call, CALL_READY);
    }
}

/* `most` of them. True when there are more. */
static bool resume_some(struct call_queue *queue, unsigned most)
{
    for (unsigned i = 0; i < most; i++) {
        struct cds_wfcq_node *node = __cds_wfcq_dequeue_blocking(&queue->head, &queue->tail);
        if (node == NULL) {
            return false;
        }
        go_on(CONTAINER_OF(node, struct call, finished));
    }
    return !cds_wfcq_empty(&queue->head, &queue->tail);
}

bool connection_resume_finished(struct worker *worker)
{
    bool writes = resume_some(&worker->finished_writes, WRITES_RESUMED_MAX);
    return resume_some(&worker->finished_reads, READS_RESUMED_MAX) || writes;
}

void connection_drop_gone(struct worker *worker)
{
    struct epoll_event events[64];
    int count = epoll_wait(worker->watch_fd, events, (int)ARRAY_LENGTH(events), 0);
    for (int i = 0; i < count; i++) {
        struct call *call = events[i].data.ptr;
        if (call->state == CALL_STREAM) {
            call->deserted = true;
            subscriptions_wake(&worker->subscriptions, &call->exchange.stream->subscription);
        } else {
            exchange_cancel(&call->exchange);
            resume(call, CALL_GONE);
        }
    }
}

void connection_answer_late(struct worker *worker)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t since_ms = clock_elapsed(worker->late_seen_ms, now_ms);
    if (since_ms < LATE_MS / 2) {
        return;
    }
    worker->late_seen_ms = now_ms;
    if (since_ms > STALL_COUNTS_MS + LATE_MS) {
        return; /* this thread has not run either: the loop gets its chance */
    }
    struct call *following;
    for (struct call *call = worker->suspended; call != NULL; call = following) {
        following = call->following;
        if (now_ms >= exchange_due_ms(&call->exchange) + LATE_MS) {
            exchange_late(&call->exchange);
            resume(call, CALL_LATE);
        }
    }
}
