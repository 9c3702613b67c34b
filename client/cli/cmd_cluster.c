/* The replicas themselves: status asks every one of them, members asks one about all. */
#include "client/cli/commands.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"

/* A replica that hangs must not hide the others for long. */
#define PROBE_MS 3000

static const struct table_column status_columns[] = {
    {"ID", "id"},       {"NAME", "name"},       {"ROLE", "role"},           {"LEADER", "leader"},
    {"STATE", "state"}, {"INDEX", "index"},     {"STALENESS", "staleness"}, {"VERSION", "version"},
    {"LEVEL", "level"}, {"UP TO", "level_max"}, {"ADDRESS", "address"},     {NULL, NULL},
};

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

static void copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    if (value != NULL) {
        json_object_set(to, name, value);
    }
}

/* A replica that is no member (yet) says in which way: "forming", "waiting". */
static const char *state_of(const struct http_answer *answer)
{
    const char *phase = json_string_value(json_object_get(answer->body, "phase"));
    if (!json_is_object(answer->body) || json_object_get(answer->body, "id") == NULL) {
        return "no replica";
    }
    if (answer->status == 200) {
        return "ready";
    }
    return phase != NULL && strcmp(phase, "member") != 0 ? phase : "not ready";
}

/* What one replica says of itself, as an object whose members are the columns of the table. */
static json_t *probe(struct cli *cli, const char *url)
{
    const struct http_request request = {.method = "GET", .path = "/health", .read = true};
    uint64_t limit_ms = cli->timeout_ms < PROBE_MS ? cli->timeout_ms : PROBE_MS;
    struct http_answer answer;
    char why[256];
    json_t *replica = json_pack("{s:s}", "address", url);
    if (!cli_ask(cli, url, &request, limit_ms, &answer, why, sizeof why)) {
        json_object_set_new(replica, "state", json_string("unreachable"));
        json_object_set_new(replica, "error", json_string(why));
        return replica;
    }
    static const char *const copied[] = {"id",     "name",  "role",  "leader",   "version",
                                         "reason", "phase", "level", "level_max"};
    for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
        copy_member(replica, answer.body, copied[i]);
    }
    json_object_set_new(replica, "state", json_string(state_of(&answer)));
    if (answer.index >= 0) {
        json_object_set_new(replica, "index", json_integer(answer.index));
    }
    if (answer.staleness_ms >= 0) {
        json_object_set_new(replica, "staleness_ms", json_integer(answer.staleness_ms));
    }
    http_answer_done(&answer);
    return replica;
}

static bool answered(const json_t *replica)
{
    const char *state = json_string_value(json_object_get(replica, "state"));
    return strcmp(state, "unreachable") != 0 && strcmp(state, "no replica") != 0;
}

/* The replica of this id or at this address, NULL when it was not asked yet. */
static json_t *find_replica(const json_t *replicas, const json_t *id, const char *url)
{
    for (size_t i = 0; i < json_array_size(replicas); i++) {
        json_t *replica = json_array_get(replicas, i);
        const char *address = json_string_value(json_object_get(replica, "address"));
        if (json_equal(json_object_get(replica, "id"), id) || strcmp(address, url) == 0) {
            return replica;
        }
    }
    return NULL;
}

/* Adds the replicas that the cluster knows and the user has not named. */
static void probe_others(struct cli *cli, json_t *replicas, const json_t *members)
{
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        const char *http = json_string_value(json_object_get(member, "http"));
        struct servers found = {.count = 0};
        char error[512];
        bool known = http != NULL && *http != '\0' &&
                     servers_add(&found, http, strlen(http), error, sizeof error);
        const char *url = known ? found.urls[0] : "-";
        json_t *replica = find_replica(replicas, json_object_get(member, "id"), url);
        if (replica == NULL) {
            replica = known ? probe(cli, url)
                            : json_pack("{s:s, s:s}", "address", url, "state", "unreachable");
            json_array_append_new(replicas, replica);
        }
        /* One that cannot be reached cannot tell its name. */
        if (!answered(replica)) {
            copy_member(replica, member, "id");
            copy_member(replica, member, "name");
        }
    }
}

/* Asks the first replica that answers about the others. */
static void find_others(struct cli *cli, json_t *replicas)
{
    const struct http_request request = {.method = "GET", .path = "/cluster", .read = true};
    size_t count = json_array_size(replicas);
    for (size_t i = 0; i < count; i++) {
        const json_t *replica = json_array_get(replicas, i);
        const char *url = json_string_value(json_object_get(replica, "address"));
        struct http_answer answer;
        char why[256];
        if (answered(replica) && cli_ask(cli, url, &request, PROBE_MS, &answer, why, sizeof why)) {
            json_t *members = json_object_get(answer.body, "members");
            bool told = answer.status == 200 && json_is_array(members);
            if (told) {
                probe_others(cli, replicas, members);
            }
            http_answer_done(&answer);
            if (told) {
                return;
            }
        }
    }
}

static void print_status(const json_t *replicas)
{
    struct table table;
    table_init(&table, status_columns);
    for (size_t i = 0; i < json_array_size(replicas); i++) {
        json_t *row = json_copy(json_array_get(replicas, i));
        const json_t *staleness_ms = json_object_get(row, "staleness_ms");
        const json_t *leader = json_object_get(row, "leader");
        if (staleness_ms != NULL) {
            json_object_set_new(
                row, "staleness",
                json_sprintf("%" JSON_INTEGER_FORMAT "ms", json_integer_value(staleness_ms)));
        }
        if (json_is_integer(leader) && json_integer_value(leader) == 0) {
            json_object_set_new(row, "leader", json_string("none"));
        }
        table_add(&table, row);
        json_decref(row);
    }
    table_print(&table);
}

/* Why those that are not ready are not. */
static void explain_status(const json_t *replicas)
{
    for (size_t i = 0; i < json_array_size(replicas); i++) {
        const json_t *replica = json_array_get(replicas, i);
        const char *why = json_string_value(json_object_get(replica, "error"));
        const char *reason = json_string_value(json_object_get(replica, "reason"));
        if (why != NULL || reason != NULL) {
            cli_complain("%s: %s", json_string_value(json_object_get(replica, "address")),
                         why != NULL ? why : reason);
        }
    }
}

enum cli_exit cmd_status(struct cli *cli)
{
    if (cli->args.words_count != 0) {
        return cli_usage(cli, "status takes no words");
    }
    json_t *replicas = json_array();
    bool reachable = false;
    for (size_t i = 0; i < cli->servers.count; i++) {
        json_array_append_new(replicas, probe(cli, cli->servers.urls[i]));
    }
    find_others(cli, replicas);
    for (size_t i = 0; i < json_array_size(replicas); i++) {
        reachable = reachable || answered(json_array_get(replicas, i));
    }
    if (cli->json) {
        json_t *whole = json_pack("{s:O}", "replicas", replicas);
        output_json(whole);
        json_decref(whole);
    } else {
        print_status(replicas);
    }
    explain_status(replicas);
    json_decref(replicas);
    if (!reachable) {
        cli_complain("no replica reachable");
    }
    return reachable ? CLI_DONE : CLI_UNREACHABLE;
}

static void print_members(const json_t *body, const void *data UNUSED)
{
    const json_t *events = json_object_get(body, "events");
    table_print_rows(json_object_get(body, "members"), member_columns);
    if (json_array_size(events) > 0) {
        putchar('\n');
        table_print_rows(events, event_columns);
    }
}

enum cli_exit cmd_members(struct cli *cli)
{
    const struct http_request request = {.method = "GET", .path = "/cluster", .read = true};
    if (cli->args.words_count != 0) {
        return cli_usage(cli, "members takes no words");
    }
    return cli_show(cli, &request, print_members, NULL);
}
