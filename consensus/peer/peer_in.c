#include "consensus/peer/peer_internal.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define READ_BYTES_MIN   (64 * 1024)
#define KEEP_BYTES_MAX   (1024 * 1024) /* of an idle connection's buffer */
#define REMOTE_TEXT_SIZE 80

/* A connection from another member. */
struct incoming {
    struct peers *p;
    struct incoming *next;
    bool closing;
    unsigned handles; /* not closed yet */
    uv_tcp_t tcp;
    uv_timer_t deadline; /* of the handshake */
    char remote[REMOTE_TEXT_SIZE];
    struct secure secure;
    struct handshake handshake;     /* phase HANDSHAKE_HELLO until TLS, if any, is open */
    uint8_t bytes[HELLO_BYTES_MAX]; /* of the next message */
    size_t len;
    struct buffer received; /* frames */
};

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
    secure_end(&in->secure);
    uv_close((uv_handle_t *)&in->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&in->deadline, on_handle_closed);
}

static void reject_because(struct incoming *in, enum peer_fault fault, const char *detail)
{
    metric_add(METRIC_peer_connections_refused_total, 1);
    if (fault == FAULT_HANDSHAKE) {
        peers_report_refusal(in->p, SIDE_IN, &in->handshake, in->remote);
    } else {
        peers_log_fault(in->p, SIDE_IN, fault, in->remote, detail);
    }
    close_incoming(in);
}

static void reject(struct incoming *in, enum peer_fault fault)
{
    reject_because(in, fault, NULL);
}

/* --- its member --- */

static bool is_open(const struct incoming *in)
{
    return in->handshake.phase == HANDSHAKE_OPEN;
}

/* 0 until proven. */
static uint64_t member_of(const struct incoming *in)
{
    return in->handshake.proven ? in->handshake.theirs.member : 0;
}

void incoming_close_from(struct peers *p, uint64_t id)
{
    struct incoming *next;
    for (struct incoming *in = p->incoming; in != NULL; in = next) {
        next = in->next;
        if (id == 0 || member_of(in) == id) {
            close_incoming(in);
        }
    }
}

void incoming_close_earlier(struct peers *p, const struct hello_facts *facts)
{
    struct incoming *next;
    for (struct incoming *in = p->incoming; in != NULL; in = next) {
        next = in->next;
        if (is_open(in) && member_of(in) == facts->member &&
            hello_supersedes(facts, &in->handshake.theirs)) {
            close_incoming(in);
        }
    }
}

void incoming_review(struct peers *p)
{
    struct incoming *next;
    for (struct incoming *in = p->incoming; in != NULL; in = next) {
        next = in->next;
        if (is_open(in) && !in->closing &&
            p->options.admit(p->options.ctx, &in->handshake.theirs) != HELLO_ACCEPTED) {
            close_incoming(in);
        }
    }
}

bool incoming_has_later(const struct peers *p, const struct hello_facts *facts)
{
    for (const struct incoming *in = p->incoming; in != NULL; in = in->next) {
        const struct hello_facts *known = &in->handshake.theirs;
        if (is_open(in) && member_of(in) == facts->member && known->life == facts->life &&
            known->boot > facts->boot) {
            return true;
        }
    }
    return false;
}

/* --- handshake --- */

static void send_reply(struct incoming *in, const struct handshake_reply *reply)
{
    int error;
    if (!secure_write(&in->secure, reply->bytes, reply->len, &error)) {
        close_incoming(in);
    }
}

static void judge(struct incoming *in)
{
    struct handshake_reply reply;
    enum hello_verdict verdict = peers_judge(in->p, &in->handshake, &in->secure);
    if (in->closing) {
        return; /* closed in the callback */
    }
    handshake_answer(&in->handshake, verdict, &reply);
    send_reply(in, &reply);
}

/* Keep the newer connection: the older one may be left over from a dead process. */
static void close_others(struct incoming *in)
{
    struct incoming *next;
    for (struct incoming *other = in->p->incoming; other != NULL; other = next) {
        next = other->next;
        if (other != in && is_open(other) && member_of(other) == member_of(in)) {
            close_incoming(other);
        }
    }
    struct link *link = peers_find(in->p, member_of(in));
    const struct hello_facts *known = link != NULL ? link_facts(link) : NULL;
    if (known != NULL && hello_supersedes(&in->handshake.theirs, known)) {
        link_restart(link);
    }
}

static void open_incoming(struct incoming *in)
{
    struct peers *p = in->p;
    close_others(in);
    (void)uv_timer_stop(&in->deadline);
    peers_tune_socket(&in->tcp);
    if (p->options.incoming != NULL) {
        p->options.incoming(p->options.ctx, &in->handshake.theirs);
    }
}

static void take_handshake(struct incoming *in, size_t len)
{
    struct handshake_reply reply;
    in->len += len;
    if (!handshake_take(&in->handshake, in->bytes, in->len, &reply)) {
        return;
    }
    in->len = 0;
    if (reply.len > 0) {
        send_reply(in, &reply);
    }
    if (!in->closing && in->handshake.phase == HANDSHAKE_JUDGE) {
        judge(in);
    }
    if (in->closing) {
        return;
    }
    if (in->handshake.phase == HANDSHAKE_ENDED) {
        reject(in, FAULT_HANDSHAKE);
    } else if (is_open(in)) {
        open_incoming(in);
    }
}

/* --- frames --- */

static void take_frame(struct incoming *in, const struct frame *frame, const uint8_t *content)
{
    metric_add(METRIC_peer_messages_received_total, 1);
    metric_add(METRIC_peer_bytes_received_total, (int64_t)(FRAME_HEADER_BYTES + frame->len));
    in->p->options.receive(in->p->options.ctx, &in->handshake.theirs, frame->type, content,
                           frame->len);
}

/* Handles all complete frames received. */
static void take_frames(struct incoming *in)
{
    const uint8_t *at = in->received.data;
    size_t left = in->received.len;
    while (left >= FRAME_HEADER_BYTES) {
        struct frame frame;
        if (!frame_decode(at, &frame)) {
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

/* --- TLS --- */

static void start_handshake(struct incoming *in, const uint8_t *binding)
{
    const struct peers *p = in->p;
    struct handshake_keys keys = {.count = p->secrets_count, .binding = binding};
    for (size_t i = 0; i < p->secrets_count; i++) {
        keys.secrets[i] = p->secrets[i];
    }
    handshake_accept(&in->handshake, &p->options.self, &keys);
}

/* All that can be opened now. */
static void take_opened(struct incoming *in)
{
    enum link_read result = LINK_READ_SOME;
    while (result == LINK_READ_SOME && !in->closing) {
        struct buffer *b = &in->received;
        size_t wanted = handshake_wants(&in->handshake), len;
        if (is_open(in)) {
            CHECK(buffer_reserve(b, READ_BYTES_MIN));
            result =
                link_session_read(in->secure.session, b->data + b->len, b->capacity - b->len, &len);
            b->len += len;
            take_frames(in);
        } else {
            result =
                link_session_read(in->secure.session, in->bytes + in->len, wanted - in->len, &len);
            if (len > 0) {
                take_handshake(in, len);
            }
        }
    }
    if (in->closing) {
        return;
    }
    if (result == LINK_READ_BROKEN) {
        reject_because(in, FAULT_TLS, link_session_trouble(in->secure.session));
    } else if (result == LINK_READ_CLOSED) {
        close_incoming(in);
    }
}

static void on_secured(void *owner, int error, const char *reason)
{
    struct incoming *in = owner;
    uint8_t binding[LINK_BINDING_BYTES];
    if (reason != NULL) {
        reject_because(in, FAULT_TLS, reason);
        return;
    }
    if (error != 0) {
        close_incoming(in);
        return;
    }
    link_session_binding(in->secure.session, binding);
    start_handshake(in, binding);
    take_opened(in);
}

/* The first byte tells TLS from our own handshake, which begins with 'M'. */
static void begin(struct incoming *in, size_t len)
{
    struct peers *p = in->p;
    if (!link_session_is_first(in->bytes[0])) {
        if (p->options.tls != NULL && !p->options.plain_too) {
            reject(in, FAULT_PLAIN);
        } else {
            take_handshake(in, len);
        }
        return;
    }
    struct link_session *session =
        p->options.tls != NULL ? link_session_begin(p->options.tls, LINK_ACCEPT, 0) : NULL;
    if (session == NULL) {
        reject(in, FAULT_TLS_UNKNOWN);
        return;
    }
    secure_begin(&in->secure, session, in->bytes, len);
}

/* --- reading --- */

/* The buffer grows with what has arrived, not with what a header announces. */
static void on_alloc(uv_handle_t *handle, size_t suggested UNUSED, uv_buf_t *buf)
{
    struct incoming *in = handle->data;
    if (in->secure.session != NULL) {
        *buf = (uv_buf_t){.base = (char *)in->p->raw, .len = sizeof in->p->raw};
        return;
    }
    if (!is_open(in)) {
        size_t wanted = handshake_wants(&in->handshake);
        CHECK(wanted > in->len);
        *buf = (uv_buf_t){.base = (char *)in->bytes + in->len, .len = wanted - in->len};
        return;
    }
    struct buffer *b = &in->received;
    if (b->capacity - b->len < READ_BYTES_MIN) {
        CHECK(buffer_reserve(b, READ_BYTES_MIN));
    }
    *buf = (uv_buf_t){.base = (char *)b->data + b->len, .len = b->capacity - b->len};
}

static void take_sealed(struct incoming *in, const void *data, size_t len)
{
    if (!secure_take(&in->secure, data, len)) {
        reject(in, FAULT_FRAME);
    } else if (in->secure.open) {
        take_opened(in);
    }
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct incoming *in = stream->data;
    if (nread == 0 || in->closing) {
        return;
    }
    if (nread == UV_EOF && !is_open(in) && in->handshake.phase != HANDSHAKE_HELLO) {
        reject(in, FAULT_CUT);
    } else if (nread < 0) {
        /* Also before a hello, for port probes. */
        close_incoming(in);
    } else if (in->secure.session != NULL) {
        take_sealed(in, buf->base, (size_t)nread);
    } else if (is_open(in)) {
        in->received.len += (size_t)nread;
        take_frames(in);
    } else if (in->handshake.phase == HANDSHAKE_HELLO && in->len == 0) {
        begin(in, (size_t)nread);
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

/* If there are too many, closes the oldest one still in its handshake: members are quick. */
static void make_room(struct peers *p)
{
    unsigned count = 0;
    struct incoming *oldest = NULL;
    for (struct incoming *in = p->incoming; in != NULL; in = in->next) {
        count++;
        if (!is_open(in)) {
            oldest = in;
        }
    }
    if (count > p->options.connections && oldest != NULL) {
        reject(oldest, FAULT_CROWD);
    }
}

void incoming_accept(struct peers *p)
{
    struct incoming *in = mem_zalloc(1, sizeof *in);
    in->p = p;
    buffer_init(&in->received, FRAME_HEADER_BYTES + PEER_FRAME_BYTES_MAX + READ_BYTES_MIN);
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
    in->secure = (struct secure){.p = p,
                                 .tcp = &in->tcp,
                                 .alloc = on_alloc,
                                 .read = on_read,
                                 .done = on_secured,
                                 .owner = in};
    start_handshake(in, NULL);
    CHECK(uv_timer_start(&in->deadline, on_deadline, PEER_HANDSHAKE_MS, 0) == 0);
    CHECK(uv_read_start((uv_stream_t *)&in->tcp, on_alloc, on_read) == 0);
    make_room(p);
}
