/* An instance as an entry of the older registry's lists.
 *
 * Thread: any, within a read-side critical section. */
#ifndef MUSTER_API_TBFS_ENTRY_H
#define MUSTER_API_TBFS_ENTRY_H

#include "api/core/json_out.h"
#include "server/registry/view.h"

/* "active" or "inactive". Active is what the native API lets discover. */
const char *tbfs_status(const struct record *record);
/* `wall_ms` is the present, for the uptime. */
void tbfs_entry_render(struct json_out *json, const struct view *view, const struct record *record,
                       int64_t wall_ms);
/* ISO 8601 without an offset, as Python makes it: a fraction of six digits, unless it is zero. UTC.
 */
void tbfs_time_render(struct json_out *json, int64_t wall_ms);

#endif
