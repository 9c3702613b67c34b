#include "server/registry/command.h"

#include <string.h>

#include "server/base/compiler.h"

static const char *const event_names[] = {
#define EVENT(KIND, name, what) [EVENT_##KIND] = (name),
#include "server/registry/events.def"
};

uint16_t command_level(uint64_t kind)
{
    switch (kind) {
#define COMMAND(KIND, member, number, level, what, fields)                                         \
    case number:                                                                                   \
        return (level);
#include "server/registry/commands.def"
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
