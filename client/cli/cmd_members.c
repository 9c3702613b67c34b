/* What one replica says of the cluster: members. */
#include "client/cli/commands.h"

#include <stdio.h>

#include "client/cli/output.h"

static const struct table_column member_columns[] = {
    {"ID", "id"},         {"NAME", "name"},           {"ROLE", "role"},
    {"LEADER", "leader"}, {"REACHABLE", "reachable"}, {"INDEX", "applied_index"},
    {"BEHIND", "behind"}, {"VERSION", "version"},     {"HTTP", "http"},
    {"PEER", "peer"},     {"TROUBLE", "trouble"},     {NULL, NULL},
};

/* What happened to them. */
static const struct table_column event_columns[] = {
    {"INDEX", "index"},   {"MEMBER", "member"}, {"EVENT", "event"},
    {"VOTERS", "voters"}, {NULL, NULL},
};

static void print_members(const json_t *body, const void *data UNUSED)
{
    const json_t *events = json_object_get(body, "events");
    const json_t *members = json_object_get(body, "members");
    for (size_t i = 0; i < json_array_size(members); i++) {
        json_t *member = json_array_get(members, i);
        /* The others are behind the leader. What was last heard of it may be old. */
        if (json_is_true(json_object_get(member, "leader"))) {
            json_object_set_new(member, "behind", json_integer(0));
        }
    }
    table_print_rows(members, member_columns);
    if (json_array_size(events) > 0) {
        putchar('\n');
        table_print_rows(events, event_columns);
    }
}

enum cli_exit cmd_members(struct cli *cli)
{
    const struct http_request request = {.method = "GET", .path = "/cluster", .read = true};
    if (cli->args.words_count != 0) {
        return cli_usage(cli, "members takes options only");
    }
    return cli_show(cli, &request, print_members, NULL);
}
