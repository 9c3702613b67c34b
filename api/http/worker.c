#include "api/http/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <urcu.h>

#include "api/http/connection.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"

/* The longest sleep: nothing depends on it but idle connections being closed in time. */
#define SLEEP_MS_MAX 1000
/* How long requests that are on their way are still answered once the worker is to stop. */
#define LINGER_MS       250
#define LINGER_SLEEP_MS 10

void worker_wake(struct worker *worker)
{
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the worker is awake anyway. */
    ssize_t written = write(worker->wake_fd, &one, sizeof one);
    (void)written;
}

static void log_mhd(void *cls, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void log_mhd(void *cls, const char *format, va_list args)
{
    struct worker *worker = cls;
    char text[256];
    uint64_t held;
    if (!log_gate_open(&worker->gate, &held)) {
        return;
    }
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_write(LOG_WARN, "http", "library", "message=\"%s\" held_back=%" PRIu64, text, held);
}

/* Escapes are taken apart by request.c, strictly. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls, (void)connection;
    return strlen(text);
}

static void stop_accepting(struct worker *worker)
{
    worker->accepting = false;
    if (MHD_quiesce_daemon(worker->daemon) != MHD_INVALID_SOCKET) {
        (void)close(worker->listen_fd);
    }
}

static unsigned count_connections(const struct worker *worker)
{
    return MHD_get_daemon_info(worker->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
        ->num_connections;
}

/* Takes no more, and some of those that it has only hold on. */
static bool is_pressed(const struct worker *worker)
{
    return worker->crowd.count > 0 && count_connections(worker) >= worker->connections_max;
}

/* Until there is something to do, for as long as the daemon allows. */
static void sleep_until_ready(struct worker *worker, bool busy)
{
    struct pollfd fds[] = {{.fd = worker->epoll_fd, .events = POLLIN},
                           {.fd = worker->wake_fd, .events = POLLIN},
                           {.fd = worker->watch_fd, .events = POLLIN}};
    unsigned most_ms = busy                                 ? 0
                       : atomic_load(&worker->stop_ms) == 0 ? SLEEP_MS_MAX
                                                            : LINGER_SLEEP_MS;
    if (most_ms > LATE_MS / 2 && worker->suspended != NULL) {
        most_ms = LATE_MS / 2;
    }
    if (most_ms > CROWD_PATIENCE_MS && is_pressed(worker)) {
        most_ms = CROWD_PATIENCE_MS;
    }
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (MHD_get_timeout(worker->daemon, &timeout_ms) != MHD_YES || timeout_ms > most_ms) {
        timeout_ms = most_ms;
    }
    int ready = poll(fds, ARRAY_LENGTH(fds), (int)timeout_ms);
    CHECK(ready >= 0 || errno == EINTR);
    if (ready > 0 && fds[1].revents != 0) {
        uint64_t count;
        /* Before the queue is emptied: what comes later wakes again. */
        ssize_t got = read(worker->wake_fd, &count, sizeof count);
        (void)got;
    }
}

/* Asked to stop, and all clients gone or time over. */
static bool is_over(const struct worker *worker)
{
    uint64_t stop_ms = atomic_load(&worker->stop_ms);
    if (stop_ms == 0) {
        return false;
    }
    return clock_monotonic_ms() >= stop_ms || count_connections(worker) == 0;
}

/* True when it must run again: full, it does not listen, and does so only in the run after the one
 * that makes room. */
static bool run_daemon(struct worker *worker)
{
    bool full = count_connections(worker) >= worker->connections_max;
    if (full) {
        crowd_press(&worker->crowd, clock_monotonic_ms());
    }
    (void)MHD_run(worker->daemon);
    return full && count_connections(worker) < worker->connections_max;
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    char name[16];
    (void)snprintf(name, sizeof name, "http-%u", worker->number);
    (void)pthread_setname_np(pthread_self(), name);
    rcu_register_thread();
    bool busy = false;
    while (!is_over(worker)) {
        sleep_until_ready(worker, busy);
        busy = connection_resume_finished(worker);
        connection_drop_gone(worker);
        connection_cut_slow(worker);
        connection_answer_late(worker);
        if (worker->accepting && atomic_load(&worker->context->draining)) {
            stop_accepting(worker);
            subscriptions_close(&worker->subscriptions);
        }
        busy |= subscriptions_run(&worker->subscriptions);
        busy |= run_daemon(worker);
        same_answers_sweep(&worker->scratch.same);
        subscriptions_measure(&worker->subscriptions);
    }
    /* The node answered all before, and takes nothing since: nothing is suspended any more. */
    subscriptions_close(&worker->subscriptions);
    while (connection_resume_finished(worker) || subscriptions_run(&worker->subscriptions)) {
    }
    (void)MHD_run(worker->daemon);
    MHD_stop_daemon(worker->daemon);
    same_answers_sweep(&worker->scratch.same);
    gzip_done(&worker->scratch.gzip);
    rcu_unregister_thread();
    return NULL;
}

static struct MHD_Daemon *start_daemon(struct worker *worker, unsigned connections)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, connection_handle, worker, /* */
        MHD_OPTION_EXTERNAL_LOGGER, log_mhd, worker,     /* first, to log the other options */
        MHD_OPTION_LISTEN_SOCKET, worker->listen_fd,     /* */
        MHD_OPTION_CONNECTION_LIMIT, connections,        /* */
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_SECONDS,         /* */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_CONNECTION_MEMORY, /* */
        MHD_OPTION_URI_LOG_CALLBACK, connection_target, worker,             /* */
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,                   /* */
        MHD_OPTION_NOTIFY_COMPLETED, connection_completed, worker,          /* */
        MHD_OPTION_NOTIFY_CONNECTION, connection_counted, worker, MHD_OPTION_END);
}

static bool start_thread(struct worker *worker)
{
    /* Signals are the main thread's. */
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, run, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

static void close_all(struct worker *worker)
{
    const int fds[] = {worker->wake_fd, worker->watch_fd};
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    cds_wfcq_destroy(&worker->finished_writes.head, &worker->finished_writes.tail);
    cds_wfcq_destroy(&worker->finished_reads.head, &worker->finished_reads.tail);
}

bool worker_start(struct worker *worker, unsigned number, int listen_fd, unsigned connections,
                  struct api_context *context, char *error, size_t error_size)
{
    *worker = (struct worker){
        .context = context, .number = number, .connections_max = connections, .accepting = true};
    uint64_t *seed = &worker->scratch.random;
    CHECK(getrandom(seed, sizeof *seed, 0) == (ssize_t)sizeof *seed);
    cds_wfcq_init(&worker->finished_writes.head, &worker->finished_writes.tail);
    CDS_INIT_LIST_HEAD(&worker->downloads);
    cds_wfcq_init(&worker->finished_reads.head, &worker->finished_reads.tail);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->watch_fd = epoll_create1(EPOLL_CLOEXEC);
    worker->listen_fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 0);
    if (worker->wake_fd < 0 || worker->watch_fd < 0 || worker->listen_fd < 0) {
        (void)snprintf(error, error_size, "cannot open descriptors for HTTP: %s", strerror(errno));
        goto no_daemon;
    }
    worker->daemon = start_daemon(worker, connections);
    if (worker->daemon == NULL) {
        (void)snprintf(error, error_size, "cannot start the HTTP server: %s", strerror(errno));
        goto no_daemon;
    }
    worker->epoll_fd = MHD_get_daemon_info(worker->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    connection_subscriptions_start(worker);
    if (!start_thread(worker)) {
        (void)snprintf(error, error_size, "cannot start a thread for HTTP");
        MHD_stop_daemon(worker->daemon); /* closes listen_fd */
        close_all(worker);
        return false;
    }
    return true;

no_daemon:
    if (worker->listen_fd >= 0) {
        (void)close(worker->listen_fd);
    }
    close_all(worker);
    return false;
}

void worker_stop(struct worker *worker)
{
    atomic_store(&worker->stop_ms, clock_monotonic_ms() + LINGER_MS);
    worker_wake(worker);
}

void worker_join(struct worker *worker)
{
    (void)pthread_join(worker->thread, NULL);
    close_all(worker);
}
