/* The registry: a pure, deterministic state machine. Commands in, results and events out. It has no
 * clock, thread, random number, locale, configuration or log; time and position come with the log
 * entry. Its published state is immutable and can be read by other threads (view.h).
 *
 * Thread: loop only, except where view.h says otherwise. The loop thread is registered with
 * liburcu, and is outside of a read-side critical section when it calls.
 * Owns: all instances, records, events and views. */
#ifndef MUSTER_REGISTRY_REGISTRY_H
#define MUSTER_REGISTRY_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/registry/command.h"
#include "server/registry/level.h"
#include "server/registry/record.h"

struct registry;
struct view;

struct registry_options {
    /* Takes memory that readers may still reach, after each entry: `memory` itself and each of its
     * items go to registry_free_retired() after a grace period. NULL: at once (without reader
     * threads). */
    void (*retire)(void *ctx, void **memory, size_t count);
    /* Calls registry_grow(table, buckets) soon, on a thread registered with liburcu. It must have
     * returned before the registry is destroyed. NULL: at once. */
    void (*grow)(void *ctx, void *table, size_t buckets);
    void *ctx;
};
void registry_free_retired(void **memory, size_t count);
void registry_grow(void *table, size_t buckets);

struct registry *registry_create(const struct registry_options *options);
/* No reader may be left. Accepts NULL. */
void registry_destroy(struct registry *registry);

/* The leader's stamp on an entry. */
struct stamp {
    uint64_t now_ms; /* cluster time; the registry keeps the largest value */
    int64_t wall_ms; /* for people */
};

/* One log entry: begin, apply each of its commands in order, end. `index` always increases. */
void registry_begin(struct registry *registry, uint64_t index, const struct stamp *stamp);
/* `position` of the command in the entry, increasing, below 65536. `ret_result` may be NULL (then
 * nothing is allocated for it). The decoder has checked the command's limits. */
void registry_apply(struct registry *registry, uint32_t position, const struct command *command,
                    struct result *ret_result);
void registry_end(struct registry *registry);
/* Within an entry, before its commands: raises the replicated level, or keeps it. A new registry
 * has LEVEL_MIN. This build must support it (level_limits). */
void registry_set_level(struct registry *registry, uint16_t level);
uint16_t registry_level(const struct registry *registry);
const struct registry_limits *registry_limits(const struct registry *registry);
/* Makes the changes of all ended entries visible to readers. */
void registry_publish(struct registry *registry);
/* The last published view, for the owner. Readers: view_lock() of view.h. */
const struct view *registry_view(const struct registry *registry);

/* What the last publish has changed: names of touched services, valid until the next
 * registry_begin. */
struct touched {
    const char *const *services;
    size_t count;
};
struct touched registry_touched(const struct registry *registry);

/* The number of leases due at `now_ms`; *ret_living: how many of them would expire rather than be
 * reaped. Changes nothing that is replicated. */
uint32_t registry_due(struct registry *registry, uint64_t now_ms, uint32_t *ret_living);
/* Whether a token or policy has expired at `now_ms`: the next entry removes it. */
bool registry_tokens_due(const struct registry *registry, uint64_t now_ms);
/* How many tokens there are, without policies. */
size_t registry_tokens(const struct registry *registry);
/* Instances, checks and nodes. */
uint32_t registry_count(const struct registry *registry);
/* Those of them that are expected to be heard from. */
uint32_t registry_leased(const struct registry *registry);
/* Size of the state in bytes, as of a snapshot; and its bound, 0: none yet. */
uint64_t registry_state_bytes(const struct registry *registry);
uint64_t registry_state_bytes_max(const struct registry *registry);
/* The maximum number of kept events (COMMAND_KEEP_EVENTS). */
uint32_t registry_events_kept(const struct registry *registry);

/* Log index of the last entry, cluster time, wall clock of the last entry. */
uint64_t registry_index(const struct registry *registry);
uint64_t registry_now_ms(const struct registry *registry);
/* A hash over everything replicated: equal at equal index on all replicas. */
uint64_t registry_hash(const struct registry *registry);

/* Checks every invariant between the tables, O(n); for tests. NULL, or the violation. */
const char *registry_verify(struct registry *registry);

#endif
