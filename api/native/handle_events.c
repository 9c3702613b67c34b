/* The events that are kept, as a listing or as a stream. An event's id is <log index>.<position in
 * the entry>, the same on every replica. */
#include "api/native/handlers.h"

#include <string.h>

#include "api/core/event_id.h"
#include "api/native/event_query.h"
#include "api/native/event_stream.h"
#include "api/native/render.h"

static void out_id(struct json_out *json, const char *key, const struct event *event)
{
    char text[EVENT_ID_SIZE];
    event_id_format(event_id_of(event), text);
    json_out_member_text(json, key, text);
}

/* Where the ring starts and ends; null when it is empty. */
static void out_bound(struct json_out *json, const char *key, const struct view *view,
                      uint64_t sequence)
{
    const struct event *event =
        view->events_first <= view->events_last ? view_event(view, sequence) : NULL;
    if (event != NULL) {
        out_id(json, key, event);
    } else {
        json_out_key(json, key);
        json_out_null(json);
    }
}

static void out_events(struct json_out *json, const struct view *view,
                       const struct event_query *query)
{
    uint64_t sequence =
        query->has_after ? event_cursor_first_after(view, query->after) : view->events_first;
    const struct event *last = NULL;
    uint64_t listed = 0;
    json_out_key(json, "events");
    json_out_begin(json, '[');
    for (; sequence <= view->events_last && listed < query->limit; sequence++) {
        const struct event *event = view_event(view, sequence);
        if (event == NULL) {
            continue;
        }
        last = event;
        if (event_filter_matches(&query->filter, event)) {
            render_event(json, event);
            listed++;
        }
    }
    json_out_end(json, ']');
    if (sequence <= view->events_last && last != NULL) {
        out_id(json, "next", last);
    }
    json_out_member_bool(json, "reset",
                         query->has_after && event_cursor_is_lost(view, query->after));
}

static enum next list(struct exchange *x, const struct event_query *query)
{
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    x->response.index = view->index;
    response_header_static(&x->response, "Vary", "Accept");
    response_asked(&x->response, view->changed_index);
    json_out_begin(&json, '{');
    json_out_member_u64(&json, "index", view->changed_index);
    out_bound(&json, "first", view, view->events_first);
    out_bound(&json, "last", view, view->events_last);
    out_events(&json, view, query);
    json_out_end(&json, '}');
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
    const struct view *view = node_view_lock(x->context->node);
    /* This replica may lag behind the one that the client comes from. */
    bool ahead = query->has_after && query->after.index > view->index && !x->proven;
    if (!ahead) {
        x->response.index = view->index;
        x->response.content_type = "text/event-stream";
        response_header(&x->response, "X-Accel-Buffering", "no"); /* nginx */
        x->stream = event_stream_open(x->context->node, query, view);
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
    if (!event_query_parse(query, &x->request, problem)) {
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

enum next handle_events(struct exchange *x)
{
    struct event_query query;
    struct problem problem;
    if (!parse(x, &query, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    enum next next = request_wants_stream(&x->request) ? open(x, &query) : list(x, &query);
    event_query_done(&query);
    return next;
}
