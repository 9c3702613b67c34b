#include "api/native/handlers.h"

#include <stdio.h>
#include <string.h>

#include "api/core/render.h"
#include "api/core/render_check.h"
#include "api/http/representation.h"
#include "api/native/filter_query.h"
#include "server/base/limits.h"
#include "server/base/text.h"

/* A page of instances: what to list, from where, how many at most. */
struct page {
    struct filter filter;
    const char *after; /* id; NULL: from the start */
    uint64_t limit;
    const char *space; /* the namespace; "": `default` */
    bool checks;       /* with the checks of each */
};

static bool page_parse(struct page *page, const struct request *request, unsigned health,
                       uint64_t limit, struct problem *problem)
{
    page->after = request_query(request, "after");
    if (!request_query_bool(request, "checks", &page->checks, problem)) {
        return false;
    }
    page->limit = limit;
    const char *text = request_query(request, "limit");
    if (text != NULL && (!text_parse_u64(text, PAGE_LIMIT_MAX, &page->limit) || page->limit == 0)) {
        problem_set(problem, "limit", "must be a number from 1 to %d", PAGE_LIMIT_MAX);
        return false;
    }
    return filter_parse(&page->filter, request, health, problem);
}

bool check_page(struct exchange *x, struct problem *problem)
{
    struct page page;
    return page_parse(&page, &x->request, FILTER_ANY_HEALTH, PAGE_LIMIT_MAX, problem);
}

/* NULL at the end of the namespace. */
static const struct record *next_of(struct ptree_iterator *it, const char *space)
{
    const struct record *record = ptree_next(it);
    return record != NULL && namespace_has(space, record_id(record)) ? record : NULL;
}

/* Where the page begins. */
static size_t rank_of(const struct view *view, const struct ptree *instances,
                      const struct page *page)
{
    char key[STORED_NAME_SIZE];
    const char *after = page->after;
    size_t first = view_rank_of_namespace(view, instances, page->space);
    if (after != NULL && page->space[0] != '\0') {
        /* Cut off where it is longer than any id there: nothing is between the two. */
        (void)snprintf(key, sizeof key, "%c%s%c%s", NAMESPACE_MARK, page->space, NAMESPACE_MARK,
                       after);
        after = key;
    }
    size_t rank = after != NULL ? view_rank_after(view, instances, after) : first;
    return rank > first ? rank : first;
}

/* "instances": [...], and "next": the id to go on after, when there are more that match. */
static void render_page(struct json_out *json, const struct view *view,
                        const struct ptree *instances, const struct page *page)
{
    size_t rank = rank_of(view, instances, page);
    const struct record *record, *last = NULL;
    struct ptree_iterator it;
    uint64_t listed = 0;
    json_out_key(json, "instances");
    json_out_begin(json, '[');
    ptree_iterate(&it, instances, rank);
    while ((record = next_of(&it, page->space)) != NULL) {
        if (!filter_match(&page->filter, record)) {
            continue;
        }
        if (listed == page->limit || json->out->overflowed) {
            break;
        }
        json_out_begin(json, '{');
        render_instance_members(json, record);
        if (page->checks) {
            render_checks(json, view, record);
        }
        json_out_end(json, '}');
        last = record;
        listed++;
    }
    json_out_end(json, ']');
    if (record != NULL && last != NULL) {
        json_out_member_text(json, "next", namespace_bare(record_id(last)));
    }
}

/* What checks say changes without an index: no such answer is kept, nor has a tag. */
static bool page_is_known(struct exchange *x, const struct page *page, uint64_t index)
{
    if (page->checks) {
        response_asked(&x->response, index);
        return false;
    }
    return representation_is_known(x, index);
}

enum next handle_instances(struct exchange *x)
{
    struct page page;
    struct problem problem;
    if (!page_parse(&page, &x->request, FILTER_ANY_HEALTH, PAGE_LIMIT_MAX, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    page.space = permit_space(&x->permit);
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    page.filter.viewer = &viewer;
    x->response.index = view->index;
    if (!page_is_known(x, &page, view->changed_index)) {
        json_out_begin(&json, '{');
        json_out_member_u64(&json, "index", view->changed_index);
        render_page(&json, view, &view->instances, &page);
        json_out_end(&json, '}');
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}

static void render_service(struct json_out *json, const struct view *view, const char *name,
                           const struct page *page)
{
    static const struct ptree empty;
    const struct service_view *service = view_service(view, name);
    json_out_begin(json, '{');
    json_out_member_text(json, "name", namespace_bare(name));
    render_namespace(json, name);
    json_out_member_u64(json, "index", view_service_index(view, name));
    render_page(json, view, service != NULL ? &service->instances : &empty, page);
    json_out_end(json, '}');
}

/* The body of the plain listing: made once for each version of the service. NULL when there is no
 * room for it; `text` has overflowed then. */
static struct rendered *keep_service(const struct view *view, const struct service_view *service,
                                     const struct page *page, struct buffer *text)
{
    struct json_out json = json_out_to(text);
    render_service(&json, view, service->name, page);
    return text->overflowed ? NULL : view_keep_rendered(service, rendered_take(text));
}

static void answer_plain(struct exchange *x, const struct view *view,
                         const struct service_view *service, const struct page *page)
{
    struct rendered *text = atomic_load_explicit(&service->rendered, memory_order_acquire);
    if (text == NULL) {
        text = keep_service(view, service, page, &x->response.body);
    }
    if (text != NULL) {
        response_share(&x->response, text);
    }
}

enum next handle_service(struct exchange *x)
{
    struct page page;
    struct problem problem;
    if (!page_parse(&page, &x->request, FILTER_DISCOVERABLE, UINT64_MAX, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    bool plain = !page.checks && filter_is_plain(&page.filter) && page.limit == UINT64_MAX &&
                 page.after == NULL;
    const char *name = x->permit.key;
    page.space = permit_space(&x->permit);
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct service_view *service = view_service(view, name);
    x->response.index = view->index;
    if (page_is_known(x, &page, view_service_index(view, name))) {
        /* nothing to be rendered */
    } else if (service != NULL && plain) {
        answer_plain(x, view, service, &page);
    } else {
        render_service(&json, view, name, &page);
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}

static void render_tallies(struct json_out *json, const char *key, const struct ptree *tallies)
{
    struct ptree_iterator it;
    const struct tally *tally;
    json_out_key(json, key);
    json_out_begin(json, '[');
    ptree_iterate(&it, tallies, 0);
    while ((tally = ptree_next(&it)) != NULL) {
        if (tally->text[0] != '\0') {
            json_out_text(json, tally->text);
        }
    }
    json_out_end(json, ']');
}

static void render_services(struct json_out *json, const struct view *view,
                            const struct viewer *viewer, const char *space)
{
    const struct service_view *service;
    struct ptree_iterator it;
    json_out_begin(json, '{');
    json_out_member_u64(json, "index", view->services_index);
    json_out_key(json, "services");
    json_out_begin(json, '[');
    view_iterate_services(&it, view, view_rank_of_namespace(view, &view->services, space));
    while (!json->out->overflowed && (service = ptree_next(&it)) != NULL &&
           namespace_has(space, service->name)) {
        if (!viewer_may(viewer, service->name)) {
            continue;
        }
        json_out_begin(json, '{');
        json_out_member_text(json, "name", namespace_bare(service->name));
        render_namespace(json, service->name);
        render_tallies(json, "types", &service->types);
        render_tallies(json, "tags", &service->tags);
        json_out_member_u64(json, "instances", ptree_count(&service->instances));
        render_counts(json, service->counts);
        json_out_end(json, '}');
    }
    json_out_end(json, ']');
    json_out_end(json, '}');
}

enum next handle_services(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    x->response.index = view->index;
    if (!representation_is_known(x, view->services_index)) {
        const struct viewer viewer = permit_viewer(&x->permit, view);
        render_services(&json, view, &viewer, permit_space(&x->permit));
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}

/* What of an instance moves with heartbeats and with time. */
static void render_lease(struct json_out *json, const struct view *view,
                         const struct record *record)
{
    uint64_t renewed_ms, deadline_ms;
    view_lease_times(view, record, &renewed_ms, &deadline_ms);
    json_out_key(json, "last_heartbeat");
    json_out_time(json, view_heard_ms(view, record, renewed_ms));
    uint64_t left_ms = deadline_ms > view->now_ms ? deadline_ms - view->now_ms : 0;
    json_out_key(json, record->expired ? "reaped_in" : "expires_in");
    if (deadline_ms == UINT64_MAX) {
        json_out_null(json);
    } else {
        json_out_seconds(json, left_ms);
    }
    json_out_key(json, record->expired ? "expires_in" : "reaped_in");
    json_out_null(json);
}

enum next handle_instance(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct record *record = view_instance(view, x->permit.key);
    if (record != NULL && viewer_may(&viewer, record_name(record))) {
        response_asked(&x->response, record->index);
        json_out_begin(&json, '{');
        render_instance_members(&json, record);
        render_lease(&json, view, record);
        render_checks(&json, view, record);
        json_out_end(&json, '}');
    } else {
        response_status(&x->response, ST_NOT_FOUND);
    }
    x->response.index = view->index;
    view_unlock(&view);
    return NEXT_RESPOND;
}
