/* One request of HTTP/2: from its head and body to an exchange, and from there to the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/audited_line.h"
#include "api/http/download.h"
#include "api/http/duplex.h"
#include "api/http/h2/internal.h"
#include "api/http/stream.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

struct h2_stream *h2_stream_open(struct h2_session *session, int32_t id)
{
    struct worker *worker = session->connection->worker;
    if (worker->streams >= H2_STREAMS_A_WORKER) {
        return NULL;
    }
    struct h2_stream *stream = mem_zalloc(1, sizeof *stream);
    stream->session = session;
    stream->id = id;
    stream->looked_ms = worker->now_ms;
    cds_list_add_tail(&stream->place, &session->streams);
    session->count++;
    worker->streams++;
    metric_add(METRIC_http2_streams, 1);
    return stream;
}

void h2_stream_close(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    if (stream->call != NULL) {
        call_release(stream->call);
    }
    cds_list_del(&stream->place);
    session->count--;
    session->idle_ms = session->connection->worker->now_ms;
    session->connection->worker->streams--;
    metric_add(METRIC_http2_streams, -1);
    free(stream);
}

static struct h2_stream *stream_of(struct call *call)
{
    return call->request;
}

static void reset(struct h2_stream *stream, uint32_t error)
{
    if (!stream->is_refused) {
        stream->is_refused = true;
        (void)nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id,
                                        error);
    }
}

/* --- the request --- */

static void refuse(struct h2_stream *stream, const struct head_refusal *refusal)
{
    struct exchange *x = &stream->call->exchange;
    x->route = NULL;
    stream->is_started = true;
    x->request.method = request_method(stream->call->head.method);
    exchange_refuse(x, refusal->status, refusal->code, refusal->field, refusal->message);
    h2_answer(stream->call);
}

static void start(struct h2_stream *stream)
{
    struct call *call = stream->call;
    stream->is_started = true;
    if (exchange_start(&call->exchange)) {
        h2_answer(call);
    } else {
        call_hold(call);
    }
}

/* --- a duplex --- */

static bool is_duplex(const struct h2_stream *stream)
{
    const struct exchange *x = stream->call != NULL ? &stream->call->exchange : NULL;
    return x != NULL && x->route != NULL && x->route->duplex != NULL;
}

/* The handler was called once more. */
static void end_turn(struct h2_stream *stream)
{
    struct exchange *x = &stream->call->exchange;
    audited_end(x);
    stream->is_over = stream->is_over || x->response.status >= 400;
}

/* Turns, as long as there is something to do and the node has nothing of it. */
static void go_on(struct h2_stream *stream)
{
    struct call *call = stream->call;
    const struct duplex_kind *kind = call->exchange.route->duplex;
    while (!call->held && !stream->is_over && kind->has_work(&call->exchange)) {
        if (!exchange_again(&call->exchange)) {
            call_hold(call);
        } else {
            end_turn(stream);
        }
    }
    (void)nghttp2_session_resume_data(stream->session->nghttp2, stream->id);
}

/* A piece of what the client says. */
static void take_piece(struct h2_stream *stream, const void *data, size_t len)
{
    struct call *call = stream->call;
    stream->unused += len;
    if (stream->is_over || !stream->is_answered) {
        return;
    }
    if (!call->exchange.route->duplex->take(&call->exchange, data, len)) {
        stream->is_over = true;
    }
    go_on(stream);
}

static struct call *begin_call(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    struct h2_block *block = &session->block;
    struct call *call = call_new(session->connection, block->text.len);
    stream->call = call;
    call->request = stream;
    call->head = (struct head){.method = "", .target = "", .fields = ""};
    call->framing.state = FRAMING_OVER;
    if (block->text.len > 0) {
        memcpy(call->text, block->text.data, block->text.len);
        explicit_bzero(block->text.data, block->text.len);
    }
    if (!block->text.overflowed) {
        call->head.method = block->method != SIZE_MAX ? call->text + block->method : "";
        call->head.host = block->host != SIZE_MAX ? call->text + block->host : NULL;
        call->head.fields = block->count > 0 ? call->text + block->fields : "";
        call->head.fields_count = block->count;
    }
    return call;
}

static void ask_for_body(struct h2_stream *stream)
{
    struct call *call = stream->call;
    uint8_t name[] = ":status", status[] = "100";
    const nghttp2_nv field = {name, status, sizeof name - 1, sizeof status - 1, 0};
    call->begun_ms = stream->looked_ms = call->worker->now_ms;
    call->seen = 0;
    if (call->head.expects_continue) {
        (void)nghttp2_submit_headers(stream->session->nghttp2, NGHTTP2_FLAG_NONE, stream->id, NULL,
                                     &field, 1, NULL);
    }
}

void h2_stream_head(struct h2_stream *stream, bool is_whole)
{
    static const struct head_refusal large = {431, "head_too_large", "",
                                              "the head of the request is too large"},
                                     none = {400, "malformed", "", "the request has no path"};
    const struct h2_block *block = &stream->session->block;
    bool is_large = block->text.overflowed || block->count > HTTP_FIELDS_MAX;
    size_t path = block->path;
    struct call *call = begin_call(stream);
    struct head_refusal refusal;
    metric_add(METRIC_http2_requests_total, 1);
    stream->is_whole = is_whole;
    call->head.chunked = !is_whole;
    if (is_large) {
        refuse(stream, &large);
    } else if (path == SIZE_MAX) {
        refuse(stream, &none);
    } else if (!head_settle(&call->head, call->text + path, &refusal)) {
        refuse(stream, &refusal);
    } else {
        call_route(call);
        if (is_whole || is_duplex(stream)) {
            start(stream);
        } else if (call_must_refuse_body(call)) {
            call->exchange.request.body.overflowed = true;
            start(stream);
        } else {
            ask_for_body(stream);
        }
    }
}

void h2_stream_body(struct h2_stream *stream, const void *data, size_t len)
{
    static const struct head_refusal large = {413, "too_large", "", "the body is too large"};
    struct call *call = stream->call;
    if (is_duplex(stream)) {
        take_piece(stream, data, len);
        return;
    }
    (void)nghttp2_session_consume(stream->session->nghttp2, stream->id, len);
    if (stream->is_started) {
        return;
    }
    call->received += len;
    buffer_append(&call->exchange.request.body, data, len);
    if (call_is_too_long(call)) {
        refuse(stream, &large);
    }
}

void h2_stream_whole(struct h2_stream *stream)
{
    stream->is_whole = true;
    if (stream->call != NULL && !stream->is_started) {
        start(stream);
    }
    h2_stream_wake(stream);
}

/* --- the answer --- */

/* Whether bytes follow the head. */
static bool has_body(const struct call *call)
{
    const struct exchange *x = &call->exchange;
    size_t len = 0;
    if (h2_fields_are_all(call) || x->request.method == METHOD_HEAD ||
        !reply_has_body(x->response.status)) {
        return false;
    }
    if (x->route != NULL && x->route->duplex != NULL) {
        return true;
    }
    if (reply_body_kind(call) == BODY_PLAIN) {
        (void)reply_body(&x->response, &len);
        return len > 0;
    }
    return true;
}

static void begin_body(struct call *call)
{
    struct exchange *x = &call->exchange;
    switch (reply_body_kind(call)) {
    case BODY_PLAIN:
        break;
    case BODY_STREAM:
        x->stream->owner = call;
        call->subscribed = true;
        subscriptions_add(&call->worker->subscriptions, &x->stream->subscription);
        break;
    case BODY_DOWNLOAD:
        call->downloading = true;
        download_list(x->download, &call->worker->downloads);
        break;
    }
}

void h2_answer(struct call *call)
{
    struct h2_stream *stream = stream_of(call);
    struct h2_session *session = stream->session;
    struct h2_fields fields;
    if (stream->is_answered) {
        end_turn(stream);
        go_on(stream);
        return;
    }
    reply_settle(call);
    h2_fields_of_head(call, &fields);
    bool sends_body = has_body(call);
    const nghttp2_data_provider body = {.source.ptr = stream, .read_callback = h2_body_read};
    stream->is_answered = true;
    stream->looked_ms = call->worker->now_ms;
    if (sends_body) {
        begin_body(call);
    }
    if (nghttp2_submit_response(session->nghttp2, stream->id, fields.nv, fields.count,
                                sends_body ? &body : NULL) != 0) {
        reset(stream, NGHTTP2_INTERNAL_ERROR);
    }
    if (session->connection->is_last) {
        h2_session_leave(session);
    }
}

void h2_stream_wake(struct h2_stream *stream)
{
    if (is_duplex(stream) && stream->is_answered) {
        (void)nghttp2_session_resume_data(stream->session->nghttp2, stream->id);
    }
}

void h2_resume(struct call *call)
{
    struct h2_stream *stream = stream_of(call);
    (void)nghttp2_session_resume_data(stream->session->nghttp2, stream->id);
}

/* Its client takes too little. gRPC's clients take CALM for RESOURCE_EXHAUSTED. */
static void reset_slow(struct h2_stream *stream)
{
    reset(stream, reply_has_trailers(stream->call) ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_CANCEL);
}

/* With the reason behind the last whole message, where there is a place for it. */
static void end_slow(struct h2_stream *stream)
{
    struct exchange *x = &stream->call->exchange;
    if (!reply_has_trailers(stream->call) || x->stream == NULL || x->stream->is_split) {
        reset_slow(stream);
    } else if (!stream->is_refused) {
        stream->is_refused = true;
        response_error(&x->response, 429, "too_slow", "",
                       "what was sent was not read in time; go on from the last position");
        h2_body_end(stream);
    }
}

void h2_cut(struct call *call)
{
    struct h2_stream *stream = stream_of(call);
    struct connection *c = stream->session->connection;
    if (c->out_len > 0) {
        c->is_cut = true; /* it is not this stream alone that it does not take */
    } else {
        end_slow(stream);
    }
}

/* --- clients that are too slow --- */

/* The client gives no room for it, and has taken next to nothing since the last look. */
static bool is_blocked(struct h2_stream *stream)
{
    nghttp2_session *nghttp2 = stream->session->nghttp2;
    bool has_room = nghttp2_session_get_stream_remote_window_size(nghttp2, stream->id) > 0 &&
                    nghttp2_session_get_remote_window_size(nghttp2) > 0;
    uint64_t taken = stream->given - stream->seen;
    stream->seen = stream->given;
    return !has_room && taken < HTTP_RATE_BYTES_MIN;
}

void h2_stream_look(struct h2_stream *stream)
{
    static const struct head_refusal slow = {408, "too_slow", "",
                                             "the request did not come in time"};
    struct call *call = stream->call;
    uint64_t now_ms = stream->session->connection->worker->now_ms;
    if (is_duplex(stream) && stream->is_answered) {
        const struct duplex_kind *kind = call->exchange.route->duplex;
        if (kind->tick != NULL && kind->tick(&call->exchange)) {
            h2_stream_wake(stream);
        }
    }
    if (call != NULL && stream->is_answered && call->exchange.deadline_ms != 0 &&
        now_ms >= call->exchange.deadline_ms) {
        reset(stream, NGHTTP2_CANCEL); /* its client has long given up */
    }
    if (call == NULL || stream->is_refused ||
        clock_elapsed(stream->looked_ms, now_ms) < HTTP_RATE_MS) {
        return;
    }
    stream->looked_ms = now_ms;
    if (!stream->is_started) {
        if (call_is_slow(call)) {
            refuse(stream, &slow);
        }
    } else if (stream->is_answered && reply_body_kind(call) == BODY_PLAIN && is_blocked(stream)) {
        metric_add(METRIC_http_readers_cut_total, 1);
        reset_slow(stream);
    }
}
