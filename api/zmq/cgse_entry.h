/* An instance as the older ZeroMQ registry shows it, and which ones a type finds.
 *
 * Thread: any. Where a view is given: within its critical section. */
#ifndef MUSTER_API_ZMQ_CGSE_ENTRY_H
#define MUSTER_API_ZMQ_CGSE_ENTRY_H

#include <stdbool.h>

#include "api/core/json_out.h"
#include "server/registry/view.h"

/* Whether it is there at all: that registry removed what had expired. */
static inline bool cgse_entry_is_there(const struct record *record)
{
    return !record->expired;
}
/* Whether it is of the type: by its own, or by a tag. */
bool cgse_entry_has_type(const struct record *record, const char *type);
/* When it was last heard from, in milliseconds since 1970. It must be in the view. */
int64_t cgse_entry_heard_ms(const struct view *view, const struct record *record);
/* Its type is also its last tag, and in its metadata. */
void cgse_entry_render(struct json_out *json, const struct record *record, int64_t heard_ms);

#endif
