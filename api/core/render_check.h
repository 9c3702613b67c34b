/* The checks of an instance as JSON.
 *
 * Thread: any, within a read-side critical section. */
#ifndef MUSTER_API_CORE_RENDER_CHECK_H
#define MUSTER_API_CORE_RENDER_CHECK_H

#include "api/core/check_definition.h"
#include "api/core/json_out.h"
#include "server/registry/view.h"

/* "checks": [...]. What is said of them changes without an index: no such text may be kept. */
void render_checks(struct json_out *json, const struct view *view, const struct record *instance);
/* {"Name": ["value", ...], ...} */
void render_check_headers(struct json_out *json, const struct check_definition *d);

#endif
