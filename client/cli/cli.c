#include "client/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define WHY_SIZE 4096

static void complain(const char *format, va_list args)
{
    char line[WHY_SIZE + 512];
    (void)vsnprintf(line, sizeof line, format, args);
    /* `run` hears from libmuster on another thread. */
    flockfile(stderr);
    fputs("muster: ", stderr);
    output_text(stderr, line);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void cli_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
}

enum cli_exit cli_usage(const struct cli *cli, const char *format, ...)
{
    const struct command *command = cli->args.command;
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    fprintf(stderr, "See muster %s%s--help.\n", command != NULL ? command->name : "",
            command != NULL ? " " : "");
    return CLI_USAGE;
}

static enum cli_exit explain_refusal(const struct http_answer *answer)
{
    const char *message = http_answer_message(answer);
    const char *code = http_answer_code(answer);
    if (message != NULL) {
        cli_complain("%s%s%s", message, *code != '\0' ? " - " : "", code);
    } else {
        cli_complain("the replica refused with HTTP status %ld", answer->status);
    }
    return CLI_REFUSED;
}

/* What a call ended with. */
struct ended {
    struct call call;
    enum failover_outcome outcome;
    struct http_answer answer;
    bool done;
};

static void on_done(struct call *call, enum failover_outcome outcome, struct http_answer *answer)
{
    struct ended *ended = CONTAINER_OF(call, struct ended, call);
    ended->outcome = outcome;
    ended->answer = *answer;
    ended->done = true;
}

static void run_call(struct cli *cli, struct ended *ended, bool started)
{
    CHECK(started);
    while (!ended->done) {
        loop_turn(&cli->loop, LOOP_NEVER, NULL, 0);
    }
}

struct asked {
    struct ended ended;
    struct servers server;
    struct failover failover;
};

static void take_outcome(struct cli_question *question, const struct asked *asked)
{
    const char *why = asked->ended.call.failover.why;
    question->answered = asked->ended.outcome == FAILOVER_ANSWERED;
    if (question->answered) {
        question->answer = asked->ended.answer;
        return;
    }
    /* The caller knows whom it asked. */
    const char *colon = strstr(why, ": ");
    (void)snprintf(question->why, sizeof question->why, "%s",
                   colon != NULL ? colon + 2 : "no answer");
}

void cli_ask_all(struct cli *cli, struct cli_question *questions, size_t count, uint64_t limit_ms)
{
    struct asked *all = mem_zalloc(count + 1, sizeof *all);
    char error[512];
    for (size_t i = 0; i < count; i++) {
        struct asked *asked = &all[i];
        asked->ended.call.on_done = on_done;
        asked->failover.servers = &asked->server;
        CHECK(servers_add(&asked->server, questions[i].url, strlen(questions[i].url), error,
                          sizeof error));
        CHECK(call_start_once(&asked->ended.call, &cli->loop, &asked->failover,
                              questions[i].request, limit_ms));
    }
    for (size_t i = 0; i < count; i++) {
        run_call(cli, &all[i].ended, true);
        take_outcome(&questions[i], &all[i]);
    }
    free(all);
}

enum cli_exit cli_call(struct cli *cli, const struct http_request *request,
                       struct http_answer *ret_answer)
{
    struct ended ended = {.call = {.on_done = on_done}};
    run_call(cli, &ended,
             call_start(&ended.call, &cli->loop, &cli->failover, request, cli->timeout_ms));
    const char *why = ended.call.failover.why;
    switch (ended.outcome) {
    case FAILOVER_UNREACHABLE:
        cli_complain("no replica reachable: %s", why);
        return CLI_UNREACHABLE;
    case FAILOVER_UNKNOWN:
        cli_complain("the outcome is unknown, it may or may not have been done: %s", why);
        return CLI_UNKNOWN;
    case FAILOVER_ANSWERED:
        break;
    }
    *ret_answer = ended.answer;
    if (ret_answer->status >= 200 && ret_answer->status < 300) {
        return CLI_DONE;
    }
    /* The first attempt got through, and only its answer was lost. */
    if (ended.call.failover.unsure && ret_answer->status == 404 &&
        strcmp(request->method, "DELETE") == 0) {
        cli_complain("note: it was gone at the second attempt; the answer to the first was lost");
        http_answer_done(ret_answer);
        return CLI_DONE;
    }
    enum cli_exit exit_status = explain_refusal(ret_answer);
    http_answer_done(ret_answer);
    return exit_status;
}

enum cli_exit cli_show(struct cli *cli, const struct http_request *request,
                       void (*print)(const json_t *body, const void *data), const void *data)
{
    struct http_answer answer = {.body = NULL};
    enum cli_exit exit_status = cli_call(cli, request, &answer);
    if (exit_status != CLI_DONE) {
        return exit_status;
    }
    if (cli->json) {
        output_json(answer.body);
    } else {
        print(answer.body, data);
    }
    http_answer_done(&answer);
    return CLI_DONE;
}

bool cli_path_filters(const struct cli *cli, struct bytes *path)
{
    static const char *const names[] = {"health", "type", "zone", "tag"};
    const char *value;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        for (size_t at = 0; (value = args_next(&cli->args, names[i], &at)) != NULL;) {
            bytes_append_query(path, names[i], value);
        }
    }
    for (size_t at = 0; (value = args_next(&cli->args, "meta", &at)) != NULL;) {
        char key[512];
        size_t len = strcspn(value, "=");
        if (value[len] == '\0' || len == 0 || len + sizeof "meta." > sizeof key) {
            cli_usage(cli, "--meta %s is not of the form KEY=VALUE", value);
            return false;
        }
        (void)snprintf(key, sizeof key, "meta.%.*s", (int)len, value);
        bytes_append_query(path, key, value + len + 1);
    }
    return true;
}
