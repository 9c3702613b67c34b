#include <stdlib.h>

#include "api/http/audited_line.h"
#include "api/http/download.h"
#include "api/http/internal.h"
#include "api/http/stream.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

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
    call->held = call->late = call->subscribed = call->idle = call->streamed = false;
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

void call_hold(struct call *call)
{
    call->held = true;
    cds_list_add(&call->place, &call->worker->held);
    /* A read may wait for minutes. A write is over soon, and is answered even if the client has
     * closed its half of the connection. */
    if (call->connection->ended && call->exchange.stage != STAGE_WRITE) {
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
    connection_answer(c);
    connection_run(c);
}

static void go_on(struct lane_item *finished)
{
    struct call *call = CONTAINER_OF(finished, struct call, finished);
    CHECK(call->held);
    call->held = false;
    cds_list_del_init(&call->place);
    struct download *download = call->exchange.download;
    bool is_done_with = call->connection == NULL || call->late;
    if (download != NULL && download->waiting &&
        (is_done_with || call->connection->state == CONNECTION_DOWNLOAD)) {
        download_stepped(download);
    }
    if (call->connection == NULL) {
        audited_abandon(&call->exchange);
        call_release(call);
    } else if (call->late) {
        return; /* the connection releases it */
    } else if (call->connection->state == CONNECTION_DOWNLOAD) {
        connection_run(call->connection);
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
        if (now_ms >= exchange_due_ms(&call->exchange) + LATE_MS &&
            !exchange_goes_on(&call->exchange)) {
            cds_list_del_init(&call->place);
            call->late = true;
            exchange_late(&call->exchange);
            answer(call);
        }
    }
}
