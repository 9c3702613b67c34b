#include <stdlib.h>

#include "api/http/download.h"
#include "api/http/internal.h"
#include "api/http/stream.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

/* How many finished calls go on in one turn: ten thousand long-polls may be answered at once, and
 * others want their turn, too. */
#define WRITES_RESUMED_MAX 4096
#define READS_RESUMED_MAX  512

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

struct call *call_new(struct connection *c, size_t head_len)
{
    struct call *call = mem_alloc(sizeof *call + head_len);
    call->worker = c->worker;
    call->connection = c;
    cds_wfcq_node_init(&call->finished);
    CDS_INIT_LIST_HEAD(&call->place);
    call->held = call->late = call->subscribed = call->idle = call->streamed = false;
    call->received = call->downloaded = 0;
    exchange_init(&call->exchange, c->worker->context, &c->worker->scratch, wake);
    return call;
}

static void call_free(struct call *call)
{
    exchange_done(&call->exchange);
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

static void go_on(struct call *call)
{
    TSAN_ACQUIRE(call);
    cds_wfcq_node_init(&call->finished);
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

bool call_resume_finished(struct worker *worker)
{
    bool writes = resume_some(&worker->finished_writes, WRITES_RESUMED_MAX);
    return resume_some(&worker->finished_reads, READS_RESUMED_MAX) || writes;
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
