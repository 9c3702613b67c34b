/* The bytes of a connection: plain, or of TLS. */
#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>

#include "api/core/client_address.h"
#include "api/http/internal.h"
#include "server/base/log.h"
#include "server/base/metric.h"
#include "server/net/tls.h"

bool channel_open(struct connection *c)
{
    struct tls *tls = c->worker->context->tls;
    if (tls == NULL) {
        return true;
    }
    c->tls = tls_begin(tls, c->fd);
    return c->tls != NULL;
}

void channel_close(struct connection *c)
{
    tls_end(c->tls);
    c->tls = NULL;
}

void channel_end(struct connection *c)
{
    if (c->tls != NULL) {
        tls_bye(c->tls);
    }
    (void)shutdown(c->fd, SHUT_WR);
}

ssize_t channel_recv(struct connection *c, char *to, size_t size)
{
    ssize_t got = c->tls != NULL ? tls_recv(c->tls, to, size) : recv(c->fd, to, size, 0);
    if (got > 0) {
        /* Less than there was room for: there is no more, and epoll will say when there is. */
        bool more = c->tls != NULL ? tls_has_more(c->tls) : (size_t)got == size;
        c->readable = more || c->ended;
    } else if (got < 0 && errno == EAGAIN) {
        c->readable = false;
    }
    return got;
}

ssize_t channel_send(struct connection *c, struct iovec *pieces, size_t count)
{
    if (c->tls != NULL) {
        return tls_send(c->tls, pieces, count);
    }
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    return sendmsg(c->fd, &message, MSG_NOSIGNAL);
}

bool channel_flush(struct connection *c)
{
    while (c->out_len > 0 && c->writable) {
        struct iovec piece = {(void *)(uintptr_t)c->out, c->out_len};
        ssize_t sent = channel_send(c, &piece, 1);
        if (sent > 0) {
            c->sent += (uint64_t)sent;
            c->out += sent;
            c->out_len -= (size_t)sent;
        } else if (sent < 0 && errno != EINTR) {
            c->writable = false;
            return errno == EAGAIN;
        }
    }
    return true;
}

bool channel_speaks_protocol(const struct connection *c)
{
    return http_protocol != NULL && c->tls != NULL && tls_speaks(c->tls, http_protocol->alpn);
}

const char *channel_certificate(const struct connection *c)
{
    return c->tls != NULL ? tls_client_name(c->tls) : "";
}

/* --- the handshake --- */

/* A client that speaks HTTP without TLS is told so in its own words; its request is not read. */
static void refuse_plain(struct connection *c)
{
#define PLAIN_BODY                                                                                 \
    "{\"error\":\"tls_required\",\"message\":\"this port speaks TLS: ask with https://\"}\n"
    static_assert(sizeof PLAIN_BODY - 1 == 77, "as the head says");
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 77\r\n"
        "Connection: close\r\n\r\n" PLAIN_BODY;
    (void)send(c->fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
}

static void report(struct connection *c, const char *reason)
{
    struct worker *worker = c->worker;
    char address[INET6_ADDRSTRLEN];
    uint64_t held;
    metric_add(METRIC_tls_handshakes_failed_total, 1);
    if (log_gate_open(&worker->handshake_gate, &held)) {
        client_address_text(&c->peer.any, address);
        log_write(LOG_INFO, "http", "the TLS handshake of a client failed",
                  "address=\"%s\" reason=\"%s\" held_back=%" PRIu64, address, reason, held);
    }
}

/* With the first byte. */
static enum handshake begin_handshake(struct connection *c)
{
    char first;
    ssize_t got = recv(c->fd, &first, 1, MSG_PEEK);
    if (got < 0 && errno == EAGAIN) {
        return HANDSHAKE_WAITS;
    }
    if (got <= 0) {
        return HANDSHAKE_FAILED;
    }
    if (first >= 'A' && first <= 'Z') {
        report(c, "it is HTTP without TLS");
        refuse_plain(c);
        channel_close(c);
        return HANDSHAKE_PLAIN;
    }
    c->begun = true;
    return HANDSHAKE_DONE;
}

enum handshake channel_handshake(struct connection *c)
{
    char reason[TLS_REASON_SIZE];
    enum handshake begun = c->begun ? HANDSHAKE_DONE : begin_handshake(c);
    if (begun != HANDSHAKE_DONE) {
        return begun;
    }
    if (c->worker->handshakes_left == 0) {
        connection_ready(c); /* others want their turn, too */
        return HANDSHAKE_WAITS;
    }
    c->worker->handshakes_left--;
    if (tls_handshake(c->tls, reason) == 0) {
        metric_add(METRIC_tls_handshakes_total, 1);
        c->begun = false;
        c->readable = c->writable = true; /* until tried */
        return HANDSHAKE_DONE;
    }
    if (errno == EAGAIN) {
        return HANDSHAKE_WAITS;
    }
    if (errno == EINTR) {
        connection_ready(c);
        return HANDSHAKE_WAITS;
    }
    report(c, reason);
    return HANDSHAKE_FAILED;
}
