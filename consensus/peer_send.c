#include "consensus/peer_internal.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"

#define BULK_MAX 2 /* messages waiting on one link */

/* A frame on its way to the socket. */
struct send {
    uv_write_t request;
    struct send_queue *queue;
    size_t len; /* of the whole frame */
    void (*sent)(void *data, enum status status);
    void *data;
    uint8_t bytes[]; /* frame header and the head of the message */
};

/* A bulk message: one piece of it at a time is on its way to the socket. */
struct bulk {
    uv_write_t request;
    struct send_queue *queue;
    struct bulk *next;
    uint8_t type;
    void (*sent)(void *data, enum status status);
    void *data;
    uv_buf_t payload;
    size_t total;  /* bytes of head and payload */
    size_t offset; /* written of these */
    size_t piece;  /* being written */
    uint8_t header[FRAME_HEADER_BYTES];
    size_t head_len;
    uint8_t head[];
};

static enum status failure(const struct peers *p)
{
    return p->closing ? ST_STOPPING : ST_IO;
}

static void count_frame(struct peers *p, size_t len)
{
    p->counters.frames_sent++;
    p->counters.bytes_sent += len;
}

static void on_sent(uv_write_t *request, int status)
{
    struct send *send = CONTAINER_OF(request, struct send, request);
    struct send_queue *q = send->queue;
    q->waiting_bytes -= send->len;
    if (status == 0) {
        count_frame(q->p, send->len);
    } else if (status != UV_ECANCELED) {
        q->broken(q->owner);
    }
    if (send->sent != NULL) {
        send->sent(send->data, status == 0 ? ST_OK : failure(q->p));
    }
    free(send);
}

enum status send_frame(struct send_queue *q, uint8_t type, const uv_buf_t *head,
                       const uv_buf_t *payload, void (*sent)(void *data, enum status status),
                       void *data)
{
    if (head->len > PEER_FRAME_BYTES_MAX || payload->len > PEER_FRAME_BYTES_MAX - head->len) {
        return ST_TOO_LARGE;
    }
    size_t len = FRAME_HEADER_BYTES + head->len + payload->len;
    if (q->waiting_bytes + len > PEER_QUEUE_BYTES_MAX) {
        return ST_BUSY;
    }
    struct send *send = mem_alloc(sizeof *send + FRAME_HEADER_BYTES + head->len);
    send->queue = q;
    send->len = len;
    send->sent = sent;
    send->data = data;
    uv_buf_t content[2] = {*head, *payload};
    frame_encode(type, 0, content, 2, send->bytes);
    if (head->len > 0) {
        memcpy(send->bytes + FRAME_HEADER_BYTES, head->base, head->len);
    }
    uv_buf_t bufs[2] = {{.base = (char *)send->bytes, .len = FRAME_HEADER_BYTES + head->len},
                        *payload};
    if (uv_write(&send->request, (uv_stream_t *)q->tcp, bufs, payload->len > 0 ? 2 : 1, on_sent) !=
        0) {
        free(send);
        return ST_IO;
    }
    q->waiting_bytes += len;
    return ST_OK;
}

/* --- bulk --- */

static void write_piece(struct bulk *bulk);

static void remove_first(struct send_queue *q)
{
    struct bulk *bulk = q->bulk_first;
    q->bulk_first = bulk->next;
    if (q->bulk_first == NULL) {
        q->bulk_last = NULL;
    }
    q->bulk_count--;
}

static void finish_bulk(struct bulk *bulk, enum status status)
{
    if (bulk->sent != NULL) {
        bulk->sent(bulk->data, status);
    }
    free(bulk);
}

static void on_piece_sent(uv_write_t *request, int status)
{
    struct bulk *bulk = CONTAINER_OF(request, struct bulk, request);
    struct send_queue *q = bulk->queue;
    if (status != 0) {
        /* It stays in the queue until the connection is closed. */
        if (status != UV_ECANCELED) {
            q->broken(q->owner);
        }
        return;
    }
    count_frame(q->p, FRAME_HEADER_BYTES + bulk->piece);
    bulk->offset += bulk->piece;
    if (bulk->offset < bulk->total) {
        write_piece(bulk);
        return;
    }
    remove_first(q);
    if (q->bulk_first != NULL) {
        write_piece(q->bulk_first);
    }
    finish_bulk(bulk, ST_OK);
}

static void write_piece(struct bulk *bulk)
{
    struct send_queue *q = bulk->queue;
    size_t left = bulk->total - bulk->offset;
    bulk->piece = left < PEER_PIECE_BYTES ? left : PEER_PIECE_BYTES;
    uv_buf_t bufs[3];
    unsigned count = 1;
    size_t at = bulk->offset;
    size_t wanted = bulk->piece;
    if (at < bulk->head_len) {
        size_t len = bulk->head_len - at < wanted ? bulk->head_len - at : wanted;
        bufs[count++] = (uv_buf_t){.base = (char *)bulk->head + at, .len = len};
        at += len;
        wanted -= len;
    }
    if (wanted > 0) {
        bufs[count++] =
            (uv_buf_t){.base = bulk->payload.base + (at - bulk->head_len), .len = wanted};
    }
    int flags = FRAME_BULK | (bulk->piece < left ? FRAME_MORE : 0);
    frame_encode(bulk->type, (uint8_t)flags, bufs + 1, count - 1, bulk->header);
    bufs[0] = (uv_buf_t){.base = (char *)bulk->header, .len = FRAME_HEADER_BYTES};
    /* A stream that is closing takes no more; then its close callback fails what waits. */
    (void)uv_write(&bulk->request, (uv_stream_t *)q->tcp, bufs, count, on_piece_sent);
}

enum status send_bulk(struct send_queue *q, uint8_t type, const uv_buf_t *head,
                      const uv_buf_t *payload, void (*sent)(void *data, enum status status),
                      void *data)
{
    if (head->len > PEER_FRAME_BYTES_MAX || payload->len > PEER_BULK_BYTES_MAX - head->len) {
        return ST_TOO_LARGE;
    }
    if (q->bulk_count >= BULK_MAX) {
        return ST_BUSY;
    }
    struct bulk *bulk = mem_zalloc(1, sizeof *bulk + head->len);
    bulk->queue = q;
    bulk->type = type;
    bulk->sent = sent;
    bulk->data = data;
    bulk->payload = *payload;
    bulk->total = head->len + payload->len;
    bulk->head_len = head->len;
    if (head->len > 0) {
        memcpy(bulk->head, head->base, head->len);
    }
    q->bulk_count++;
    if (q->bulk_last != NULL) {
        q->bulk_last->next = bulk;
        q->bulk_last = bulk;
        return ST_OK;
    }
    q->bulk_first = q->bulk_last = bulk;
    write_piece(bulk);
    return ST_OK;
}

void send_queue_fail(struct send_queue *q)
{
    while (q->bulk_first != NULL) {
        struct bulk *bulk = q->bulk_first;
        remove_first(q);
        finish_bulk(bulk, failure(q->p));
    }
}
