#include "api/zmq/zmq_worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include <urcu.h>

#include "api/zmq/ask.h"
#include "api/zmq/pending.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

#define EVENTS_A_TURN 256
/* Between looks at the times of the clients. */
#define LOOK_MS 1000

static void poll_descriptors(struct zmq_worker *worker, int within_ms)
{
    struct epoll_event events[EVENTS_A_TURN];
    int count = epoll_wait(worker->clients.epoll_fd, events, EVENTS_A_TURN, within_ms);
    worker->clients.now_ms = clock_monotonic_ms();
    for (int i = 0; i < count; i++) {
        struct pollee *pollee = events[i].data.ptr; /* NULL: the lane */
        if (pollee != NULL) {
            pollee->event(pollee, events[i].events);
        } else {
            lane_clear(&worker->lane);
        }
    }
}

static void each_port(struct zmq_worker *worker, void (*call)(struct endpoint *e))
{
    for (size_t i = 0; i < ZMQ_PORTS; i++) {
        call(&worker->ports[false][i]);
        call(&worker->ports[true][i]);
    }
}

static void take_keys(struct zmq_worker *worker)
{
    struct curve_keys *fresh = atomic_exchange(&worker->fresh_keys, NULL);
    char key[Z85_KEY_CHARS + 1];
    size_t closed = 0;
    if (fresh == NULL) {
        return;
    }
    curve_keys_done(&worker->keys);
    worker->keys = *fresh;
    mem_wipe_free(fresh, sizeof *fresh);
    for (size_t i = 0; i < ZMQ_PORTS; i++) {
        closed += endpoint_check_keys(&worker->ports[true][i]);
    }
    z85_key_text(worker->keys.public, key);
    log_write(LOG_INFO, "zmq", "keys of CURVE read again",
              "public_key=\"%s\" clients=%zu closed=%zu", key, worker->keys.count, closed);
}

static int sleep_ms(bool more, long due_ms, uint64_t to_look_ms)
{
    if (more) {
        return 0;
    }
    return (int)(due_ms >= 0 && (uint64_t)due_ms < to_look_ms ? (uint64_t)due_ms : to_look_ms);
}

static void *run(void *arg)
{
    struct zmq_worker *worker = arg;
    struct zmq_clients *clients = &worker->clients;
    uint64_t look_ms = 0;
    int within_ms = 0;
    rcu_register_thread();
    while (!atomic_load(&worker->stopping)) {
        poll_descriptors(worker, within_ms);
        take_keys(worker);
        bool more = lane_run(&worker->lane, pending_finish);
        more |= publisher_run(&worker->publisher);
        long due_ms = pending_answer_late(worker);
        if (clients->now_ms >= look_ms) {
            look_ms = clients->now_ms + LOOK_MS;
            each_port(worker, endpoint_look);
        }
        more |= zmq_clients_run(clients);
        zmq_clients_reap(clients);
        within_ms = sleep_ms(more, due_ms, look_ms - clients->now_ms);
    }
    /* The node answered all before. */
    while (lane_run(&worker->lane, pending_finish)) {
    }
    CHECK(worker->writes == 0);
    publisher_done(&worker->publisher);
    rcu_unregister_thread();
    return NULL;
}

static bool start_clients(struct zmq_worker *worker)
{
    struct zmq_clients *clients = &worker->clients;
    struct epoll_event lane = {.events = EPOLLIN, .data.ptr = NULL};
    CDS_INIT_LIST_HEAD(&clients->ready);
    CDS_INIT_LIST_HEAD(&clients->closed);
    budget_init(&clients->waiting, ZMQ_WAITING_BYTES_MAX, METRIC_zmq_waiting_bytes);
    budget_init(&clients->unread, ZMQ_UNREAD_BYTES_MAX, METRIC_zmq_unread_bytes);
    unsigned most = worker->options.zmq_connections;
    crowd_init(&clients->crowd, most, most - most / 4);
    metric_set(METRIC_zmq_connections_max, most);
    clients->limits = worker->options.limits;
    clients->now_ms = clock_monotonic_ms();
    clients->take = ask_run;
    clients->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (clients->epoll_fd < 0 ||
        epoll_ctl(clients->epoll_fd, EPOLL_CTL_ADD, worker->lane.fd, &lane) != 0) {
        return false;
    }
    for (size_t i = 0; i < ZMQ_PORTS; i++) {
        endpoint_start(&worker->ports[false][i], clients);
        endpoint_start(&worker->ports[true][i], clients);
    }
    return true;
}

bool zmq_worker_start(struct zmq_worker *worker, struct node *node, char *error, size_t error_size)
{
    worker->node = node;
    worker->clients.epoll_fd = -1;
    CDS_INIT_LIST_HEAD(&worker->waiting);
    CHECK(getrandom(&worker->random, sizeof worker->random, 0) == (ssize_t)sizeof worker->random);
    if (!lane_open(&worker->lane) || !start_clients(worker)) {
        (void)snprintf(error, error_size, "cannot open descriptors for ZeroMQ: %s",
                       strerror(errno));
        return false;
    }
    worker->publisher = (struct publisher){.node = node,
                                           .endpoints = {&worker->ports[false][ZMQ_PORT_EVENTS],
                                                         &worker->ports[true][ZMQ_PORT_EVENTS]},
                                           .lane = &worker->lane,
                                           .anonymous = worker->options.anonymous};
    publisher_listen(&worker->publisher);
    if (!thread_start(&worker->thread, "zmq", run, worker)) {
        (void)snprintf(error, error_size, "cannot start a thread for ZeroMQ");
        return false;
    }
    return true;
}

void zmq_worker_drain(struct zmq_worker *worker)
{
    atomic_store(&worker->draining, true);
}

static void drop_keys(struct curve_keys *keys)
{
    if (keys != NULL) {
        curve_keys_done(keys);
        free(keys);
    }
}

void zmq_worker_give_keys(struct zmq_worker *worker, struct curve_keys *keys)
{
    drop_keys(atomic_exchange(&worker->fresh_keys, keys));
    lane_wake(&worker->lane);
}

void zmq_worker_stop(struct zmq_worker *worker)
{
    if (worker->thread.runs) {
        atomic_store(&worker->stopping, true);
        lane_wake(&worker->lane);
        thread_join(&worker->thread);
    }
    each_port(worker, endpoint_close);
    if (worker->node != NULL) {
        zmq_clients_reap(&worker->clients);
        if (worker->clients.epoll_fd >= 0) {
            (void)close(worker->clients.epoll_fd);
        }
        lane_close(&worker->lane);
    }
    drop_keys(atomic_exchange(&worker->fresh_keys, NULL));
    curve_keys_done(&worker->keys);
}
