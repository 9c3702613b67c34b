#include "server/base/log_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/metric.h"

static struct {
    atomic_bool started;
    pthread_mutex_t mutex;
    pthread_cond_t work;    /* a buffer waits to be written */
    pthread_cond_t written; /* nothing waits or is being written */
    char buffers[2][LOG_WAITING_BYTES_MAX];
    unsigned filling; /* the buffer being filled by callers */
    size_t filled;
    uint64_t dropped; /* lines dropped after those in that buffer */
    bool writing;
} writer = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool log_writer_take(const char *line, size_t len)
{
    if (!atomic_load_explicit(&writer.started, memory_order_acquire)) {
        return false;
    }
    (void)pthread_mutex_lock(&writer.mutex);
    if (writer.dropped > 0 || len > LOG_WAITING_BYTES_MAX - writer.filled) {
        writer.dropped++;
        metric_add(METRIC_log_lines_dropped_total, 1);
    } else {
        memcpy(writer.buffers[writer.filling] + writer.filled, line, len);
        writer.filled += len;
    }
    (void)pthread_cond_signal(&writer.work);
    (void)pthread_mutex_unlock(&writer.mutex);
    return true;
}

static void count_lost(const char *text, size_t len)
{
    int64_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
    }
    metric_add(METRIC_log_lines_dropped_total, lines);
}

size_t log_raw(const char *text, size_t len)
{
    static pthread_mutex_t stderr_mutex = PTHREAD_MUTEX_INITIALIZER;
    size_t done = 0;
    (void)pthread_mutex_lock(&stderr_mutex);
    while (done < len) {
        ssize_t n = write(STDERR_FILENO, text + done, len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            /* A process that shares stderr with us made it non-blocking. */
            struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&ready, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&stderr_mutex);
    return done;
}

/* What stderr refuses is lost: there is nowhere to report it. */
static void write_all(const char *text, size_t len)
{
    size_t done = log_raw(text, len);
    count_lost(text + done, len - done);
}

static void report_dropped(uint64_t count)
{
    char line[LOG_LINE_BYTES_MAX];
    char details[64];
    (void)snprintf(details, sizeof details, "count=%" PRIu64, count);
    if (log_enabled(LOG_WARN)) {
        write_all(line, log_render(line, LOG_WARN, "log",
                                   "lines dropped: stderr took none for a while", details));
    }
}

static void *run(void *arg)
{
    (void)arg;
    (void)pthread_setname_np(pthread_self(), "log");
    (void)pthread_mutex_lock(&writer.mutex);
    for (;;) {
        while (writer.filled == 0 && writer.dropped == 0) {
            writer.writing = false;
            (void)pthread_cond_broadcast(&writer.written);
            (void)pthread_cond_wait(&writer.work, &writer.mutex);
        }
        const char *text = writer.buffers[writer.filling];
        size_t len = writer.filled;
        uint64_t dropped = writer.dropped;
        writer.filling ^= 1;
        writer.filled = 0;
        writer.dropped = 0;
        writer.writing = true;
        (void)pthread_mutex_unlock(&writer.mutex);
        write_all(text, len);
        if (dropped > 0) {
            report_dropped(dropped);
        }
        (void)pthread_mutex_lock(&writer.mutex);
    }
    return NULL;
}

bool log_start(void)
{
    pthread_t thread;
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&writer.written, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_cond_init(&writer.work, NULL);
    /* Never joined: it may be in a write that never returns. */
    int error = pthread_create(&thread, NULL, run, NULL);
    if (error != 0) {
        errno = error;
        return false;
    }
    (void)pthread_detach(thread);
    atomic_store_explicit(&writer.started, true, memory_order_release);
    return true;
}

void log_flush(uint64_t within_ms)
{
    struct timespec until;
    if (!atomic_load_explicit(&writer.started, memory_order_acquire)) {
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + within_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(within_ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    (void)pthread_mutex_lock(&writer.mutex);
    while ((writer.filled > 0 || writer.dropped > 0 || writer.writing) &&
           pthread_cond_timedwait(&writer.written, &writer.mutex, &until) == 0) {
    }
    (void)pthread_mutex_unlock(&writer.mutex);
}
