/* Events as they happen: watch. */
#include "client/cli/commands.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/signalfd.h>

#include "client/cli/output.h"
#include "client/lib/event_stream.h"
#include "server/base/check.h"
#include "server/base/clock.h"

#define EVENTS_MAX 32

struct watch {
    struct cli *cli;
    struct event_stream stream;
    const char *events[EVENTS_MAX];
    bool was_up;  /* a replica has answered, ever */
    bool is_up;   /* one answers now */
    bool told;    /* reported that none does */
    bool refused; /* the stream has ended */
};

static void print_field(const char *text, int width)
{
    output_text(stdout, *text != '\0' ? text : "-");
    for (int i = (int)strlen(text); i < width; i++) {
        putchar(' ');
    }
    putchar(' ');
}

/* One line: time, event, id, service, address, health, and why. */
static void print_event(const json_t *event)
{
    const json_t *instance = json_object_get(event, "instance");
    char address[OUTPUT_ADDRESS_SIZE];
    const char *health = output_member(instance, "health");
    const char *why =
        output_member(instance, strcmp(health, "maintenance") == 0 ? "reason" : "note");
    (void)output_format_address(address, sizeof address, output_member(instance, "host"),
                                json_integer_value(json_object_get(instance, "port")));
    print_field(output_member(event, "time"), 24);
    print_field(output_member(event, "event"), 12);
    print_field(output_member(instance, "id"), 20);
    print_field(output_member(instance, "name"), 12);
    print_field(address, 21);
    output_text(stdout, health);
    if (*why != '\0') {
        fputs("  ", stdout);
        output_text(stdout, why);
    }
    putchar('\n');
}

/* The server's own object; `event` is added where the kind stood beside it. */
static void print_line(const json_t *json, const char *kind)
{
    json_t *line = json_copy((json_t *)json);
    CHECK(line != NULL);
    if (json_object_get(line, "event") == NULL) {
        json_object_set_new(line, "event", json_string(kind));
    }
    output_line(line);
    json_decref(line);
}

static void tell_reset(const struct watch *watch, const struct stream_item *item)
{
    if (watch->cli->json) {
        print_line(item->json, "reset");
    }
    if (watch->stream.snapshot) {
        cli_complain("reset: events were missed (%s); everything that is registered follows",
                     item->text);
    } else {
        cli_complain(
            "reset: events were missed (%s); see `muster list`. What follows here happened "
            "after index %" JSON_INTEGER_FORMAT,
            item->text, (json_int_t)item->index);
    }
}

static void tell_down(struct watch *watch, const struct stream_item *item)
{
    if (watch->is_up) {
        cli_complain("%s: %s; going on with %s", item->server, item->text, item->next);
        /* Without a place to go on from, what happens until then is lost. */
        if (watch->stream.position[0] == '\0' && !watch->stream.snapshot) {
            cli_complain("events until then are missed");
        }
    } else if (!watch->told) {
        cli_complain("%s: %s", item->server, item->text);
    }
    if (item->again && !watch->told && watch->was_up) {
        cli_complain("no replica answers; still trying");
    }
    watch->told = watch->told || item->again;
    watch->is_up = false;
}

static void on_item(void *ctx, const struct stream_item *item)
{
    struct watch *watch = ctx;
    switch (item->kind) {
    case STREAM_EVENT:
    case STREAM_PRESENT:
        if (watch->cli->json) {
            print_line(item->json, "present");
        } else {
            print_event(item->json);
        }
        break;
    case STREAM_SYNCED:
        if (watch->cli->json) {
            print_line(item->json, "synced");
        } else {
            printf("%-24s %-12s at index %" JSON_INTEGER_FORMAT "\n", "-", "synced",
                   (json_int_t)item->index);
        }
        break;
    case STREAM_RESET:
        tell_reset(watch, item);
        break;
    case STREAM_UP:
        if (watch->was_up) {
            cli_complain("following %s", item->server);
        }
        watch->was_up = watch->is_up = true;
        watch->told = false;
        break;
    case STREAM_DOWN:
        tell_down(watch, item);
        break;
    case STREAM_REFUSED:
        cli_complain("%s", item->text);
        watch->refused = true;
        break;
    case STREAM_BEGIN:
        break;
    }
    fflush(stdout);
}

/* SIGINT and SIGTERM as a descriptor, so that they end a wait and nothing else. */
static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(fd >= 0);
    return fd;
}

static enum cli_exit follow(struct watch *watch)
{
    uint64_t give_up_ms = clock_monotonic_ms() + watch->cli->timeout_ms;
    int signals = open_signals();
    enum cli_exit exit_status = CLI_DONE;
    for (;;) {
        struct curl_waitfd extra = {.fd = signals, .events = CURL_WAIT_POLLIN};
        struct signalfd_siginfo info;
        loop_turn(&watch->cli->loop, watch->was_up ? LOOP_NEVER : 100, &extra, 1);
        if (read(signals, &info, sizeof info) > 0) {
            break;
        }
        if (watch->refused || ferror(stdout)) {
            exit_status = CLI_REFUSED;
            break;
        }
        if (!watch->was_up && clock_monotonic_ms() >= give_up_ms) {
            cli_complain("no replica reachable");
            exit_status = CLI_UNREACHABLE;
            break;
        }
    }
    close(signals);
    return exit_status;
}

enum cli_exit cmd_watch(struct cli *cli)
{
    const struct args *args = &cli->args;
    struct watch watch = {.cli = cli, .stream = {.on_item = on_item}};
    struct stream_options options = {
        .type = args_get(args, "type"),
        .id = args_get(args, "id"),
        .after = args_get(args, "after"),
        .snapshot = args_get(args, "snapshot") != NULL,
        .events = watch.events,
    };
    const char *event;
    struct stream_position after;
    watch.stream.ctx = &watch;
    if (args->words_count > 1 || (args->words_count == 1 && args->words[0][0] == '\0')) {
        return cli_usage(cli, "watch takes the name of one SERVICE, or none for all");
    }
    options.service = args->words_count == 1 ? args->words[0] : NULL;
    for (size_t at = 0; (event = args_next(args, "event", &at)) != NULL;) {
        if (options.events_count == EVENTS_MAX) {
            return cli_usage(cli, "--event is given more than %d times", EVENTS_MAX);
        }
        watch.events[options.events_count++] = event;
    }
    if (options.after != NULL && !event_stream_parse_position(options.after, &after)) {
        return cli_usage(cli, "--after %s is not the id of an event such as 17.0", options.after);
    }
    if (!event_stream_start(&watch.stream, &cli->loop, &cli->servers, 0, &options)) {
        return cli_usage(cli, "the options are too long");
    }
    enum cli_exit exit_status = follow(&watch);
    event_stream_stop(&watch.stream);
    return exit_status;
}
