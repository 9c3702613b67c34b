/* Instances, filters and choices as messages of muster.v1.
 *
 * Thread: any. */
#ifndef MUSTER_API_GRPC_INSTANCE_H
#define MUSTER_API_GRPC_INSTANCE_H

#include <registry.pb-c.h>

#include "api/grpc/frame.h"
#include "server/base/problem.h"
#include "server/registry/command.h"
#include "server/registry/filter.h"

/* A message of a record, which it borrows from; it is of no use when it is moved. */
struct instance_out {
    Muster__V1__Instance message;
    ProtobufCBinaryData tags[TAGS_MAX];
    Muster__V1__Pair pairs[METADATA_MAX];
    Muster__V1__Pair *metadata[METADATA_MAX];
};
void instance_make(struct instance_out *out, const struct record *record);

/* Of HEALTH_UNSPECIFIED: false without a problem, and nothing is set. */
MUST_USE bool instance_health(Muster__V1__Health said, enum health *ret_health);

/* What a registration begins with, unless the message says otherwise. */
struct instance_defaults {
    uint32_t ttl_ms, reap_after_ms;
    const char *caller; /* the address that it comes from; "" when there is none. Borrowed */
};
/* Fills in the command, which borrows from message, arena and defaults: an id is made where there
 * is none. Checked (server/registry/check.h). */
MUST_USE bool instance_parse(const Muster__V1__Instance *message, struct arena *arena,
                             const struct instance_defaults *defaults, struct command *ret_command,
                             struct problem *problem);

/* `message`: NULL is an empty one. The filter borrows from the arena. *ret_service: which it names;
 * NULL: none. `health`: what is wanted when it says nothing of that. */
MUST_USE bool instance_filter(const Muster__V1__Filter *message, struct arena *arena,
                              struct filter *ret_filter, const char **ret_service, unsigned health,
                              struct problem *problem);

#endif
