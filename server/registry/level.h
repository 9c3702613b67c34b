/* Levels of the replicated format: the commands that a level has, and the limits that decide what a
 * command does. All members of a cluster speak one level at a time, on which consensus agrees.
 *
 * If such a limit were a constant of the build, two builds would apply one entry differently, and
 * replicas would diverge without a word. So the limits are part of the state: registry_set_level()
 * takes the row of a level, and a snapshot carries them. A row never changes once it was released.
 * limits.h says something else: what the doors let in, and what this build has room for.
 *
 * Thread: any; constants. */
#ifndef MUSTER_REGISTRY_LEVEL_H
#define MUSTER_REGISTRY_LEVEL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/limits.h"

/* The levels that this build speaks. */
#define LEVEL_MIN 1
#define LEVEL_MAX 3
/* From here on the size of the state is bounded. Limits are those of level 1. */
#define LEVEL_STATE_BYTES 2
/* From here on there are tokens, and guards of commands. */
#define LEVEL_TOKENS 3

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
    X(event_bytes_mean, EVENT_BYTES_MEAN, 1024) /* as many bytes of events for each one kept */    \
    X(event_bytes_fixed, EVENT_BYTES_MEAN, 128) /* what an event counts, without its texts */

/* X(limit, what this build has room for, level 3): below it there are no tokens. */
#define TOKEN_LIMITS(X)                                                                            \
    X(tokens, TOKENS_MAX, 4096)                                                                    \
    X(token_scopes, TOKEN_SCOPES_MAX, 32)                                                          \
    X(token_ttl_s, TOKEN_TTL_S_MAX, 3153600000)

struct registry_limits {
#define X(limit, room, level_1) uint32_t limit;
    REGISTRY_LIMITS(X)
    TOKEN_LIMITS(X)
#undef X
};

/* NULL for a level that this build does not speak. */
const struct registry_limits *level_limits(uint16_t level);
/* What this build has room for. */
const struct registry_limits *limits_room(void);
/* Whether this build has room for them, and they fit together. */
bool limits_are_possible(const struct registry_limits *limits);
/* Of those of level 1; of those of tokens. */
uint64_t limits_hash(const struct registry_limits *limits);
uint64_t limits_token_hash(const struct registry_limits *limits);

#endif
