#include "api/http/worker.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include <urcu.h>

#include "api/core/client_address.h"
#include "api/http/internal.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/metric.h"

/* The longest sleep, and how exact the connections' times are. */
#define SLEEP_MS_MAX 500
/* How long requests that are on their way are still answered once the worker is to stop. */
#define LINGER_MS       250
#define LINGER_SLEEP_MS 10
/* Over a limit and without a request for so long, a connection makes room for another. */
#define CROWD_PATIENCE_MS 100
/* Without a descriptor for a new connection. */
#define PAUSE_MS 100

#define EVENTS_A_TURN  256
#define ACCEPTS_A_TURN 16
/* Of TLS: steps of them, each of which may cost as much as a hundred requests. */
#define HANDSHAKES_A_TURN 8
#define HEAD_BYTES_MAX    4096 /* of an answer: response.h bounds the fields */

void worker_wake(struct worker *worker)
{
    lane_wake(&worker->lane);
}

/* --- new connections --- */

static void listen_on(struct worker *worker)
{
    bool listens = !worker->listening && worker->accepting;
    for (size_t i = 0; i < HTTP_LISTENERS_MAX && listens; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
                                    .data.ptr = &worker->listen_fds[i]};
        if (worker->listen_fds[i] >= 0) {
            worker->listening =
                epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->listen_fds[i], &event) == 0;
        }
    }
}

static void listen_off(struct worker *worker)
{
    if (worker->listening) {
        worker->listening = false;
        for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
            (void)epoll_ctl(worker->epoll_fd, EPOLL_CTL_DEL, worker->listen_fds[i], NULL);
        }
    }
}

static void close_listeners(struct worker *worker)
{
    for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
        if (worker->listen_fds[i] >= 0) {
            (void)close(worker->listen_fds[i]);
            worker->listen_fds[i] = -1;
        }
    }
}

static void stop_accepting(struct worker *worker)
{
    listen_off(worker);
    worker->accepting = false;
    close_listeners(worker);
}

static bool is_full(const struct worker *worker)
{
    return worker->count >= worker->connections_max;
}

static unsigned count_crowded(const struct worker *worker)
{
    unsigned count = 0;
    const struct cds_list_head *place;
    cds_list_for_each(place, &worker->crowded)
    {
        count++; /* no more than the spare ones of each worker */
    }
    return count;
}

static void report_crowd(struct worker *worker, enum crowd_verdict verdict,
                         const struct sockaddr_storage *peer)
{
    const struct crowd *crowd = &worker->context->crowd;
    char address[INET6_ADDRSTRLEN];
    uint64_t held;
    if (!log_gate_open(&worker->crowd_gate, &held)) {
        return;
    }
    client_address_text((const struct sockaddr *)peer, address);
    bool of_one = verdict == CROWD_TOO_MANY_OF_ONE;
    if (verdict == CROWD_TOO_FAST) {
        log_write(LOG_WARN, "http", "an address opens connections too fast",
                  "address=\"%s\" held_back=%" PRIu64, address, held);
        return;
    }
    log_write(LOG_WARN, "http",
              of_one ? "too many connections of one address" : "too many connections",
              "address=\"%s\" limit=%u held_back=%" PRIu64, address,
              of_one ? crowd->most_of_one : crowd->most, held);
}

static bool is_slow(const struct worker *worker, const struct sockaddr *peer)
{
    struct rate_limits *limits = worker->context->limits;
    unsigned wait_s;
    return rate_limits_take(limits, RATE_CONNECTIONS, rate_limits_client(limits, peer), NULL,
                            clock_monotonic_ns(), &wait_s);
}

/* Whether it does not even get an answer. One opened too fast would cost a handshake for that. */
static bool is_hopeless(const struct worker *worker, enum crowd_verdict verdict)
{
    bool of_its_own = verdict == CROWD_TOO_MANY_OF_ONE || verdict == CROWD_TOO_FAST;
    return of_its_own && (count_crowded(worker) >= worker->spare ||
                          (verdict == CROWD_TOO_FAST && worker->context->tls != NULL));
}

static void admit(struct worker *worker, int fd, const struct sockaddr_storage *peer)
{
    int on = 1;
    const struct sockaddr *address = (const struct sockaddr *)peer;
    enum crowd_verdict verdict =
        crowd_enter(&worker->context->crowd, address, is_slow(worker, address));
    if (verdict != CROWD_FINE) {
        report_crowd(worker, verdict, peer);
    }
    if (is_hopeless(worker, verdict)) {
        metric_add(METRIC_http_connections_closed_total, 1);
        crowd_leave(&worker->context->crowd, address, verdict);
        (void)close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection_open(worker, fd, peer, verdict);
}

static void accept_some(struct worker *worker, int listen_fd)
{
    for (unsigned i = 0; i < ACCEPTS_A_TURN && worker->accepting && !is_full(worker); i++) {
        struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof peer;
        int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        uint64_t held;
        if (fd >= 0) {
            admit(worker, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (log_gate_open(&worker->accept_gate, &held)) {
                log_write(LOG_ERROR, "http", "cannot accept", "error=\"%s\" held_back=%" PRIu64,
                          strerror(errno), held);
            }
            worker->paused_until_ms = worker->now_ms + PAUSE_MS;
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

/* A worker without room: the oldest that only holds on makes room for another. */
static void press_crowd(struct worker *worker)
{
    struct connection *c, *next;
    cds_list_for_each_entry_safe(c, next, &worker->crowded, crowded)
    {
        if (worker->now_ms + HTTP_SPARE_IDLE_MS < c->due_ms + CROWD_PATIENCE_MS) {
            return;
        }
        connection_close(c);
    }
}

static void look_at_room(struct worker *worker)
{
    if (is_full(worker)) {
        press_crowd(worker);
    }
    if (is_full(worker) || worker->now_ms < worker->paused_until_ms) {
        listen_off(worker);
    } else {
        listen_on(worker);
    }
}

/* --- the loop --- */

static int sleep_ms(struct worker *worker, bool busy)
{
    int most_ms = atomic_load(&worker->stop_ms) == 0 ? SLEEP_MS_MAX : LINGER_SLEEP_MS;
    if (busy || !cds_list_empty(&worker->ready)) {
        return 0;
    }
    if (most_ms > LATE_MS / 2 && !cds_list_empty(&worker->held)) {
        most_ms = LATE_MS / 2;
    }
    if (most_ms > CROWD_PATIENCE_MS && !worker->listening) {
        most_ms = CROWD_PATIENCE_MS;
    }
    return most_ms;
}

/* The listening socket that an event is of; NULL: it is of something else. */
static const int *listener_of(const struct worker *worker, const void *ptr)
{
    for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
        if (ptr == &worker->listen_fds[i]) {
            return &worker->listen_fds[i];
        }
    }
    return NULL;
}

static void take_events(struct worker *worker, bool busy)
{
    struct epoll_event events[EVENTS_A_TURN];
    int count = epoll_wait(worker->epoll_fd, events, EVENTS_A_TURN, sleep_ms(worker, busy));
    CHECK(count >= 0 || errno == EINTR);
    worker->now_ms = clock_monotonic_ms();
    worker->handshakes_left = HANDSHAKES_A_TURN;
    for (int i = 0; i < count; i++) {
        const int *listener = listener_of(worker, events[i].data.ptr);
        if (listener != NULL) {
            accept_some(worker, *listener);
        } else if (events[i].data.ptr == &worker->lane) {
            lane_clear(&worker->lane);
        } else {
            connection_event(events[i].data.ptr, events[i].events);
        }
    }
}

static void run_ready(struct worker *worker)
{
    CDS_LIST_HEAD(ready);
    cds_list_splice(&worker->ready, &ready);
    CDS_INIT_LIST_HEAD(&worker->ready);
    while (!cds_list_empty(&ready)) {
        struct connection *c = cds_list_first_entry(&ready, struct connection, ready);
        cds_list_del_init(&c->ready);
        connection_run(c);
    }
}

static void look_at_times(struct worker *worker)
{
    struct connection *c, *next;
    if (clock_elapsed(worker->due_seen_ms, worker->now_ms) < SLEEP_MS_MAX / 2) {
        return;
    }
    worker->due_seen_ms = worker->now_ms;
    cds_list_for_each_entry_safe(c, next, &worker->connections, place)
    {
        if (c->due_ms != 0 && worker->now_ms >= c->due_ms) {
            connection_due(c);
        }
    }
}

static void free_closed(struct worker *worker)
{
    struct connection *c, *next;
    cds_list_for_each_entry_safe(c, next, &worker->closed, place)
    {
        free(c);
    }
    CDS_INIT_LIST_HEAD(&worker->closed);
}

/* Asked to stop, and all clients gone or time over. */
static bool is_over(const struct worker *worker)
{
    uint64_t stop_ms = atomic_load(&worker->stop_ms);
    return stop_ms != 0 && (clock_monotonic_ms() >= stop_ms || worker->count == 0);
}

static void close_all(struct worker *worker)
{
    struct connection *c, *next;
    cds_list_for_each_entry_safe(c, next, &worker->connections, place)
    {
        connection_close(c);
    }
    free_closed(worker);
}

static void drain(struct worker *worker)
{
    struct connection *c, *next;
    stop_accepting(worker);
    subscriptions_close(&worker->subscriptions);
    cds_list_for_each_entry_safe(c, next, &worker->connections, place)
    {
        if (c->state == CONNECTION_PROTOCOL) {
            http_protocol->drain(c);
            connection_ready(c);
        }
    }
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    rcu_register_thread();
    bool busy = false;
    while (!is_over(worker)) {
        take_events(worker, busy);
        busy = call_resume_finished(worker);
        answer_cut_slow(worker);
        call_answer_late(worker);
        if (worker->accepting && atomic_load(&worker->context->draining)) {
            drain(worker);
        }
        busy |= subscriptions_run(&worker->subscriptions);
        run_ready(worker);
        look_at_times(worker);
        look_at_room(worker);
        subscriptions_measure(&worker->subscriptions);
        free_closed(worker);
        same_answers_sweep(&worker->scratch.same);
    }
    /* The node answered all before, and takes nothing since: nothing is with it any more. */
    subscriptions_close(&worker->subscriptions);
    while (call_resume_finished(worker) || subscriptions_run(&worker->subscriptions)) {
    }
    run_ready(worker);
    close_all(worker);
    same_answers_sweep(&worker->scratch.same);
    gzip_done(&worker->scratch.gzip);
    rcu_unregister_thread();
    return NULL;
}

/* --- start and stop --- */

static void release(struct worker *worker)
{
    close_listeners(worker);
    if (worker->epoll_fd >= 0) {
        (void)close(worker->epoll_fd);
    }
    buffer_done(&worker->head);
    lane_close(&worker->lane);
}

static bool open_descriptors(struct worker *worker, const int listen_fds[HTTP_LISTENERS_MAX])
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &worker->lane};
    bool is_open = lane_open(&worker->lane);
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < HTTP_LISTENERS_MAX; i++) {
        /* Not F_DUPFD_CLOEXEC: ThreadSanitizer does not know it, and takes the number for one that
         * was closed. No program is executed from this one. */
        worker->listen_fds[i] = listen_fds[i] >= 0 ? dup(listen_fds[i]) : -1;
        is_open = is_open && (worker->listen_fds[i] >= 0) == (listen_fds[i] >= 0);
    }
    if (!is_open || worker->epoll_fd < 0 ||
        epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->lane.fd, &event) != 0) {
        return false;
    }
    listen_on(worker);
    return worker->listening;
}

bool worker_start(struct worker *worker, unsigned number, const int listen_fds[HTTP_LISTENERS_MAX],
                  unsigned connections, unsigned spare, struct api_context *context, char *error,
                  size_t error_size)
{
    memset(worker, 0, sizeof *worker);
    worker->context = context;
    worker->number = number;
    worker->connections_max = connections;
    worker->spare = spare;
    worker->accepting = true;
    uint64_t *seed = &worker->scratch.random;
    CHECK(getrandom(seed, sizeof *seed, 0) == (ssize_t)sizeof *seed);
    struct cds_list_head *const lists[] = {&worker->connections, &worker->crowded,
                                           &worker->ready,       &worker->closed,
                                           &worker->held,        &worker->downloads};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        CDS_INIT_LIST_HEAD(lists[i]);
    }
    buffer_init(&worker->head, HEAD_BYTES_MAX);
    if (!open_descriptors(worker, listen_fds)) {
        (void)snprintf(error, error_size, "cannot open descriptors for HTTP: %s", strerror(errno));
        release(worker);
        return false;
    }
    answer_start(worker);
    char name[THREAD_NAME_SIZE];
    (void)snprintf(name, sizeof name, "http-%u", worker->number);
    if (!thread_start(&worker->thread, name, run, worker)) {
        (void)snprintf(error, error_size, "cannot start a thread for HTTP");
        release(worker);
        return false;
    }
    return true;
}

void worker_stop(struct worker *worker)
{
    atomic_store(&worker->stop_ms, clock_monotonic_ms() + LINGER_MS);
    worker_wake(worker);
}

void worker_join(struct worker *worker)
{
    thread_join(&worker->thread);
    release(worker);
}
