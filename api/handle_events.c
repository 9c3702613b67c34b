/* The events that are kept. An event's id is <log index>.<position in the entry>, the same on every
 * replica. */
#include "api/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/event_id.h"
#include "api/render.h"
#include "server/base/limits.h"
#include "server/base/text.h"

#define LIMIT_DEFAULT 1000

struct events_query {
    const char *service, *type, *id;
    unsigned types; /* a bit for each enum event_type that is wanted */
    bool has_after;
    struct event_id after;
    uint64_t limit;
};

static bool parse_types(struct events_query *query, const struct request *request,
                        struct fault *fault)
{
    query->types = 0;
    for (size_t i = 0; i < request->query_count; i++) {
        enum event_type type;
        if (strcmp(request->query[i].name, "event") != 0) {
            continue;
        }
        if (!event_type_parse(request->query[i].value, &type)) {
            fault_set(fault, "event", "is no kind of event, such as registered or expired");
            return false;
        }
        query->types |= 1u << type;
    }
    if (query->types == 0) {
        query->types = (1u << EVENT_TYPES) - 1;
    }
    return true;
}

static bool parse_query(struct events_query *query, const struct request *request,
                        struct fault *fault)
{
    const char *limit = request_query(request, "limit");
    const char *after = request_query(request, "after");
    query->service = request_query(request, "service");
    query->type = request_query(request, "type");
    query->id = request_query(request, "id");
    query->limit = LIMIT_DEFAULT;
    query->has_after = after != NULL;
    if (limit != NULL &&
        (!text_parse_u64(limit, PAGE_LIMIT_MAX, &query->limit) || query->limit == 0)) {
        fault_set(fault, "limit", "must be a number from 1 to %d", PAGE_LIMIT_MAX);
        return false;
    }
    if (after != NULL && !event_id_parse(after, &query->after)) {
        fault_set(fault, "after", "must be the id of an event, <index>.<position>");
        return false;
    }
    return parse_types(query, request, fault);
}

static bool is_wanted(const struct events_query *query, const struct event *event)
{
    const struct record *record = event->record;
    return (query->types & 1u << event->type) != 0 &&
           (query->service == NULL || strcmp(query->service, record_name(record)) == 0) &&
           (query->type == NULL || strcmp(query->type, record_type(record)) == 0) &&
           (query->id == NULL || strcmp(query->id, record_id(record)) == 0);
}

static struct event_id id_of(const struct event *event)
{
    return (struct event_id){event->index, event->position};
}

static void out_id(struct json_out *json, const char *key, struct event_id id)
{
    char text[EVENT_ID_SIZE];
    event_id_format(id, text);
    json_out_key(json, key);
    json_out_text(json, text);
}

static void out_event(struct json_out *json, const struct event *event)
{
    json_out_begin(json, '{');
    out_id(json, "id", id_of(event));
    json_out_member_text(json, "event", event_type_name(event->type));
    json_out_key(json, "time");
    json_out_time(json, event->wall_ms);
    json_out_key(json, "instance");
    render_instance(json, event->record);
    json_out_end(json, '}');
}

/* The first sequence kept whose event is behind `after`. An event that is dropped while we look is
 * before it. */
static uint64_t first_behind(const struct view *view, struct event_id after)
{
    uint64_t low = view->events_first, high = view->events_last + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct event *event = view_event(view, middle);
        if (event == NULL || event_id_compare(id_of(event), after) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Where the ring starts and ends; null when it is empty. */
static void out_bound(struct json_out *json, const char *key, const struct view *view,
                      uint64_t sequence)
{
    const struct event *event =
        view->events_first <= view->events_last ? view_event(view, sequence) : NULL;
    if (event != NULL) {
        out_id(json, key, id_of(event));
    } else {
        json_out_key(json, key);
        json_out_null(json);
    }
}

static void out_events(struct json_out *json, const struct view *view,
                       const struct events_query *query)
{
    uint64_t from = query->has_after ? first_behind(view, query->after) : view->events_first;
    const struct event *last = NULL;
    uint64_t listed = 0, sequence = from;
    json_out_key(json, "events");
    json_out_begin(json, '[');
    for (; sequence <= view->events_last && listed < query->limit; sequence++) {
        const struct event *event = view_event(view, sequence);
        if (event == NULL) {
            continue;
        }
        last = event;
        if (is_wanted(query, event)) {
            out_event(json, event);
            listed++;
        }
    }
    json_out_end(json, ']');
    if (sequence <= view->events_last && last != NULL) {
        out_id(json, "next", id_of(last));
    }
    /* Events between `after` and the first one kept may be gone. */
    json_out_member_bool(json, "reset", query->has_after && from == view->events_first && from > 1);
}

enum next handle_events(struct exchange *x)
{
    struct events_query query;
    struct fault fault;
    if (request_wants_stream(&x->request)) {
        reply_error(&x->reply, 406, "not_acceptable", "Accept",
                    "events are not streamed yet; ask for application/json, with index and wait "
                    "to be told of new ones");
        return NEXT_REPLY;
    }
    if (!parse_query(&query, &x->request, &fault)) {
        reply_fault(&x->reply, &fault);
        return NEXT_REPLY;
    }
    struct json_out json = reply_json(&x->reply);
    view_lock();
    const struct view *view = registry_view(node_registry(x->context->node));
    x->reply.index = view->index;
    json_out_begin(&json, '{');
    json_out_member_u64(&json, "index", view->changed_index);
    out_bound(&json, "first", view, view->events_first);
    out_bound(&json, "last", view, view->events_last);
    out_events(&json, view, &query);
    json_out_end(&json, '}');
    view_unlock();
    return NEXT_REPLY;
}
