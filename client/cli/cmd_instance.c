/* One's own instances: register, heartbeat, deregister, maintenance. */
#include "client/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/registration.h"
#include "server/base/limits.h"

/* Sends the body, and shows the answer itself when JSON is asked for. */
static enum cli_exit send_body(struct cli *cli, const struct http_request *request,
                               struct http_answer *ret_answer)
{
    enum cli_exit exit_status = cli_call(cli, request, ret_answer);
    if (exit_status == CLI_DONE && cli->json && ret_answer->body != NULL) {
        output_json(ret_answer->body);
    }
    return exit_status;
}

enum cli_exit cmd_register(struct cli *cli)
{
    if (cli->args.words_count != 1) {
        return cli_usage(cli, "register takes the NAME of one service");
    }
    if (args_get(&cli->args, "port") == NULL) {
        return cli_usage(cli, "--port is missing");
    }
    json_t *body = json_object();
    struct http_request request = {
        .method = "POST",
        .path = "/register",
        .body = body,
        /* The same registration twice is one; without an id the second would be another. */
        .repeatable = args_get(&cli->args, "id") != NULL,
    };
    struct http_answer answer;
    enum cli_exit exit_status = CLI_USAGE;
    if (registration_body(cli, cli->args.words[0], "check", body)) {
        exit_status = send_body(cli, &request, &answer);
    }
    json_decref(body);
    if (exit_status != CLI_DONE) {
        return exit_status;
    }
    const char *id = json_string_value(json_object_get(answer.body, "id"));
    if (id == NULL) {
        cli_complain("the outcome is unknown: the answer names no id");
        exit_status = CLI_UNKNOWN;
    } else if (!cli->json) {
        output_text(stdout, id);
        printf(" %" JSON_INTEGER_FORMAT "\n",
               json_integer_value(json_object_get(answer.body, "incarnation")));
    }
    http_answer_done(&answer);
    return exit_status;
}

static bool make_heartbeat(const struct cli *cli, json_t *body)
{
    const struct args *args = &cli->args;
    if (args->words_count == 1) {
        return registration_set_text(cli, body, "id", args->words[0]) &&
               registration_set_text(cli, body, "status", args_get(args, "status")) &&
               registration_set_text(cli, body, "note", args_get(args, "note")) &&
               registration_set_text(cli, body, "check", args_get(args, "check"));
    }
    json_t *ids = json_array();
    json_object_set_new(body, "ids", ids);
    for (size_t i = 0; i < args->words_count; i++) {
        if (json_array_append_new(ids, json_string(args->words[i])) != 0) {
            cli_usage(cli, "an ID is not UTF-8");
            return false;
        }
    }
    return true;
}

enum cli_exit cmd_heartbeat(struct cli *cli)
{
    const struct args *args = &cli->args;
    bool extras = args_get(args, "status") != NULL || args_get(args, "note") != NULL ||
                  args_get(args, "check") != NULL;
    if (args->words_count == 0 || args->words_count > HEARTBEAT_IDS_MAX) {
        return cli_usage(cli, "heartbeat takes 1 to %d IDs", HEARTBEAT_IDS_MAX);
    }
    if (extras && args->words_count > 1) {
        return cli_usage(cli, "--status, --note and --check go with one ID");
    }
    json_t *body = json_object();
    struct http_request request = {
        .method = "POST", .path = "/heartbeat", .body = body, .repeatable = true};
    struct http_answer answer;
    enum cli_exit exit_status = CLI_USAGE;
    if (make_heartbeat(cli, body)) {
        exit_status = send_body(cli, &request, &answer);
    }
    json_decref(body);
    if (exit_status != CLI_DONE) {
        return exit_status;
    }
    const json_t *renewed = json_object_get(answer.body, "renewed");
    const json_t *unknown = json_object_get(answer.body, "unknown");
    if (!json_is_integer(renewed)) {
        cli_complain("the outcome is unknown: the answer does not say how many were renewed");
        exit_status = CLI_UNKNOWN;
    } else if (!cli->json) {
        printf("renewed %" JSON_INTEGER_FORMAT "\n", json_integer_value(renewed));
    }
    for (size_t i = 0; i < json_array_size(unknown); i++) {
        const char *id = json_string_value(json_array_get(unknown, i));
        cli_complain("there is no instance %s: register it again", id != NULL ? id : "?");
        exit_status = CLI_REFUSED;
    }
    http_answer_done(&answer);
    return exit_status;
}

/* A write to one instance, which prints one line on success. */
static enum cli_exit change_instance(struct cli *cli, const char *method, const char *suffix,
                                     const json_t *body, const char *done)
{
    struct bytes path;
    struct http_answer answer;
    enum cli_exit exit_status = CLI_USAGE;
    bytes_init(&path, PATH_BYTES_MAX);
    bytes_append_text(&path, "/instances/");
    bytes_append_encoded(&path, cli->args.words[0]);
    bytes_append_text(&path, suffix);
    struct http_request request = {
        .method = method, .path = bytes_text(&path), .body = body, .repeatable = true};
    if (request.path == NULL) {
        cli_usage(cli, "the ID is too long");
    } else {
        exit_status = send_body(cli, &request, &answer);
    }
    if (exit_status == CLI_DONE) {
        if (!cli->json) {
            printf("%s ", done);
            output_text(stdout, cli->args.words[0]);
            putchar('\n');
        }
        http_answer_done(&answer);
    }
    bytes_done(&path);
    return exit_status;
}

enum cli_exit cmd_deregister(struct cli *cli)
{
    if (cli->args.words_count != 1 || cli->args.words[0][0] == '\0') {
        return cli_usage(cli, "deregister takes one ID");
    }
    return change_instance(cli, "DELETE", "", NULL, "deregistered");
}

enum cli_exit cmd_maintenance(struct cli *cli)
{
    const struct args *args = &cli->args;
    if (args->words_count != 2 || args->words[0][0] == '\0' ||
        (strcmp(args->words[1], "on") != 0 && strcmp(args->words[1], "off") != 0)) {
        return cli_usage(cli, "maintenance takes an ID and on or off");
    }
    bool on = strcmp(args->words[1], "on") == 0;
    json_t *body = json_pack("{s:b}", "enabled", on);
    enum cli_exit exit_status = CLI_USAGE;
    if (registration_set_text(cli, body, "reason", args_get(args, "reason"))) {
        exit_status = change_instance(cli, "PUT", "/maintenance", body,
                                      on ? "in maintenance:" : "in service:");
    }
    json_decref(body);
    return exit_status;
}
