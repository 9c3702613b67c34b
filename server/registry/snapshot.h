/* The whole replicated state as of one log index: taken in a moment, read at leisure.
 *
 * Taking is O(1) but for the events that are kept: all else is immutable, except for the leases. Of
 * those the loop saves the old values before it changes one for the first time. As long as a
 * snapshot is held, the registry frees nothing that can be reached from it.
 *
 * Thread: take and release on the loop; head and walk on any one thread in between. */
#ifndef MUSTER_REGISTRY_SNAPSHOT_H
#define MUSTER_REGISTRY_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "server/registry/registry.h"

struct registry_snapshot;

struct registry_snapshot *registry_snapshot_take(struct registry *registry);
void registry_snapshot_release(struct registry_snapshot *snapshot);
/* Whether a snapshot is held. Until all are released the registry must not be destroyed. */
bool registry_is_held(const struct registry *registry);

/* Everything that is not an instance or an event. */
struct snapshot_head {
    uint16_t level;
    struct registry_limits limits;
    uint64_t index;
    uint64_t now_ms;
    int64_t wall_ms;
    uint64_t changed_index;
    uint64_t services_index;
    uint64_t extinct_index;
    uint64_t events_last;     /* sequence of the last event ever */
    uint32_t events_kept;     /* at most */
    uint64_t state_bytes_max; /* 0: none, as below LEVEL_STATE_BYTES */
    uint64_t state_bytes;     /* of all that is encoded; not encoded itself */
    uint64_t instances;       /* number that follow; the same for the other two */
    uint64_t services;
    uint64_t events;
    uint64_t tokens;       /* 0 below LEVEL_TOKENS, as is the next */
    uint64_t tokens_begun; /* index of the first ever; 0: none */
};
/* One instance with its lease. `record` holds incarnation, index, times, states, slot and
 * generation. */
struct snapshot_instance {
    const struct record *record;
    uint64_t renewed_ms;
    uint64_t deadline_ms;
};

void registry_snapshot_head(const struct registry_snapshot *snapshot,
                            struct snapshot_head *ret_head);
/* Calls back for each instance in order of id, for each service in order of name, for each
 * event from the oldest on, and for each token in order of id. What is given is borrowed. */
struct snapshot_visitor {
    void (*instance)(void *ctx, const struct snapshot_instance *instance);
    void (*service)(void *ctx, const char *name, uint64_t index);
    void (*event)(void *ctx, const struct event *event);
    void (*token)(void *ctx, const struct token *token);
    void *ctx;
};
void registry_snapshot_walk(const struct registry_snapshot *snapshot,
                            const struct snapshot_visitor *visitor);

#endif
