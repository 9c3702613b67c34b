#include <stdlib.h>

#include "api/http/audited_line.h"
#include "api/http/download.h"
#include "api/http/internal.h"
#include "api/http/stream.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

/* How much of a body that is over its limit is read and thrown away, so that the client gets to see
 * the answer and the connection stays usable. */
#define DISCARD_BYTES_MAX (16u * 1024 * 1024)

/* On the node's loop thread. */
static void wake(struct exchange *x)
{
    struct call *call = CONTAINER_OF(x, struct call, exchange);
    lane_give(&call->worker->lane, &call->finished,
              x->stage == STAGE_WRITE ? LANE_WRITE : LANE_READ);
}

struct call *call_new(struct connection *c, size_t head_len)
{
    struct call *call = mem_alloc(sizeof *call + head_len);
    call->text_len = head_len;
    call->worker = c->worker;
    call->connection = c;
    call->peer = c->peer;
    lane_item_init(&call->finished);
    CDS_INIT_LIST_HEAD(&call->place);
    call->request = NULL;
    call->held = call->late = call->subscribed = call->idle = call->streamed = false;
    call->downloading = false;
    call->received = call->downloaded = 0;
    exchange_init(&call->exchange, c->worker->context, &c->worker->scratch, wake);
    return call;
}

static void call_free(struct call *call)
{
    exchange_done(&call->exchange);
    explicit_bzero(call->text, call->text_len); /* it may hold a token */
    free(call);
}

static const char *find_header(const void *transport, const char *name)
{
    const struct call *call = transport;
    return head_find(&call->head, name);
}

void call_route(struct call *call)
{
    struct connection *c = call->connection;
    struct request *request = &call->exchange.request;
    call->exchange.request.can_trail = call->request != NULL;
    request->method = request_method(call->head.method);
    request->find_header = find_header;
    request->transport = call;
    request->peer = &call->peer.any;
    call->exchange.client = c->client;
    call->exchange.certificate = channel_certificate(c);
    exchange_route(&call->exchange, call->head.target);
    if (c->verdict != CROWD_FINE) {
        cds_list_del_init(&c->crowded);
        exchange_crowded(&call->exchange, c->verdict == CROWD_TOO_FAST);
    }
}

bool call_must_refuse_body(const struct call *call)
{
    size_t limit = call->exchange.request.body.limit;
    return call->head.has_length && call->head.length > limit &&
           (call->head.expects_continue || call->head.length > limit + DISCARD_BYTES_MAX);
}

bool call_is_too_long(const struct call *call)
{
    return call->received > call->exchange.request.body.limit + DISCARD_BYTES_MAX;
}

bool call_is_slow(struct call *call)
{
    uint64_t came = call->received - call->seen;
    call->seen = call->received;
    return came < HTTP_RATE_BYTES_MIN ||
           clock_elapsed(call->begun_ms, call->worker->now_ms) >= HTTP_BODY_MS_MAX;
}

void call_hold(struct call *call)
{
    call->held = true;
    cds_list_add(&call->place, &call->worker->held);
    /* A read may wait for minutes. A write is over soon, and is answered even if the client has
     * closed its half of the connection. */
    if (call->request == NULL && call->connection->ended && call->exchange.stage != STAGE_WRITE) {
        connection_close(call->connection);
    }
}

void call_release(struct call *call)
{
    struct download *download = call->exchange.download;
    call->connection = NULL;
    cds_list_del_init(&call->place);
    if (call->subscribed) {
        call->subscribed = false;
        subscriptions_remove(&call->worker->subscriptions, &call->exchange.stream->subscription);
    }
    if (call->held) {
        exchange_cancel(&call->exchange);
        return; /* freed when the node is done with it */
    }
    if (download != NULL && download->held && download_end(download) == ST_OK) {
        call->held = true;
        return;
    }
    call_free(call);
}

/* The connection goes on with the answer. */
static void answer(struct call *call)
{
    struct connection *c = call->connection;
    if (call->request != NULL) {
        http_protocol->answer(call);
        connection_ready(c);
    } else {
        connection_answer(c);
        connection_run(c);
    }
}

static void go_on_downloading(struct call *call)
{
    if (call->request != NULL) {
        http_protocol->resume(call);
        connection_ready(call->connection);
    } else {
        connection_run(call->connection);
    }
}

static void go_on(struct lane_item *finished)
{
    struct call *call = CONTAINER_OF(finished, struct call, finished);
    CHECK(call->held);
    call->held = false;
    cds_list_del_init(&call->place);
    struct download *download = call->exchange.download;
    bool is_done_with = call->connection == NULL || call->late;
    if (download != NULL && download->waiting && (is_done_with || call->downloading)) {
        download_stepped(download);
    }
    if (call->connection == NULL) {
        audited_abandon(&call->exchange);
        call_release(call);
    } else if (call->late) {
        return; /* the connection releases it */
    } else if (call->downloading) {
        go_on_downloading(call);
    } else if (exchange_resume(&call->exchange)) {
        answer(call);
    } else {
        call_hold(call);
    }
}

bool call_resume_finished(struct worker *worker)
{
    return lane_run(&worker->lane, go_on);
}

void call_answer_late(struct worker *worker)
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
    struct call *call, *next;
    cds_list_for_each_entry_safe(call, next, &worker->held, place)
    {
        if (exchange_is_late(&call->exchange, now_ms)) {
            cds_list_del_init(&call->place);
            call->late = true;
            exchange_late(&call->exchange);
            answer(call);
        }
    }
}
