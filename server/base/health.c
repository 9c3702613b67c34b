#include "server/base/health.h"

#include <string.h>

static const char *const names[HEALTH_COUNT] = {"passing", "warning", "critical", "maintenance"};

const char *health_name(enum health health)
{
    return names[health];
}

bool health_parse(const char *text, enum health *ret_health)
{
    for (unsigned i = 0; i < HEALTH_COUNT; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_health = (enum health)i;
            return true;
        }
    }
    return false;
}
