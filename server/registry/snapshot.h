/* The whole replicated state as of one log index: taken in a moment, read at leisure, and put back.
 *
 * Taking copies the lease table and takes references to all else (which is immutable), so the loop
 * is not stopped for long. As long as a snapshot is held, the registry frees nothing that was
 * reachable when it was taken.
 *
 * Thread: take and release on the loop; head and walk on any one thread in between. */
#ifndef MUSTER_REGISTRY_SNAPSHOT_H
#define MUSTER_REGISTRY_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/registry.h"

struct registry_snapshot;

struct registry_snapshot *registry_snapshot_take(struct registry *registry);
void registry_snapshot_release(struct registry_snapshot *snapshot);

/* Everything that is not an instance or an event. */
struct snapshot_head {
    uint64_t index;
    uint64_t now_ms;
    int64_t wall_ms;
    uint64_t changed_index;
    uint64_t services_index;
    uint64_t extinct_index;
    uint64_t events_last; /* sequence of the last event ever */
    uint32_t events_kept; /* at most so many */
    uint64_t instances;
    uint64_t services;
    uint64_t events;
};
/* One instance with its lease. `record` holds incarnation, index, times, states. */
struct snapshot_instance {
    const struct record *record;
    uint32_t stamp;
    uint64_t renewed_ms;
    uint64_t deadline_ms;
};

void registry_snapshot_head(const struct registry_snapshot *snapshot,
                            struct snapshot_head *ret_head);
/* Calls back for each instance in order of id, for each service in order of name, and for each
 * event from the oldest on. What is given is borrowed. */
struct snapshot_visitor {
    void (*instance)(void *ctx, const struct snapshot_instance *instance);
    void (*service)(void *ctx, const char *name, uint64_t index);
    void (*event)(void *ctx, const struct event *event);
    void *ctx;
};
void registry_snapshot_walk(const struct registry_snapshot *snapshot,
                            const struct snapshot_visitor *visitor);

/* Putting back, into a registry that was just created: head, all instances, the index of every
 * service, all events, end. A state that contradicts itself gives ST_CORRUPT; then destroy the
 * registry. The one reference of a record is taken on ST_OK. */
MUST_USE enum status registry_restore_head(struct registry *registry,
                                           const struct snapshot_head *head);
MUST_USE enum status registry_restore_instance(struct registry *registry, struct record *record,
                                               uint32_t stamp, uint64_t renewed_ms,
                                               uint64_t deadline_ms);
MUST_USE enum status registry_restore_service(struct registry *registry, const char *name,
                                              uint64_t index);
MUST_USE enum status registry_restore_event(struct registry *registry, const struct event *event);
/* Publishes. ST_CORRUPT when the counts are not those of the head. */
MUST_USE enum status registry_restore_end(struct registry *registry,
                                          const struct snapshot_head *head);

#endif
