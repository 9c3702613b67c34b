#include "client/cli/check.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/lib/http.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/text.h"

/* Until a program has been well for the first time, it is looked at more often: it is starting. */
#define STARTING_MS 1000

extern char **environ;

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_http(const char *target)
{
    return has_prefix(target, "http://") || has_prefix(target, "https://");
}

bool check_validate(const char *target, char *error, size_t error_size)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    if (*target == '\0' || strlen(target) >= sizeof((struct check *)NULL)->url) {
        (void)snprintf(error, error_size, "--check is empty or too long");
        return false;
    }
    if (has_prefix(target, "tcp://") &&
        (!text_parse_address(target + 6, host, sizeof host, &port) || host[0] == '\0')) {
        (void)snprintf(error, error_size, "--check %s is not of the form tcp://HOST:PORT", target);
        return false;
    }
    return true;
}

bool check_judge(struct check *check, bool good)
{
    if (check->judged && good == check->healthy) {
        check->streak = 0;
        return false;
    }
    /* Before the first verdict it counts as ill. */
    unsigned needed = good ? check->options.healthy_after : check->options.unhealthy_after;
    if (!check->judged && !good) {
        needed = 1;
        check->streak = 0;
    }
    if (++check->streak < needed) {
        return false;
    }
    check->streak = 0;
    check->judged = true;
    check->healthy = good;
    return true;
}

/* A result has come; the next check is an interval after this one began. */
static void conclude(struct check *check, bool good)
{
    bool changed = check_judge(check, good);
    uint64_t interval_ms = check->options.interval_ms;
    if (!check->healthy && interval_ms > STARTING_MS && !check->timed_out) {
        interval_ms = STARTING_MS;
    }
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t due_ms = check->began_ms + interval_ms;
    loop_set(check->loop, &check->timer, due_ms > now_ms ? due_ms : now_ms);
    if (changed) {
        check->on_verdict(check->ctx, check->healthy, good ? "" : check->note);
    }
}

/* --- over the network --- */

static size_t discard(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static void on_transfer_done(struct loop_transfer *transfer, CURLcode code)
{
    struct check *check = CONTAINER_OF(transfer, struct check, transfer);
    long status = 0;
    curl_easy_getinfo(check->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(check->curl);
    check->curl = NULL;
    check->timed_out = code == CURLE_OPERATION_TIMEDOUT;
    bool good = code == CURLE_OK &&
                (!is_http(check->options.target) || status / 100 == 2 || status / 100 == 3);
    if (code != CURLE_OK) {
        (void)snprintf(check->note, sizeof check->note, "check: %s", curl_easy_strerror(code));
    } else {
        (void)snprintf(check->note, sizeof check->note, "check: HTTP status %ld", status);
    }
    conclude(check, good);
}

static void begin_request(struct check *check)
{
    check->curl = curl_easy_init();
    if (check->curl == NULL || !http_prepare(check->curl, check->url, "", check->loop->shared)) {
        curl_easy_cleanup(check->curl);
        check->curl = NULL;
        (void)snprintf(check->note, sizeof check->note, "check: no memory");
        conclude(check, false);
        return;
    }
    curl_easy_setopt(check->curl, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(check->curl, CURLOPT_TIMEOUT_MS, (long)check->options.timeout_ms);
    /* A connection that is kept would say nothing of whether a new one can be made. */
    curl_easy_setopt(check->curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(check->curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(check->curl, CURLOPT_CONNECT_ONLY, is_http(check->options.target) ? 0L : 1L);
    check->transfer = (struct loop_transfer){check->curl, on_transfer_done};
    CHECK(loop_add(check->loop, &check->transfer));
}

/* --- a command --- */

int check_output(const struct check *check)
{
    return check->pid > 0 ? check->output : -1;
}

/* The first line of what it prints becomes the note; the rest is read so that it does not wait. */
void check_read(struct check *check)
{
    char text[4096];
    ssize_t len = read(check->output, text, sizeof text);
    if (len <= 0) {
        if (len == 0) {
            close(check->output);
            check->output = -1;
        }
        return;
    }
    size_t have = strlen(check->note);
    if (memchr(check->note, '\n', have) == NULL) {
        (void)snprintf(check->note + have, sizeof check->note - have, "%.*s", (int)len, text);
    }
}

static void close_output(struct check *check)
{
    if (check->output >= 0) {
        check_read(check);
    }
    if (check->output >= 0) {
        close(check->output);
    }
    check->output = -1;
}

bool check_reaped(struct check *check, pid_t pid, int status)
{
    if (pid != check->pid || check->pid == 0) {
        return false;
    }
    close_output(check);
    loop_unset(check->loop, &check->timer);
    /* What it has started and left behind would gather with every check. */
    (void)kill(-check->pid, SIGKILL);
    check->pid = 0;
    check->note[strcspn(check->note, "\r\n")] = '\0';
    bool printable = text_is_printable(check->note, strlen(check->note));
    if (check->timed_out) {
        (void)snprintf(check->note, sizeof check->note, "check: timed out");
    } else if (check->note[0] == '\0' || !printable) {
        (void)snprintf(check->note, sizeof check->note, "check: %s %d",
                       WIFEXITED(status) ? "exit status" : "killed by signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    conclude(check, WIFEXITED(status) && WEXITSTATUS(status) == 0 && !check->timed_out);
    return true;
}

/* In a process group of its own, with the signals that a program expects. */
static int spawn(const char *command, int output, pid_t *ret_pid)
{
    char *const argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                          (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    CHECK(posix_spawn_file_actions_init(&actions) == 0 && posix_spawnattr_init(&attributes) == 0);
    CHECK(posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0) == 0 &&
          posix_spawn_file_actions_adddup2(&actions, output, 1) == 0 &&
          posix_spawn_file_actions_adddup2(&actions, output, 2) == 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error = posix_spawn(ret_pid, "/bin/sh", &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static void begin_command(struct check *check)
{
    int ends[2];
    int error = pipe2(ends, O_CLOEXEC | O_NONBLOCK);
    if (error == 0) {
        error = spawn(check->options.target, ends[1], &check->pid);
        close(ends[1]);
        check->output = ends[0];
    }
    if (error != 0) {
        check->pid = 0;
        (void)snprintf(check->note, sizeof check->note, "check: the command cannot be started");
        conclude(check, false);
        return;
    }
    loop_set(check->loop, &check->timer, check->began_ms + check->options.timeout_ms);
}

/* --- when --- */

static void on_timer(struct loop_timer *timer)
{
    struct check *check = CONTAINER_OF(timer, struct check, timer);
    if (check->pid > 0) {
        /* Its end is seen, and the result given, when it is reaped. */
        check->timed_out = true;
        (void)kill(-check->pid, SIGKILL);
        return;
    }
    check->began_ms = clock_monotonic_ms();
    check->timed_out = false;
    check->note[0] = '\0';
    if (check->url[0] != '\0') {
        begin_request(check);
    } else {
        begin_command(check);
    }
}

void check_start(struct check *check, struct loop *loop, const struct check_options *options)
{
    check->options = *options;
    check->loop = loop;
    check->output = -1;
    check->timer = (struct loop_timer){.due_ms = LOOP_NEVER, .on_due = on_timer};
    if (is_http(options->target)) {
        (void)snprintf(check->url, sizeof check->url, "%s", options->target);
    } else if (has_prefix(options->target, "tcp://")) {
        (void)snprintf(check->url, sizeof check->url, "http://%s", options->target + 6);
    }
    loop_set(loop, &check->timer, clock_monotonic_ms());
}

void check_stop(struct check *check)
{
    if (check->loop == NULL) {
        return;
    }
    loop_unset(check->loop, &check->timer);
    if (check->curl != NULL) {
        loop_remove(check->loop, &check->transfer);
        curl_easy_cleanup(check->curl);
        check->curl = NULL;
    }
    if (check->pid > 0) {
        (void)kill(-check->pid, SIGKILL);
        (void)waitpid(check->pid, NULL, 0);
        close_output(check);
        check->pid = 0;
    }
    check->loop = NULL;
}
