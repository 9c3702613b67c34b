#include "api/dns/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <netinet/tcp.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define LENGTH_BYTES 2
/* Of a question, as over UDP and some more. */
#define QUESTION_BYTES 2048
/* Of one connection, before others have their turn. */
#define QUESTIONS_A_TURN 8
#define ACCEPTS_A_TURN   32
#define PAUSE_MS         100

struct connection {
    struct cds_list_head link;
    int fd;
    union dns_peer peer;
    uint64_t client; /* for limits on rates */
    uint64_t until_ms;
    bool has_ended; /* the client sends nothing more */
    bool has_more;  /* a whole question waits in `in` */
    size_t in_len;
    uint8_t in[LENGTH_BYTES + QUESTION_BYTES];
    uint8_t *out; /* NULL: it reads */
    size_t out_len, out_sent;
};

void dns_tcp_init(struct dns_tcp *tcp, int listener, int epoll, unsigned most)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tcp};
    *tcp = (struct dns_tcp){.listener = listener,
                            .epoll = epoll,
                            .most = most,
                            .most_of_one = most > 4 ? most / 4 : most};
    CDS_INIT_LIST_HEAD(&tcp->connections);
    tcp->answer = mem_alloc(LENGTH_BYTES + DNS_ANSWER_BYTES_MAX);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
}

static void close_connection(struct dns_tcp *tcp, struct connection *c)
{
    cds_list_del(&c->link);
    (void)close(c->fd);
    free(c->out);
    free(c);
    tcp->count--;
    metric_set(METRIC_dns_connections, tcp->count);
}

void dns_tcp_done(struct dns_tcp *tcp)
{
    struct connection *c, *next;
    if (tcp->answer != NULL) {
        cds_list_for_each_entry_safe(c, next, &tcp->connections, link)
        {
            close_connection(tcp, c);
        }
    }
    if (tcp->listener >= 0) {
        (void)close(tcp->listener);
        tcp->listener = -1;
    }
    free(tcp->answer);
    tcp->answer = NULL;
}

/* --- accepting --- */

/* How many connections has that address, or network? Their number is small. */
static unsigned count_of_one(const struct dns_tcp *tcp, const union dns_peer *peer)
{
    struct ip_address address = dns_peer_address(peer), other;
    size_t bytes = ip_address_is_ipv4(&address) ? 16 : 8;
    unsigned count = 0;
    struct connection *c;
    cds_list_for_each_entry(c, &tcp->connections, link)
    {
        other = dns_peer_address(&c->peer);
        count += memcmp(&other, &address, bytes) == 0;
    }
    return count;
}

static void set_listening(struct dns_tcp *tcp, bool listens)
{
    struct epoll_event event = {.events = listens ? EPOLLIN : 0, .data.ptr = tcp};
    (void)epoll_ctl(tcp->epoll, EPOLL_CTL_MOD, tcp->listener, &event);
}

static bool may_enter(struct dns_tcp *tcp, const struct dns_turn *turn, const union dns_peer *peer,
                      uint64_t client)
{
    unsigned wait_s;
    return tcp->count < tcp->most && count_of_one(tcp, peer) < tcp->most_of_one &&
           rate_limits_take(turn->limits, RATE_CONNECTIONS, client, NULL, turn->now_ns, &wait_s);
}

static void add_connection(struct dns_tcp *tcp, int fd, const union dns_peer *peer, uint64_t client)
{
    int on = 1;
    struct connection *c = mem_zalloc(1, sizeof *c);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->fd = fd;
    c->peer = *peer;
    c->client = client;
    c->until_ms = clock_monotonic_ms() + DNS_TCP_IDLE_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    cds_list_add_tail(&c->link, &tcp->connections);
    tcp->count++;
    metric_set(METRIC_dns_connections, tcp->count);
    if (epoll_ctl(tcp->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        close_connection(tcp, c);
    }
}

void dns_tcp_accept(struct dns_tcp *tcp, const struct dns_turn *turn)
{
    for (unsigned i = 0; i < ACCEPTS_A_TURN && tcp->listener >= 0; i++) {
        union dns_peer peer = {.any.sa_family = AF_UNSPEC};
        socklen_t size = sizeof peer;
        int fd = accept4(tcp->listener, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                /* No descriptor, no memory: it would be told of without end. */
                tcp->paused_until_ms = clock_monotonic_ms() + PAUSE_MS;
                set_listening(tcp, false);
            }
            return;
        }
        uint64_t client = rate_limits_client(turn->limits, &peer.any);
        if (may_enter(tcp, turn, &peer, client)) {
            add_connection(tcp, fd, &peer, client);
        } else {
            metric_add(METRIC_dns_connections_refused_total, 1);
            (void)close(fd);
        }
    }
}

/* --- writing --- */

static void watch(struct dns_tcp *tcp, struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    (void)epoll_ctl(tcp->epoll, EPOLL_CTL_MOD, c->fd, &event);
}

/* The bytes taken; -1: it is broken. */
static ssize_t send_some(const struct connection *c, const uint8_t *data, size_t len)
{
    ssize_t sent = send(c->fd, data, len, MSG_NOSIGNAL);
    return sent >= 0 ? sent : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* False: it is broken. */
static bool send_answer(struct dns_tcp *tcp, struct connection *c, size_t len)
{
    tcp->answer[0] = (uint8_t)(len >> 8);
    tcp->answer[1] = (uint8_t)len;
    len += LENGTH_BYTES;
    ssize_t sent = send_some(c, tcp->answer, len);
    c->until_ms = clock_monotonic_ms() + DNS_TCP_IDLE_MS;
    if (sent < 0 || (size_t)sent == len) {
        return sent >= 0;
    }
    c->out_len = len - (size_t)sent;
    c->out_sent = 0;
    c->out = mem_alloc(c->out_len);
    memcpy(c->out, tcp->answer + sent, c->out_len);
    watch(tcp, c, EPOLLOUT);
    return true;
}

static bool flush(struct dns_tcp *tcp, struct connection *c)
{
    ssize_t sent = send_some(c, c->out + c->out_sent, c->out_len - c->out_sent);
    if (sent < 0) {
        return false;
    }
    c->out_sent += (size_t)sent;
    if (c->out_sent == c->out_len) {
        free(c->out);
        c->out = NULL;
        c->until_ms = clock_monotonic_ms() + DNS_TCP_IDLE_MS;
        watch(tcp, c, EPOLLIN);
    }
    return true;
}

/* --- questions --- */

/* Of the first message in `in`; 0: it is not whole. */
static size_t whole(const struct connection *c)
{
    size_t len = c->in_len >= LENGTH_BYTES ? (size_t)c->in[0] << 8 | c->in[1] : 0;
    return c->in_len >= LENGTH_BYTES && c->in_len >= LENGTH_BYTES + len ? LENGTH_BYTES + len : 0;
}

/* False: it is to be closed. */
static bool answer_first(struct dns_tcp *tcp, const struct dns_turn *turn, struct connection *c,
                         size_t size)
{
    unsigned wait_s;
    const struct dns_asker asker = {.address = dns_peer_address(&c->peer), .is_tcp = true};
    metric_add(METRIC_dns_questions_total, 1);
    if (!rate_limits_take(turn->limits, RATE_REQUESTS, c->client, NULL, turn->now_ns, &wait_s)) {
        metric_add(METRIC_dns_rate_limited_total, 1);
        return false;
    }
    size_t len = dns_answer(turn->answerer, turn->view, &asker, c->in + LENGTH_BYTES,
                            size - LENGTH_BYTES, turn->now_ns, tcp->answer + LENGTH_BYTES);
    c->in_len -= size;
    memmove(c->in, c->in + size, c->in_len);
    return len > 0 && send_answer(tcp, c, len);
}

/* False: it is to be closed. */
static bool answer_some(struct dns_tcp *tcp, const struct dns_turn *turn, struct connection *c)
{
    size_t size = whole(c);
    for (unsigned i = 0; i < QUESTIONS_A_TURN && size > 0 && c->out == NULL; i++) {
        if (!answer_first(tcp, turn, c, size)) {
            return false;
        }
        size = whole(c);
    }
    c->has_more = size > 0 && c->out == NULL;
    if (size == 0 && c->in_len >= LENGTH_BYTES &&
        ((size_t)c->in[0] << 8 | c->in[1]) > QUESTION_BYTES) {
        return false;
    }
    return !c->has_ended || size > 0 || c->out != NULL;
}

static bool receive(struct connection *c)
{
    size_t room = sizeof c->in - c->in_len;
    if (room == 0 || c->has_ended) {
        return true;
    }
    ssize_t got = recv(c->fd, c->in + c->in_len, room, 0);
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    c->in_len += (size_t)got;
    c->has_ended = got == 0;
    return true;
}

void dns_tcp_event(struct dns_tcp *tcp, const struct dns_turn *turn, void *connection)
{
    struct connection *c = connection;
    bool is_open = c->out != NULL ? flush(tcp, c) : receive(c);
    if (is_open && c->out == NULL) {
        is_open = answer_some(tcp, turn, c);
    }
    if (!is_open) {
        close_connection(tcp, c);
    }
}

bool dns_tcp_turn(struct dns_tcp *tcp, const struct dns_turn *turn)
{
    bool more = false;
    struct connection *c, *next;
    cds_list_for_each_entry_safe(c, next, &tcp->connections, link)
    {
        if (!c->has_more) {
            continue;
        }
        if (answer_some(tcp, turn, c)) {
            more |= c->has_more;
        } else {
            close_connection(tcp, c);
        }
    }
    return more;
}

void dns_tcp_tick(struct dns_tcp *tcp, uint64_t now_ms)
{
    struct connection *c, *next;
    if (tcp->paused_until_ms != 0 && now_ms >= tcp->paused_until_ms && tcp->listener >= 0) {
        tcp->paused_until_ms = 0;
        set_listening(tcp, true);
    }
    cds_list_for_each_entry_safe(c, next, &tcp->connections, link)
    {
        if (now_ms >= c->until_ms) {
            close_connection(tcp, c);
        }
    }
}

void dns_tcp_drain(struct dns_tcp *tcp)
{
    struct connection *c, *next;
    if (tcp->listener >= 0) {
        (void)close(tcp->listener);
        tcp->listener = -1;
    }
    cds_list_for_each_entry_safe(c, next, &tcp->connections, link)
    {
        if (c->out == NULL && !c->has_more) {
            close_connection(tcp, c);
        }
    }
}
