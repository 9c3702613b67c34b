/* Sinks of events: programs outside that a replica sends every event to (api/sink). The state has,
 * for each of them, up to which event it has confirmed them, so that whichever replica sends next
 * goes on from there.
 *
 * Thread: values; any. */
#ifndef MUSTER_REGISTRY_SINK_H
#define MUSTER_REGISTRY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

/* Both are part of the format, from LEVEL_SINKS on, and never change. */
#define SINKS_MAX           8
#define SINK_NAME_BYTES_MAX 31
#define SINK_NAME_SIZE      (SINK_NAME_BYTES_MAX + 1)

/* The sink has confirmed this event and all before it. The event itself may be gone. */
struct sink_position {
    char name[SINK_NAME_SIZE];
    uint64_t index;    /* of the event's log entry */
    uint32_t position; /* among the events of that entry */
};

/* In order of name. */
struct sinks {
    uint32_t count;
    struct sink_position rows[SINKS_MAX];
};

MUST_USE bool sink_is_name(const char *name, size_t len);
/* NULL if there is none of that name. */
const struct sink_position *sinks_find(const struct sinks *sinks, const char *name);
uint64_t sinks_hash(const struct sinks *sinks);

#endif
