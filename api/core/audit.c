#include "api/core/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/core/audit_syslog.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/base/thread.h"

#define RETRY_MS  1000
#define REMIND_MS (60 * 1000) /* how often a failure that lasts is logged */

enum target { TARGET_FILE, TARGET_STDERR, TARGET_SYSLOG };

/* Double buffering, as in server/base/log_writer.c: callers fill one buffer while the thread writes
 * the other. The mutex is never held during a write. */
struct audit {
    /* immutable */
    struct audit_options options;
    enum target target;
    struct thread thread;
    /* of the thread */
    int fd;
    bool is_torn; /* the file ends in a part of a line */
    uint64_t reported_ms;
    /* under the mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work;
    char *buffers[2]; /* AUDIT_QUEUE_BYTES_MAX each */
    unsigned filling; /* which of them callers fill */
    size_t filled;
    uint64_t busy_since_ms; /* monotonic: since when the thread has the other one; 0: not */
    uint64_t lost;          /* lines, since they were last reported */
    bool is_failing;
    bool must_reopen;
    bool is_closing;
};

/* --- the target: the thread's --- */

static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat found;
    if (fd >= 0 && fstat(fd, &found) == 0 && S_ISDIR(found.st_mode)) {
        (void)close(fd);
        errno = EISDIR;
        return -1;
    }
    return fd;
}

static void reopen(struct audit *a)
{
    if (a->target != TARGET_FILE) {
        return;
    }
    int fd = open_file(a->options.target);
    if (fd < 0) {
        log_write(LOG_ERROR, "audit", "the audit log cannot be opened again; the old file is used",
                  "path=\"%s\" error=\"%s\"", a->options.target, strerror(errno));
        return;
    }
    (void)close(a->fd);
    a->fd = fd;
    log_write(LOG_INFO, "audit", "audit log opened again", "path=\"%s\"", a->options.target);
}

/* Returns how much was written; errno says why not all of it. */
static size_t write_file(int fd, const char *text, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(fd, text + done, len - done);
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0) {
            errno = ENOSPC;
            break;
        } else if (errno == EAGAIN) {
            /* A pipe whose reader is slow. */
            if (poll(&ready, 1, RETRY_MS) == 0) {
                errno = EAGAIN;
                break;
            }
        } else if (errno != EINTR) {
            break;
        }
    }
    return done;
}

static size_t write_target(struct audit *a, const char *text, size_t len)
{
    switch (a->target) {
    case TARGET_SYSLOG:
        audit_syslog_write(text, len);
        return len;
    case TARGET_STDERR:
        return log_raw(text, len);
    case TARGET_FILE:
        break;
    }
    return write_file(a->fd, text, len);
}

/* Cuts the last bytes off again, a part of a line, so that only whole lines stay. Where that cannot
 * be done, as in a pipe, the next line begins with a line break. */
static void drop_part(struct audit *a, size_t len)
{
    off_t end = a->target == TARGET_FILE ? lseek(a->fd, 0, SEEK_CUR) : 0;
    a->is_torn = len > 0 && (end < (off_t)len || ftruncate(a->fd, end - (off_t)len) != 0);
}

/* Returns how much was written, in whole lines; errno says why not all of it. */
static size_t write_lines(struct audit *a, const char *text, size_t len)
{
    if (a->is_torn) {
        if (write_target(a, "\n", 1) == 0) {
            return 0;
        }
        a->is_torn = false;
    }
    size_t done = write_target(a, text, len);
    if (done == len) {
        return len;
    }
    int error = errno;
    size_t whole = done;
    while (whole > 0 && text[whole - 1] != '\n') {
        whole--;
    }
    drop_part(a, done - whole);
    errno = error;
    return whole;
}

/* --- the thread --- */

static uint64_t count_lines(const char *text, size_t len)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

static uint64_t take_lost(struct audit *a)
{
    (void)pthread_mutex_lock(&a->mutex);
    uint64_t lost = a->lost;
    a->lost = 0;
    (void)pthread_mutex_unlock(&a->mutex);
    return lost;
}

static void report_failure(struct audit *a, int error)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (a->reported_ms != 0 && now_ms - a->reported_ms < REMIND_MS) {
        return;
    }
    a->reported_ms = now_ms;
    log_write(LOG_ERROR, "audit", "the audit log cannot be written",
              "target=\"%s\" error=\"%s\" lines_lost=%" PRIu64, a->options.target, strerror(error),
              take_lost(a));
}

/* After success. */
static void report_success(struct audit *a)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool has_failed = a->is_failing;
    if (!has_failed && a->reported_ms != 0 && now_ms - a->reported_ms < REMIND_MS) {
        return;
    }
    uint64_t lost = take_lost(a);
    if (has_failed) {
        log_write(LOG_INFO, "audit", "the audit log is written again", "lines_lost=%" PRIu64, lost);
        a->reported_ms = 0;
    } else if (lost > 0) {
        log_write(LOG_ERROR, "audit", "lines of the audit log are lost: it takes them too slowly",
                  "lines_lost=%" PRIu64, lost);
        a->reported_ms = now_ms;
    }
}

static void set_failing(struct audit *a, bool is_failing)
{
    (void)pthread_mutex_lock(&a->mutex);
    a->is_failing = is_failing;
    metric_set(METRIC_audit_failing, is_failing);
    (void)pthread_mutex_unlock(&a->mutex);
}

static void wait_until(struct audit *a, uint64_t until_ms)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                                   .tv_nsec = (long)(until_ms % 1000 * 1000000)};
    (void)pthread_cond_timedwait(&a->work, &a->mutex, &until);
}

/* After a failure. False: the log is being closed, do not try again. */
static bool wait_to_retry(struct audit *a)
{
    uint64_t until_ms = clock_monotonic_ms() + RETRY_MS;
    (void)pthread_mutex_lock(&a->mutex);
    while (!a->must_reopen && !a->is_closing && clock_monotonic_ms() < until_ms) {
        wait_until(a, until_ms);
    }
    bool must_reopen = a->must_reopen;
    bool is_closing = a->is_closing;
    a->must_reopen = false;
    (void)pthread_mutex_unlock(&a->mutex);
    if (must_reopen) {
        reopen(a);
    }
    return !is_closing;
}

/* Writes all of it, however long that takes, unless the log is being closed. */
static void write_out(struct audit *a, const char *text, size_t len)
{
    while (len > 0) {
        errno = 0;
        size_t done = write_lines(a, text, len);
        int error = errno;
        metric_add(METRIC_audit_lines_total, (int64_t)count_lines(text, done));
        text += done;
        len -= done;
        if (len == 0) {
            break;
        }
        set_failing(a, true);
        report_failure(a, error);
        if (!wait_to_retry(a)) {
            uint64_t lost = count_lines(text, len);
            metric_add(METRIC_audit_lines_lost_total, (int64_t)lost);
            log_write(LOG_ERROR, "audit", "lines of the audit log are lost at the end",
                      "lines_lost=%" PRIu64, lost);
            return;
        }
    }
    report_success(a);
    set_failing(a, false);
}

static void *run(void *arg)
{
    struct audit *a = arg;
    (void)pthread_mutex_lock(&a->mutex);
    while (!a->is_closing || a->filled > 0) {
        while (a->filled == 0 && !a->must_reopen && !a->is_closing) {
            (void)pthread_cond_wait(&a->work, &a->mutex);
        }
        const char *text = a->buffers[a->filling];
        size_t len = a->filled;
        bool must_reopen = a->must_reopen;
        a->must_reopen = false;
        a->filling ^= 1;
        a->filled = 0;
        a->busy_since_ms = clock_monotonic_ms();
        (void)pthread_mutex_unlock(&a->mutex);
        if (must_reopen) {
            reopen(a);
        }
        if (len > 0) {
            write_out(a, text, len);
        }
        (void)pthread_mutex_lock(&a->mutex);
        a->busy_since_ms = 0;
    }
    (void)pthread_mutex_unlock(&a->mutex);
    return NULL;
}

/* --- callers --- */

/* Requires the mutex. */
static bool is_unfit(const struct audit *a)
{
    return a->is_failing ||
           (a->busy_since_ms != 0 &&
            clock_elapsed(a->busy_since_ms, clock_monotonic_ms()) >= STALL_UNFIT_MS);
}

bool audit_accepts(struct audit *a)
{
    if (!a->options.required) {
        return true;
    }
    (void)pthread_mutex_lock(&a->mutex);
    bool accepts = !is_unfit(a) && a->filled < AUDIT_QUEUE_BYTES_MAX / 2;
    (void)pthread_mutex_unlock(&a->mutex);
    return accepts;
}

static void queue(struct audit *a, const struct buffer *text, size_t most)
{
    (void)pthread_mutex_lock(&a->mutex);
    if (is_unfit(a)) {
        metric_set(METRIC_audit_failing, 1);
    }
    if (text->len > most || a->filled > most - text->len) {
        a->lost++;
        metric_add(METRIC_audit_lines_lost_total, 1);
    } else {
        memcpy(a->buffers[a->filling] + a->filled, text->data, text->len);
        a->filled += text->len;
        (void)pthread_cond_signal(&a->work);
    }
    (void)pthread_mutex_unlock(&a->mutex);
}

void audit_write(struct audit *a, struct audit_line *line)
{
    struct buffer text;
    line->wall_ms = clock_wall_ms();
    line->replica = a->options.replica;
    buffer_init(&text, AUDIT_LINE_BYTES_MAX);
    audit_line_render(line, &text);
    queue(a, &text, line->is_refusal ? AUDIT_QUEUE_BYTES_MAX / 4 : AUDIT_QUEUE_BYTES_MAX);
    buffer_done(&text);
}

/* --- open and close --- */

static void destroy(struct audit *a)
{
    if (a->target == TARGET_SYSLOG) {
        audit_syslog_close();
    }
    if (a->fd >= 0) {
        (void)close(a->fd);
    }
    free(a->buffers[0]);
    free(a->buffers[1]);
    (void)pthread_cond_destroy(&a->work);
    (void)pthread_mutex_destroy(&a->mutex);
    free(a);
}

static void init_conditions(struct audit *a)
{
    pthread_condattr_t monotonic;
    (void)pthread_mutex_init(&a->mutex, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&a->work, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static bool open_target(struct audit *a, char *error, size_t error_size)
{
    a->fd = -1;
    if (a->target == TARGET_SYSLOG) {
        audit_syslog_open();
    }
    if (a->target != TARGET_FILE) {
        return true;
    }
    a->fd = open_file(a->options.target);
    if (a->fd < 0) {
        (void)snprintf(error, error_size, "--audit-log: cannot open %s: %s", a->options.target,
                       strerror(errno));
    }
    return a->fd >= 0;
}

struct audit *audit_open(const struct audit_options *options, char *error, size_t error_size)
{
    struct audit *a = mem_zalloc(1, sizeof *a);
    a->options = *options;
    a->target = strcmp(options->target, "stderr") == 0   ? TARGET_STDERR
                : strcmp(options->target, "syslog") == 0 ? TARGET_SYSLOG
                                                         : TARGET_FILE;
    CHECK(a->target != TARGET_SYSLOG || !options->required);
    a->buffers[0] = mem_alloc(AUDIT_QUEUE_BYTES_MAX);
    a->buffers[1] = mem_alloc(AUDIT_QUEUE_BYTES_MAX);
    init_conditions(a);
    if (!open_target(a, error, error_size)) {
        destroy(a);
        return NULL;
    }
    if (!thread_start(&a->thread, "audit", run, a)) {
        (void)snprintf(error, error_size, "cannot start a thread for the audit log");
        destroy(a);
        return NULL;
    }
    return a;
}

void audit_reopen(struct audit *a)
{
    (void)pthread_mutex_lock(&a->mutex);
    a->must_reopen = true;
    (void)pthread_cond_signal(&a->work);
    (void)pthread_mutex_unlock(&a->mutex);
}

void audit_close(struct audit *a, uint64_t within_ms)
{
    if (a == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&a->mutex);
    a->is_closing = true;
    (void)pthread_cond_signal(&a->work);
    (void)pthread_mutex_unlock(&a->mutex);
    if (!thread_join_within(&a->thread, within_ms)) {
        /* The thread is in a write that does not return: it keeps its memory. */
        log_write(LOG_ERROR, "audit", "the audit log does not take its last lines", "target=\"%s\"",
                  a->options.target);
        thread_leave(&a->thread);
        return;
    }
    destroy(a);
}
