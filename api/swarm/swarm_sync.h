/* Makes the registry agree with a listing: what is new or different is registered, what is not
 * listed any more is deregistered, and leases that are a while old are renewed.
 *
 * What is gone is only decided with a complete listing, and each deregistration is for the
 * incarnation that was seen: what another replica has written since stays.
 *
 * Thread: the door's. */
#ifndef MUSTER_API_SWARM_SWARM_SYNC_H
#define MUSTER_API_SWARM_SWARM_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/swarm/swarm_listing.h"
#include "api/swarm/swarm_writer.h"
#include "server/node/node.h"

struct swarm_synced {
    size_t put, removed, left_out;
    bool services_changed; /* what REST shows of services is not what it was */
    uint32_t failed;
};

/* Returns when all is written. */
void swarm_sync(struct swarm_writer *writer, const struct swarm_listing *listing,
                struct swarm_synced *ret_synced);
/* Removes all services and metrics, as a client has asked for. */
void swarm_sync_clear(struct swarm_writer *writer);
/* A registration of one's own; `space` "" for `default`. */
void swarm_sync_put(struct swarm_writer *writer, const char *space, const struct registration *r);
void swarm_sync_remove(struct swarm_writer *writer, const char *space, const char *id);

#endif
