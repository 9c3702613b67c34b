#include "consensus/peer/peer_dial.h"

#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/mem.h"

static bool is_open(const struct dial *d)
{
    return d->handshake.phase == HANDSHAKE_OPEN;
}

/* --- the handshake --- */

/* False if the connection is closed. */
static bool send_reply(struct dial *d, const struct handshake_reply *reply)
{
    int error;
    if (!secure_write(&d->secure, reply->bytes, reply->len, &error)) {
        d->events->failed(d->link, error);
        return false;
    }
    return true;
}

static bool judge(struct dial *d)
{
    struct handshake_reply reply;
    enum hello_verdict verdict = peers_judge(d->p, &d->handshake, &d->secure);
    if (d->link == NULL) {
        return false; /* closed in the callback */
    }
    handshake_answer(&d->handshake, verdict, &reply);
    return send_reply(d, &reply);
}

static void take_handshake(struct dial *d, size_t len)
{
    struct handshake_reply reply;
    d->len += len;
    if (!handshake_take(&d->handshake, d->bytes, d->len, &reply)) {
        return;
    }
    d->len = 0;
    if (reply.len > 0 && !send_reply(d, &reply)) {
        return;
    }
    if (d->handshake.phase == HANDSHAKE_JUDGE && !judge(d)) {
        return;
    }
    if (d->handshake.phase == HANDSHAKE_ENDED) {
        d->events->refused(d->link, FAULT_HANDSHAKE, NULL);
    } else if (is_open(d)) {
        d->events->opened(d->link);
    }
}

/* Over TLS or plain. False if the connection is closed. */
static bool begin_handshake(struct dial *d, const uint8_t *binding)
{
    struct handshake_reply hello;
    const struct handshake_keys keys = {
        .secrets = {d->p->secrets[d->way->secret]}, .count = 1, .binding = binding};
    handshake_connect(&d->handshake, &d->p->options.self, d->to, &keys, &hello);
    return send_reply(d, &hello);
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested UNUSED, uv_buf_t *buf)
{
    struct dial *d = CONTAINER_OF(handle, struct dial, tcp);
    if (d->secure.session != NULL) {
        *buf = (uv_buf_t){.base = (char *)d->p->raw, .len = sizeof d->p->raw};
        return;
    }
    size_t wanted = handshake_wants(&d->handshake);
    /* Nothing may follow the handshake: one more byte is read here, and breaks the link. */
    *buf = wanted > d->len ? (uv_buf_t){.base = (char *)d->bytes + d->len, .len = wanted - d->len}
                           : (uv_buf_t){.base = (char *)d->bytes, .len = sizeof d->bytes};
}

/* Nobody sends anything on a link that is open. */
static void take_excess(struct dial *d)
{
    peers_log_fault(d->p, SIDE_OUT, FAULT_FRAME, link_address(d->link), NULL);
    d->events->broke(d->link);
}

/* All that can be opened now. */
static void take_opened(struct dial *d)
{
    enum link_read result = LINK_READ_SOME;
    while (result == LINK_READ_SOME && d->link != NULL) {
        size_t wanted = handshake_wants(&d->handshake), len;
        size_t room = is_open(d) ? 1 : wanted - d->len;
        result = link_session_read(d->secure.session, d->bytes + d->len, room, &len);
        if (len > 0 && is_open(d)) {
            take_excess(d);
        } else if (len > 0) {
            take_handshake(d, len);
        }
    }
    if (d->link == NULL || result == LINK_READ_NONE) {
        return;
    }
    if (is_open(d)) {
        d->events->broke(d->link);
    } else if (result == LINK_READ_BROKEN) {
        d->events->refused(d->link, FAULT_TLS, link_session_trouble(d->secure.session));
    } else {
        bool at_proof = d->handshake.phase == HANDSHAKE_FACTS;
        d->events->refused(d->link, at_proof ? FAULT_CUT_AT_PROOF : FAULT_CUT, NULL);
    }
}

static void take_sealed(struct dial *d, const void *data, size_t len)
{
    if (!secure_take(&d->secure, data, len)) {
        d->events->refused(d->link, FAULT_FRAME, NULL);
    } else if (d->secure.open) {
        take_opened(d);
    }
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
    struct dial *d = CONTAINER_OF(stream, struct dial, tcp);
    if (nread == 0 || d->link == NULL) {
        return;
    }
    if (nread < 0 && is_open(d)) {
        d->events->broke(d->link);
    } else if (nread == UV_EOF) {
        bool at_proof = d->handshake.phase == HANDSHAKE_FACTS;
        d->events->refused(d->link, at_proof ? FAULT_CUT_AT_PROOF : FAULT_CUT, NULL);
    } else if (nread < 0) {
        d->events->failed(d->link, (int)nread);
    } else if (d->secure.session != NULL) {
        take_sealed(d, buf->base, (size_t)nread);
    } else if (is_open(d)) {
        take_excess(d);
    } else {
        take_handshake(d, (size_t)nread);
    }
}

/* --- TLS --- */

static void on_secured(void *owner, int error, const char *reason)
{
    struct dial *d = owner;
    uint8_t binding[LINK_BINDING_BYTES];
    if (reason != NULL) {
        d->events->refused(d->link, FAULT_TLS, reason);
        return;
    }
    if (error != 0) {
        d->events->failed(d->link, error);
        return;
    }
    link_session_binding(d->secure.session, binding);
    if (begin_handshake(d, binding)) {
        take_opened(d);
    }
}

static void begin_tls(struct dial *d)
{
    struct link_session *session =
        link_session_begin(d->p->options.tls, d->way->side, d->way->secret);
    if (session == NULL) {
        d->events->failed(d->link, UV_ENOMEM);
    } else {
        secure_begin(&d->secure, session, NULL, 0);
    }
}

/* --- the connection --- */

static void on_connected(uv_connect_t *request, int status)
{
    struct dial *d = CONTAINER_OF(request, struct dial, connect);
    if (d->link == NULL) {
        return;
    }
    if (status != 0) {
        d->events->failed(d->link, status);
        return;
    }
    peers_tune_socket(&d->tcp);
    d->events->connected(d->link);
    if (d->way->tls) {
        begin_tls(d);
    } else if (begin_handshake(d, NULL)) {
        CHECK(uv_read_start((uv_stream_t *)&d->tcp, on_alloc, on_read) == 0);
    }
}

static void on_write_failed(void *owner)
{
    struct dial *d = owner;
    if (d->link != NULL) {
        d->events->broke(d->link);
    }
}

struct dial *dial_open(struct peers *p, struct link *link, const struct dial_events *events,
                       const struct way *way, uint64_t to, const struct sockaddr *address,
                       int *ret_error)
{
    struct dial *d = mem_zalloc(1, sizeof *d);
    d->p = p;
    d->link = link;
    d->events = events;
    d->way = way;
    d->to = to;
    d->handshake.phase = HANDSHAKE_CHALLENGE; /* until it begins */
    d->secure = (struct secure){
        .p = p, .tcp = &d->tcp, .alloc = on_alloc, .read = on_read, .done = on_secured, .owner = d};
    d->queue =
        (struct send_queue){.p = p, .secure = &d->secure, .owner = d, .broken = on_write_failed};
    CHECK(uv_tcp_init(p->options.loop, &d->tcp) == 0);
    peers_hold(p);
    *ret_error = uv_tcp_connect(&d->connect, &d->tcp, address, on_connected);
    return d;
}

static void on_closed(uv_handle_t *handle)
{
    struct dial *d = CONTAINER_OF(handle, struct dial, tcp);
    struct peers *p = d->p;
    send_queue_fail(&d->queue);
    free(d);
    peers_drop(p);
}

void dial_close(struct dial *d)
{
    d->link = NULL;
    secure_end(&d->secure);
    uv_close((uv_handle_t *)&d->tcp, on_closed);
}
