#include "api/zmq/endpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/core/client_address.h"
#include "api/core/rate_limit.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/metric.h"
#include "server/net/listen.h"

#define ACCEPTS_A_TURN 64
/* Without descriptors or memory for another connection. */
#define PAUSE_MS 500

bool endpoint_listen(struct endpoint *e, const char *option, const char *address,
                     const struct zmq_service *service, char *error, size_t error_size)
{
    *e = (struct endpoint){.option = option, .address = address, .service = *service, .fd = -1};
    CDS_INIT_LIST_HEAD(&e->clients);
    if (address[0] == '\0') {
        return true;
    }
    e->fd = listen_open(address, option, error, error_size);
    return e->fd >= 0;
}

static void listen_to(struct endpoint *e, bool on)
{
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.ptr = &e->pollee};
    if (e->is_listening != on && epoll_ctl(e->all->epoll_fd, EPOLL_CTL_MOD, e->fd, &event) == 0) {
        e->is_listening = on;
    }
}

void endpoint_close(struct endpoint *e)
{
    struct zmq_client *c, *next;
    if (e->fd >= 0) {
        (void)close(e->fd);
        e->fd = -1;
    }
    if (e->all != NULL) {
        cds_list_for_each_entry_safe(c, next, &e->clients, place)
        {
            zmq_client_close(c);
        }
    }
}

/* --- accepting --- */

static bool is_slow(const struct zmq_clients *all, const struct sockaddr *peer)
{
    unsigned wait_s;
    return rate_limits_take(all->limits, RATE_CONNECTIONS, rate_limits_client(all->limits, peer),
                            NULL, clock_monotonic_ns(), &wait_s);
}

static void refuse(struct zmq_clients *all, int fd, const struct sockaddr *peer,
                   enum crowd_verdict verdict)
{
    static const char *const why[] = {
        [CROWD_TOO_MANY] = "too many connections",
        [CROWD_TOO_MANY_OF_ONE] = "too many connections of one address",
        [CROWD_TOO_FAST] = "an address opens connections too fast",
    };
    char address[INET6_ADDRSTRLEN];
    uint64_t held;
    crowd_leave(&all->crowd, peer, verdict);
    (void)close(fd);
    metric_add(METRIC_zmq_connections_refused_total, 1);
    if (log_gate_open(&all->gate, &held)) {
        client_address_text(peer, address);
        log_write(LOG_WARN, "zmq", why[verdict], "address=\"%s\" limit=%u held_back=%" PRIu64,
                  address, all->crowd.most, held);
    }
}

static void admit(struct endpoint *e, int fd, const struct sockaddr_storage *peer)
{
    int on = 1;
    const struct sockaddr *address = (const struct sockaddr *)peer;
    enum crowd_verdict verdict = crowd_enter(&e->all->crowd, address, is_slow(e->all, address));
    if (verdict != CROWD_FINE) {
        refuse(e->all, fd, address, verdict);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    zmq_client_open(e->all, &e->clients, &e->service, fd, peer);
}

static void accept_some(struct pollee *pollee, uint32_t events)
{
    struct endpoint *e = CONTAINER_OF(pollee, struct endpoint, pollee);
    (void)events;
    struct zmq_clients *all = e->all;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof peer;
        int fd = accept4(e->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        uint64_t held;
        if (fd >= 0) {
            admit(e, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (log_gate_open(&all->accept_gate, &held)) {
                log_write(LOG_ERROR, "zmq", "cannot accept", "error=\"%s\" held_back=%" PRIu64,
                          strerror(errno), held);
            }
            all->accept_after_ms = all->now_ms + PAUSE_MS;
            listen_to(e, false);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

void endpoint_start(struct endpoint *e, struct zmq_clients *all)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &e->pollee};
    e->all = all;
    e->pollee.event = accept_some;
    if (e->fd >= 0) {
        CHECK(epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, e->fd, &event) == 0);
        e->is_listening = true;
    }
}

/* --- its clients --- */

void endpoint_look(struct endpoint *e)
{
    struct zmq_client *c, *next;
    if (e->fd < 0) {
        return;
    }
    if (e->all->now_ms >= e->all->accept_after_ms) {
        listen_to(e, true);
    }
    cds_list_for_each_entry_safe(c, next, &e->clients, place)
    {
        zmq_client_look(c);
    }
}

size_t endpoint_check_keys(struct endpoint *e)
{
    struct zmq_client *c, *next;
    size_t closed = 0;
    cds_list_for_each_entry_safe(c, next, &e->clients, place)
    {
        closed += zmq_client_check_key(c);
    }
    return closed;
}

bool endpoint_publish(struct endpoint *e, const char *topic, struct shared_text *text,
                      bool (*may)(const struct zmq_client *, void *), void *data)
{
    struct zmq_client *c, *next;
    bool to_all = true;
    cds_list_for_each_entry_safe(c, next, &e->clients, place)
    {
        if (may(c, data)) {
            to_all &= zmq_client_publish(c, topic, text);
        }
    }
    return to_all;
}
