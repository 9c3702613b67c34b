/* How a machine with an empty directory becomes a member of a running cluster (--join): any replica
 * is asked over HTTP to expect it, and says who the members are. From then on they know each other,
 * and the leader lets it in (consensus/membership.h).
 *
 * Thread: main, before there are others. Owns: nothing. */
#ifndef MUSTER_SERVER_JOIN_H
#define MUSTER_SERVER_JOIN_H

#include <stddef.h>

#include "server/base/compiler.h"

struct config;

enum join_outcome {
    JOIN_DONE,
    JOIN_REFUSED, /* or nobody answers; `error` has a sentence */
    JOIN_STOPPED, /* by SIGTERM or SIGINT, which are blocked */
};

/* Does nothing without --join, or when the directory belongs to a member already; then its id is
 * put into `config`. Else asks until a replica has answered, for a minute, and puts the id and the
 * members into `config`. */
MUST_USE enum join_outcome join_cluster(struct config *config, char *error, size_t error_size);

#endif
