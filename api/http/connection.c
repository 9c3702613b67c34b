#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/http/internal.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* Requests that a client sent ahead are answered so many at a time. */
#define REQUESTS_A_TURN 32
/* Before a request line: some clients end a body with one. */
#define EMPTY_LINES_MAX 2

static void become(struct connection *c, enum connection_state state, uint64_t within_ms)
{
    c->state = state;
    c->due_ms = within_ms > 0 ? c->worker->now_ms + within_ms : 0;
}

static bool is_crowded(const struct connection *c)
{
    return c->verdict != CROWD_FINE;
}

/* --- its life --- */

void connection_open(struct worker *worker, int fd, const struct sockaddr_storage *peer,
                     enum crowd_verdict verdict)
{
    bool crowded = verdict != CROWD_FINE;
    struct connection *c = mem_zalloc(1, sizeof *c);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    c->worker = worker;
    c->fd = fd;
    c->writable = true;
    c->verdict = verdict;
    c->is_last = crowded;
    memcpy(&c->peer, peer, sizeof c->peer);
    c->client = rate_limits_client(worker->context->limits, &c->peer.any);
    CDS_INIT_LIST_HEAD(&c->ready);
    CDS_INIT_LIST_HEAD(&c->crowded);
    bool opened = channel_open(c);
    become(c, c->tls != NULL ? CONNECTION_HANDSHAKE : CONNECTION_HEAD,
           crowded          ? HTTP_SPARE_IDLE_MS
           : c->tls != NULL ? HTTP_HEAD_MS
                            : HTTP_IDLE_MS);
    cds_list_add_tail(&c->place, &worker->connections);
    if (crowded) {
        cds_list_add_tail(&c->crowded, &worker->crowded);
    }
    worker->count++;
    metric_add(METRIC_http_connections, 1);
    if (!opened || epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        connection_close(c);
    }
}

void connection_close(struct connection *c)
{
    struct worker *worker = c->worker;
    if (c->state == CONNECTION_CLOSED) {
        return;
    }
    c->state = CONNECTION_CLOSED;
    if (c->call != NULL) {
        call_release(c->call);
        c->call = NULL;
    }
    if (c->session != NULL) {
        http_protocol->close(c);
        c->session = NULL;
    }
    channel_close(c);
    (void)close(c->fd);
    mem_wipe_free(c->in_own, c->in_size);
    free(c->out_own);
    c->in_own = c->out_own = NULL;
    cds_list_del(&c->ready);
    cds_list_del(&c->crowded);
    cds_list_move(&c->place, &worker->closed);
    worker->count--;
    metric_add(METRIC_http_connections, -1);
    crowd_leave(&worker->context->crowd, &c->peer.any, c->verdict);
}

void connection_reset(struct connection *c)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (c->state != CONNECTION_CLOSED) {
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        connection_close(c);
    }
}

void connection_ready(struct connection *c)
{
    if (cds_list_empty(&c->ready)) {
        cds_list_add_tail(&c->ready, &c->worker->ready);
    }
}

/* --- input --- */

/* What was read and not used moves to memory of the connection's own. Nothing stays where it was:
 * the head of a request may hold a token. */
static void own_input(struct connection *c, size_t size)
{
    char *own = mem_alloc(size);
    memcpy(own, c->in, c->in_len);
    explicit_bzero(c->in, c->in_len);
    mem_wipe_free(c->in_own, c->in_size);
    c->in = c->in_own = own;
    c->in_size = size;
}

/* Room for more behind what is there. */
static char *input_room(struct connection *c, size_t *ret_room)
{
    struct worker *worker = c->worker;
    if (c->in_len == 0) {
        c->in = worker->input;
        *ret_room = sizeof worker->input;
        return worker->input;
    }
    if (c->in_own == NULL || c->in != c->in_own || c->in_len == c->in_size) {
        own_input(c, c->in_len + HTTP_HEAD_BYTES_MAX / 16 + c->in_len / 2);
    }
    *ret_room = c->in_size - c->in_len;
    return c->in + c->in_len;
}

bool connection_fill(struct connection *c)
{
    if (!c->readable) {
        return false;
    }
    size_t room;
    char *to = input_room(c, &room);
    ssize_t got = channel_recv(c, to, room);
    if (got > 0) {
        c->in_len += (size_t)got;
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return errno == EINTR;
    }
    connection_close(c); /* half a request is none */
    return false;
}

static void use_input(struct connection *c, size_t len)
{
    c->in += len;
    c->in_len -= len;
}

/* What stays when the connection does not run: its own, and no more than that. */
static void keep_rest(struct connection *c)
{
    if (c->state == CONNECTION_CLOSED) {
        return;
    }
    if (c->in_len == 0) {
        mem_wipe_free(c->in_own, c->in_size);
        c->in_own = NULL;
    } else if (c->in_own == NULL || c->in < c->in_own || c->in >= c->in_own + c->in_size) {
        own_input(c, c->in_len);
    }
    answer_keep_rest(c);
}

/* --- the body --- */

static void take_input(struct connection *c, struct call *call)
{
    while (c->in_len > 0 && call->framing.state < FRAMING_OVER) {
        const char *data;
        size_t len;
        size_t used = framing_read(&call->framing, c->in, c->in_len, &data, &len);
        call->received += len;
        buffer_append(&call->exchange.request.body, data, len);
        use_input(c, used);
    }
}

static void answer_error(struct connection *c, int status, const char *code, const char *field,
                         const char *message)
{
    struct exchange *x = &c->call->exchange;
    x->route = NULL;
    c->is_last = true;
    exchange_refuse(x, status, code, field, message);
    connection_answer(c);
}

static void start_exchange(struct connection *c)
{
    struct call *call = c->call;
    if (exchange_start(&call->exchange)) {
        connection_answer(c);
    } else {
        become(c, CONNECTION_NODE, 0);
        call_hold(call);
    }
}

/* True when the state is another one now. */
static bool run_body(struct connection *c)
{
    struct call *call = c->call;
    take_input(c, call);
    if (call->framing.state == FRAMING_OVER) {
        start_exchange(c);
        return true;
    }
    if (call->framing.state == FRAMING_BAD) {
        answer_error(c, 400, "malformed", "", "the chunks of the body are malformed");
        return true;
    }
    if (call_is_too_long(call)) {
        answer_error(c, 413, "too_large", "", "the body is too large");
        return true;
    }
    return connection_fill(c);
}

static void begin_body(struct connection *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct call *call = c->call;
    if (call_must_refuse_body(call)) {
        call->exchange.request.body.overflowed = true;
        c->is_last = true;
        CHECK(exchange_start(&call->exchange));
        connection_answer(c);
        return;
    }
    call->begun_ms = c->worker->now_ms;
    call->seen = 0;
    become(c, CONNECTION_BODY, HTTP_RATE_MS);
    struct iovec piece = {(void *)(uintptr_t)go_on, sizeof go_on - 1};
    if (call->head.expects_continue && c->in_len == 0 &&
        channel_send(c, &piece, 1) != (ssize_t)piece.iov_len) {
        connection_close(c); /* its client does not read */
    }
}

/* --- the head --- */

static struct call *begin_call(struct connection *c, size_t head_len)
{
    struct call *call = call_new(c, head_len);
    c->call = call;
    memcpy(call->text, c->in, head_len);
    explicit_bzero(c->in, head_len); /* it may hold a token */
    use_input(c, head_len);
    c->scanned = c->skipped = 0;
    c->begun = false;
    call->head = (struct head){.method = ""};
    call->framing.state = FRAMING_BAD;
    return call;
}

static void refuse_head(struct connection *c, const struct head_refusal *refusal)
{
    c->call->exchange.request.method = request_method(c->call->head.method);
    answer_error(c, refusal->status, refusal->code, refusal->field, refusal->message);
}

/* One that is not complete. */
static void refuse_part(struct connection *c, const struct head_refusal *refusal)
{
    bool is_head = c->in_len > 5 && memcmp(c->in, "HEAD ", 5) == 0;
    struct call *call = begin_call(c, 0);
    call->head.method = is_head ? "HEAD" : "";
    refuse_head(c, refusal);
}

static void begin_request(struct connection *c)
{
    struct head_refusal refusal;
    size_t head_len = c->scanned;
    struct call *call = begin_call(c, head_len);
    if (!head_parse(&call->head, call->text, head_len, &refusal)) {
        refuse_head(c, &refusal);
        return;
    }
    c->is_last = is_crowded(c) || !call->head.keep_alive;
    call_route(call);
    framing_begin(&call->framing, call->head.chunked, call->head.length);
    if (call->framing.state == FRAMING_OVER) {
        start_exchange(c);
    } else {
        begin_body(c);
    }
}

static void refuse_large_head(struct connection *c)
{
    static const struct head_refusal large = {431, "head_too_large", "",
                                              "the head of the request is too large"},
                                     target = {414, "target_too_long", "",
                                               "the target of the request is too long"};
    refuse_part(c, memchr(c->in, '\n', c->in_len) != NULL ? &large : &target);
}

static void begin_protocol(struct connection *c)
{
    become(c, CONNECTION_PROTOCOL, HTTP_IDLE_MS);
    if (!http_protocol->open(c)) {
        connection_close(c);
    }
}

/* Whether what has come, on a new connection, is all of another protocol's preface, or its begin.
 */
static enum head_scan scan_preface(const struct connection *c)
{
    size_t len = http_protocol == NULL || c->asked ? 0 : http_protocol->preface_len;
    size_t part = c->in_len < len ? c->in_len : len;
    if (part == 0 || memcmp(c->in, http_protocol->preface, part) != 0) {
        return HEAD_BAD;
    }
    return part == len ? HEAD_COMPLETE : HEAD_MORE;
}

/* True when the state is another one now. */
static bool run_head(struct connection *c)
{
    while (c->scanned == 0 && c->in_len >= 2 && memcmp(c->in, "\r\n", 2) == 0 &&
           c->skipped < EMPTY_LINES_MAX) {
        use_input(c, 2);
        c->skipped++;
    }
    if (c->in_len > 0 && !c->begun) {
        c->begun = true;
        c->due_ms = c->worker->now_ms + (is_crowded(c) ? HTTP_SPARE_IDLE_MS : HTTP_HEAD_MS);
    }
    enum head_scan preface = scan_preface(c);
    if (preface == HEAD_COMPLETE) {
        begin_protocol(c);
        return true;
    }
    if (preface == HEAD_MORE) {
        return connection_fill(c);
    }
    switch (head_scan(c->in, c->in_len, &c->scanned)) {
    case HEAD_COMPLETE:
        c->asked = true;
        if (c->scanned > HTTP_HEAD_BYTES_MAX) {
            refuse_large_head(c);
        } else {
            begin_request(c);
        }
        return true;
    case HEAD_BAD: {
        const struct head_refusal bad = head_bad();
        refuse_part(c, &bad);
        return true;
    }
    case HEAD_MORE:
        break;
    }
    if (c->in_len > HTTP_HEAD_BYTES_MAX) {
        refuse_large_head(c);
        return true;
    }
    return connection_fill(c);
}

/* --- its end, and the next request --- */

/* The client is to see the answer, though it may still be sending: a close with unread input would
 * reset the connection. */
static void run_linger(struct connection *c)
{
    c->in_len = 0;
    if (connection_fill(c)) {
        c->in_len = 0;
        connection_ready(c); /* others want their turn, too */
    }
}

void connection_linger(struct connection *c)
{
    channel_end(c);
    become(c, CONNECTION_LINGER, HTTP_LINGER_MS);
}

static void finish(struct connection *c)
{
    struct call *call = c->call;
    bool asked = !call->head.keep_alive && call->framing.state == FRAMING_OVER && c->in_len == 0;
    c->call = NULL;
    call_release(call);
    if (!c->is_last) {
        become(c, CONNECTION_HEAD, HTTP_IDLE_MS);
    } else if (asked) {
        connection_close(c);
    } else {
        connection_linger(c);
    }
}

void connection_answer(struct connection *c)
{
    become(c, answer_begin(c), HTTP_RATE_MS);
}

/* True when the state is another one now. */
static bool run_answer(struct connection *c)
{
    switch (answer_go_on(c)) {
    case ANSWER_OVER:
        finish(c);
        return true;
    case ANSWER_BLOCKED:
        break;
    case ANSWER_BROKEN:
        connection_reset(c);
        break;
    }
    return false;
}

/* True when the state is another one now. */
static bool run_handshake(struct connection *c)
{
    switch (channel_handshake(c)) {
    case HANDSHAKE_DONE:
        if (channel_speaks_protocol(c)) {
            begin_protocol(c);
        } else {
            become(c, CONNECTION_HEAD, is_crowded(c) ? HTTP_SPARE_IDLE_MS : HTTP_IDLE_MS);
        }
        return true;
    case HANDSHAKE_WAITS:
        break;
    case HANDSHAKE_PLAIN:
        connection_linger(c);
        return true;
    case HANDSHAKE_FAILED:
        connection_close(c);
        break;
    }
    return false;
}

void connection_run(struct connection *c)
{
    unsigned requests = 0;
    bool more = true;
    if (c->is_cut) {
        connection_close(c);
    }
    while (more) {
        switch (c->state) {
        case CONNECTION_HANDSHAKE:
            more = run_handshake(c);
            break;
        case CONNECTION_HEAD:
            more = requests++ < REQUESTS_A_TURN;
            if (more) {
                more = run_head(c);
            } else {
                connection_ready(c);
            }
            break;
        case CONNECTION_BODY:
            more = run_body(c);
            break;
        case CONNECTION_SENDING:
        case CONNECTION_STREAM:
        case CONNECTION_DOWNLOAD:
            more = run_answer(c);
            break;
        case CONNECTION_PROTOCOL:
            http_protocol->run(c);
            more = false;
            break;
        case CONNECTION_LINGER:
            run_linger(c);
            more = false;
            break;
        case CONNECTION_NODE:
        case CONNECTION_CLOSED:
            more = false;
            break;
        }
    }
    keep_rest(c);
}

void connection_event(struct connection *c, uint32_t events)
{
    if (c->state == CONNECTION_CLOSED) {
        return;
    }
    c->readable = c->readable || (events & (EPOLLIN | EPOLLRDHUP)) != 0;
    c->writable = c->writable || (events & EPOLLOUT) != 0;
    c->ended = c->ended || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    bool waits = c->state == CONNECTION_NODE && c->call->exchange.stage != STAGE_WRITE;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 ||
        (c->ended && (waits || c->state == CONNECTION_STREAM))) {
        connection_close(c);
        return;
    }
    connection_run(c);
}

/* --- time --- */

static void time_out(struct connection *c)
{
    static const struct head_refusal slow = {408, "too_slow", "",
                                             "the request did not come in time"};
    if (c->call == NULL) {
        refuse_part(c, &slow);
    } else {
        answer_error(c, slow.status, slow.code, slow.field, slow.message);
    }
    connection_run(c);
}

void connection_due(struct connection *c)
{
    switch (c->state) {
    case CONNECTION_HEAD:
        if (c->begun && !is_crowded(c)) {
            time_out(c);
        } else {
            connection_close(c);
        }
        break;
    case CONNECTION_BODY:
        c->due_ms = c->worker->now_ms + HTTP_RATE_MS;
        if (call_is_slow(c->call)) {
            time_out(c);
        }
        break;
    case CONNECTION_SENDING:
        if (answer_is_slow(c)) {
            connection_reset(c);
        }
        break;
    case CONNECTION_PROTOCOL:
        http_protocol->due(c);
        break;
    case CONNECTION_STREAM:
    case CONNECTION_DOWNLOAD: /* they are watched elsewhere */
    case CONNECTION_NODE:
    case CONNECTION_CLOSED:
        c->due_ms = 0;
        break;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_LINGER:
        connection_close(c);
        break;
    }
}
