#include "consensus/peer_internal.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define READ_BYTES_MIN   (64 * 1024)
#define KEEP_BYTES_MAX   (1024 * 1024) /* of an idle connection's buffers */
#define REMOTE_TEXT_SIZE 80

enum incoming_phase {
    INCOMING_HELLO, /* waits for the hello */
    INCOMING_PROOF, /* has answered, waits for the proof */
    INCOMING_OPEN,
};

/* A connection that another member made to us. */
struct incoming {
    struct peers *p;
    struct incoming *next;
    enum incoming_phase phase;
    bool closing;
    unsigned handles; /* not closed yet */
    uv_tcp_t tcp;
    uv_timer_t deadline; /* of the handshake */
    char remote[REMOTE_TEXT_SIZE];
    /* handshake */
    uint8_t bytes[HELLO_BYTES];
    size_t len;
    struct hello hello;
    uint8_t nonce[HELLO_NONCE_BYTES];
    /* frames */
    uint64_t from;
    struct buffer received;
    struct buffer bulk; /* the pieces so far */
    uint8_t bulk_type;
};

static_assert(HELLO_PROOF_BYTES <= HELLO_BYTES, "one array holds either");

/* --- closing --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct incoming *in = handle->data;
    in->handles--;
    if (in->handles > 0) {
        return;
    }
    struct peers *p = in->p;
    buffer_done(&in->received);
    buffer_done(&in->bulk);
    free(in);
    peers_drop(p);
}

static void close_incoming(struct incoming *in)
{
    if (in->closing) {
        return;
    }
    in->closing = true;
    struct incoming **at = &in->p->incoming;
    while (*at != in) {
        at = &(*at)->next;
    }
    *at = in->next;
    uv_close((uv_handle_t *)&in->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&in->deadline, on_handle_closed);
}

static void reject(struct incoming *in, enum peer_fault fault)
{
    in->p->counters.rejected++;
    peers_log_fault(in->p, SIDE_IN, fault, in->remote);
    close_incoming(in);
}

void incoming_close_from(struct peers *p, uint64_t id)
{
    struct incoming *next;
    for (struct incoming *in = p->incoming; in != NULL; in = next) {
        next = in->next;
        if (id == 0 || in->from == id) {
            close_incoming(in);
        }
    }
}

/* --- handshake --- */

static enum hello_verdict judge_hello(struct incoming *in)
{
    enum hello_verdict verdict = hello_decode(in->bytes, &in->hello);
    if (verdict != HELLO_ACCEPTED) {
        return verdict;
    }
    if (in->hello.cluster_id != in->p->options.cluster_id) {
        return HELLO_WRONG_CLUSTER;
    }
    uint64_t self = in->p->options.id;
    bool right =
        in->hello.to == self && in->hello.from != self && peers_find(in->p, in->hello.from) != NULL;
    return right ? HELLO_ACCEPTED : HELLO_WRONG_MEMBER;
}

static void answer_hello(struct incoming *in)
{
    enum hello_verdict verdict = judge_hello(in);
    if (verdict == HELLO_GARBAGE) {
        /* No answer for one that does not speak our language. */
        reject(in, (enum peer_fault)verdict);
        return;
    }
    uint8_t answer[HELLO_ANSWER_BYTES];
    hello_nonce(in->nonce);
    hello_answer_encode(verdict, &in->hello, in->nonce, in->p->secret, answer);
    uv_buf_t buf = {.base = (char *)answer, .len = sizeof answer};
    /* A socket that is new has room for so little. */
    int written = uv_try_write((uv_stream_t *)&in->tcp, &buf, 1);
    if (verdict != HELLO_ACCEPTED) {
        reject(in, (enum peer_fault)verdict);
    } else if (written != (int)sizeof answer) {
        close_incoming(in);
    } else {
        in->phase = INCOMING_PROOF;
        in->len = 0;
    }
}

static void check_proof(struct incoming *in)
{
    if (!hello_proof_is_right(in->bytes, &in->hello, in->nonce, in->p->secret)) {
        reject(in, (enum peer_fault)HELLO_WRONG_SECRET);
        return;
    }
    /* It may have been removed since it said hello. */
    if (peers_find(in->p, in->hello.from) == NULL) {
        reject(in, (enum peer_fault)HELLO_WRONG_MEMBER);
        return;
    }
    /* The newer one counts: the older may be the remainder of a process that is gone. */
    incoming_close_from(in->p, in->hello.from);
    (void)uv_timer_stop(&in->deadline);
    peers_tune_socket(&in->tcp);
    in->from = in->hello.from;
    in->phase = INCOMING_OPEN;
}

static size_t handshake_bytes(const struct incoming *in)
{
    return in->phase == INCOMING_HELLO ? HELLO_BYTES : HELLO_PROOF_BYTES;
}

static void take_handshake(struct incoming *in, size_t len)
{
    in->len += len;
    if (in->len < handshake_bytes(in)) {
        return;
    }
    if (in->phase == INCOMING_HELLO) {
        answer_hello(in);
    } else {
        check_proof(in);
    }
}

/* --- frames --- */

static bool frame_is_sane(const struct incoming *in, const struct frame *frame)
{
    bool bulk = (frame->flags & FRAME_BULK) != 0;
    bool more = (frame->flags & FRAME_MORE) != 0;
    if ((frame->flags & ~(FRAME_BULK | FRAME_MORE)) != 0 || frame->zero != 0 ||
        frame->len > PEER_FRAME_BYTES_MAX) {
        return false;
    }
    if (!bulk) {
        return !more;
    }
    /* Full pieces but for the last; all of one message of one type. */
    return frame->len <= PEER_PIECE_BYTES && (!more || frame->len == PEER_PIECE_BYTES) &&
           frame->len <= PEER_BULK_BYTES_MAX - in->bulk.len &&
           (in->bulk.len == 0 || frame->type == in->bulk_type);
}

static void deliver(struct incoming *in, uint8_t type, const uint8_t *data, size_t len)
{
    in->p->options.receive(in->p->options.ctx, in->from, type, data, len);
}

static void take_frame(struct incoming *in, const struct frame *frame, const uint8_t *content)
{
    in->p->counters.frames_received++;
    in->p->counters.bytes_received += FRAME_HEADER_BYTES + frame->len;
    bool more = (frame->flags & FRAME_MORE) != 0;
    if (!more && ((frame->flags & FRAME_BULK) == 0 || in->bulk.len == 0)) {
        deliver(in, frame->type, content, frame->len);
        return;
    }
    in->bulk_type = frame->type;
    buffer_append(&in->bulk, content, frame->len);
    if (!more) {
        CHECK(!in->bulk.overflowed);
        deliver(in, frame->type, in->bulk.data, in->bulk.len);
        buffer_done(&in->bulk);
    }
}

/* Takes all whole frames out of what was received. */
static void take_frames(struct incoming *in)
{
    const uint8_t *at = in->received.data;
    size_t left = in->received.len;
    while (left >= FRAME_HEADER_BYTES) {
        struct frame frame = frame_decode(at);
        if (!frame_is_sane(in, &frame)) {
            reject(in, FAULT_FRAME);
            return;
        }
        if (left - FRAME_HEADER_BYTES < frame.len) {
            break;
        }
        const uint8_t *content = at + FRAME_HEADER_BYTES;
        if (frame_crc(at, content, frame.len) != frame.crc) {
            reject(in, FAULT_CHECKSUM);
            return;
        }
        take_frame(in, &frame, content);
        if (in->closing) {
            return;
        }
        at = content + frame.len;
        left -= FRAME_HEADER_BYTES + frame.len;
    }
    if (left == 0 && in->received.capacity > KEEP_BYTES_MAX) {
        buffer_done(&in->received);
    } else if (left < in->received.len) {
        memmove(in->received.data, at, left);
        in->received.len = left;
    }
}

/* --- reading --- */

/* The buffer grows with what has arrived, never with what a header promises. */
static void on_alloc(uv_handle_t *handle, size_t suggested UNUSED, uv_buf_t *buf)
{
    struct incoming *in = handle->data;
    if (in->phase != INCOMING_OPEN) {
        *buf =
            (uv_buf_t){.base = (char *)in->bytes + in->len, .len = handshake_bytes(in) - in->len};
        return;
    }
    struct buffer *b = &in->received;
    if (b->capacity - b->len < READ_BYTES_MIN) {
        CHECK(buffer_reserve(b, READ_BYTES_MIN));
    }
    *buf = (uv_buf_t){.base = (char *)b->data + b->len, .len = b->capacity - b->len};
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf UNUSED)
{
    struct incoming *in = stream->data;
    if (nread == 0 || in->closing) {
        return;
    }
    if (nread == UV_EOF && in->phase == INCOMING_PROOF) {
        reject(in, FAULT_CUT);
    } else if (nread < 0) {
        /* Also before a hello: something looked whether the port is open. */
        close_incoming(in);
    } else if (in->phase == INCOMING_OPEN) {
        in->received.len += (size_t)nread;
        take_frames(in);
    } else {
        take_handshake(in, (size_t)nread);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    reject(timer->data, FAULT_LATE);
}

/* --- accepting --- */

static void note_remote(struct incoming *in)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;
    char host[INET6_ADDRSTRLEN + IF_NAMESIZE] = "?";
    char port[8] = "?";
    if (uv_tcp_getpeername(&in->tcp, (struct sockaddr *)&address, &len) == 0) {
        (void)getnameinfo((struct sockaddr *)&address, (socklen_t)len, host, sizeof host, port,
                          sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    }
    (void)snprintf(in->remote, sizeof in->remote,
                   address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* When there are too many the oldest that is still in its handshake goes: members do not take
 * long. */
static void make_room(struct peers *p)
{
    unsigned count = 0;
    struct incoming *oldest = NULL;
    for (struct incoming *in = p->incoming; in != NULL; in = in->next) {
        count++;
        if (in->phase != INCOMING_OPEN) {
            oldest = in;
        }
    }
    if (count > PEER_CONNECTIONS_MAX && oldest != NULL) {
        reject(oldest, FAULT_CROWD);
    }
}

void incoming_accept(struct peers *p)
{
    struct incoming *in = mem_zalloc(1, sizeof *in);
    in->p = p;
    buffer_init(&in->received, FRAME_HEADER_BYTES + PEER_FRAME_BYTES_MAX + READ_BYTES_MIN);
    buffer_init(&in->bulk, PEER_BULK_BYTES_MAX);
    CHECK(uv_tcp_init(p->options.loop, &in->tcp) == 0);
    CHECK(uv_timer_init(p->options.loop, &in->deadline) == 0);
    in->tcp.data = in->deadline.data = in;
    in->handles = 2;
    in->next = p->incoming;
    p->incoming = in;
    peers_hold(p);
    if (uv_accept((uv_stream_t *)&p->listener, (uv_stream_t *)&in->tcp) != 0) {
        close_incoming(in);
        return;
    }
    note_remote(in);
    CHECK(uv_timer_start(&in->deadline, on_deadline, PEER_HANDSHAKE_MS, 0) == 0);
    CHECK(uv_read_start((uv_stream_t *)&in->tcp, on_alloc, on_read) == 0);
    make_room(p);
}
