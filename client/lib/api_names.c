/* The functions of the public header that put numbers into words. */
#include "client/include/muster.h"

#include <assert.h>
#include <stddef.h>

#include "server/base/compiler.h"
#include "server/base/health.h"

const char *muster_error_text(enum muster_error error)
{
    static const char *const texts[] = {
        [MUSTER_OK] = "done",
        [MUSTER_INVALID] = "an argument is wrong, or the call is not allowed here",
        [MUSTER_NO_MEMORY] = "out of memory",
        [MUSTER_SYSTEM] = "no thread or no descriptor could be had",
        [MUSTER_TOO_MANY] = "over a limit of the library",
        [MUSTER_FORKED] = "the client belongs to the process that forked this one",
        [MUSTER_NOT_FOUND] = "there is no such instance",
        [MUSTER_REFUSED] = "the registry refused it",
        [MUSTER_UNREACHABLE] = "no replica could be reached; surely not done",
        [MUSTER_UNKNOWN] = "the outcome is unknown: it may or may not have been done",
        [MUSTER_TIMED_OUT] = "not done yet; the library keeps trying",
    };
    size_t which = (size_t)error;
    return which < ARRAY_LENGTH(texts) ? texts[which] : "an error that this version does not know";
}

static const char *name_of(const char *const names[], size_t count, size_t which)
{
    return which < count ? names[which] : "unknown";
}

const char *muster_error_name(enum muster_error error)
{
    static const char *const names[] = {
        [MUSTER_OK] = "ok",
        [MUSTER_INVALID] = "invalid",
        [MUSTER_NO_MEMORY] = "no_memory",
        [MUSTER_SYSTEM] = "system",
        [MUSTER_TOO_MANY] = "too_many",
        [MUSTER_FORKED] = "forked",
        [MUSTER_NOT_FOUND] = "not_found",
        [MUSTER_REFUSED] = "refused",
        [MUSTER_UNREACHABLE] = "unreachable",
        [MUSTER_UNKNOWN] = "unknown",
        [MUSTER_TIMED_OUT] = "timed_out",
    };
    size_t which = (size_t)error;
    return which < ARRAY_LENGTH(names) ? names[which] : "unknown error";
}

const char *muster_log_level_name(enum muster_log_level level)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    return name_of(names, ARRAY_LENGTH(names), (size_t)level);
}

const char *muster_health_name(enum muster_health health)
{
    static_assert((int)MUSTER_PASSING == (int)HEALTH_PASSING &&
                      (int)MUSTER_WARNING == (int)HEALTH_WARNING &&
                      (int)MUSTER_CRITICAL == (int)HEALTH_CRITICAL &&
                      (int)MUSTER_MAINTENANCE == (int)HEALTH_MAINTENANCE,
                  "the numbers of the public header are those of the registry");
    return (size_t)health < HEALTH_COUNT ? health_name((enum health)health) : "unknown";
}

const char *muster_state_name(enum muster_state state)
{
    static const char *const names[] = {"pending", "registered", "doubtful", "denied"};
    return name_of(names, ARRAY_LENGTH(names), (size_t)state);
}

const char *muster_strategy_name(enum muster_strategy strategy)
{
    static const char *const names[] = {"random", "first", "round_robin", "weighted"};
    return name_of(names, ARRAY_LENGTH(names), (size_t)strategy);
}

const char *muster_source_name(enum muster_source source)
{
    static const char *const names[] = {"registry", "fallback"};
    return name_of(names, ARRAY_LENGTH(names), (size_t)source);
}

const char *muster_change_name(enum muster_change change)
{
    static const char *const names[] = {"present", "synced", "added",
                                        "updated", "health", "removed"};
    return name_of(names, ARRAY_LENGTH(names), (size_t)change);
}

const char *muster_version(void)
{
    return MUSTER_VERSION;
}
