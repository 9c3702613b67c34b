/* How every replica and the cluster as a whole are: status. */
#include "client/cli/commands.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/survey.h"

static const struct table_column columns[] = {
    {"ID", "id"},       {"NAME", "name"},       {"ROLE", "role"},           {"LEADER", "leader"},
    {"STATE", "state"}, {"INDEX", "index"},     {"STALENESS", "staleness"}, {"VERSION", "version"},
    {"LEVEL", "level"}, {"UP TO", "level_max"}, {"ADDRESS", "address"},     {NULL, NULL},
};

/* What was found out. */
struct status {
    struct cli *cli;
    struct survey survey;
    json_t *rows;
    json_t *clusters;
    json_t *problems; /* sentences; so the next two */
    json_t *notes;
    json_t *warnings; /* of replicas, about how they are protected */
    bool degraded;
    bool no_quorum;
    bool mixed;
};

static void copy_member(json_t *to, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    bool empty = json_is_string(value) && json_string_length(value) == 0;
    if (value != NULL && !empty) {
        json_object_set(to, name, value);
    }
}

static void add_problem(struct status *status, json_t *sentence)
{
    status->degraded = true;
    json_array_append_new(status->problems, sentence);
}

/* --- one row a replica --- */

static const char *state_of(const struct survey_replica *replica)
{
    const char *phase = output_member(replica->health.body, "phase");
    if (!replica->responded) {
        return "unreachable";
    }
    if (!replica->is_replica) {
        return "no replica";
    }
    if (replica->health.status == 200) {
        return "ready";
    }
    return *phase != '\0' && strcmp(phase, "member") != 0 ? phase : "not ready";
}

#define DAY_S (24 * 3600)

/* When its certificate ends, and what strangers could do to it: neither is a problem yet. */
static void note_protection(struct status *status, const struct survey_replica *replica)
{
    const json_t *body = replica->health.body;
    const json_t *ends_in = json_object_get(json_object_get(body, "tls"), "certificate_ends_in");
    double days = json_number_value(ends_in) / DAY_S;
    const json_t *warnings = json_object_get(body, "warnings");
    if (json_is_number(ends_in) && days >= 0 && days < INT_MAX) {
        json_array_append_new(status->notes, json_sprintf("%s: tls certificate ends in %d days",
                                                          replica->url, (int)days));
    }
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        json_array_append_new(status->warnings,
                              json_sprintf("%s: %s", replica->url,
                                           output_member(json_array_get(warnings, i), "message")));
    }
}

/* A replica as an object whose members are the columns of the table. */
static void add_replica(struct status *status, const struct survey_replica *replica)
{
    static const char *const copied[] = {"id",        "name",   "role",    "leader",
                                         "version",   "reason", "phase",   "level",
                                         "level_max", "tls",    "warnings"};
    const struct http_answer *health = &replica->health;
    json_t *row = json_pack("{s:s}", "address", replica->url);
    json_array_append_new(status->rows, row);
    json_object_set_new(row, "state", json_string(state_of(replica)));
    if (!replica->responded) {
        json_object_set_new(row, "error", json_string(replica->why));
        add_problem(status, json_sprintf("%s: %s", replica->url, replica->why));
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
        copy_member(row, health->body, copied[i]);
    }
    note_protection(status, replica);
    if (*survey_cluster_of(replica) != '\0') {
        json_object_set_new(row, "cluster", json_string(survey_cluster_of(replica)));
    }
    if (health->index >= 0) {
        json_object_set_new(row, "index", json_integer(health->index));
    }
    if (health->staleness_ms >= 0) {
        json_object_set_new(row, "staleness_ms", json_integer(health->staleness_ms));
    }
    if (!replica->is_replica) {
        add_problem(status,
                    json_sprintf("%s: it answers, and is no replica of Muster", replica->url));
    } else if (health->status != 200) {
        const char *reason = output_member(health->body, "reason");
        add_problem(status, json_sprintf("%s: %s", replica->url,
                                         *reason != '\0' ? reason : "it is not ready"));
    }
}

static json_t *find_row(const json_t *rows, const char *address)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        if (strcmp(output_member(row, "address"), address) == 0) {
            return row;
        }
    }
    return NULL;
}

/* A member that nobody has an address of, or that was named already by another replica. */
static bool is_listed(const json_t *rows, const char *cluster, const json_t *id)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *own = output_member(row, "cluster");
        bool fits = *own == '\0' || *cluster == '\0' || strcmp(own, cluster) == 0;
        if (fits && json_equal(json_object_get(row, "id"), id)) {
            return true;
        }
    }
    return false;
}

/* What one replica says of another member: who it is, if that cannot say so itself. */
static void add_member(struct status *status, const char *cluster, const json_t *member)
{
    const json_t *id = json_object_get(member, "id");
    const struct survey_replica *replica =
        survey_find(&status->survey, cluster, id, output_member(member, "http"));
    if (is_listed(status->rows, cluster, id) || (replica != NULL && replica->is_replica)) {
        return;
    }
    json_t *row = replica != NULL ? find_row(status->rows, replica->url) : NULL;
    if (row == NULL) {
        const char *peer = output_member(member, "peer"),
                   *trouble = output_member(member, "trouble");
        row = json_pack("{s:s, s:s}", "state", "unreachable", "peer", peer);
        json_object_set_new(row, "address", json_sprintf("peer %s", peer));
        json_array_append_new(status->rows, row);
        add_problem(status, json_sprintf("member %" JSON_INTEGER_FORMAT " (peer %s): %s",
                                         json_integer_value(id), peer,
                                         *trouble != '\0' ? trouble : "its address is unknown"));
    }
    json_object_set_new(row, "cluster", json_string(cluster));
    copy_member(row, member, "id");
    copy_member(row, member, "name");
}

/* --- clusters --- */

static bool is_voter(const json_t *member)
{
    return strcmp(output_member(member, "role"), "voter") == 0;
}

/* What the replica sees of its cluster's voters. */
static void count_voters(const struct survey_replica *replica, size_t *ret_voters,
                         size_t *ret_reached)
{
    const json_t *members = json_object_get(replica->cluster.body, "members");
    *ret_voters = *ret_reached = 0;
    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        bool is_self = json_is_true(json_object_get(member, "self"));
        if (is_voter(member)) {
            (*ret_voters)++;
            *ret_reached += is_self || json_is_true(json_object_get(member, "reachable"));
        }
    }
}

static json_t *find_cluster(const json_t *clusters, const char *id)
{
    for (size_t i = 0; i < json_array_size(clusters); i++) {
        json_t *cluster = json_array_get(clusters, i);
        if (strcmp(output_member(cluster, "cluster"), id) == 0) {
            return cluster;
        }
    }
    return NULL;
}

/* Adds what this replica says to the object of its cluster. */
static void add_to_cluster(struct status *status, const struct survey_replica *replica)
{
    const char *id = survey_cluster_of(replica);
    json_t *cluster = find_cluster(status->clusters, id);
    json_int_t leader = json_integer_value(json_object_get(replica->health.body, "leader"));
    size_t voters, reached;
    if (cluster == NULL) {
        cluster = json_pack("{s:s, s:[], s:i, s:i, s:i}", "cluster", id, "replicas", "leader", 0,
                            "voters", 0, "voters_reached", 0);
        json_array_append_new(status->clusters, cluster);
    }
    json_array_append_new(json_object_get(cluster, "replicas"), json_string(replica->url));
    if (leader > 0) {
        json_object_set_new(cluster, "leader", json_integer(leader));
    }
    count_voters(replica, &voters, &reached);
    if (json_integer_value(json_object_get(cluster, "voters_reached")) <= (json_int_t)reached) {
        json_object_set_new(cluster, "voters", json_integer((json_int_t)voters));
        json_object_set_new(cluster, "voters_reached", json_integer((json_int_t)reached));
    }
}

static void judge_cluster(struct status *status, json_t *cluster)
{
    json_int_t voters = json_integer_value(json_object_get(cluster, "voters"));
    json_int_t reached = json_integer_value(json_object_get(cluster, "voters_reached"));
    bool has_quorum = json_integer_value(json_object_get(cluster, "leader")) > 0;
    json_object_set_new(cluster, "quorum", json_boolean(has_quorum));
    bool is_formed = *output_member(cluster, "cluster") != '\0';
    /* A replica that waits to be let in says nothing of the cluster that the others form. */
    if (has_quorum || (!is_formed && json_array_size(status->clusters) > 1)) {
        return;
    }
    status->no_quorum = true;
    if (!is_formed) {
        add_problem(status, json_string("no quorum: the cluster is not formed yet"));
    } else if (reached > voters / 2) {
        add_problem(status,
                    json_string("no leader: a majority can be reached, and is electing one"));
    } else {
        add_problem(status,
                    json_sprintf("no quorum: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                                 " voters can be reached, and %" JSON_INTEGER_FORMAT
                                 " are needed; nothing can be written",
                                 reached, voters, voters / 2 + 1));
    }
}

/* Replicas of different clusters answer the same names with different instances. */
static void judge_mix(struct status *status)
{
    size_t named = 0;
    for (size_t i = 0; i < json_array_size(status->clusters); i++) {
        named += *output_member(json_array_get(status->clusters, i), "cluster") != '\0';
    }
    if (named < 2) {
        return;
    }
    status->mixed = true;
    add_problem(status, json_sprintf("these replicas belong to %d different clusters", (int)named));
    for (size_t i = 0; i < json_array_size(status->clusters); i++) {
        const json_t *cluster = json_array_get(status->clusters, i);
        const json_t *replicas = json_object_get(cluster, "replicas");
        for (size_t k = 0; k < json_array_size(replicas); k++) {
            add_problem(status, json_sprintf("%s: cluster %s",
                                             json_string_value(json_array_get(replicas, k)),
                                             output_member(cluster, "cluster")));
        }
    }
}

static void evaluate(struct status *status)
{
    const struct survey *survey = &status->survey;
    for (size_t i = 0; i < survey->count; i++) {
        add_replica(status, &survey->replicas[i]);
    }
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_replica *replica = &survey->replicas[i];
        const json_t *members = json_object_get(replica->cluster.body, "members");
        for (size_t k = 0; k < json_array_size(members); k++) {
            add_member(status, survey_cluster_of(replica), json_array_get(members, k));
        }
        if (replica->is_replica) {
            add_to_cluster(status, replica);
        }
    }
    for (size_t i = 0; i < json_array_size(status->clusters); i++) {
        judge_cluster(status, json_array_get(status->clusters, i));
    }
    judge_mix(status);
}

/* --- output --- */

static void print_rows(const json_t *rows)
{
    struct table table;
    table_init(&table, columns);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_copy(json_array_get(rows, i));
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

static void print_status(const struct status *status)
{
    if (status->cli->json) {
        json_t *whole =
            json_pack("{s:O, s:O, s:O, s:O}", "replicas", status->rows, "clusters",
                      status->clusters, "problems", status->problems, "warnings", status->warnings);
        output_json(whole);
        json_decref(whole);
    } else {
        print_rows(status->rows);
        for (size_t i = 0; i < json_array_size(status->notes); i++) {
            output_text(stdout, json_string_value(json_array_get(status->notes, i)));
            fputc('\n', stdout);
        }
    }
    for (size_t i = 0; i < json_array_size(status->warnings); i++) {
        cli_complain("warning: %s", json_string_value(json_array_get(status->warnings, i)));
    }
    for (size_t i = 0; i < json_array_size(status->problems); i++) {
        cli_complain("%s", json_string_value(json_array_get(status->problems, i)));
    }
}

enum cli_exit cmd_status(struct cli *cli)
{
    struct status status = {.cli = cli};
    enum cli_exit exit_status = CLI_DONE;
    if (cli->args.words_count != 0) {
        return cli_usage(cli, "status takes options only");
    }
    status.rows = json_array();
    status.clusters = json_array();
    status.problems = json_array();
    status.notes = json_array();
    status.warnings = json_array();
    survey_run(&status.survey, cli);
    evaluate(&status);
    print_status(&status);
    if (json_array_size(status.clusters) == 0) {
        cli_complain("no replica reachable");
        exit_status = CLI_UNREACHABLE;
    } else if (status.mixed) {
        exit_status = CLI_MIXED;
    } else if (status.no_quorum) {
        exit_status = CLI_NO_QUORUM;
    } else if (status.degraded) {
        exit_status = CLI_DEGRADED;
    }
    json_decref(status.rows);
    json_decref(status.clusters);
    json_decref(status.problems);
    json_decref(status.notes);
    json_decref(status.warnings);
    survey_done(&status.survey);
    return exit_status;
}
