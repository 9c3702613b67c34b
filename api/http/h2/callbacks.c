/* What nghttp2 tells: from frames to streams. */
#include <string.h>

#include "api/http/h2/internal.h"
#include "server/base/limits.h"

static struct h2_stream *stream_of(nghttp2_session *nghttp2, int32_t id)
{
    return id == 0 ? NULL : nghttp2_session_get_stream_user_data(nghttp2, id);
}

/* --- heads --- */

static void block_begin(struct h2_session *session)
{
    struct h2_block *block = &session->block;
    buffer_clear(&block->text);
    block->method = block->path = block->host = SIZE_MAX;
    block->fields = block->count = 0;
    block->bytes = 0;
    block->begun_ms = session->connection->worker->now_ms;
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *ctx)
{
    struct h2_session *session = ctx;
    block_begin(session);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST ||
        session->is_flood) {
        return 0;
    }
    struct h2_stream *stream = h2_stream_open(session, frame->hd.stream_id);
    if (stream == NULL) {
        return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    }
    return nghttp2_session_set_stream_user_data(nghttp2, stream->id, stream);
}

/* What HTTP/2 has in place of a request line. */
static void add_pseudo(struct h2_block *block, const char *name, const uint8_t *value, size_t len)
{
    size_t *at = strcmp(name, ":method") == 0      ? &block->method
                 : strcmp(name, ":path") == 0      ? &block->path
                 : strcmp(name, ":authority") == 0 ? &block->host
                                                   : NULL;
    if (at != NULL) {
        *at = block->text.len;
        buffer_append(&block->text, value, len);
        buffer_append(&block->text, "", 1);
    }
    block->fields = block->text.len;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    struct h2_session *session = ctx;
    struct h2_block *block = &session->block;
    (void)flags;
    block->bytes += name_len + value_len + 32;
    if (block->bytes > (uint64_t)4 * HTTP_HEAD_BYTES_MAX) {
        h2_session_calm(session); /* a few bytes of it may stand for many */
        return 0;
    }
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST ||
        stream_of(nghttp2, frame->hd.stream_id) == NULL) {
        return 0;
    }
    if (name_len > 0 && name[0] == ':') {
        add_pseudo(block, (const char *)name, value, value_len);
        return 0;
    }
    buffer_append(&block->text, name, name_len);
    buffer_append(&block->text, "", 1);
    buffer_append(&block->text, value, value_len);
    buffer_append(&block->text, "", 1);
    block->count++;
    return 0;
}

/* A field that is none: nghttp2 would leave it out, and two readers could differ. */
static int on_invalid_header(nghttp2_session *nghttp2, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *ctx)
{
    struct h2_stream *stream = stream_of(nghttp2, frame->hd.stream_id);
    (void)name;
    (void)name_len;
    (void)value;
    (void)value_len;
    (void)flags;
    (void)ctx;
    if (stream != NULL && !stream->is_refused) {
        stream->is_refused = true;
        return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream->id,
                                         NGHTTP2_PROTOCOL_ERROR);
    }
    return 0;
}

/* --- frames --- */

/* Whether a frame asks for nothing. */
static bool is_noise(const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        return frame->hd.length == frame->data.padlen &&
               (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
    case NGHTTP2_HEADERS:
        return false;
    default:
        return true;
    }
}

/* False: it sends too much of that. */
static bool is_calm(struct h2_session *session, const nghttp2_frame *frame)
{
    uint64_t now_ms = session->connection->worker->now_ms;
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        return h2_calm_reset(&session->calm, now_ms);
    }
    if (is_noise(frame)) {
        return h2_calm_noise(&session->calm, now_ms);
    }
    h2_calm_work(&session->calm);
    return true;
}

/* A frame of a kind that nobody knows: read past. */
static int ignore_frame(nghttp2_session *nghttp2, void **payload, const nghttp2_frame_hd *head,
                        void *ctx)
{
    (void)nghttp2;
    (void)payload;
    (void)head;
    (void)ctx;
    return NGHTTP2_ERR_CANCEL;
}

/* All that is told of such a frame. */
static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *head, void *ctx)
{
    struct h2_session *session = ctx;
    (void)nghttp2;
    if (head->type > NGHTTP2_CONTINUATION && !session->is_flood &&
        !h2_calm_noise(&session->calm, session->connection->worker->now_ms)) {
        h2_session_calm(session);
    }
    return 0;
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *ctx)
{
    struct h2_session *session = ctx;
    struct h2_stream *stream = stream_of(nghttp2, frame->hd.stream_id);
    bool has_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (!session->is_flood && !is_calm(session, frame)) {
        h2_session_calm(session);
    }
    if (frame->hd.type == NGHTTP2_HEADERS) {
        session->block.begun_ms = 0;
    } else if (frame->hd.type == NGHTTP2_WINDOW_UPDATE || frame->hd.type == NGHTTP2_SETTINGS) {
        h2_body_room(session);
    }
    if (session->is_flood || stream == NULL || stream->is_refused) {
        return 0;
    }
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        h2_stream_head(stream, has_end);
    } else if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) && has_end) {
        h2_stream_whole(stream);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, int error,
                            void *ctx)
{
    struct h2_session *session = ctx;
    (void)nghttp2;
    (void)frame;
    (void)error;
    if (!session->is_flood && !h2_calm_reset(&session->calm, session->connection->worker->now_ms)) {
        h2_session_calm(session);
    }
    return 0;
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *ctx)
{
    const struct h2_session *session = ctx;
    struct h2_stream *stream = stream_of(nghttp2, id);
    (void)flags;
    if (stream != NULL && stream->call != NULL && !stream->is_refused && !session->is_flood) {
        h2_stream_body(stream, data, len);
        return 0;
    }
    return nghttp2_session_consume(nghttp2, id, len);
}

static int on_stream_close(nghttp2_session *nghttp2, int32_t id, uint32_t error, void *ctx)
{
    struct h2_stream *stream = stream_of(nghttp2, id);
    (void)error;
    (void)ctx;
    if (stream != NULL) {
        (void)nghttp2_session_set_stream_user_data(nghttp2, id, NULL);
        /* What a duplex took counts no longer: others share the window of the connection. */
        (void)nghttp2_session_consume_connection(nghttp2, stream->unused);
        h2_stream_close(stream);
    }
    return 0;
}

/* The answer has come to its end, and the client has not: it need not send the rest. */
static int on_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *ctx)
{
    struct h2_session *session = ctx;
    const struct h2_stream *stream = stream_of(nghttp2, frame->hd.stream_id);
    bool has_data = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (has_data) {
        h2_calm_work(&session->calm);
    }
    if (has_data && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && stream != NULL &&
        !stream->is_whole) {
        return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

/* --- the session --- */

static nghttp2_option *make_options(void)
{
    nghttp2_option *options;
    if (nghttp2_option_new(&options) != 0) {
        return NULL;
    }
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_no_auto_window_update(options, 1); /* a duplex says itself */
    nghttp2_option_set_max_outbound_ack(options, H2_ACKS_MAX);
    nghttp2_option_set_max_continuations(options, H2_CONTINUATIONS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(options, H2_RESETS_MAX, H2_RESETS_A_SECOND);
    /* Else they would be read past without a word. */
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++) {
        nghttp2_option_set_user_recv_extension_type(options, (uint8_t)type);
    }
    return options;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, ignore_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    return callbacks;
}

nghttp2_session *h2_callbacks_open(struct h2_session *session)
{
    nghttp2_session *nghttp2 = NULL;
    nghttp2_option *options = make_options();
    nghttp2_session_callbacks *callbacks = make_callbacks();
    if (options != NULL && callbacks != NULL &&
        nghttp2_session_server_new2(&nghttp2, callbacks, session, options) != 0) {
        nghttp2 = NULL;
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    return nghttp2;
}
