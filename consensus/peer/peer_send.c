#include "consensus/peer/peer_internal.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define BULK_MAX 2 /* one being written, one waiting */

/* A message being sent. */
struct send {
    uv_write_t request;
    struct send_queue *queue;
    bool bulk;
    void (*sent)(void *data, enum status status);
    void *data;
    uv_buf_t payload;
    uint8_t *sealed; /* what is written instead, with TLS */
    size_t head_len;
    uint8_t bytes[]; /* frame header and the head of the message */
};

static enum status failure(const struct peers *p)
{
    return p->closing ? ST_STOPPING : ST_IO;
}

static size_t frame_bytes(const struct send *send)
{
    return FRAME_HEADER_BYTES + send->head_len + send->payload.len;
}

/* Reports the result; the message is freed. */
static void finish(struct send *send, enum status status)
{
    if (send->sent != NULL) {
        send->sent(send->data, status);
    }
    free(send->sealed);
    free(send);
}

static void on_sent(uv_write_t *request, int status);

/* False if the connection takes no more. */
static bool hand_to_socket(struct send *send)
{
    struct secure *secure = send->queue->secure;
    uv_buf_t bufs[2] = {{.base = (char *)send->bytes, .len = FRAME_HEADER_BYTES + send->head_len},
                        send->payload};
    unsigned count = send->payload.len > 0 ? 2 : 1;
    if (secure->session != NULL) {
        const struct iovec pieces[2] = {{.iov_base = bufs[0].base, .iov_len = bufs[0].len},
                                        {.iov_base = bufs[1].base, .iov_len = bufs[1].len}};
        size_t len;
        if (!link_session_write(secure->session, pieces, count)) {
            return false;
        }
        send->sealed = link_session_take(secure->session, &len);
        bufs[0] = (uv_buf_t){.base = (char *)send->sealed, .len = len};
        count = 1;
    }
    return uv_write(&send->request, (uv_stream_t *)secure->tcp, bufs, count, on_sent) == 0;
}

static void write_next_bulk(struct send_queue *q)
{
    struct send *next = q->bulk_waiting;
    if (next == NULL) {
        return;
    }
    if (hand_to_socket(next)) {
        q->bulk_waiting = NULL;
    } else {
        q->broken(q->owner); /* it fails when the connection is closed */
    }
}

static void on_sent(uv_write_t *request, int status)
{
    struct send *send = CONTAINER_OF(request, struct send, request);
    struct send_queue *q = send->queue;
    if (send->bulk) {
        CHECK(q->bulk_count > 0);
        q->bulk_count--;
    } else {
        CHECK(q->waiting_bytes >= frame_bytes(send));
        q->waiting_bytes -= frame_bytes(send);
    }
    if (status == 0) {
        metric_add(METRIC_peer_messages_sent_total, 1);
        metric_add(METRIC_peer_bytes_sent_total, (int64_t)frame_bytes(send));
        if (send->bulk) {
            write_next_bulk(q);
        }
    } else if (status != UV_ECANCELED) {
        q->broken(q->owner);
    }
    finish(send, status == 0 ? ST_OK : failure(q->p));
}

static enum status find_room(const struct send_queue *q, const struct peer_message *m)
{
    size_t limit = m->bulk ? PEER_BULK_BYTES_MAX : PEER_FRAME_BYTES_MAX;
    if (m->head_len > limit || m->payload_len > limit - m->head_len) {
        return ST_TOO_LARGE;
    }
    if (m->bulk) {
        return q->bulk_count < BULK_MAX ? ST_OK : ST_BUSY;
    }
    CHECK(q->waiting_bytes <= PEER_QUEUE_BYTES_MAX);
    size_t room = PEER_QUEUE_BYTES_MAX - q->waiting_bytes;
    return FRAME_HEADER_BYTES + m->head_len + m->payload_len <= room ? ST_OK : ST_BUSY;
}

/* Allocates the frame as it will be written. */
static struct send *make_send(struct send_queue *q, const struct peer_message *m)
{
    struct send *send = mem_alloc(sizeof *send + FRAME_HEADER_BYTES + m->head_len);
    /* uv_buf_t has no const; nothing here writes through it. */
    uv_buf_t content[2] = {{.base = (char *)(uintptr_t)m->head, .len = m->head_len},
                           {.base = (char *)(uintptr_t)m->payload, .len = m->payload_len}};
    *send = (struct send){.queue = q,
                          .bulk = m->bulk,
                          .sent = m->sent,
                          .data = m->data,
                          .payload = content[1],
                          .head_len = m->head_len};
    frame_encode(m->type, content, 2, send->bytes);
    if (m->head_len > 0) {
        memcpy(send->bytes + FRAME_HEADER_BYTES, m->head, m->head_len);
    }
    return send;
}

enum status send_message(struct send_queue *q, const struct peer_message *message)
{
    enum status status = find_room(q, message);
    if (status != ST_OK) {
        return status;
    }
    struct send *send = make_send(q, message);
    if (send->bulk && q->bulk_count > 0) {
        /* Written after the one before: a small message waits for one of them at most. */
        CHECK(q->bulk_waiting == NULL);
        q->bulk_waiting = send;
    } else if (!hand_to_socket(send)) {
        free(send->sealed);
        free(send);
        return ST_IO;
    }
    if (send->bulk) {
        q->bulk_count++;
    } else {
        q->waiting_bytes += frame_bytes(send);
    }
    return ST_OK;
}

void send_queue_fail(struct send_queue *q)
{
    struct send *waiting = q->bulk_waiting;
    if (waiting != NULL) {
        q->bulk_waiting = NULL;
        q->bulk_count--;
        finish(waiting, failure(q->p));
    }
    CHECK(q->bulk_count == 0 && q->waiting_bytes == 0);
}
