/* Namespaces: namespace list, set, delete. */
#include "client/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/lib/bytes.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/naming.h"
#include "server/base/text.h"

static const struct table_column columns[] = {
    {"NAME", "name"},
    {"INSTANCES", "instances"},
    {"AT MOST", "instances_max"},
    {"BYTES", "bytes"},
    {"AT MOST", "bytes_max"},
    {"WRITES/S", "writes_max"},
    {"SERVICES", "services"},
    {NULL, NULL},
};

static void print_namespaces(const json_t *body, const void *data UNUSED)
{
    table_print_rows(json_object_get(body, "namespaces"), columns);
}

static enum cli_exit list(struct cli *cli)
{
    const struct http_request request = {.method = "GET", .path = "/namespaces", .read = true};
    return cli_show(cli, &request, print_namespaces, NULL);
}

static void print_done(const json_t *body, const void *data)
{
    printf("%s %s\n", (const char *)data, output_member(body, "name"));
}

/* The quota that is asked for; NULL after a complaint. */
static json_t *body_of(const struct cli *cli)
{
    const char *instances = args_get(&cli->args, "instances");
    const char *bytes = args_get(&cli->args, "bytes");
    const char *writes = args_get(&cli->args, "writes");
    uint64_t count = 0, size = 0, rate = 0;
    if (instances != NULL && (!text_parse_u64(instances, UINT32_MAX, &count) || count == 0)) {
        (void)cli_usage(cli, "--instances %s is no number above 0", instances);
        return NULL;
    }
    if (bytes != NULL && (!text_parse_size(bytes, INT64_MAX, &size) || size == 0)) {
        (void)cli_usage(cli, "--bytes %s is no size such as 8MiB", bytes);
        return NULL;
    }
    if (writes != NULL && (!text_parse_u64(writes, UINT32_MAX, &rate) || rate == 0)) {
        (void)cli_usage(cli, "--writes %s is no number above 0", writes);
        return NULL;
    }
    json_t *body = json_object();
    CHECK(body != NULL);
    if (instances != NULL) {
        json_object_set_new(body, "instances_max", json_integer((json_int_t)count));
    }
    if (bytes != NULL) {
        json_object_set_new(body, "bytes_max", json_integer((json_int_t)size));
    }
    if (writes != NULL) {
        json_object_set_new(body, "writes_max", json_integer((json_int_t)rate));
    }
    return body;
}

static enum cli_exit change(struct cli *cli, bool sets)
{
    const char *name = cli->args.words[1];
    struct bytes path;
    if (!naming_is_namespace(name, strlen(name))) {
        return cli_usage(cli, "%s is no name of a namespace", name);
    }
    json_t *body = sets ? body_of(cli) : NULL;
    if (sets && body == NULL) {
        return CLI_USAGE;
    }
    bytes_init(&path, 4 * NAMESPACE_BYTES_MAX);
    bytes_append_text(&path, "/namespaces/");
    bytes_append_encoded(&path, name);
    CHECK(bytes_text(&path) != NULL);
    const struct http_request request = {.method = sets ? "PUT" : "DELETE",
                                         .path = bytes_text(&path),
                                         .body = body,
                                         .repeatable = true};
    enum cli_exit exit_status =
        cli_show(cli, &request, print_done, sets ? "bounded:" : "bounded no longer:");
    bytes_done(&path);
    json_decref(body);
    return exit_status;
}

enum cli_exit cmd_namespace(struct cli *cli)
{
    const struct args *args = &cli->args;
    const char *verb = args->words_count > 0 ? args->words[0] : "";
    if (args->words_count == 1 && strcmp(verb, "list") == 0) {
        return list(cli);
    }
    if (args->words_count == 2 && strcmp(verb, "set") == 0) {
        return change(cli, true);
    }
    if (args->words_count == 2 && strcmp(verb, "delete") == 0) {
        return change(cli, false);
    }
    return cli_usage(cli, "namespace needs one of: list, set NAME, delete NAME");
}
