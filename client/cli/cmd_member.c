/* Changes of the cluster's members: member list, add, remove, promote, demote; leader transfer. */
#include "client/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/lib/bytes.h"
#include "server/base/text.h"

static size_t number(const json_t *plan, const char *name)
{
    return (size_t)json_integer_value(json_object_get(plan, name));
}

static bool is_true(const json_t *plan, const char *name)
{
    return json_is_true(json_object_get(plan, name));
}

/* What it does to the majority, in words. */
static void print_plan(const json_t *plan, const void *data)
{
    const char *what = data;
    size_t before = number(plan, "voters");
    size_t after = number(plan, "voters_after");
    bool is_done = is_true(plan, "done");
    if (!is_done && !is_true(plan, "needed")) {
        printf("%s: it is so already\n", what);
        return;
    }
    printf("%s: %s\n", what, is_done ? "done" : "nothing was done (--dry-run)");
    if (is_done || strcmp(what, "leader transfer") == 0) {
        return;
    }
    printf("  voters: %zu before, %zu after; %zu can be reached, %zu are a majority\n", before,
           after, number(plan, "reachable_after"), after / 2 + 1);
    if (is_true(plan, "hands_over")) {
        printf("  it leads: another member leads first\n");
    }
    if (!is_true(plan, "safe")) {
        printf("  this would be refused without --force: nothing could be written afterwards\n");
    }
}

static enum cli_exit change(struct cli *cli, const char *method, const char *path, const char *what)
{
    const struct http_request request = {.method = method, .path = path};
    return cli_show(cli, &request, print_plan, what);
}

static bool is_member_id(const char *text)
{
    uint64_t id;
    return text_parse_u64(text, INT64_MAX, &id) && id > 0;
}

/* What is to be done on the new machine. */
static void print_added(const json_t *plan, const void *data UNUSED)
{
    json_int_t id = json_integer_value(json_object_get(plan, "id"));
    const char *peer = json_string_value(json_object_get(plan, "peer"));
    if (!is_true(plan, "done")) {
        printf("member add: %s (--dry-run)\n", is_true(plan, "needed")
                                                   ? "it would be expected; nothing was done"
                                                   : "it is expected, or a member, already");
        return;
    }
    printf("member %" JSON_INTEGER_FORMAT " is expected at %s. On its machine:\n\n"
           "  musterd --id %" JSON_INTEGER_FORMAT
           " --join URL --advertise-peer %s --peer :%s --http "
           ":9000 --data DIR\n",
           id, peer, id, peer, strrchr(peer, ':') + 1);
}

static enum cli_exit add(struct cli *cli)
{
    const struct args *args = &cli->args;
    const char *id = args_get(args, "id");
    struct bytes path;
    if (args->words_count != 2 || (id != NULL && !is_member_id(id))) {
        return cli_usage(cli, "member add needs an address, HOST:PORT, and takes --id N");
    }
    bytes_init(&path, PATH_BYTES_MAX);
    bytes_append_text(&path, "/cluster/members");
    bytes_append_query(&path, "peer", args->words[1]);
    if (id != NULL) {
        bytes_append_query(&path, "id", id);
    }
    if (args_get(args, "dry-run") != NULL) {
        bytes_append_query(&path, "dry_run", "true");
    }
    const struct http_request request = {
        .method = "POST", .path = bytes_text(&path), .repeatable = true};
    enum cli_exit exit_status = request.path != NULL ? cli_show(cli, &request, print_added, NULL)
                                                     : cli_usage(cli, "the address is too long");
    bytes_done(&path);
    return exit_status;
}

enum cli_exit cmd_member(struct cli *cli)
{
    const struct args *args = &cli->args;
    const char *verb = args->words_count > 0 ? args->words[0] : "";
    bool removes = strcmp(verb, "remove") == 0;
    char path[128];
    char what[128];
    if (strcmp(verb, "list") == 0 && args->words_count == 1) {
        cli->args.words_count = 0;
        return cmd_members(cli);
    }
    if (strcmp(verb, "add") == 0) {
        return add(cli);
    }
    if (!removes && strcmp(verb, "promote") != 0 && strcmp(verb, "demote") != 0) {
        return cli_usage(
            cli, "member needs one of: list, add HOST:PORT, remove ID, promote ID, demote ID");
    }
    if (args->words_count != 2 || !is_member_id(args->words[1])) {
        return cli_usage(cli, "member %s needs the id of one member", verb);
    }
    (void)snprintf(path, sizeof path, "/cluster/members/%s%s%s?force=%s&dry_run=%s", args->words[1],
                   removes ? "" : "/", removes ? "" : verb,
                   args_get(args, "force") != NULL ? "true" : "false",
                   args_get(args, "dry-run") != NULL ? "true" : "false");
    (void)snprintf(what, sizeof what, "member %s %s", verb, args->words[1]);
    return change(cli, removes ? "DELETE" : "POST", path, what);
}

enum cli_exit cmd_leader(struct cli *cli)
{
    const struct args *args = &cli->args;
    char path[128];
    bool names = args->words_count == 2;
    if (args->words_count < 1 || args->words_count > 2 || strcmp(args->words[0], "transfer") != 0 ||
        (names && !is_member_id(args->words[1]))) {
        return cli_usage(cli, "leader needs: transfer [ID]");
    }
    (void)snprintf(path, sizeof path, "/cluster/transfer?dry_run=%s%s%s",
                   args_get(args, "dry-run") != NULL ? "true" : "false", names ? "&to=" : "",
                   names ? args->words[1] : "");
    return change(cli, "POST", path, "leader transfer");
}
