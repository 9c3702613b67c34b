#include "server/registry/filter.h"

#include <string.h>

bool filter_match(const struct filter *filter, const struct record *record)
{
    if ((filter->health & 1u << record_health(record)) == 0 ||
        (filter->type != NULL && strcmp(filter->type, record_type(record)) != 0) ||
        (filter->zone != NULL && strcmp(filter->zone, record_zone(record)) != 0)) {
        return false;
    }
    if (filter->viewer != NULL && !viewer_may(filter->viewer, record_name(record))) {
        return false;
    }
    for (size_t i = 0; i < filter->tags_count; i++) {
        if (!record_has_tag(record, filter->tags[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < filter->metadata_count; i++) {
        const char *value = record_metadata_value(record, filter->metadata[i].key);
        if (value == NULL || strcmp(value, filter->metadata[i].value) != 0) {
            return false;
        }
    }
    return true;
}

bool filter_is_plain(const struct filter *filter)
{
    return filter->health == FILTER_DISCOVERABLE && filter->type == NULL && filter->zone == NULL &&
           filter->tags_count == 0 && filter->metadata_count == 0;
}
