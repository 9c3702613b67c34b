/* One's own instances: register, heartbeat, deregister, maintenance. */
#include "client/cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "server/base/limits.h"
#include "server/base/text.h"

/* Sets a text member; false, after having complained, when it is not UTF-8. */
static bool set_text(const struct cli *cli, json_t *body, const char *member, const char *text)
{
    if (text != NULL && json_object_set_new(body, member, json_string(text)) != 0) {
        cli_usage(cli, "--%s is not UTF-8", member);
        return false;
    }
    return true;
}

static bool set_number(const struct cli *cli, json_t *body, const char *member, uint64_t max)
{
    const char *text = args_get(&cli->args, member);
    uint64_t value;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_u64(text, UINT32_MAX, &value) || value > max) {
        cli_usage(cli, "--%s %s is not a number up to %" PRIu64, member, text, max);
        return false;
    }
    return json_object_set_new(body, member, json_integer((json_int_t)value)) == 0;
}

/* A duration goes out as a number of seconds. */
static bool set_ttl(const struct cli *cli, json_t *body)
{
    const char *text = args_get(&cli->args, "ttl");
    uint64_t ms;
    if (text == NULL) {
        return true;
    }
    if (!text_parse_duration_ms(text, &ms) || ms == 0) {
        cli_usage(cli, "--ttl %s is not a duration such as 30s, 5m or 30", text);
        return false;
    }
    json_t *seconds =
        ms % 1000 == 0 ? json_integer((json_int_t)(ms / 1000)) : json_real((double)ms / 1000.0);
    return json_object_set_new(body, "ttl", seconds) == 0;
}

static bool set_tags(const struct cli *cli, json_t *body)
{
    json_t *tags = json_array();
    const char *tag;
    json_object_set_new(body, "tags", tags);
    for (size_t at = 0; (tag = args_next(&cli->args, "tag", &at)) != NULL;) {
        if (json_array_append_new(tags, json_string(tag)) != 0) {
            cli_usage(cli, "--tag is not UTF-8");
            return false;
        }
    }
    if (json_array_size(tags) == 0) {
        json_object_del(body, "tags");
    }
    return true;
}

static bool set_metadata(const struct cli *cli, json_t *body)
{
    json_t *metadata = json_object();
    const char *pair;
    json_object_set_new(body, "metadata", metadata);
    for (size_t at = 0; (pair = args_next(&cli->args, "meta", &at)) != NULL;) {
        char key[METADATA_KEY_BYTES_MAX + 1];
        size_t len = strcspn(pair, "=");
        if (pair[len] == '\0' || len == 0 || len >= sizeof key) {
            cli_usage(cli, "--meta %s is not KEY=VALUE with a key of at most %d bytes", pair,
                      METADATA_KEY_BYTES_MAX);
            return false;
        }
        memcpy(key, pair, len);
        key[len] = '\0';
        if (json_object_get(metadata, key) != NULL ||
            json_object_set_new(metadata, key, json_string(pair + len + 1)) != 0) {
            cli_usage(cli, "--meta %s: the key is there twice, or it is not UTF-8", pair);
            return false;
        }
    }
    if (json_object_size(metadata) == 0) {
        json_object_del(body, "metadata");
    }
    return true;
}

bool cli_registration(const struct cli *cli, const char *name, json_t *body)
{
    static const char *const texts[] = {"host", "id", "type", "zone"};
    if (!set_text(cli, body, "name", name)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (!set_text(cli, body, texts[i], args_get(&cli->args, texts[i]))) {
            return false;
        }
    }
    return set_number(cli, body, "port", UINT16_MAX) &&
           set_number(cli, body, "weight", WEIGHT_MAX) && set_ttl(cli, body) &&
           set_tags(cli, body) && set_metadata(cli, body);
}

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
    if (cli_registration(cli, cli->args.words[0], body)) {
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
        return set_text(cli, body, "id", args->words[0]) &&
               set_text(cli, body, "status", args_get(args, "status")) &&
               set_text(cli, body, "note", args_get(args, "note"));
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
    bool extras = args_get(args, "status") != NULL || args_get(args, "note") != NULL;
    if (args->words_count == 0 || args->words_count > HEARTBEAT_IDS_MAX) {
        return cli_usage(cli, "heartbeat takes 1 to %d IDs", HEARTBEAT_IDS_MAX);
    }
    if (extras && args->words_count > 1) {
        return cli_usage(cli, "--status and --note go with one ID");
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

/* A write that concerns one instance, and whose success is told by one line. */
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
    if (set_text(cli, body, "reason", args_get(args, "reason"))) {
        exit_status = change_instance(cli, "PUT", "/maintenance", body,
                                      on ? "in maintenance:" : "in service:");
    }
    json_decref(body);
    return exit_status;
}
