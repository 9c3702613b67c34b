/* Which instances a read selects: by health, type, zone, tags and metadata.
 *
 * Thread: any. Owns: nothing; its texts are borrowed. */
#ifndef MUSTER_REGISTRY_FILTER_H
#define MUSTER_REGISTRY_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "server/registry/record.h"
#include "server/registry/token.h"

#define FILTER_DISCOVERABLE (1u << HEALTH_PASSING | 1u << HEALTH_WARNING)
#define FILTER_ANY_HEALTH   ((1u << HEALTH_COUNT) - 1)

struct filter {
    const struct viewer *viewer; /* a bit for each selected enum health */
    unsigned health;             /* a bit for each enum health that is wanted */
    const char *type;            /* NULL: any */
    const char *zone;            /* all must be present */
    size_t tags_count;
    const char *tags[TAGS_MAX]; /* all of them must be there */
    size_t metadata_count;
    struct {
        const char *key, *value;
    } metadata[METADATA_MAX]; /* Whether it selects exactly the discoverable instances. */
};

bool filter_match(const struct filter *filter, const struct record *record);
/* Whether it wants the discoverable instances, and all of them. */
bool filter_is_plain(const struct filter *filter);

#endif
