/* A connection that speaks HTTP/2: bytes in, bytes out, its times, its end. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/h2/internal.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* How often a connection is looked at. */
#define TICK_MS 1000
/* Reads of it in one turn of the worker. */
#define READS_A_TURN 4
/* What nghttp2 gives at a time: a frame. */
#define FRAME_BYTES_MAX (16384 + 9)

static_assert(FRAME_BYTES_MAX * 2 <= WORKER_OUTPUT_BYTES, "several frames are sent at a time");

extern const struct protocol h2_protocol;

/* --- begin and end --- */

static bool say_settings(nghttp2_session *nghttp2)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_BYTES_MAX},
    };
    return nghttp2_submit_settings(nghttp2, NGHTTP2_FLAG_NONE, settings, ARRAY_LENGTH(settings)) ==
               0 &&
           nghttp2_session_set_local_window_size(nghttp2, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_BYTES) ==
               0;
}

static void forget_block(struct h2_block *block)
{
    if (block->text.len > 0) {
        explicit_bzero(block->text.data, block->text.len); /* it may hold a token */
    }
    buffer_done(&block->text);
}

static bool h2_open(struct connection *c)
{
    uint64_t now_ms = c->worker->now_ms;
    struct h2_session *session = mem_zalloc(1, sizeof *session);
    session->connection = c;
    CDS_INIT_LIST_HEAD(&session->streams);
    buffer_init(&session->block.text, HTTP_HEAD_BYTES_MAX);
    h2_calm_init(&session->calm, now_ms);
    session->heard_ms = session->idle_ms = session->looked_ms = now_ms;
    session->nghttp2 = h2_callbacks_open(session);
    if (session->nghttp2 == NULL || !say_settings(session->nghttp2)) {
        nghttp2_session_del(session->nghttp2);
        free(session);
        return false;
    }
    c->session = session;
    c->due_ms = now_ms + TICK_MS;
    metric_add(METRIC_http2_connections_total, 1);
    return true;
}

static void h2_close(struct connection *c)
{
    struct h2_session *session = c->session;
    struct h2_stream *stream, *next;
    cds_list_for_each_entry_safe(stream, next, &session->streams, place)
    {
        h2_stream_close(stream);
    }
    nghttp2_session_del(session->nghttp2); /* tells of no stream */
    forget_block(&session->block);
    free(session);
}

void h2_session_leave(struct h2_session *session)
{
    if (!session->is_leaving) {
        session->is_leaving = true;
        (void)nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE,
                                    nghttp2_session_get_last_proc_stream_id(session->nghttp2),
                                    NGHTTP2_NO_ERROR, NULL, 0);
    }
}

void h2_session_calm(struct h2_session *session)
{
    if (!session->is_flood) {
        session->is_flood = session->is_leaving = true;
        metric_add(METRIC_http2_floods_total, 1);
        (void)nghttp2_session_terminate_session(session->nghttp2, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

static void h2_drain(struct connection *c)
{
    struct h2_session *session = c->session;
    struct h2_stream *stream;
    h2_session_leave(session);
    cds_list_for_each_entry(stream, &session->streams, place)
    {
        h2_stream_wake(stream);
    }
}

/* --- bytes --- */

/* As many frames as the worker's memory holds. */
static void gather(struct connection *c, const struct h2_session *session)
{
    struct worker *worker = c->worker;
    size_t len = 0;
    while (len + FRAME_BYTES_MAX <= sizeof worker->output) {
        const uint8_t *frame;
        ssize_t frame_len = nghttp2_session_mem_send(session->nghttp2, &frame);
        if (frame_len <= 0) {
            break;
        }
        memcpy(worker->output + len, frame, (size_t)frame_len);
        len += (size_t)frame_len;
    }
    c->out = worker->output;
    c->out_len = len;
}

/* True when all is sent that there is for now. */
static bool flush(struct connection *c, const struct h2_session *session)
{
    do {
        if (c->out_len > 0 && !channel_flush(c)) {
            connection_reset(c);
            return false;
        }
        if (c->out_len > 0) {
            return false; /* what comes is read when the client reads, too */
        }
        gather(c, session);
    } while (c->out_len > 0);
    return true;
}

static bool is_over(const struct h2_session *session)
{
    return nghttp2_session_want_read(session->nghttp2) == 0 &&
           nghttp2_session_want_write(session->nghttp2) == 0;
}

/* False: the client has broken the rules in a way that nghttp2 has no words for. */
static bool take(struct connection *c, struct h2_session *session)
{
    ssize_t used = nghttp2_session_mem_recv(session->nghttp2, (const uint8_t *)c->in, c->in_len);
    explicit_bzero(c->in, c->in_len); /* it may hold a token */
    c->in_len = 0;
    session->heard_ms = c->worker->now_ms;
    if (session->block.begun_ms == 0) {
        forget_block(&session->block);
    }
    return used >= 0;
}

static void h2_run(struct connection *c)
{
    struct h2_session *session = c->session;
    bool is_broken = false;
    for (unsigned reads = 0; flush(c, session); reads++) {
        if (is_broken || is_over(session)) {
            connection_linger(c);
            connection_ready(c);
            return;
        }
        if (reads == READS_A_TURN) {
            connection_ready(c);
            return;
        }
        if (c->in_len == 0 && !connection_fill(c)) {
            return;
        }
        is_broken = c->in_len > 0 && !take(c, session);
    }
}

/* --- times --- */

/* A client that takes nothing, or sends half a head. */
static bool is_stuck(struct connection *c, const struct h2_session *session)
{
    uint64_t begun_ms = session->block.begun_ms;
    return begun_ms != 0 && clock_elapsed(begun_ms, c->worker->now_ms) >= HTTP_HEAD_MS;
}

/* Asks for a sign of life. True: it did not come. */
static bool is_dead(struct connection *c, struct h2_session *session)
{
    uint64_t now_ms = c->worker->now_ms;
    if (session->count == 0 || c->out_len > 0 ||
        clock_elapsed(session->heard_ms, now_ms) < H2_PING_MS) {
        session->pinged_ms = 0;
        return false;
    }
    if (session->pinged_ms == 0) {
        session->pinged_ms = now_ms;
        (void)nghttp2_submit_ping(session->nghttp2, NGHTTP2_FLAG_NONE, NULL);
        return false;
    }
    return clock_elapsed(session->pinged_ms, now_ms) >= H2_PING_TIMEOUT_MS;
}

static void look_at_streams(struct h2_session *session)
{
    struct h2_stream *stream;
    cds_list_for_each_entry(stream, &session->streams, place)
    {
        h2_stream_look(stream);
    }
}

static void h2_due(struct connection *c)
{
    struct h2_session *session = c->session;
    uint64_t now_ms = c->worker->now_ms;
    bool is_full = clock_elapsed(session->looked_ms, now_ms) >= HTTP_RATE_MS;
    if (is_full) {
        session->looked_ms = now_ms;
    }
    if ((is_full && c->out_len > 0 && answer_is_slow(c)) || is_stuck(c, session) ||
        is_dead(c, session)) {
        connection_reset(c);
        return;
    }
    if (session->count > 0) {
        session->idle_ms = now_ms;
    } else if (clock_elapsed(session->idle_ms, now_ms) >=
               (c->verdict == CROWD_FINE ? HTTP_IDLE_MS : HTTP_SPARE_IDLE_MS)) {
        h2_session_leave(session);
    }
    look_at_streams(session);
    c->due_ms = now_ms + TICK_MS;
    connection_ready(c);
}

const struct protocol h2_protocol = {
    .alpn = "h2",
    .preface = NGHTTP2_CLIENT_MAGIC,
    .preface_len = NGHTTP2_CLIENT_MAGIC_LEN,
    .open = h2_open,
    .close = h2_close,
    .run = h2_run,
    .due = h2_due,
    .drain = h2_drain,
    .answer = h2_answer,
    .resume = h2_resume,
    .cut = h2_cut,
};
