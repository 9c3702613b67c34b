/* The events that are kept, as a listing or as a stream. An event's id is the same on
 * every replica, and no other cluster has it (api/core/event_id.h). */
#include "api/native/handlers.h"

#include <string.h>

#include "api/core/event_id.h"
#include "api/core/render.h"
#include "api/native/event_query.h"
#include "api/native/event_stream.h"

/* The listing that is being made. */
struct listing {
    struct json_out json;
    const struct view *view;
    struct viewer viewer;
    uint32_t cluster; /* in the ids */
};

/* Whether the request goes on from an id of another cluster. */
static bool is_foreign(struct exchange *x, const struct event_query *query)
{
    uint32_t own = event_id_cluster(x->context->node);
    return query->cluster != 0 && own != 0 && query->cluster != own;
}

static void out_id(struct listing *l, const char *key, const struct event *event)
{
    char text[EVENT_ID_SIZE];
    event_id_format(event_id_of(event), l->cluster, text);
    json_out_member_text(&l->json, key, text);
}

/* Where the ring starts and ends; null when it is empty. */
static void out_bound(struct listing *l, const char *key, uint64_t sequence)
{
    const struct view *view = l->view;
    const struct event *event =
        view->events_first <= view->events_last ? view_event(view, sequence) : NULL;
    if (event != NULL) {
        out_id(l, key, event);
    } else {
        json_out_key(&l->json, key);
        json_out_null(&l->json);
    }
}

/* From `sequence` on. */
static void out_events(struct listing *l, const struct event_query *query, uint64_t sequence)
{
    const struct view *view = l->view;
    const struct event *last = NULL;
    uint64_t listed = 0;
    json_out_key(&l->json, "events");
    json_out_begin(&l->json, '[');
    for (; sequence <= view->events_last && listed < query->limit; sequence++) {
        const struct event *event = view_event(view, sequence);
        if (event == NULL) {
            continue;
        }
        last = event;
        if (event_filter_matches(&query->filter, event) &&
            viewer_may(&l->viewer, record_name(event->record))) {
            render_event(&l->json, event, l->cluster);
            listed++;
        }
    }
    json_out_end(&l->json, ']');
    if (sequence <= view->events_last && last != NULL) {
        out_id(l, "next", last);
    }
}

static enum next list(struct exchange *x, const struct event_query *query)
{
    struct listing l = {.json = response_json(&x->response),
                        .cluster = event_id_cluster(x->context->node)};
    bool foreign = is_foreign(x, query);
    const struct view *view = l.view = node_view_lock(x->context->node);
    l.viewer = permit_viewer(&x->permit, view);
    x->response.index = view->index;
    response_header_static(&x->response, "Vary", "Accept");
    response_asked(&x->response, view->changed_index);
    json_out_begin(&l.json, '{');
    json_out_member_u64(&l.json, "index", view->changed_index);
    out_bound(&l, "first", view->events_first);
    out_bound(&l, "last", view->events_last);
    bool goes_on = query->has_after && !foreign;
    out_events(&l, query,
               goes_on ? event_cursor_first_after(view, query->after) : view->events_first);
    json_out_member_bool(&l.json, "reset",
                         foreign || (goes_on && event_cursor_is_lost(view, query->after)));
    json_out_end(&l.json, '}');
    view_unlock(&view);
    return NEXT_RESPOND;
}

/* Its connection adds the stream to its worker's. */
static enum next open(struct exchange *x, struct event_query *query)
{
    if (atomic_load(&x->context->draining)) {
        response_status(&x->response, ST_STOPPING);
        return NEXT_RESPOND;
    }
    bool foreign = is_foreign(x, query);
    if (foreign) {
        query->after = (struct event_id){.index = UINT64_MAX}; /* no log goes so far: a reset */
    }
    const struct view *view = node_view_lock(x->context->node);
    /* This replica may lag behind the one that the client comes from. */
    bool ahead = query->has_after && !foreign && query->after.index > view->index && !x->proven;
    if (!ahead) {
        x->response.index = view->index;
        x->response.content_type = "text/event-stream";
        response_header(&x->response, "X-Accel-Buffering", "no"); /* nginx */
        x->stream = event_stream_open(x->context->node, &x->permit.principal, query, view);
    }
    view_unlock(&view);
    return ahead ? NEXT_PROOF : NEXT_RESPOND;
}

static bool fits(const struct event_query *query, const struct request *request, bool stream,
                 struct problem *problem)
{
    if (stream && query->has_limit) {
        problem_set(problem, "limit", "is for listings; a stream has no end");
        return false;
    }
    if (stream && request_query(request, "index") != NULL) {
        problem_set(problem, "index", "is for listings; a stream waits by itself");
        return false;
    }
    if (!stream && query->snapshot) {
        problem_set(problem, "snapshot", "is for streams: ask with Accept: text/event-stream");
        return false;
    }
    return true;
}

static bool parse(struct exchange *x, struct event_query *query, struct problem *problem)
{
    if (!event_query_parse(query, &x->request, permit_space(&x->permit), problem)) {
        return false;
    }
    if (!fits(query, &x->request, request_wants_stream(&x->request), problem)) {
        event_query_done(query);
        return false;
    }
    return true;
}

bool check_events(struct exchange *x, struct problem *problem)
{
    struct event_query query;
    if (!parse(x, &query, problem)) {
        return false;
    }
    event_query_done(&query);
    return true;
}

/* One who asks for a service that he may not follow is told so. */
static bool may_follow(const struct exchange *x, const struct event_query *query)
{
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    bool may = query->filter.service == NULL || viewer_may(&viewer, query->filter.service);
    view_unlock(&view);
    return may;
}

enum next handle_events(struct exchange *x)
{
    struct event_query query;
    struct problem problem;
    if (!parse(x, &query, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    enum next next = NEXT_RESPOND;
    if (!may_follow(x, &query)) {
        response_status(&x->response, ST_FORBIDDEN);
        permit_refused(&x->permit, ST_FORBIDDEN, &x->response);
    } else if (request_wants_stream(&x->request)) {
        next = open(x, &query);
    } else {
        next = list(x, &query);
    }
    event_query_done(&query);
    return next;
}
