/* How a machine with an empty data directory joins a running cluster (--join): it asks any replica
 * over HTTP to expect it, and gets the list of members in response. The members then accept its
 * connections, and the leader adds it to the configuration (consensus/membership.h).
 *
 * Thread: main, before there are others. Owns: nothing. */
#ifndef MUSTER_SERVER_JOIN_H
#define MUSTER_SERVER_JOIN_H

#include <stddef.h>

#include "server/base/compiler.h"

struct config;

enum join_outcome {
    JOIN_DONE,
    JOIN_REFUSED, /* refused, or no replica answered; `error` has a sentence */
    JOIN_STOPPED, /* SIGTERM or SIGINT is pending (both are blocked) */
};

/* Does nothing without --join. If the data directory already belongs to a member, only sets the id
 * in `config`. Otherwise asks the replicas for up to a minute, and sets the id and the members. */
MUST_USE enum join_outcome join_cluster(struct config *config, char *error, size_t error_size);

#endif
