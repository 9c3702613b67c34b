#include "client/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "server/base/check.h"

#define WHY_SIZE 4096

static void complain(const char *format, va_list args)
{
    char line[WHY_SIZE + 512];
    (void)vsnprintf(line, sizeof line, format, args);
    fputs("muster: ", stderr);
    output_text(stderr, line);
    fputc('\n', stderr);
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
    const char *message = json_string_value(json_object_get(answer->body, "message"));
    const char *code = http_answer_code(answer);
    if (message != NULL) {
        cli_complain("%s%s%s", message, *code != '\0' ? " - " : "", code);
    } else {
        cli_complain("the replica refused with HTTP status %ld", answer->status);
    }
    return CLI_REFUSED;
}

enum cli_exit cli_call(struct cli *cli, const struct http_request *request,
                       struct http_answer *ret_answer)
{
    char why[WHY_SIZE];
    bool unsure;
    switch (failover_call(&cli->failover, request, ret_answer, &unsure, why, sizeof why)) {
    case FAILOVER_UNREACHABLE:
        cli_complain("no replica reachable: %s", why);
        return CLI_UNREACHABLE;
    case FAILOVER_UNKNOWN:
        cli_complain("the outcome is unknown, it may or may not have been done: %s", why);
        return CLI_UNKNOWN;
    case FAILOVER_ANSWERED:
        break;
    }
    if (ret_answer->status >= 200 && ret_answer->status < 300) {
        return CLI_DONE;
    }
    /* The first attempt got through, and only its answer was lost. */
    if (unsure && ret_answer->status == 404 && strcmp(request->method, "DELETE") == 0) {
        cli_complain("note: it was gone at the second attempt; the answer to the first was lost");
        http_answer_done(ret_answer);
        return CLI_DONE;
    }
    enum cli_exit exit_status = explain_refusal(ret_answer);
    http_answer_done(ret_answer);
    return exit_status;
}

void cli_path_encode(struct buffer *path, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            buffer_append_byte(path, (uint8_t)*text);
        } else {
            buffer_printf(path, "%%%02X", (unsigned char)*text);
        }
    }
}

void cli_path_query(struct buffer *path, const char *name, const char *value)
{
    bool first = path->len == 0 || memchr(path->data, '?', path->len) == NULL;
    buffer_append_byte(path, first ? '?' : '&');
    cli_path_encode(path, name);
    buffer_append_byte(path, '=');
    cli_path_encode(path, value);
}

const char *cli_path_text(struct buffer *path)
{
    buffer_append_byte(path, '\0');
    return path->overflowed ? NULL : (const char *)path->data;
}

bool cli_path_filters(const struct cli *cli, struct buffer *path)
{
    static const char *const names[] = {"health", "type", "zone", "tag"};
    const char *value;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        for (size_t at = 0; (value = args_next(&cli->args, names[i], &at)) != NULL;) {
            cli_path_query(path, names[i], value);
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
        cli_path_query(path, key, value + len + 1);
    }
    return true;
}
