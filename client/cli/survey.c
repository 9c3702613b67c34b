#include "client/cli/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

/* A replica that hangs must not hide the others for long. */
#define LIMIT_MS 3000

static const struct http_request ask_health = {.method = "GET", .path = "/health", .read = true};
static const struct http_request ask_cluster = {.method = "GET", .path = "/cluster", .read = true};

static bool looks_like_a_replica(const json_t *health)
{
    return json_is_object(health) && json_object_get(health, "id") != NULL;
}

/* Asks the replicas from `first` on. */
static void ask(struct survey *survey, struct cli *cli, size_t first)
{
    size_t count = survey->count - first;
    struct cli_question *questions = mem_zalloc(count + 1, sizeof *questions);
    uint64_t limit_ms = cli->timeout_ms < LIMIT_MS ? cli->timeout_ms : LIMIT_MS;
    for (size_t i = 0; i < count; i++) {
        questions[i].url = survey->replicas[first + i].url;
        questions[i].request = &ask_health;
    }
    cli_ask_all(cli, questions, count, limit_ms);
    size_t asked = 0;
    for (size_t i = 0; i < count; i++) {
        struct survey_replica *replica = &survey->replicas[first + i];
        replica->responded = questions[i].answered;
        replica->health = questions[i].answer;
        replica->is_replica = replica->responded && looks_like_a_replica(replica->health.body);
        memcpy(replica->why, questions[i].why, sizeof replica->why);
    }
    memset(questions, 0, count * sizeof *questions);
    for (size_t i = 0; i < count; i++) {
        if (survey->replicas[first + i].is_replica) {
            questions[asked].url = survey->replicas[first + i].url;
            questions[asked++].request = &ask_cluster;
        }
    }
    cli_ask_all(cli, questions, asked, limit_ms);
    asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (survey->replicas[first + i].is_replica) {
            survey->replicas[first + i].cluster = questions[asked++].answer;
        }
    }
    free(questions);
}

static struct survey_replica *add(struct survey *survey, const char *url)
{
    if (survey->count == SURVEY_REPLICAS_MAX) {
        return NULL;
    }
    struct survey_replica *replica = &survey->replicas[survey->count++];
    (void)snprintf(replica->url, sizeof replica->url, "%s", url);
    return replica;
}

const char *survey_cluster_of(const struct survey_replica *replica)
{
    const char *id = json_string_value(json_object_get(replica->cluster.body, "cluster"));
    return id != NULL && strspn(id, "0") != strlen(id) ? id : "";
}

/* The URL of a member's "host:port". */
static bool read_address(const struct survey *survey, const char *http, struct servers *ret_address)
{
    char url[SERVER_URL_MAX + 1], error[512];
    int len = snprintf(url, sizeof url, "%s%s", survey->https ? "https://" : "", http);
    ret_address->count = 0;
    return *http != '\0' && len > 0 && (size_t)len < sizeof url &&
           servers_add(ret_address, url, (size_t)len, error, sizeof error);
}

const struct survey_replica *survey_find(const struct survey *survey, const char *cluster,
                                         const json_t *id, const char *http)
{
    struct servers address;
    bool known = http != NULL && read_address(survey, http, &address);
    for (size_t i = 0; i < survey->count; i++) {
        const struct survey_replica *replica = &survey->replicas[i];
        /* A replica that was not let in yet has no cluster. */
        const char *own = survey_cluster_of(replica);
        bool fits = *own == '\0' || *cluster == '\0' || strcmp(own, cluster) == 0;
        bool same = replica->is_replica && fits &&
                    json_equal(json_object_get(replica->health.body, "id"), id);
        /* An address where a replica with another id responds is not this member's. */
        bool there = known && !replica->is_replica && strcmp(replica->url, address.urls[0]) == 0;
        if (same || there) {
            return replica;
        }
    }
    return NULL;
}

static void add_members(struct survey *survey, size_t first)
{
    size_t count = survey->count;
    for (size_t i = first; i < count; i++) {
        const struct survey_replica *replica = &survey->replicas[i];
        const json_t *members = json_object_get(replica->cluster.body, "members");
        for (size_t k = 0; k < json_array_size(members); k++) {
            const json_t *member = json_array_get(members, k);
            const char *http = json_string_value(json_object_get(member, "http"));
            struct servers found;
            if (http != NULL &&
                survey_find(survey, survey_cluster_of(replica), json_object_get(member, "id"),
                            http) == NULL &&
                read_address(survey, http, &found)) {
                (void)add(survey, found.urls[0]);
            }
        }
    }
}

void survey_run(struct survey *survey, struct cli *cli)
{
    *survey = (struct survey){.replicas = mem_zalloc(SURVEY_REPLICAS_MAX, sizeof *survey->replicas),
                              .https = strncmp(cli->servers.urls[0], "https://", 8) == 0};
    for (size_t i = 0; i < cli->servers.count; i++) {
        (void)add(survey, cli->servers.urls[i]);
    }
    ask(survey, cli, 0);
    size_t named = survey->count;
    add_members(survey, 0);
    ask(survey, cli, named);
}

void survey_done(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        http_answer_done(&survey->replicas[i].health);
        http_answer_done(&survey->replicas[i].cluster);
    }
    free(survey->replicas);
}
