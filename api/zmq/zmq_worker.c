#include "api/zmq/zmq_worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <urcu.h>

#include "api/zmq/ask.h"
#include "api/zmq/pending.h"
#include "server/base/check.h"
#include "server/base/limits.h"

#define REQUESTS_A_TURN 256
/* Without anything to do; nothing depends on it. */
#define IDLE_MS 1000

/* True: there may be more. */
static bool take_requests(struct zmq_worker *worker, struct endpoint *endpoint)
{
    if (endpoint->socket == NULL) {
        return false;
    }
    for (unsigned i = 0; i < REQUESTS_A_TURN; i++) {
        struct incoming in;
        if (!endpoint_receive(endpoint, &in)) {
            return false;
        }
        ask_run(worker, endpoint, &in);
        incoming_done(&in);
    }
    return true;
}

/* zmq_poll() looks at the state of every socket before it sleeps, which the edge-triggered
 * descriptors of libzmq need. */
static void sleep_until(struct zmq_worker *worker, long within_ms)
{
    zmq_pollitem_t items[4];
    int count = 0;
    void *const sockets[] = {worker->requests.socket, worker->heartbeats.socket,
                             worker->events.socket};
    items[count++] = (zmq_pollitem_t){.fd = worker->lane.fd, .events = ZMQ_POLLIN};
    for (size_t i = 0; i < ARRAY_LENGTH(sockets); i++) {
        if (sockets[i] != NULL) {
            items[count++] = (zmq_pollitem_t){.socket = sockets[i], .events = ZMQ_POLLIN};
        }
    }
    (void)zmq_poll(items, count, within_ms);
}

static void *run(void *arg)
{
    struct zmq_worker *worker = arg;
    (void)pthread_setname_np(pthread_self(), "zmq");
    rcu_register_thread();
    while (!atomic_load(&worker->stopping)) {
        lane_clear(&worker->lane);
        bool more = lane_run(&worker->lane, pending_finish);
        more |= take_requests(worker, &worker->heartbeats);
        more |= take_requests(worker, &worker->requests);
        more |= publisher_run(&worker->publisher);
        long due_ms = pending_answer_late(worker);
        sleep_until(worker, more ? 0 : due_ms >= 0 && due_ms < IDLE_MS ? due_ms : IDLE_MS);
    }
    /* The node answered all before. */
    while (lane_run(&worker->lane, pending_finish)) {
    }
    CHECK(worker->writes == 0);
    publisher_done(&worker->publisher);
    rcu_unregister_thread();
    return NULL;
}

static bool start_thread(struct zmq_worker *worker)
{
    /* Signals are the main thread's. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->runs = pthread_create(&worker->thread, NULL, run, worker) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return worker->runs;
}

static bool start_endpoints(struct zmq_worker *worker, char *error, size_t error_size)
{
    worker->zmq = zmq_ctx_new();
    if (worker->zmq == NULL) {
        (void)snprintf(error, error_size, "cannot start ZeroMQ: %s", zmq_strerror(zmq_errno()));
        return false;
    }
    return endpoint_start(&worker->requests, worker->zmq, ZMQ_ROUTER, &worker->budget, error,
                          error_size) &&
           endpoint_start(&worker->heartbeats, worker->zmq, ZMQ_ROUTER, &worker->budget, error,
                          error_size) &&
           endpoint_start(&worker->events, worker->zmq, ZMQ_PUB, &worker->budget, error,
                          error_size);
}

bool zmq_worker_start(struct zmq_worker *worker, struct node *node, char *error, size_t error_size)
{
    worker->node = node;
    CDS_INIT_LIST_HEAD(&worker->waiting);
    budget_init(&worker->budget, ZMQ_WAITING_BYTES_MAX, METRIC_zmq_waiting_bytes);
    CHECK(getrandom(&worker->random, sizeof worker->random, 0) == (ssize_t)sizeof worker->random);
    if (!lane_open(&worker->lane)) {
        (void)snprintf(error, error_size, "cannot open descriptors for ZeroMQ: %s",
                       strerror(errno));
        return false;
    }
    if (!start_endpoints(worker, error, error_size)) {
        return false;
    }
    worker->publisher = (struct publisher){.node = node,
                                           .endpoint = &worker->events,
                                           .lane = &worker->lane,
                                           .subscriber.anonymous = worker->options.anonymous};
    publisher_listen(&worker->publisher);
    if (!start_thread(worker)) {
        (void)snprintf(error, error_size, "cannot start a thread for ZeroMQ");
        return false;
    }
    return true;
}

void zmq_worker_drain(struct zmq_worker *worker)
{
    atomic_store(&worker->draining, true);
}

void zmq_worker_stop(struct zmq_worker *worker)
{
    if (worker->runs) {
        atomic_store(&worker->stopping, true);
        lane_wake(&worker->lane);
        (void)pthread_join(worker->thread, NULL);
    }
    endpoint_close(&worker->requests);
    endpoint_close(&worker->heartbeats);
    endpoint_close(&worker->events);
    if (worker->zmq != NULL) {
        (void)zmq_ctx_term(worker->zmq);
    }
    if (worker->node != NULL) {
        lane_close(&worker->lane);
    }
}
