/* Which instances a read asks for: the health, type, zone, tag and meta.KEY parameters.
 *
 * Thread: any. Owns: nothing; borrows from the request. */
#ifndef MUSTER_API_FILTER_H
#define MUSTER_API_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "api/request.h"
#include "server/registry/record.h"

#define FILTER_DISCOVERABLE (1u << HEALTH_PASSING | 1u << HEALTH_WARNING)
#define FILTER_ANY_HEALTH   ((1u << HEALTH_COUNT) - 1)

struct filter {
    unsigned health; /* a bit for each enum health that is wanted */
    const char *type;
    const char *zone;
    size_t tags_count;
    const char *tags[TAGS_MAX];
    size_t metadata_count;
    struct query_pair metadata[METADATA_MAX];
};

/* `health` is what is wanted when the request does not say. */
MUST_USE bool filter_parse(struct filter *filter, const struct request *request, unsigned health,
                           struct fault *fault);
bool filter_match(const struct filter *filter, const struct record *record);
/* Whether it asks for nothing but discoverable instances. */
bool filter_is_plain(const struct filter *filter);

#endif
