#include "api/http/permit.h"

#include "server/base/metric.h"

static enum status judge(struct permit *p, const struct view *view)
{
    p->is_narrow = !permit_viewer(p, view).all;
    p->is_closed = p->needed == PERMISSION_OPEN &&
                   principal_may(&p->principal, view, PERMISSION_STATUS, NULL) != ST_OK;
    return principal_may(&p->principal, view, p->needed, p->service);
}

enum status permit_find(struct permit *p, const struct node *node, const struct login *login,
                        const struct request *request, const struct route *route)
{
    p->needed = route->permission;
    p->service = p->needed == PERMISSION_READ_SERVICE ? request->params[0] : NULL;
    const struct view *view = node_view_lock(node);
    enum status status = login_find(&p->principal, login, request_header(request, "Authorization"),
                                    view, &p->wait_s);
    if (status == ST_OK || p->needed == PERMISSION_OPEN) {
        status = judge(p, view);
    }
    view_unlock(&view);
    return status;
}

enum status permit_again(struct permit *p, const struct node *node)
{
    const struct view *view = node_view_lock(node);
    enum status status = judge(p, view);
    view_unlock(&view);
    return status;
}

void permit_refused(struct permit *p, enum status status, struct response *response)
{
    p->is_closed = true;
    response_header_static(response, "Cache-Control", "no-store");
    if (status == ST_RATE_LIMITED) {
        return; /* counted */
    }
    if (status == ST_UNAUTHENTICATED) {
        metric_add(METRIC_http_unauthenticated_total, 1);
    } else {
        metric_add(METRIC_http_forbidden_total, 1);
    }
}

struct guard permit_guard(const struct permit *p, const struct node *node)
{
    const struct view *view = node_view_lock(node);
    struct guard guard = principal_guard(&p->principal, view, p->needed);
    view_unlock(&view);
    return guard;
}

struct viewer permit_viewer(const struct permit *p, const struct view *view)
{
    return principal_viewer(&p->principal, view, p->needed);
}

bool permit_hides(const struct permit *p, const struct node *node, const char *id)
{
    const struct view *view = node_view_lock(node);
    const struct viewer viewer = permit_viewer(p, view);
    const struct record *record = view_instance(view, id);
    bool hides = record != NULL && !viewer_may(&viewer, record_name(record));
    view_unlock(&view);
    return hides;
}
