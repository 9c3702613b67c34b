/* The states of an instance and their names, the same at a replica, in libmuster and in the API.
 *
 * Thread: values; any. */
#ifndef MUSTER_BASE_HEALTH_H
#define MUSTER_BASE_HEALTH_H

#include <stdbool.h>

#include "server/base/compiler.h"

enum health {
    HEALTH_PASSING,
    HEALTH_WARNING,
    HEALTH_CRITICAL,
    HEALTH_MAINTENANCE,
    HEALTH_COUNT,
};

/* "passing", "warning", "critical", "maintenance". Static. */
const char *health_name(enum health health);
/* False for any other text. */
MUST_USE bool health_parse(const char *text, enum health *ret_health);

#endif
