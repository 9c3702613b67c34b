#include "api/http/check_beat.h"

#include <stdio.h>
#include <string.h>

#include "api/core/check_ids.h"
#include "server/base/limits.h"

/* As far as he may read the instance. */
static bool is_active(const struct exchange *x, const char *check_id, struct slice instance_id)
{
    char bare[STORED_NAME_SIZE], stored[STORED_NAME_SIZE];
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    namespace_store(permit_space(&x->permit), check_id, stored);
    const struct record *check = view_check(view, stored);
    (void)snprintf(bare, sizeof bare, "%.*s", (int)instance_id.len, instance_id.data);
    namespace_store(permit_space(&x->permit), bare, stored);
    const struct record *instance = view_instance(view, stored);
    bool active = check != NULL && check->active && instance != NULL &&
                  viewer_may(&viewer, record_name(instance));
    view_unlock(&view);
    return active;
}

bool check_beat_take(struct exchange *x, const char *check, struct slice *id, char **ret_owned)
{
    char *check_id = check_ids_join(*id, check);
    *ret_owned = check_id;
    if (strlen(check_id) > NAME_BYTES_MAX) {
        response_status(&x->response, ST_NOT_FOUND);
        return false;
    }
    if (is_active(x, check_id, *id)) {
        response_error(&x->response, 409, "conflict", "check",
                       "the replicas run this check: its status follows from what they find");
        return false;
    }
    *id = slice_of(check_id);
    return true;
}
