/* The whole replicated state as of one log index, taken quickly and read slowly.
 *
 * Taking a snapshot is O(events kept): everything but the leases is immutable and shared. Before
 * the loop changes a lease for the first time, it saves the old values in the snapshot. While a
 * snapshot is held, the registry frees nothing that is reachable from it.
 *
 * Thread: take and release on the loop; head and walk on any one thread in between. */
#ifndef MUSTER_REGISTRY_SNAPSHOT_H
#define MUSTER_REGISTRY_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "server/registry/registry.h"
#include "server/registry/sink.h"

struct registry_snapshot;

struct registry_snapshot *registry_snapshot_take(struct registry *registry);
void registry_snapshot_release(struct registry_snapshot *snapshot);
/* Whether a snapshot is held. Until all are released the registry must not be destroyed. */
bool registry_is_held(const struct registry *registry);

/* Everything but instances, services, events and tokens. */
struct snapshot_head {
    uint16_t level;
    struct registry_limits limits;
    uint64_t index;
    uint64_t now_ms;
    int64_t wall_ms;
    uint64_t changed_index;
    uint64_t services_index;
    uint64_t extinct_index;
    uint64_t events_last;     /* sequence of the last event */
    uint32_t events_kept;     /* the most that are kept */
    uint64_t state_bytes_max; /* 0: no bound, as below LEVEL_STATE_BYTES */
    uint64_t state_bytes;     /* size of the snapshot; not encoded itself */
    uint64_t instances;       /* how many follow; likewise services, events and tokens */
    uint64_t services;
    uint64_t events;
    uint64_t tokens;       /* 0 below LEVEL_TOKENS */
    uint64_t tokens_begun; /* index of the first token ever; 0: none yet, or below LEVEL_TOKENS */
    uint64_t quotas;       /* of namespaces; 0 below LEVEL_NAMESPACES */
    struct sinks sinks;    /* none below LEVEL_SINKS */
    uint64_t checks;       /* and nodes; 0 below LEVEL_CHECKS */
    uint64_t catalog_index;
    uint64_t active_index;
    struct probers probers; /* none below LEVEL_CHECKS, as the two before */
};
/* One instance with its lease. */
struct snapshot_instance {
    const struct record *record;
    uint64_t renewed_ms;
    uint64_t deadline_ms;
};

void registry_snapshot_head(const struct registry_snapshot *snapshot,
                            struct snapshot_head *ret_head);
/* Visits the instances by id, the services by name, the events from the oldest on, the tokens by
 * id, the quotas by namespace, and the checks and nodes by id. Arguments are borrowed for the call.
 */
struct snapshot_visitor {
    void (*instance)(void *ctx, const struct snapshot_instance *instance);
    void (*service)(void *ctx, const char *name, uint64_t index);
    void (*event)(void *ctx, const struct event *event);
    void (*token)(void *ctx, const struct token *token);
    void (*quota)(void *ctx, const struct namespace_use *use);
    void (*check)(void *ctx, const struct snapshot_instance *check);
    void *ctx;
};
void registry_snapshot_walk(const struct registry_snapshot *snapshot,
                            const struct snapshot_visitor *visitor);

#endif
