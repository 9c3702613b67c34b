#include "api/dns/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <urcu.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/text.h"
#include "server/net/listen.h"

#define EVENTS_A_TURN  64
#define BATCHES_A_TURN 8
#define TICK_MS        1000
/* While it drains, or cannot accept. */
#define SOON_MS 50

bool dns_worker_open(struct dns_worker *worker, const char *address, char *error, size_t error_size)
{
    worker->udp.fd = worker->tcp.listener = worker->epoll = worker->wake = -1;
    worker->tcp.listener = listen_open(address, "--dns", error, error_size);
    if (worker->tcp.listener < 0) {
        return false;
    }
    worker->udp.fd = listen_open_datagrams(address, "--dns", error, error_size);
    return worker->udp.fd >= 0;
}

/* --- what it knows of the cluster --- */

static void add_member(struct dns_answerer *a, const struct consensus_member_info *info)
{
    uint16_t port;
    struct dns_member *member = &a->members[a->members_count];
    if (info->name[0] == '\0' || a->members_count == ARRAY_LENGTH(a->members) ||
        !text_parse_address(info->http_address, member->host, sizeof member->host, &port)) {
        return;
    }
    size_t len = strlen(info->name);
    for (size_t i = 0; i <= len; i++) {
        member->name[i] = (char)dns_lower((uint8_t)info->name[i]);
    }
    a->members_count++;
}

static void learn_members(struct dns_worker *worker)
{
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count = 0;
    node_members(worker->node, members, &count);
    worker->answerer.members_count = 0;
    for (size_t i = 0; i < count; i++) {
        add_member(&worker->answerer, &members[i]);
    }
}

/* --- a turn --- */

static bool run_events(struct dns_worker *worker, const struct dns_turn *turn,
                       const struct epoll_event *events, int count)
{
    bool more = false;
    for (int i = 0; i < count; i++) {
        void *whose = events[i].data.ptr;
        if (whose == &worker->udp) {
            bool waits = true;
            for (unsigned k = 0; k < BATCHES_A_TURN && waits; k++) {
                waits = dns_udp_turn(&worker->udp, turn);
            }
            more |= waits;
        } else if (whose == &worker->tcp) {
            dns_tcp_accept(&worker->tcp, turn);
        } else if (whose == &worker->wake) {
            uint64_t number;
            (void)!read(worker->wake, &number, sizeof number);
        } else {
            dns_tcp_event(&worker->tcp, turn, whose);
        }
    }
    return more;
}

static void tick(struct dns_worker *worker, uint64_t now_ms)
{
    bool drains = atomic_load(&worker->draining);
    dns_tcp_tick(&worker->tcp, now_ms);
    if (drains) {
        dns_tcp_drain(&worker->tcp);
    }
    /* At first none are known. */
    if (worker->answerer.members_count == 0 || now_ms - worker->ticked_ms >= TICK_MS) {
        worker->ticked_ms = now_ms;
        learn_members(worker);
    }
}

/* One version of the registry answers all questions of a turn. True: there is more to do. */
static bool take_turn(struct dns_worker *worker, int within_ms)
{
    struct epoll_event events[EVENTS_A_TURN];
    struct node_status status;
    /* Before the events: it closes connections. */
    tick(worker, clock_monotonic_ms());
    int count = epoll_wait(worker->epoll, events, EVENTS_A_TURN, within_ms);
    node_status(worker->node, &status);
    const struct view *view = node_view_lock(worker->node);
    const struct dns_turn turn = {.answerer = &worker->answerer,
                                  .view = status.caught_up ? view : NULL,
                                  .limits = worker->options.limits,
                                  .now_ns = clock_monotonic_ns()};
    bool more = run_events(worker, &turn, events, count);
    more |= dns_tcp_turn(&worker->tcp, &turn);
    more |= dns_names_step(worker->names, view, turn.now_ns);
    view_unlock(&view);
    return more;
}

static void *run(void *arg)
{
    struct dns_worker *worker = arg;
    rcu_register_thread();
    bool more = false;
    while (!atomic_load(&worker->stopping)) {
        bool soon = worker->tcp.paused_until_ms != 0 || atomic_load(&worker->draining) ||
                    worker->answerer.members_count == 0;
        more = take_turn(worker, more ? 0 : soon ? SOON_MS : TICK_MS);
    }
    rcu_unregister_thread();
    return NULL;
}

/* --- its life --- */

static bool add_to_epoll(struct dns_worker *worker, int fd, void *whose)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = whose};
    return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool dns_worker_start(struct dns_worker *worker, struct node *node, char *error, size_t error_size)
{
    worker->node = node;
    worker->names = dns_names_new();
    dns_answerer_init(&worker->answerer, &worker->settings, worker->names);
    dns_udp_init(&worker->udp, worker->udp.fd);
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->epoll < 0 || worker->wake < 0 ||
        !add_to_epoll(worker, worker->udp.fd, &worker->udp) ||
        !add_to_epoll(worker, worker->wake, &worker->wake)) {
        (void)snprintf(error, error_size, "cannot open descriptors for DNS: %s", strerror(errno));
        return false;
    }
    dns_tcp_init(&worker->tcp, worker->tcp.listener, worker->epoll,
                 worker->options.dns_connections);
    if (!thread_start(&worker->thread, "dns", run, worker)) {
        (void)snprintf(error, error_size, "cannot start a thread for DNS");
        return false;
    }
    return true;
}

static void wake(struct dns_worker *worker)
{
    const uint64_t one = 1;
    (void)!write(worker->wake, &one, sizeof one);
}

void dns_worker_drain(struct dns_worker *worker)
{
    atomic_store(&worker->draining, true);
    wake(worker);
}

static void close_one(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void dns_worker_stop(struct dns_worker *worker)
{
    if (worker->thread.runs) {
        atomic_store(&worker->stopping, true);
        wake(worker);
        thread_join(&worker->thread);
    }
    dns_udp_done(&worker->udp);
    dns_tcp_done(&worker->tcp);
    close_one(&worker->epoll);
    close_one(&worker->wake);
    if (worker->names != NULL) {
        dns_answerer_done(&worker->answerer);
        dns_names_free(worker->names);
    }
}
