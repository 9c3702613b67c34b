#include "api/http/permit.h"

#include <stdio.h>
#include <string.h>

#include "server/base/metric.h"
#include "server/base/naming.h"

#define HEADER             "X-Muster-Namespace"
#define PARAM              "ns"
#define AUTHORIZATION_SIZE (sizeof "Bearer " + TOKEN_TEXT_SIZE)

static enum status judge(struct permit *p, const struct view *view)
{
    p->is_narrow = !permit_viewer(p, view).all || permit_space(p)[0] != '\0';
    p->is_closed = p->needed == PERMISSION_OPEN &&
                   principal_may(&p->principal, view, PERMISSION_STATUS, NULL) != ST_OK;
    return principal_may(&p->principal, view, p->needed, p->key);
}

/* The namespace that a request names by header or parameter, if the route is in one. */
static bool take_namespace(const struct request *request, const struct route *route,
                           const char **ret_space, struct problem *problem)
{
    *ret_space = NULL;
    if (!permission_has_namespace(route->permission)) {
        return true;
    }
    const char *said = request_query(request, PARAM);
    const char *header = request_header(request, HEADER);
    const char *field = said != NULL ? PARAM : HEADER;
    if (said != NULL && header != NULL && strcmp(said, header) != 0) {
        problem_set(problem, PARAM, "is not what the header " HEADER " says");
        return false;
    }
    said = said != NULL ? said : header;
    if (said != NULL && !naming_is_namespace(said, strlen(said))) {
        problem_set(problem, field,
                    "must be 1 to %d lower-case letters, digits, '-', '_' and '.', the first a "
                    "letter or digit",
                    NAMESPACE_BYTES_MAX);
        return false;
    }
    *ret_space = said != NULL && strcmp(said, NAMESPACE_DEFAULT) == 0 ? "" : said;
    return true;
}

/* The header Authorization that the request has, or might have had: then in `room`. */
static const char *authorization_of(const struct request *request, const char *token,
                                    char room[AUTHORIZATION_SIZE])
{
    if (token == NULL) {
        return request_header(request, "Authorization");
    }
    /* A longer one is none, cut off or not. */
    (void)snprintf(room, AUTHORIZATION_SIZE, "Bearer %s", token);
    return room;
}

enum status permit_find(struct permit *p, const struct node *node, const struct login *login,
                        const char *token, const struct request *request, const struct route *route,
                        struct problem *problem)
{
    struct login here = *login;
    char room[AUTHORIZATION_SIZE] = "";
    const char *name = request->params[0] != NULL ? request->params[0] : "";
    p->needed = route->permission;
    if (!take_namespace(request, route, &here.space, problem)) {
        return ST_INVALID;
    }
    const struct view *view = node_view_lock(node);
    enum status status =
        login_find(&p->principal, &here, authorization_of(request, token, room), view, &p->wait_s);
    token_text_wipe(room, sizeof room);
    namespace_store(permit_space(p), name, p->key);
    if (status == ST_OK || p->needed == PERMISSION_OPEN) {
        status = judge(p, view);
    }
    view_unlock(&view);
    if (status == ST_OK && name[0] != '\0' && p->key[0] == '\0') {
        problem_set(problem, PARAM, "and the name in the path may have %d bytes together",
                    NAME_BYTES_MAX - 2);
        return ST_INVALID;
    }
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

bool permit_hides(const struct permit *p, const struct node *node)
{
    const struct view *view = node_view_lock(node);
    const struct viewer viewer = permit_viewer(p, view);
    const struct record *record = view_instance(view, p->key);
    bool hides = record != NULL && !viewer_may(&viewer, record_name(record));
    view_unlock(&view);
    return hides;
}
