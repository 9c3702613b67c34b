/* A program that is registered while it runs: run. Registers it, keeps its lease, checks its
 * health, passes signals on, and deregisters it when it ends. */
#include "client/cli/commands.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/check.h"
#include "client/cli/registration.h"
#include "client/include/muster.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/text.h"

#define NOT_EXECUTABLE 126 /* as in shells */
#define NOT_FOUND      127
/* For deregistering. A registry that is there takes milliseconds, and seconds if it elects a
 * leader; one that is not there must not keep the program's supervisor waiting. */
#define DEREGISTER_MS      1000
#define DEREGISTER_MORE_MS 4000
/* A registry that does not answer is reported after this time, then at growing distance. */
#define SILENCE_MS     2000
#define SILENCE_MS_MAX 600000

extern char **environ;

struct run {
    struct cli *cli;
    struct muster *muster;
    struct muster_registration *registration;
    struct check check;
    struct check_options check_options;
    uint64_t drain_ms;
    uint64_t stop_timeout_ms; /* 0: never */
    pid_t pid;
    int signals;
    bool draining;
    bool ended;
    int status;              /* what we exit with */
    struct loop_timer drain; /* due: the signal that waits is passed on */
    int waiting_signal;
    struct loop_timer stop;    /* due: SIGKILL */
    struct loop_timer silence; /* due: say that no registry answers */
    uint64_t silence_ms;       /* until the next time */
};

/* What is passed on. SIGCHLD is for us. */
static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

/* --- options --- */

static bool take_duration(const struct cli *cli, const char *name, uint64_t *value)
{
    const char *text = args_get(&cli->args, name);
    if (text != NULL && !text_parse_duration_ms(text, value)) {
        cli_usage(cli, "--%s %s is not a duration such as 500ms or 30s", name, text);
        return false;
    }
    return true;
}

static bool take_count(const struct cli *cli, const char *name, unsigned *value)
{
    const char *text = args_get(&cli->args, name);
    uint64_t number;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_u64(text, 1000, &number) || number == 0) {
        cli_usage(cli, "--%s %s is not a number from 1 to 1000", name, text);
        return false;
    }
    *value = (unsigned)number;
    return true;
}

static bool take_check(struct run *run)
{
    const struct cli *cli = run->cli;
    struct check_options *options = &run->check_options;
    char error[1024];
    *options = (struct check_options){.target = args_get(&cli->args, "check"),
                                      .interval_ms = 10000,
                                      .timeout_ms = 5000,
                                      .unhealthy_after = 3,
                                      .healthy_after = 1};
    if (!take_duration(cli, "check-interval", &options->interval_ms) ||
        !take_duration(cli, "check-timeout", &options->timeout_ms) ||
        !take_count(cli, "unhealthy-after", &options->unhealthy_after) ||
        !take_count(cli, "healthy-after", &options->healthy_after)) {
        return false;
    }
    if (options->interval_ms < 100 || options->timeout_ms < 10) {
        cli_usage(cli, "--check-interval is at least 100ms, and --check-timeout 10ms");
        return false;
    }
    if (options->target != NULL && args_get(&cli->args, "active-check") != NULL) {
        cli_usage(cli, "--check is run here, and --active-check by the replicas: give one of them");
        return false;
    }
    if (options->target != NULL && !check_validate(options->target, error, sizeof error)) {
        cli_usage(cli, "%s", error);
        return false;
    }
    return true;
}

static bool take_options(struct run *run)
{
    const struct cli *cli = run->cli;
    if (args_get(&cli->args, "name") == NULL || args_get(&cli->args, "port") == NULL) {
        cli_usage(cli, "--name and --port are needed");
        return false;
    }
    if (cli->args.words_count == 0) {
        cli_usage(cli, "the PROGRAM is missing: muster run --name NAME --port P -- PROGRAM ARG...");
        return false;
    }
    return take_check(run) && take_duration(cli, "drain", &run->drain_ms) &&
           take_duration(cli, "stop-timeout", &run->stop_timeout_ms);
}

/* --- the registration --- */

/* It is not registered, or its lease is in doubt. */
static void begin_silence(struct run *run)
{
    run->silence_ms = SILENCE_MS;
    loop_set(&run->cli->loop, &run->silence, clock_monotonic_ms() + run->silence_ms);
}

static void on_silence(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, silence);
    const char *why = muster_registration_why(run->registration);
    cli_complain("no registry answers%s%s; still trying to register %s", *why != '\0' ? ": " : "",
                 why, muster_registration_id(run->registration));
    run->silence_ms = run->silence_ms < SILENCE_MS_MAX / 3 ? run->silence_ms * 3 : SILENCE_MS_MAX;
    loop_set(&run->cli->loop, timer, clock_monotonic_ms() + run->silence_ms);
}

static void on_state(void *ctx, struct muster_registration *registration, enum muster_state state,
                     const char *why)
{
    struct run *run = ctx;
    const char *id = muster_registration_id(registration);
    loop_unset(&run->cli->loop, &run->silence);
    switch (state) {
    case MUSTER_PENDING:
        cli_complain("%s is not registered any more (%s); registering it again", id, why);
        begin_silence(run);
        break;
    case MUSTER_REGISTERED:
        cli_complain("%s is registered", id);
        break;
    case MUSTER_DOUBTFUL:
        cli_complain("%s could not be renewed: %s", id, why);
        begin_silence(run);
        break;
    case MUSTER_DENIED:
        cli_complain("the registry refuses %s: %s. The program runs unregistered", id, why);
        break;
    }
}

static const char *text_of(const json_t *body, const char *member)
{
    return json_string_value(json_object_get(body, member));
}

/* Registers what the body says. The lists are borrowed by the spec for the call only. */
static enum muster_error register_body(struct run *run, const json_t *body)
{
    const char *tags[TAGS_MAX];
    struct muster_pair pairs[METADATA_MAX];
    const json_t *tag_list = json_object_get(body, "tags");
    json_t *metadata = json_object_get(body, "metadata");
    const char *key;
    json_t *value;
    const json_t *weights = json_object_get(body, "weight");
    json_int_t weight = weights != NULL ? json_integer_value(weights) : 1;
    bool checked = run->check_options.target != NULL;
    struct muster_spec spec = {
        .size = sizeof spec,
        .name = text_of(body, "name"),
        .id = text_of(body, "id"),
        .type = text_of(body, "type"),
        .zone = text_of(body, "zone"),
        .host = text_of(body, "host"),
        .port = (uint16_t)json_integer_value(json_object_get(body, "port")),
        .weight = weight == 0 ? MUSTER_WEIGHT_NONE : (int32_t)weight,
        .ttl_ms = (uint32_t)(json_number_value(json_object_get(body, "ttl")) * 1000),
        .tags = tags,
        .tags_count = json_array_size(tag_list),
        .metadata = pairs,
        .on_state = on_state,
        .ctx = run,
        /* Nobody is sent to a program of which nothing is known yet. */
        .health = checked ? MUSTER_CRITICAL : MUSTER_PASSING,
        .note = checked ? "not checked yet" : NULL,
    };
    if (spec.tags_count > TAGS_MAX || json_object_size(metadata) > METADATA_MAX) {
        return MUSTER_INVALID;
    }
    for (size_t i = 0; i < spec.tags_count; i++) {
        tags[i] = json_string_value(json_array_get(tag_list, i));
    }
    json_object_foreach(metadata, key, value)
    {
        pairs[spec.metadata_count++] = (struct muster_pair){key, json_string_value(value)};
    }
    char *checks = json_dumps(json_object_get(body, "checks"), JSON_COMPACT);
    spec.checks = checks; /* NULL without any */
    enum muster_error error = muster_register(run->muster, &spec, &run->registration);
    free(checks);
    return error;
}

/* The servers of the command line, as libmuster takes them. */
static enum muster_error open_client(struct run *run, char *why, size_t why_size)
{
    struct bytes list;
    bytes_init(&list, SERVERS_MAX * (SERVER_URL_MAX + 2));
    for (size_t i = 0; i < run->cli->servers.count; i++) {
        bytes_append_text(&list, i > 0 ? "," : "");
        bytes_append_text(&list, run->cli->servers.urls[i]);
    }
    uint64_t timeout_ms = run->cli->timeout_ms;
    const struct muster_options options = {
        .size = sizeof options,
        .servers = bytes_text(&list),
        .fallback = "",
        .use_dispatch = true,
        .namespace_name = run->cli->space,
        .adopt_environment = args_get(&run->cli->args, "adopt-environment") != NULL,
        /* Shorter than that would be no attempt at all. */
        .request_timeout_ms = (uint32_t)(timeout_ms < 100 ? 100 : timeout_ms),
    };
    enum muster_error error = muster_open(&options, &run->muster, why, why_size);
    bytes_done(&list);
    return error;
}

static void on_verdict(void *ctx, bool healthy, const char *note)
{
    struct run *run = ctx;
    cli_complain("%s is %s%s%s", muster_registration_id(run->registration),
                 healthy ? "passing" : "critical", *note != '\0' ? ": " : "", note);
    (void)!muster_set_health(run->registration, healthy ? MUSTER_PASSING : MUSTER_CRITICAL, note,
                             0);
}

/* --- the program --- */

static void set_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    for (size_t i = 0; i < ARRAY_LENGTH(passed_on); i++) {
        sigaddset(set, passed_on[i]);
    }
}

/* Starts the program with the signal mask that we were started with. An errno when it cannot be. */
static int start_program(struct run *run)
{
    sigset_t mine, before;
    posix_spawnattr_t attributes;
    char **argv = calloc(run->cli->args.words_count + 1, sizeof *argv);
    CHECK(argv != NULL && run->cli->args.words_count > 0);
    for (size_t i = 0; i < run->cli->args.words_count; i++) {
        argv[i] = (char *)(uintptr_t)run->cli->args.words[i];
    }
    set_signals(&mine);
    CHECK(sigprocmask(SIG_BLOCK, &mine, &before) == 0);
    run->signals = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(run->signals >= 0 && posix_spawnattr_init(&attributes) == 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &before);
    int error = posix_spawnp(&run->pid, argv[0], NULL, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    free(argv);
    return error;
}

static void pass_on(struct run *run, int signal_number)
{
    (void)kill(run->pid, signal_number);
    bool ends = signal_number == SIGTERM || signal_number == SIGINT || signal_number == SIGQUIT;
    if (ends && run->stop_timeout_ms > 0 && run->stop.due_ms == LOOP_NEVER) {
        loop_set(&run->cli->loop, &run->stop, clock_monotonic_ms() + run->stop_timeout_ms);
    }
}

static void on_drained(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, drain);
    pass_on(run, run->waiting_signal);
}

static void on_stop_timeout(struct loop_timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, stop);
    cli_complain("the program did not end in time; killing it");
    (void)kill(run->pid, SIGKILL);
}

static void take_signal(struct run *run, const struct signalfd_siginfo *info)
{
    int signal_number = (int)info->ssi_signo;
    if (info->ssi_code == SI_KERNEL) {
        return; /* typed at a terminal: the program has got it, too */
    }
    enum muster_state state = muster_registration_state(run->registration);
    bool is_found = state == MUSTER_REGISTERED || state == MUSTER_DOUBTFUL;
    if (signal_number == SIGTERM && run->drain_ms > 0 && !run->draining && is_found) {
        run->draining = true;
        run->waiting_signal = signal_number;
        (void)!muster_set_maintenance(run->registration, true, "stopping", 0);
        loop_set(&run->cli->loop, &run->drain, clock_monotonic_ms() + run->drain_ms);
        return;
    }
    /* A second one does not wait. */
    loop_unset(&run->cli->loop, &run->drain);
    pass_on(run, signal_number);
}

/* All that have ended: also those that others have left to us when we are process 1. */
static void reap(struct run *run)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == run->pid) {
            run->ended = true;
            run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        } else if (run->check.loop != NULL) {
            (void)check_reaped(&run->check, pid, status);
        }
    }
}

static void supervise(struct run *run)
{
    while (!run->ended) {
        struct signalfd_siginfo info;
        struct curl_waitfd extra[3] = {
            {.fd = run->signals, .events = CURL_WAIT_POLLIN},
            {.fd = muster_descriptor(run->muster), .events = CURL_WAIT_POLLIN},
        };
        bool has_output = run->check.loop != NULL && check_output(&run->check) >= 0;
        if (has_output) {
            extra[2] =
                (struct curl_waitfd){.fd = check_output(&run->check), .events = CURL_WAIT_POLLIN};
        }
        loop_turn(&run->cli->loop, LOOP_NEVER, extra, has_output ? 3 : 2);
        (void)muster_dispatch(run->muster);
        if (has_output && check_output(&run->check) >= 0) {
            check_read(&run->check);
        }
        while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
            if (info.ssi_signo == SIGCHLD) {
                reap(run);
            } else {
                take_signal(run, &info);
            }
        }
    }
}

static void finish(struct run *run)
{
    check_stop(&run->check);
    loop_unset(&run->cli->loop, &run->drain);
    loop_unset(&run->cli->loop, &run->stop);
    loop_unset(&run->cli->loop, &run->silence);
    enum muster_error error = muster_deregister(run->registration, DEREGISTER_MS);
    bool waits = error == MUSTER_TIMED_OUT || error == MUSTER_UNKNOWN;
    if (error != MUSTER_OK && !waits) {
        cli_complain("not deregistered: %s. Its lease will expire", muster_error_text(error));
    }
    if (waits) {
        cli_complain("not deregistered yet; waiting up to %d s more", DEREGISTER_MORE_MS / 1000);
    }
    /* The client keeps trying until it is closed. */
    muster_close(run->muster, waits ? DEREGISTER_MORE_MS : 0);
}

enum cli_exit cmd_run(struct cli *cli)
{
    struct run run = {
        .cli = cli,
        .check = {.on_verdict = on_verdict, .output = -1},
        .drain = {.due_ms = LOOP_NEVER, .on_due = on_drained},
        .stop = {.due_ms = LOOP_NEVER, .on_due = on_stop_timeout},
        .silence = {.due_ms = LOOP_NEVER, .on_due = on_silence},
    };
    char why[512] = "";
    run.check.ctx = &run;
    json_t *body = json_object();
    CHECK(body != NULL);
    if (!take_options(&run) ||
        !registration_body(cli, args_get(&cli->args, "name"), "active-check", body)) {
        json_decref(body);
        return CLI_USAGE;
    }
    /* The loop's own descriptors are nothing for the program. */
    loop_done(&cli->loop);
    int error = start_program(&run);
    CHECK(loop_init(&cli->loop));
    if (error != 0) {
        cli_complain("%s: %s", cli->args.words[0], strerror(error));
        json_decref(body);
        close(run.signals);
        return (enum cli_exit)(error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
    }
    if (open_client(&run, why, sizeof why) != MUSTER_OK || register_body(&run, body) != MUSTER_OK) {
        cli_complain("%s", why[0] != '\0' ? why : muster_invalid_argument());
        (void)kill(run.pid, SIGKILL);
        (void)waitpid(run.pid, NULL, 0);
        muster_close(run.muster, 0);
        run.status = CLI_USAGE;
    } else {
        if (run.check_options.target != NULL) {
            check_start(&run.check, &cli->loop, &run.check_options);
        }
        begin_silence(&run);
        supervise(&run);
        finish(&run);
    }
    json_decref(body);
    close(run.signals);
    /* The program's own, as the shell would say it. */
    return (enum cli_exit)run.status;
}
