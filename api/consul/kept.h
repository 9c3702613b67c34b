/* What is kept with an instance (keep.h), as lists need it: without reading the JSON into a tree.
 *
 * Thread: any; borrows from the record. */
#ifndef MUSTER_API_CONSUL_KEPT_H
#define MUSTER_API_CONSUL_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/registry/record.h"

/* Values are JSON; without data: it is not there. */
struct kept {
    struct slice kind, socket, tagged, node_address;
    uint32_t warning;  /* the weight */
    bool has_override; /* EnableTagOverride */
    bool has_address;  /* else it is at that of its node */
};
void kept_read(const struct record *instance, struct kept *ret_kept);

#endif
