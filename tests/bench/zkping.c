/* Session pings to ZooKeeper, its heartbeat that is not in the log: closed loop, figures as one
 * line of JSON with the names of `muster bench`.
 *
 *     zkping HOST:PORT[,HOST:PORT...] CLIENTS SECONDS
 *
 * Its client library sends pings when it likes, so this speaks the protocol itself: CLIENTS
 * sessions, spread over the members, each with one ping under way. The messages are those of
 * zookeeper.jute, ConnectRequest and RequestHeader, each behind its length; all numbers are
 * big-endian. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/text.h"
#include "tests/bench/figures.h"
#include "tests/bench/zk.h"

#define CLIENTS_MAX    4096
#define CONNECT_BYTES  48 /* ConnectRequest: version, zxid, timeout, session, password */
#define CONNECT_AT_TTL 16
#define PING_BYTES     12 /* RequestHeader: xid, type */
#define PING_XID       -2
#define PING_TYPE      11
#define ANSWER_BYTES   20 /* ReplyHeader: xid, zxid, error */
#define TTL_MS         30000
#define TAKEN_MAX      256

static struct {
    int fd;
    uint64_t begin_ns;
} sessions[CLIENTS_MAX];
static struct latency latency;
static uint64_t answered;

static void store_be32(uint8_t *at, int32_t value)
{
    uint32_t bytes = htonl((uint32_t)value);
    memcpy(at, &bytes, sizeof bytes);
}

static void receive(int fd, void *bytes, size_t len)
{
    CHECK(recv(fd, bytes, len, MSG_WAITALL) == (ssize_t)len);
}

static int open_session(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    uint8_t request[CONNECT_BYTES] = {0}, answer[64], length[4];
    CHECK(getaddrinfo(host, port, &hints, &address) == 0);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen) == 0);
    freeaddrinfo(address);
    store_be32(request, CONNECT_BYTES - 4);
    store_be32(request + CONNECT_AT_TTL, TTL_MS);
    store_be32(request + CONNECT_BYTES - 20, 16); /* an empty password */
    CHECK(send(fd, request, sizeof request, MSG_NOSIGNAL) == CONNECT_BYTES);
    receive(fd, length, sizeof length);
    uint32_t len;
    memcpy(&len, length, sizeof len);
    CHECK(ntohl(len) <= sizeof answer);
    receive(fd, answer, ntohl(len));
    return fd;
}

static void ping(uint32_t number)
{
    uint8_t request[PING_BYTES];
    store_be32(request, PING_BYTES - 4);
    store_be32(request + 4, PING_XID);
    store_be32(request + 8, PING_TYPE);
    sessions[number].begin_ns = clock_monotonic_ns();
    CHECK(send(sessions[number].fd, request, sizeof request, MSG_NOSIGNAL) == PING_BYTES);
}

static void take_answer(uint32_t number, bool again)
{
    uint8_t answer[ANSWER_BYTES];
    receive(sessions[number].fd, answer, sizeof answer);
    latency_add(&latency, clock_monotonic_ns() - sessions[number].begin_ns);
    answered++;
    if (again) {
        ping(number);
    }
}

static void open_all(const char *hosts, uint32_t clients, int epoll_fd)
{
    const char *at = hosts;
    for (uint32_t i = 0; i < clients; i++) {
        char host[ZK_HOST_BYTES_MAX];
        zk_next_member(hosts, &at, host);
        char *port = strrchr(host, ':');
        CHECK(port != NULL);
        *port++ = '\0';
        sessions[i].fd = open_session(host, port);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, sessions[i].fd, &event) == 0);
    }
}

static void run(uint32_t clients, uint64_t seconds, int epoll_fd)
{
    struct epoll_event events[TAKEN_MAX];
    uint64_t end_ns = clock_monotonic_ns() + seconds * 1000000000u;
    for (uint32_t i = 0; i < clients; i++) {
        ping(i);
    }
    for (uint32_t busy = clients; busy > 0;) {
        int count = epoll_wait(epoll_fd, events, TAKEN_MAX, -1);
        CHECK(count >= 0 || errno == EINTR);
        for (int i = 0; i < count; i++) {
            bool again = clock_monotonic_ns() < end_ns;
            take_answer(events[i].data.u32, again);
            busy -= !again;
        }
    }
}

int main(int argc, char *argv[])
{
    uint64_t clients, seconds;
    if (argc != 4 || !text_parse_u64(argv[2], CLIENTS_MAX, &clients) ||
        !text_parse_u64(argv[3], 3600, &seconds) || clients == 0 || seconds == 0) {
        fputs("usage: zkping HOST:PORT[,...] CLIENTS SECONDS\n", stderr);
        return 2;
    }
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll_fd >= 0);
    open_all(argv[1], (uint32_t)clients, epoll_fd);
    run((uint32_t)clients, seconds, epoll_fd);
    figures_print(&latency, answered, 0, (double)seconds);
    return 0;
}
