/* Every replica asked for itself: those that were named, and those that they know as members.
 *
 * Thread: the only one. Owns: the answers. */
#ifndef MUSTER_CLI_SURVEY_H
#define MUSTER_CLI_SURVEY_H

#include <stdbool.h>
#include <stddef.h>

#include "client/cli/cli.h"
#include "client/lib/http.h"
#include "client/lib/servers.h"

#define SURVEY_REPLICAS_MAX 128

struct survey_replica {
    char url[SERVER_URL_MAX + 1];
    bool responded;             /* with something */
    bool is_replica;            /* and it was a replica of Muster */
    struct http_answer health;  /* of GET /health, if it responded */
    struct http_answer cluster; /* of GET /cluster, if it is one; else without body */
    char why[HTTP_WHY_SIZE];    /* if not, in a few words */
};

struct survey {
    struct survey_replica *replicas;
    size_t count;
    bool https; /* so are the members that replicas name */
};

/* Asks all at once, and waits for the slowest for three seconds at most; then the members that were
 * not named, likewise. */
void survey_run(struct survey *survey, struct cli *cli);
void survey_done(struct survey *survey);

/* The id of the cluster that a replica belongs to, "" if it belongs to none yet. */
const char *survey_cluster_of(const struct survey_replica *replica);
/* The replica of this cluster and id, or at this address; NULL if none was asked. */
const struct survey_replica *survey_find(const struct survey *survey, const char *cluster,
                                         const json_t *id, const char *http);

#endif
