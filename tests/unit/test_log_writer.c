/* With a writer thread, logging never waits for stderr. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/metric.h"

#define LONG_MS 10000

static int pipe_fds[2];
static int stderr_fd;

static int set_up(void **state)
{
    (void)state;
    stderr_fd = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipe_fds), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(stderr_fd);
    (void)close(pipe_fds[0]);
    return 0;
}

/* Until the end, stderr is the pipe: nothing may fail in between, as cmocka reports there. */
static void begin(void)
{
    (void)dup2(pipe_fds[1], STDERR_FILENO);
    (void)close(pipe_fds[1]);
}

static void end(void)
{
    (void)dup2(stderr_fd, STDERR_FILENO);
}

/* Reads the pipe until `last` was written. */
static size_t read_until(char *text, size_t size, const char *last)
{
    size_t n = 0;
    text[0] = '\0';
    while (n + 1 < size && strstr(text, last) == NULL) {
        ssize_t got = read(pipe_fds[0], text + n, size - 1 - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
        text[n] = '\0';
    }
    return n;
}

static size_t count(const char *text, const char *word)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        found++;
    }
    return found;
}

static void lines_come_out_in_order_and_a_flush_waits_for_them(void **state)
{
    (void)state;
    char text[4096];
    begin();
    log_write(LOG_INFO, "area", "first", "n=%d", 1);
    log_say("musterd: second");
    log_flush(LONG_MS);
    (void)fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
    (void)read_until(text, sizeof text, "second\n");
    end();
    const char *first = strstr(text, "info  area: first n=1\n");
    assert_non_null(first);
    assert_string_equal(strchr(first, '\n') + 1, "musterd: second\n");
}

/* The sum of all notices. */
static int64_t reported(const char *text)
{
    int64_t sum = 0;
    for (const char *at = text; (at = strstr(at, "count=")) != NULL; at++) {
        sum += strtol(at + strlen("count="), NULL, 10);
    }
    return sum;
}

static void a_reader_that_stands_still_costs_lines_and_no_time(void **state)
{
    (void)state;
    enum { LINES = 6 * LOG_WAITING_BYTES_MAX / 100 };
    static char text[4 * LOG_WAITING_BYTES_MAX];
    char filler[101];
    size_t n = 0;
    int64_t before = metric_get(METRIC_log_lines_dropped_total);
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    begin();
    for (int i = 0; i < LINES; i++) {
        log_write(LOG_INFO, "area", "filler", "%s", filler);
    }
    log_flush(1); /* returns although nobody reads */
    int64_t dropped = metric_get(METRIC_log_lines_dropped_total) - before;
    /* The pipe is read again. */
    while ((int64_t)count(text, "area: filler") + dropped < LINES || reported(text) < dropped) {
        ssize_t got = read(pipe_fds[0], text + n, sizeof text - 1 - n);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    log_write(LOG_INFO, "area", "after", "%s", "");
    log_flush(LONG_MS);
    end();
    assert_in_range(dropped, LINES / 4, LINES);
    assert_int_equal(count(text, "area: filler"), LINES - dropped);
    assert_int_equal(reported(text), dropped);
    /* The notice is where lines are missing: after those that were accepted before. */
    const char *notice =
        strstr(text, "warn  log: lines dropped: stderr took none for a while count=");
    assert_non_null(notice);
    assert_int_equal(metric_get(METRIC_log_lines_dropped_total) - before, dropped);
}

static void a_reader_that_is_gone_costs_lines_that_are_counted(void **state)
{
    (void)state;
    int64_t before = metric_get(METRIC_log_lines_dropped_total);
    begin();
    (void)close(pipe_fds[0]);
    log_write(LOG_INFO, "area", "lost", "%s", "");
    log_flush(LONG_MS);
    end();
    assert_int_equal(metric_get(METRIC_log_lines_dropped_total) - before, 1);
}

static void a_non_blocking_stderr_loses_nothing(void **state)
{
    (void)state;
    enum { LINES = 1000 };
    static char text[LOG_WAITING_BYTES_MAX];
    int64_t before = metric_get(METRIC_log_lines_dropped_total);
    (void)fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
    begin();
    for (int i = 0; i < LINES; i++) {
        log_write(LOG_INFO, "area", "line", "n=%d %s", i,
                  "long enough that the pipe is full before all of them are in it");
    }
    log_write(LOG_INFO, "area", "last", "%s", "");
    (void)read_until(text, sizeof text, "area: last\n");
    end();
    assert_int_equal(metric_get(METRIC_log_lines_dropped_total), before);
    assert_int_equal(count(text, "area: line"), LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_out_in_order_and_a_flush_waits_for_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_stands_still_costs_lines_and_no_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_is_gone_costs_lines_that_are_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_non_blocking_stderr_loses_nothing, set_up, tear_down),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    if (!log_start()) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
