/* Load on the requests port of a registry over ZeroMQ, as DEALERs that speak ZMTP themselves:
 * closed loop, figures as one line of JSON with the names of `muster bench`.
 *
 *     bench_zmqload PORT[,PORT...] ACTION CLIENTS SECONDS UNDER_WAY
 *
 * CLIENTS connections to 127.0.0.1, spread over the ports, each with an instance of its own and
 * with UNDER_WAY requests under way at a time. ACTION is health, discover, renew (of the own
 * instance), register (an update: another port each time), or beat (renew as the port of heartbeats
 * takes it). The instances come from `register`, which is to run first. libzmq takes several times
 * the CPU time that a server does; this takes little of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/zmq/zmtp.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/text.h"
#include "tests/bench/figures.h"

#define CLIENTS_MAX   4096
#define UNDER_WAY_MAX 64
#define PORTS_MAX     16
#define TEXT_SIZE     320
#define ASK_SIZE      (TEXT_SIZE + 2 * ZMTP_FRAME_HEAD_BYTES + 8)
#define INPUT_BYTES   (64 * 1024)
#define WAIT_MS       10000
#define EVENTS        256
/* What is said in turn: two, so that each registration changes something. */
#define ASKS 2

enum action { HEALTH, DISCOVER, RENEW, REGISTER, BEAT };

struct client {
    int fd;
    struct ask {
        size_t len;
        uint8_t bytes[ASK_SIZE];
    } asks[ASKS];
    unsigned turn;
    unsigned asked, answered; /* of those under way, modulo UNDER_WAY_MAX */
    uint64_t begin_ns[UNDER_WAY_MAX];
    size_t in_len;
    uint8_t in[INPUT_BYTES];
};

static struct client *clients;
static unsigned clients_count, under_way;
static enum action action;
static uint64_t end_ns, requests, failed;
static unsigned busy;
static struct latency latency;

/* --- what is asked --- */

static size_t put_frame(uint8_t *out, unsigned flags, const char *body, size_t len)
{
    size_t head = zmtp_frame_head(flags, len, out);
    memcpy(out + head, body, len);
    return head + len;
}

static void write_ask(struct ask *ask, const char *text, bool has_word)
{
    ask->len = has_word ? put_frame(ask->bytes, ZMTP_MORE, "REQ", 3) : 0;
    ask->len += put_frame(ask->bytes + ask->len, 0, text, strlen(text));
}

static void write_text(enum action wanted, unsigned number, unsigned port, char out[TEXT_SIZE])
{
    switch (wanted) {
    case HEALTH:
        (void)snprintf(out, TEXT_SIZE, "{\"action\": \"health\"}");
        break;
    case DISCOVER:
        (void)snprintf(out, TEXT_SIZE, "{\"action\": \"discover\", \"service_type\": \"T%u\"}",
                       number);
        break;
    case RENEW:
    case BEAT:
        (void)snprintf(out, TEXT_SIZE, "{\"action\": \"renew\", \"service_id\": \"bench-%u\"}",
                       number);
        break;
    case REGISTER:
        (void)snprintf(out, TEXT_SIZE,
                       "{\"action\": \"register\", \"service_info\": {\"name\": \"bench\", "
                       "\"host\": \"10.0.0.1\", \"port\": %u, \"id\": \"bench-%u\", "
                       "\"type\": \"T%u\"}, \"ttl\": 3600}",
                       port, number, number);
        break;
    }
}

static void prepare(struct client *c, unsigned number, enum action wanted)
{
    char text[TEXT_SIZE];
    for (unsigned i = 0; i < ASKS; i++) {
        write_text(wanted, number, 1 + i, text);
        write_ask(&c->asks[i], text, wanted != BEAT);
    }
}

/* --- asking --- */

static void send_all(const struct client *c, const void *data, size_t len)
{
    /* Less is under way than fits into the kernel's buffers. */
    CHECK(send(c->fd, data, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void ask_some(struct client *c, unsigned count)
{
    uint8_t out[UNDER_WAY_MAX * ASK_SIZE];
    size_t len = 0;
    for (; count > 0; count--) {
        const struct ask *ask = &c->asks[c->turn++ % ASKS];
        memcpy(out + len, ask->bytes, ask->len);
        len += ask->len;
        c->begin_ns[c->asked++ % UNDER_WAY_MAX] = clock_monotonic_ns();
    }
    send_all(c, out, len);
}

static bool says_success(struct slice text)
{
    static const char *const forms[] = {"\"success\":true", "\"success\": true"};
    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        if (memmem(text.data, text.len, forms[i], strlen(forms[i])) != NULL) {
            return true;
        }
    }
    return false;
}

static void count_answer(struct client *c, struct slice text)
{
    CHECK(c->answered != c->asked);
    requests++;
    if (says_success(text)) {
        latency_add(&latency, clock_monotonic_ns() - c->begin_ns[c->answered % UNDER_WAY_MAX]);
    } else {
        failed++;
    }
    c->answered++;
}

/* Returns how many answers were there. */
static unsigned take_answers(struct client *c)
{
    struct zmtp_frame frame;
    unsigned count = 0;
    size_t at = 0;
    enum zmtp_parsed parsed;
    ssize_t got = recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return 0;
    }
    CHECK(got > 0);
    c->in_len += (size_t)got;
    while ((parsed = zmtp_frame_parse(c->in + at, c->in_len - at, INPUT_BYTES / 2, &frame)) ==
           ZMTP_WHOLE) {
        if ((frame.flags & (ZMTP_MORE | ZMTP_COMMAND)) == 0) {
            count_answer(c, frame.body);
            count++;
        }
        at += frame.bytes;
    }
    CHECK(parsed == ZMTP_PARTIAL);
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    return count;
}

static void serve(struct client *c)
{
    unsigned count = take_answers(c);
    if (count > 0 && clock_monotonic_ns() < end_ns) {
        ask_some(c, count);
    } else if (count > 0 && c->asked == c->answered) {
        busy--;
    }
}

/* --- connecting --- */

static void receive(const struct client *c, uint8_t *out, size_t len)
{
    CHECK(recv(c->fd, out, len, MSG_WAITALL) == (ssize_t)len);
}

/* Ready both ways. */
static void shake_hands(const struct client *c)
{
    uint8_t greeting[ZMTP_GREETING_BYTES], metadata[ZMTP_METADATA_BYTES_MAX], out[64], in[258];
    char ready[64] = "\5READY";
    zmtp_greeting_write("NULL", greeting);
    send_all(c, greeting, sizeof greeting);
    receive(c, greeting, sizeof greeting);
    size_t len = zmtp_metadata_write("DEALER", metadata);
    memcpy(ready + 6, metadata, len);
    send_all(c, out, put_frame(out, ZMTP_COMMAND, ready, 6 + len));
    receive(c, in, 2);
    CHECK(in[0] == ZMTP_COMMAND);
    receive(c, in + 2, in[1]);
    CHECK(memcmp(in + 2, "\5READY", 6) == 0);
}

static void connect_client(struct client *c, unsigned port)
{
    int on = 1;
    struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(c->fd >= 0);
    CHECK(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    CHECK(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    CHECK(connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0);
    shake_hands(c);
}

static void connect_all(const unsigned *ports, unsigned ports_count, int epoll_fd)
{
    for (unsigned i = 0; i < clients_count; i++) {
        struct client *c = &clients[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        connect_client(c, ports[i % ports_count]);
        prepare(c, i, action);
        CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0);
    }
}

static void run(int epoll_fd)
{
    struct epoll_event events[EVENTS];
    busy = clients_count;
    for (unsigned i = 0; i < clients_count; i++) {
        ask_some(&clients[i], under_way);
    }
    while (busy > 0) {
        int count = epoll_wait(epoll_fd, events, EVENTS, WAIT_MS);
        CHECK(count > 0);
        for (int i = 0; i < count; i++) {
            serve(events[i].data.ptr);
        }
    }
}

static bool take_ports(const char *list, unsigned ports[PORTS_MAX], unsigned *ret_count)
{
    char text[256], *rest = NULL;
    uint64_t port;
    if (strlen(list) >= sizeof text) {
        return false;
    }
    memcpy(text, list, strlen(list) + 1);
    *ret_count = 0;
    for (const char *at = strtok_r(text, ",", &rest); at != NULL; at = strtok_r(NULL, ",", &rest)) {
        if (*ret_count == PORTS_MAX || !text_parse_u64(at, UINT16_MAX, &port)) {
            return false;
        }
        ports[(*ret_count)++] = (unsigned)port;
    }
    return *ret_count > 0;
}

static bool take_action(const char *name)
{
    static const char *const names[] = {"health", "discover", "renew", "register", "beat"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            action = (enum action)i;
            return true;
        }
    }
    return false;
}

int main(int argc, char *argv[])
{
    unsigned ports[PORTS_MAX], ports_count;
    uint64_t count, seconds, depth;
    if (argc != 6 || !take_ports(argv[1], ports, &ports_count) || !take_action(argv[2]) ||
        !text_parse_u64(argv[3], CLIENTS_MAX, &count) || !text_parse_u64(argv[4], 3600, &seconds) ||
        !text_parse_u64(argv[5], UNDER_WAY_MAX, &depth) || count == 0 || seconds == 0 ||
        depth == 0) {
        fputs("usage: bench_zmqload PORT[,PORT...] health|discover|renew|register|beat CLIENTS "
              "SECONDS UNDER_WAY\n",
              stderr);
        return 2;
    }
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll_fd >= 0);
    clients_count = (unsigned)count;
    under_way = (unsigned)depth;
    clients = mem_zalloc(clients_count, sizeof *clients);
    connect_all(ports, ports_count, epoll_fd);
    uint64_t begin_ns = clock_monotonic_ns();
    end_ns = begin_ns + seconds * 1000000000u;
    run(epoll_fd);
    figures_print(&latency, requests, failed, (double)(clock_monotonic_ns() - begin_ns) / 1e9);
    return 0;
}
