#include "server/registry/level.h"

#include <assert.h>
#include <stddef.h>

#include "server/registry/mix.h"

#define X(limit, room, level_1)                                                                    \
    static_assert((level_1) <= (room), "this build must have room for what a level allows");
REGISTRY_LIMITS(X)
TOKEN_LIMITS(X)
NAMESPACE_LIMITS(X)
CHECK_LIMITS(X)
#undef X

static_assert(LEVEL_MIN == 1 && LEVEL_MAX == 5, "one row per level");

const struct registry_limits *level_limits(uint16_t level)
{
    static const struct registry_limits level_1 = {
#define X(limit, room, level_1) .limit = (level_1),
        REGISTRY_LIMITS(X)
#undef X
    };
    static const struct registry_limits level_3 = {
#define X(limit, room, value) .limit = (value),
        REGISTRY_LIMITS(X) TOKEN_LIMITS(X)
#undef X
    };
    static const struct registry_limits level_4 = {
#define X(limit, room, value) .limit = (value),
        REGISTRY_LIMITS(X) TOKEN_LIMITS(X) NAMESPACE_LIMITS(X)
#undef X
    };
    static const struct registry_limits level_5 = {
#define X(limit, room, value) .limit = (value),
        REGISTRY_LIMITS(X) TOKEN_LIMITS(X) NAMESPACE_LIMITS(X) CHECK_LIMITS(X)
#undef X
    };
    switch (level) {
    case 1:
    case LEVEL_STATE_BYTES:
        return &level_1;
    case LEVEL_TOKENS:
        return &level_3;
    case LEVEL_NAMESPACES:
        return &level_4;
    case LEVEL_CHECKS:
        return &level_5;
    default:
        return NULL;
    }
}

const struct registry_limits *limits_room(void)
{
    static const struct registry_limits most = {
#define X(limit, room, level_1) .limit = (room),
        REGISTRY_LIMITS(X) TOKEN_LIMITS(X) NAMESPACE_LIMITS(X) CHECK_LIMITS(X)
#undef X
    };
    return &most;
}

bool limits_are_possible(const struct registry_limits *limits)
{
#define X(limit, room, level_1)                                                                    \
    if (limits->limit > (room)) {                                                                  \
        return false;                                                                              \
    }
    REGISTRY_LIMITS(X)
    TOKEN_LIMITS(X)
    NAMESPACE_LIMITS(X)
    CHECK_LIMITS(X)
#undef X
    return limits->events_kept_min > 0 && limits->events_kept_min <= limits->events_kept_first &&
           limits->events_kept_first <= limits->events_kept_max;
}

uint64_t limits_hash(const struct registry_limits *limits)
{
    uint64_t h = 0;
#define X(limit, room, level_1) h = mix64(h ^ limits->limit);
    REGISTRY_LIMITS(X)
#undef X
    return h;
}

uint64_t limits_token_hash(const struct registry_limits *limits)
{
    uint64_t h = 0;
#define X(limit, room, level_3) h = mix64(h ^ limits->limit);
    TOKEN_LIMITS(X)
#undef X
    return h;
}

uint64_t limits_namespace_hash(const struct registry_limits *limits)
{
    uint64_t h = 0;
#define X(limit, room, level_4) h = mix64(h ^ limits->limit);
    NAMESPACE_LIMITS(X)
#undef X
    return h;
}

uint64_t limits_check_hash(const struct registry_limits *limits)
{
    uint64_t h = 0;
#define X(limit, room, level_5) h = mix64(h ^ limits->limit);
    CHECK_LIMITS(X)
#undef X
    return h;
}
