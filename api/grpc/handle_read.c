/* Discover and List. */
#include <string.h>

#include <registry.pb-c.h>

#include "api/grpc/check_message.h"
#include "api/grpc/handlers.h"
#include "api/grpc/instance.h"
#include "server/base/limits.h"
#include "server/registry/choose.h"

/* What both have. `service` is as it is stored: "" when there can be none of that name; NULL: all.
 */
struct reading {
    struct call_state call;
    struct filter filter;
    const char *service;
    char key[STORED_NAME_SIZE];
};

/* On the first turn. NULL: refused. */
static struct reading *begin(struct exchange *x, const ProtobufCMessageDescriptor *type)
{
    return x->state != NULL ? x->state : call_begin(x, sizeof(struct reading), type);
}

/* False: refused. */
static bool take_filter(struct exchange *x, struct reading *r, const Muster__V1__Filter *message)
{
    struct problem problem;
    if (!instance_filter(message, &r->call.arena, &r->filter, &r->service, FILTER_DISCOVERABLE,
                         &problem)) {
        (void)call_refuse(x, &problem);
        return false;
    }
    if (r->service != NULL) {
        namespace_store(permit_space(&x->permit), r->service, r->key);
        r->service = r->key;
    }
    return true;
}

/* Whether to read anew first: NEXT_READ; or it was refused. */
static bool must_wait(struct exchange *x, const Muster__V1__Read *read)
{
    return call_must_read(x, read != NULL && read->linearizable,
                          read != NULL ? read->min_index : 0);
}

/* He may not read the service that he names. */
static bool is_hidden(const struct reading *r, const struct viewer *viewer)
{
    return r->service != NULL && r->service[0] != '\0' && !viewer_may(viewer, r->service);
}

static const struct ptree *tree_of(const struct reading *r, const struct view *view)
{
    static const struct ptree empty;
    if (r->service == NULL) {
        return &view->instances;
    }
    const struct service_view *service = view_service(view, r->service);
    return service != NULL ? &service->instances : &empty;
}

static uint64_t staleness_ms(const struct exchange *x)
{
    struct node_status status;
    node_status(x->context->node, &status);
    return status.last_contact_ms;
}

/* --- Discover --- */

static bool parse_choice(struct exchange *x, struct reading *r,
                         const Muster__V1__DiscoverRequest *request, struct choice *choice)
{
    static const enum strategy strategies[] = {STRATEGY_RANDOM, STRATEGY_ROUND_ROBIN,
                                               STRATEGY_FIRST, STRATEGY_WEIGHTED};
    struct problem problem;
    if ((unsigned)request->strategy >= ARRAY_LENGTH(strategies)) {
        problem_set(&problem, "strategy", "must be of the enumeration");
        (void)call_refuse(x, &problem);
        return false;
    }
    choice->strategy = strategies[request->strategy];
    choice->near = request->near.len > 0 ? arena_text(&r->call.arena, &request->near) : NULL;
    choice->random = &x->scratch->random;
    choice->first = choice->count = 0;
    choice->turn = choice->strategy == STRATEGY_ROUND_ROBIN
                       ? exchange_take_turn(x, r->service != NULL ? r->service : "")
                       : 0;
    choice->filter = r->filter;
    return true;
}

static enum next discover(struct exchange *x, struct reading *r, struct choice *choice)
{
    Muster__V1__DiscoverReply reply = MUSTER__V1__DISCOVER_REPLY__INIT;
    struct instance_out out;
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct record *record = NULL;
    bool hidden = is_hidden(r, &viewer);
    choice->filter.viewer = &viewer;
    x->response.index = view->index;
    if (!hidden &&
        (r->service != NULL || choice_among_namespace(choice, view, permit_space(&x->permit)))) {
        record = choose_instance(choice, tree_of(r, view));
    }
    if (record != NULL) {
        instance_make(&out, record);
        reply.instance = &out.message;
        reply.index =
            r->service != NULL ? view_service_index(view, r->service) : view->changed_index;
        reply.staleness_ms = staleness_ms(x);
        (void)call_respond(x, &reply.base);
    }
    view_unlock(&view);
    choice->filter.viewer = NULL;
    if (hidden) {
        return call_fail(x, ST_FORBIDDEN);
    }
    if (record == NULL) {
        response_error(&x->response, 404, "no_healthy_instance", "",
                       "there is no instance now that matches and is healthy");
    }
    return NEXT_RESPOND;
}

enum next grpc_discover(struct exchange *x)
{
    struct reading *r = begin(x, &muster__v1__discover_request__descriptor);
    struct choice choice;
    if (r == NULL) {
        return NEXT_RESPOND;
    }
    const Muster__V1__DiscoverRequest *request = (const void *)r->call.message;
    if (must_wait(x, request->read)) {
        return NEXT_READ;
    }
    if (x->response.status >= 400 || !take_filter(x, r, request->filter) ||
        !parse_choice(x, r, request, &choice)) {
        return NEXT_RESPOND;
    }
    return discover(x, r, &choice);
}

/* --- List --- */

/* Where the page begins. */
static size_t rank_of(const struct view *view, const struct ptree *instances, const char *space,
                      const char *after)
{
    char key[STORED_NAME_SIZE];
    size_t first = view_rank_of_namespace(view, instances, space);
    if (after == NULL) {
        return first;
    }
    namespace_store(space, after, key);
    size_t rank = view_rank_after(view, instances, key[0] != '\0' ? key : after);
    return rank > first ? rank : first;
}

/* Appends the instances of the page; returns the last, when more follow. */
static const struct record *put_page(struct exchange *x, const struct reading *r,
                                     const struct view *view, const char *after, uint32_t limit)
{
    const struct ptree *instances = tree_of(r, view);
    const char *space = permit_space(&x->permit);
    struct buffer *body = &x->response.body;
    const struct record *record, *last = NULL;
    bool with_checks = ((const Muster__V1__ListRequest *)(const void *)r->call.message)->checks;
    struct instance_out out;
    Muster__V1__Checks checks;
    struct ptree_iterator it;
    uint32_t listed = 0;
    ptree_iterate(&it, instances, rank_of(view, instances, space, after));
    while ((record = ptree_next(&it)) != NULL && namespace_has(space, record_id(record))) {
        if (!filter_match(&r->filter, record)) {
            continue;
        }
        if (listed == limit || body->overflowed) {
            return last;
        }
        instance_make(&out, record);
        if (with_checks) {
            checks_make(&checks, view, record);
            out.message.checks = &checks;
        }
        frame_append_field(body, 1, &out.message.base);
        if (with_checks) {
            checks_done(&checks);
        }
        last = record;
        listed++;
    }
    return NULL;
}

static enum next list(struct exchange *x, struct reading *r, const char *after, uint32_t limit)
{
    Muster__V1__ListReply reply = MUSTER__V1__LIST_REPLY__INIT;
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    bool hidden = is_hidden(r, &viewer);
    if (!hidden) {
        size_t head = frame_begin(&x->response.body);
        r->filter.viewer = &viewer;
        x->response.index = view->index;
        const struct record *last = put_page(x, r, view, after, limit);
        reply.index =
            r->service != NULL ? view_service_index(view, r->service) : view->changed_index;
        reply.next = frame_text(last != NULL ? namespace_bare(record_id(last)) : "");
        reply.staleness_ms = staleness_ms(x);
        frame_append(&x->response.body, &reply.base);
        frame_end(&x->response.body, head);
    }
    r->filter.viewer = NULL;
    view_unlock(&view);
    return hidden ? call_fail(x, ST_FORBIDDEN) : NEXT_RESPOND;
}

enum next grpc_list(struct exchange *x)
{
    struct reading *r = begin(x, &muster__v1__list_request__descriptor);
    if (r == NULL) {
        return NEXT_RESPOND;
    }
    const Muster__V1__ListRequest *request = (const void *)r->call.message;
    if (must_wait(x, request->read)) {
        return NEXT_READ;
    }
    if (x->response.status >= 400 || !take_filter(x, r, request->filter)) {
        return NEXT_RESPOND;
    }
    const char *after = request->after.len > 0 ? arena_text(&r->call.arena, &request->after) : NULL;
    uint32_t limit = request->limit;
    if (limit > PAGE_LIMIT_MAX || (after == NULL && request->after.len > 0)) {
        struct problem problem;
        problem_set(&problem, limit > PAGE_LIMIT_MAX ? "limit" : "after",
                    "must be a number from 1 to %d, and after an id", PAGE_LIMIT_MAX);
        return call_refuse(x, &problem);
    }
    return list(x, r, after, limit == 0 ? PAGE_LIMIT_MAX : limit);
}
