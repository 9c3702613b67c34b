#include "api/tbfs/handlers.h"

#include <string.h>

#include "api/tbfs/entry.h"
#include "server/base/clock.h"

/* A replica that was just started may know only some of what there is, or nothing. The clients look
 * at no header that would say so, but they ask another replica after an error. */
static bool check_caught_up(struct exchange *x)
{
    struct node_status status;
    node_status(x->context->node, &status);
    if (!status.caught_up) {
        response_error(&x->response, 503, "not_ready", "",
                       "this replica has not caught up with the others; ask another one");
    }
    return status.caught_up;
}

/* The entries with this status, in order of id; `status` NULL: all. */
static enum next list(struct exchange *x, const char *status)
{
    if (!check_caught_up(x)) {
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    int64_t wall_ms = clock_wall_ms();
    const char *space = permit_space(&x->permit);
    const struct record *record;
    struct ptree_iterator it;
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    x->response.index = view->index;
    json_out_begin(&json, '[');
    ptree_iterate(&it, &view->instances, view_rank_of_namespace(view, &view->instances, space));
    while ((record = ptree_next(&it)) != NULL && namespace_has(space, record_id(record))) {
        if ((status == NULL || strcmp(tbfs_status(record), status) == 0) &&
            viewer_may(&viewer, record_name(record))) {
            tbfs_entry_render(&json, view, record, wall_ms);
        }
    }
    json_out_end(&json, ']');
    view_unlock(&view);
    return NEXT_RESPOND;
}

enum next tbfs_list(struct exchange *x)
{
    const char *status = request_query(&x->request, "status");
    return list(x, status != NULL && status[0] != '\0' ? status : NULL);
}

enum next tbfs_list_active(struct exchange *x)
{
    return list(x, "active");
}

enum next tbfs_get(struct exchange *x)
{
    if (!check_caught_up(x)) {
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct record *record = view_instance(view, x->permit.key);
    if (record != NULL && viewer_may(&viewer, record_name(record))) {
        tbfs_entry_render(&json, view, record, clock_wall_ms());
    } else {
        response_error(&x->response, 404, "not_found", "", "there is no such server");
    }
    x->response.index = view->index;
    view_unlock(&view);
    return NEXT_RESPOND;
}
