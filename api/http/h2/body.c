/* The body of an answer, as the windows of the client have room for it. */
#include <string.h>

#include "api/http/download.h"
#include "api/http/duplex.h"
#include "api/http/h2/internal.h"
#include "api/http/stream.h"

static ssize_t read_plain(struct h2_stream *stream, uint8_t *to, size_t max, uint32_t *flags)
{
    size_t len;
    const char *body = reply_body(&stream->call->exchange.response, &len);
    size_t part = len - stream->body_at < max ? len - stream->body_at : max;
    memcpy(to, body + stream->body_at, part);
    stream->body_at += part;
    if (stream->body_at == len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)part;
}

/* Why a body without an end has come to one. */
static void tell_end(struct call *call)
{
    bool draining = atomic_load(&call->worker->context->draining);
    if (reply_has_trailers(call) && call->exchange.response.status < 400) {
        response_status(&call->exchange.response, draining ? ST_STOPPING : ST_UNAUTHENTICATED);
    }
}

/* A message that long waits for room in the client's windows, so that trailers may follow at any
 * time. A client that took all but a quarter of a window, and nobody needs to wait for others,
 * gives some back. */
static size_t whole_bytes(const struct h2_session *session)
{
    uint32_t window =
        nghttp2_session_get_remote_settings(session->nghttp2, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
    return (window < NGHTTP2_INITIAL_WINDOW_SIZE ? window : NGHTTP2_INITIAL_WINDOW_SIZE) / 4;
}

static ssize_t read_stream(struct h2_stream *of, uint8_t *to, size_t max, uint32_t *flags)
{
    struct call *call = of->call;
    struct stream *stream = call->exchange.stream;
    struct subscriptions *all = &call->worker->subscriptions;
    stream->whole_bytes = whole_bytes(of->session);
    size_t len = stream->kind->read(stream, (char *)to, max);
    if (len > 0) {
        subscriptions_moved(all, &stream->subscription);
        return (ssize_t)len;
    }
    if (stream->wants_room) {
        of->session->wants_room = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (stream->subscription.closed) {
        tell_end(call);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
    call->idle = true;
    subscriptions_idle(all, &stream->subscription);
    return NGHTTP2_ERR_DEFERRED;
}

static ssize_t read_download(struct h2_stream *stream, uint8_t *to, size_t max, uint32_t *flags)
{
    struct call *call = stream->call;
    struct download *download = call->exchange.download;
    if (download->waiting) {
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t len = download_read(download, (char *)to, max);
    if (len == SIZE_MAX) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (len == 0) {
        call->held = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    call->downloaded += len;
    if (call->downloaded == download->backup.backup.bytes) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

static ssize_t read_duplex(struct h2_stream *stream, uint8_t *to, size_t max, uint32_t *flags)
{
    struct call *call = stream->call;
    struct exchange *x = &call->exchange;
    const struct duplex_kind *kind = x->route->duplex;
    size_t len = kind->read(x, (char *)to, max);
    if (len > 0) {
        return (ssize_t)len;
    }
    if (stream->is_over) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
    if (call->held) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (atomic_load(&call->worker->context->draining)) {
        tell_end(call);
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
    if (stream->is_whole && !kind->endless) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return 0;
    }
    /* All that has come is dealt with, and the client has the answers: it may say more. */
    (void)nghttp2_session_consume(stream->session->nghttp2, stream->id, stream->unused);
    stream->unused = 0;
    return NGHTTP2_ERR_DEFERRED;
}

void h2_body_end(struct h2_stream *stream)
{
    struct h2_fields fields;
    h2_fields_of_trailers(stream->call, &fields);
    (void)nghttp2_submit_trailer(stream->session->nghttp2, stream->id, fields.nv, fields.count);
}

static void go_on(struct h2_stream *stream)
{
    const struct call *call = stream->call;
    if (call != NULL && call->exchange.stream != NULL && call->exchange.stream->wants_room) {
        (void)nghttp2_session_resume_data(stream->session->nghttp2, stream->id);
    }
}

void h2_body_room(struct h2_session *session)
{
    struct h2_stream *stream;
    if (session->wants_room) {
        session->wants_room = false;
        cds_list_for_each_entry(stream, &session->streams, place)
        {
            go_on(stream);
        }
    }
}

ssize_t h2_body_read(nghttp2_session *nghttp2, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
                     nghttp2_data_source *source, void *ctx)
{
    struct h2_stream *stream = source->ptr;
    ssize_t len = 0;
    (void)nghttp2;
    (void)id;
    (void)ctx;
    const struct route *route = stream->call->exchange.route;
    switch (reply_body_kind(stream->call)) {
    case BODY_PLAIN:
        len = route != NULL && route->duplex != NULL ? read_duplex(stream, to, max, flags)
                                                     : read_plain(stream, to, max, flags);
        break;
    case BODY_STREAM:
        len = read_stream(stream, to, max, flags);
        break;
    case BODY_DOWNLOAD:
        len = read_download(stream, to, max, flags);
        break;
    }
    if ((*flags & NGHTTP2_DATA_FLAG_EOF) != 0 && reply_has_trailers(stream->call)) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        h2_body_end(stream);
    }
    stream->given += len > 0 ? (uint64_t)len : 0;
    return len;
}
