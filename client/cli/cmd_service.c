/* What is registered: services, list, discover. */
#include "client/cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "server/base/mem.h"

#define PAGE "1000"

static const struct table_column instance_columns[] = {
    {"ID", "id"},         {"NAME", "name"}, {"TYPE", "type"}, {"ADDRESS", "address"},
    {"HEALTH", "health"}, {"ZONE", "zone"}, {"TAGS", "tags"}, {NULL, NULL},
};

static const struct table_column lease_columns[] = {
    {"ID", "id"},         {"NAME", "name"}, {"TYPE", "type"}, {"ADDRESS", "address"},
    {"HEALTH", "health"}, {"ZONE", "zone"}, {"TAGS", "tags"}, {"EXPIRES IN", "expires_in"},
    {"NOTE", "note"},     {NULL, NULL},
};

static const struct table_column check_columns[] = {
    {"INSTANCE", "instance"}, {"CHECK", "id"},           {"TYPE", "type"},     {"STATUS", "status"},
    {"TARGET", "target"},     {"CHANGED", "changed_at"}, {"OUTPUT", "output"}, {NULL, NULL},
};

static const struct table_column service_columns[] = {
    {"NAME", "name"},       {"INSTANCES", "instances"}, {"PASSING", "passing"},
    {"WARNING", "warning"}, {"CRITICAL", "critical"},   {"MAINTENANCE", "maintenance"},
    {"TYPES", "types"},     {"TAGS", "tags"},           {NULL, NULL},
};

static void print_services(const json_t *body, const void *data UNUSED)
{
    table_print_rows(json_object_get(body, "services"), service_columns);
}

enum cli_exit cmd_services(struct cli *cli)
{
    const struct http_request request = {.method = "GET", .path = "/services", .read = true};
    if (cli->args.words_count != 0) {
        return cli_usage(cli, "services takes no words");
    }
    return cli_show(cli, &request, print_services, NULL);
}

/* The path of a page without where it starts; false after having complained. */
static bool make_list_path(const struct cli *cli, struct bytes *path)
{
    const char *service = args_get(&cli->args, "service");
    if (service == NULL) {
        bytes_append_text(path, "/instances");
    } else {
        bytes_append_text(path, "/services/");
        bytes_append_encoded(path, service);
        /* A listing shows all; discovery alone leaves out what is not healthy. */
        if (args_get(&cli->args, "health") == NULL) {
            bytes_append_query(path, "health", "any");
        }
    }
    if (args_get(&cli->args, "checks") != NULL) {
        bytes_append_query(path, "checks", "true");
    }
    bytes_append_query(path, "limit", PAGE);
    return cli_path_filters(cli, path);
}

/* Asks for the pages one after the other and gathers them in the first one's answer. */
static enum cli_exit gather_pages(struct cli *cli, const struct bytes *base, json_t **ret_all)
{
    json_t *all = NULL, *instances = NULL;
    char *after = NULL;
    enum cli_exit exit_status;
    do {
        struct bytes path;
        struct http_answer answer = {.body = NULL};
        bytes_init(&path, PATH_BYTES_MAX);
        bytes_append(&path, base->data, base->len);
        if (after != NULL) {
            bytes_append_query(&path, "after", after);
        }
        const struct http_request request = {
            .method = "GET", .path = bytes_text(&path), .read = true};
        exit_status = request.path != NULL ? cli_call(cli, &request, &answer)
                                           : cli_usage(cli, "the filters are too long");
        bytes_done(&path);
        if (exit_status != CLI_DONE) {
            break;
        }
        const char *next = json_string_value(json_object_get(answer.body, "next"));
        bool stuck = next != NULL && after != NULL && strcmp(next, after) <= 0;
        free(after);
        after = next != NULL && !stuck ? mem_strdup(next) : NULL;
        if (all == NULL) {
            all = json_incref(answer.body);
            instances = json_object_get(all, "instances");
            json_object_del(all, "next");
        } else if (json_array_extend(instances, json_object_get(answer.body, "instances")) != 0) {
            stuck = true;
        }
        http_answer_done(&answer);
        if (stuck) {
            cli_complain("the replica's pages do not lead on");
            exit_status = CLI_REFUSED;
            break;
        }
    } while (after != NULL);
    free(after);
    if (exit_status == CLI_DONE) {
        *ret_all = all;
    } else {
        json_decref(all);
    }
    return exit_status;
}

/* The rows know no more than their check. */
static void add_checks(struct table *table, const json_t *instance)
{
    static const char *const targets[] = {"http", "tcp", "grpc"};
    const json_t *checks = json_object_get(instance, "checks");
    json_t *check;
    size_t i;
    json_array_foreach(checks, i, check)
    {
        json_object_set(check, "instance", json_object_get(instance, "id"));
        for (size_t k = 0; k < ARRAY_LENGTH(targets); k++) {
            if (json_object_get(check, targets[k]) != NULL) {
                json_object_set(check, "target", json_object_get(check, targets[k]));
            }
        }
        table_add(table, check);
    }
}

static void print_instances(const struct cli *cli, const json_t *instances)
{
    struct table table;
    if (args_get(&cli->args, "checks") == NULL) {
        table_print_rows(instances, instance_columns);
        return;
    }
    table_init(&table, check_columns);
    for (size_t i = 0; i < json_array_size(instances); i++) {
        add_checks(&table, json_array_get(instances, i));
    }
    table_print(&table);
}

static void print_instance(const json_t *instance, const void *data UNUSED)
{
    struct table table;
    table_init(&table, lease_columns);
    table_add(&table, instance);
    table_print(&table);
    if (json_array_size(json_object_get(instance, "checks")) > 0) {
        putchar('\n');
        table_init(&table, check_columns);
        add_checks(&table, instance);
        table_print(&table);
    }
}

enum cli_exit cmd_show_instance(struct cli *cli)
{
    struct bytes path;
    if (cli->args.words_count != 1 || cli->args.words[0][0] == '\0') {
        return cli_usage(cli, "show takes the ID of one instance");
    }
    bytes_init(&path, PATH_BYTES_MAX);
    bytes_append_text(&path, "/instances/");
    bytes_append_encoded(&path, cli->args.words[0]);
    const struct http_request request = {.method = "GET", .path = bytes_text(&path), .read = true};
    enum cli_exit exit_status = request.path != NULL ? cli_show(cli, &request, print_instance, NULL)
                                                     : cli_usage(cli, "the ID is too long");
    bytes_done(&path);
    return exit_status;
}

enum cli_exit cmd_list(struct cli *cli)
{
    const char *service = args_get(&cli->args, "service");
    struct bytes path;
    json_t *all = NULL;
    if (cli->args.words_count != 0 || (service != NULL && *service == '\0')) {
        return cli_usage(cli, "list takes options only; a service is --service NAME");
    }
    enum cli_exit exit_status = CLI_USAGE;
    bytes_init(&path, PATH_BYTES_MAX);
    if (make_list_path(cli, &path)) {
        exit_status = gather_pages(cli, &path, &all);
    }
    if (exit_status == CLI_DONE) {
        if (cli->json) {
            output_json(all);
        } else {
            print_instances(cli, json_object_get(all, "instances"));
        }
    }
    json_decref(all);
    bytes_done(&path);
    return exit_status;
}

static bool make_discover_path(const struct cli *cli, struct bytes *path)
{
    static const char *const names[] = {"strategy", "near"};
    bytes_append_text(path, "/services/");
    bytes_append_encoded(path, cli->args.words[0]);
    bytes_append_text(path, "/discover");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        const char *value = args_get(&cli->args, names[i]);
        if (value != NULL) {
            bytes_append_query(path, names[i], value);
        }
    }
    return cli_path_filters(cli, path);
}

/* One line host:port, for scripts. */
static enum cli_exit print_found(const struct cli *cli, const json_t *instance)
{
    const char *host = json_string_value(json_object_get(instance, "host"));
    const json_t *port = json_object_get(instance, "port");
    if (host == NULL || !json_is_integer(port)) {
        cli_complain("the answer names no host and port");
        return CLI_REFUSED;
    }
    if (cli->json) {
        output_json(instance);
        return CLI_DONE;
    }
    char address[OUTPUT_ADDRESS_SIZE];
    (void)output_format_address(address, sizeof address, host, json_integer_value(port));
    output_text(stdout, address);
    putchar('\n');
    return CLI_DONE;
}

enum cli_exit cmd_discover(struct cli *cli)
{
    struct bytes path;
    struct http_answer answer = {.body = NULL};
    if (cli->args.words_count != 1 || cli->args.words[0][0] == '\0') {
        return cli_usage(cli, "discover takes the name of one SERVICE");
    }
    enum cli_exit exit_status = CLI_USAGE;
    bytes_init(&path, PATH_BYTES_MAX);
    if (make_discover_path(cli, &path)) {
        const struct http_request request = {
            .method = "GET", .path = bytes_text(&path), .read = true};
        exit_status = request.path != NULL ? cli_call(cli, &request, &answer)
                                           : cli_usage(cli, "the filters are too long");
    }
    if (exit_status == CLI_DONE) {
        exit_status = print_found(cli, answer.body);
        http_answer_done(&answer);
    }
    bytes_done(&path);
    return exit_status;
}
