/* Which nodes an instance is of, besides having checks of its own. One that a door has registered
 * for a node says so: its id is "SERVICE@NODE", and what is kept with it begins with the *agent*
 * that registered it, the node that the caller is at. Others are of no node.
 *
 * Thread: any. */
#ifndef MUSTER_REGISTRY_PLACE_H
#define MUSTER_REGISTRY_PLACE_H

#include <string.h>

#include "server/registry/namespace.h"
#include "server/registry/record.h"

/* What is kept with an instance begins with this, the agent's name, and '"'. */
#define PLACE_EXTRA "{\"o\":\""

/* Both are names of nodes, without the namespace; empty: of none. They borrow from the record. */
struct place_names {
    struct slice node, agent;
};

/* Whether a door has registered it for a node. */
static inline bool place_is_given(const struct record *record)
{
    return record_extra(record)[0] != '\0' &&
           strchr(namespace_bare(record_id(record)), '@') != NULL;
}

static inline struct place_names place_of(const struct record *record)
{
    struct place_names place = {{"", 0}, {"", 0}};
    const char *extra = record_extra(record);
    if (!place_is_given(record)) {
        return place;
    }
    place.node = slice_of(strrchr(record_id(record), '@') + 1);
    if (strncmp(extra, PLACE_EXTRA, sizeof PLACE_EXTRA - 1) == 0) {
        const char *agent = extra + sizeof PLACE_EXTRA - 1;
        place.agent = (struct slice){agent, strcspn(agent, "\"")};
    }
    return place;
}

#endif
