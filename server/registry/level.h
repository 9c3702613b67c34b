/* Levels of the replicated format. A level defines which commands exist, and the limits that decide
 * the outcome of a command. All members of a cluster use the same level, which is agreed on through
 * the log.
 *
 * If these limits were constants of the build, two builds would apply the same entry differently,
 * and replicas would silently diverge. So they are part of the state: registry_set_level() takes
 * the row of a level, and a snapshot carries it. A released row never changes. limits.h is
 * different: it has what the doors accept, and what this build has room for.
 *
 * Thread: any; constants. */
#ifndef MUSTER_REGISTRY_LEVEL_H
#define MUSTER_REGISTRY_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/limits.h"

/* The levels that this build supports. */
#define LEVEL_MIN 1
#define LEVEL_MAX 5
/* From this level on, the size of the state is bounded. The limits are those of level 1. */
#define LEVEL_STATE_BYTES 2
/* From this level on, there are tokens and guards. */
#define LEVEL_TOKENS 3
/* From this level on, there are namespaces and quotas, and policies. */
#define LEVEL_NAMESPACES 4
#define LEVEL_POLICIES   4
/* From this level on, there are sinks of events. */
#define LEVEL_SINKS 5
/* From this level on, there are checks and nodes (check_id.h), leases without an end, and what
 * doors keep with a registration. */
#define LEVEL_CHECKS 5
/* From this level on, a registration may ask to be the only one of its type. */
#define LEVEL_UNIQUE_TYPES 5

/* X(limit, what this build has room for, level 1) */
#define REGISTRY_LIMITS(X)                                                                         \
    X(instances, INSTANCES_MAX, 16777216)                                                          \
    X(heartbeat_ids, HEARTBEAT_IDS_MAX, 10000)                                                     \
    X(name_bytes, NAME_BYTES_MAX, 255)                                                             \
    X(host_bytes, HOST_BYTES_MAX, 255)                                                             \
    X(tags, TAGS_MAX, 64)                                                                          \
    X(tag_bytes, TAG_BYTES_MAX, 255)                                                               \
    X(metadata, METADATA_MAX, 64)                                                                  \
    X(metadata_key_bytes, METADATA_KEY_BYTES_MAX, 128)                                             \
    X(metadata_value_bytes, METADATA_VALUE_BYTES_MAX, 512)                                         \
    X(note_bytes, NOTE_BYTES_MAX, 512)                                                             \
    X(weight, WEIGHT_MAX, 65535)                                                                   \
    X(ttl_ms, TTL_MS_MAX, 86400000)                                                                \
    X(reap_after_ms, REAP_AFTER_MS_MAX, 604800000)                                                 \
    X(events_kept_min, EVENTS_KEPT_MAX, 16)                                                        \
    X(events_kept_max, EVENTS_KEPT_MAX, 262144)                                                    \
    X(events_kept_first, EVENTS_KEPT_MAX, 8192) /* in a new registry */                            \
    X(event_bytes_mean, EVENT_BYTES_MEAN, 1024) /* budget: bytes of events for each event kept */  \
    X(event_bytes_fixed, EVENT_BYTES_MEAN, 128) /* size charged for an event, without its texts */

/* X(limit, what this build has room for, level 3): tokens exist from level 3 on. */
#define TOKEN_LIMITS(X)                                                                            \
    X(tokens, TOKENS_MAX, 4096)                                                                    \
    X(token_scopes, TOKEN_SCOPES_MAX, 32)                                                          \
    X(token_ttl_s, TOKEN_TTL_S_MAX, 3153600000)

/* X(limit, what this build has room for, level 4): below it there are no quotas. */
#define NAMESPACE_LIMITS(X) X(namespaces, NAMESPACES_MAX, 4096) /* with a quota */

/* X(limit, what this build has room for, level 5): below it there are no checks. */
#define CHECK_LIMITS(X)                                                                            \
    X(checks, CHECKS_MAX, 16)               /* in one command */                                   \
    X(extra_bytes, EXTRA_BYTES_MAX, 4096)   /* what a door keeps with an instance or a check */    \
    X(output_bytes, OUTPUT_BYTES_MAX, 4160) /* the note of a check */

struct registry_limits {
#define X(limit, room, level_1) uint32_t limit;
    REGISTRY_LIMITS(X)
    TOKEN_LIMITS(X)
    NAMESPACE_LIMITS(X)
    CHECK_LIMITS(X)
#undef X
};

/* Returns NULL for a level that this build does not support. */
const struct registry_limits *level_limits(uint16_t level);
/* The most that this build has room for. */
const struct registry_limits *limits_room(void);
/* Whether this build has room for the limits, and they are consistent. */
bool limits_are_possible(const struct registry_limits *limits);
/* Hash of the REGISTRY_LIMITS, and of those of each later group. */
uint64_t limits_hash(const struct registry_limits *limits);
uint64_t limits_token_hash(const struct registry_limits *limits);
uint64_t limits_namespace_hash(const struct registry_limits *limits);
uint64_t limits_check_hash(const struct registry_limits *limits);

#endif
