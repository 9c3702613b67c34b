#include "server/registry/command.h"

#include <string.h>

#include "server/base/compiler.h"

static const char *const event_names[] = {
    [EVENT_REGISTERED] = "registered",
    [EVENT_UPDATED] = "updated",
    [EVENT_DEREGISTERED] = "deregistered",
    [EVENT_EXPIRED] = "expired",
    [EVENT_RECOVERED] = "recovered",
    [EVENT_REAPED] = "reaped",
    [EVENT_HEALTH] = "health",
    [EVENT_MAINTENANCE] = "maintenance",
};

uint16_t command_level(uint64_t kind)
{
    switch (kind) {
#define X(name, number, level, what)                                                               \
    case number:                                                                                   \
        return (level);
        COMMAND_MAP(X)
#undef X
    default:
        return 0;
    }
}

const char *event_type_name(enum event_type type)
{
    return event_names[type];
}

bool event_type_parse(const char *text, enum event_type *ret_type)
{
    for (unsigned i = 0; i < ARRAY_LENGTH(event_names); i++) {
        if (strcmp(text, event_names[i]) == 0) {
            *ret_type = i;
            return true;
        }
    }
    return false;
}
