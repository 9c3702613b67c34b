#include "api/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/download.h"
#include "api/router.h"
#include "api/stream.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/base/text.h"

static_assert(sizeof((struct exchange *)0)->allow >= ROUTER_ALLOW_SIZE, "holds any Allow");

void exchange_init(struct exchange *x, struct api_context *context, struct worker_scratch *scratch,
                   void (*wake)(struct exchange *x))
{
    *x = (struct exchange){.context = context, .scratch = scratch, .wake = wake};
    request_init(&x->request);
    reply_init(&x->reply);
}

void exchange_done(struct exchange *x)
{
    if (x->state != NULL) {
        x->state_free(x->state);
    }
    if (x->stream != NULL) {
        stream_free(x->stream);
    }
    if (x->download != NULL) {
        download_free(x->download);
    }
    free(x->watched);
    request_done(&x->request);
    reply_done(&x->reply);
}

void exchange_route(struct exchange *x, const char *target)
{
    struct fault fault;
    if (!request_parse_target(&x->request, target, &fault)) {
        reply_fault(&x->reply, &fault);
        return;
    }
    const struct route *route = NULL;
    switch (router_find(&x->request, &route, x->allow, &fault)) {
    case ROUTE_FOUND:
        break;
    case ROUTE_NO_PATH:
        reply_error(&x->reply, 404, "not_found", "", "there is no such path in this API");
        return;
    case ROUTE_NO_METHOD:
        reply_error(&x->reply, 405, "method_not_allowed", "",
                    "use one of the methods in the Allow header");
        x->reply.allow = x->allow;
        return;
    case ROUTE_BAD_PARAM:
        reply_fault(&x->reply, &fault);
        return;
    }
    if (!router_check_params(route, &x->request, &fault)) {
        reply_fault(&x->reply, &fault);
        return;
    }
    x->route = route;
    buffer_init(&x->request.body, route->body_limit);
}

/* consistency, min_index, index and wait, into the stage to begin with. */
static bool parse_read(struct exchange *x, struct fault *fault)
{
    const char *consistency = request_query(&x->request, "consistency");
    const char *wait = request_query(&x->request, "wait");
    uint64_t wait_ms = WAIT_MS_DEFAULT;
    x->stage = STAGE_APPLIED;
    if (consistency != NULL && strcmp(consistency, "linearizable") == 0) {
        x->stage = STAGE_LINEAR;
    } else if (consistency != NULL && strcmp(consistency, "stale") != 0) {
        fault_set(fault, "consistency", "must be stale or linearizable");
        return false;
    }
    if (!request_query_u64(&x->request, "min_index", &x->min_index, fault) ||
        !request_query_u64(&x->request, "index", &x->after_index, fault)) {
        return false;
    }
    if (wait != NULL && (!text_parse_duration_ms(wait, &wait_ms) || wait_ms > WAIT_MS_MAX)) {
        fault_set(fault, "wait", "must be a duration such as 30s, of at most %d seconds",
                  WAIT_MS_MAX / 1000);
        return false;
    }
    if (wait != NULL && request_query(&x->request, "index") == NULL) {
        fault_set(fault, "wait", "needs index=N, the index to wait to be passed");
        return false;
    }
    if (request_query(&x->request, "index") != NULL) {
        x->deadline_ms = clock_monotonic_ms() + wait_ms;
    }
    return true;
}

static void stop_over(struct exchange *x, enum status status)
{
    x->outcome = status;
    x->wake(x);
}

static void wait_done(struct node_wait *wait, enum status status)
{
    stop_over(wait->data, status);
}

static void write_done(struct node_write *write, enum status status)
{
    stop_over(write->data, status);
}

static void change_done(struct node_change *change, enum status status)
{
    stop_over(change->data, status);
}

void exchange_crowded(struct exchange *x)
{
    if (x->route != NULL && !router_is_for_operators(x->route)) {
        x->route = NULL;
        metric_add(METRIC_http_connections_refused_total, 1);
        reply_error(&x->reply, 503, "overloaded", "",
                    "too many connections to this replica; try again or try another replica");
    }
}

/* Ends with what `status` says. */
static void refuse(struct exchange *x, enum status status)
{
    if (status == ST_BUSY) {
        metric_add(METRIC_http_responses_refused_total, 1);
    }
    reply_status(&x->reply, status);
    x->stage = STAGE_DONE;
}

/* Stops, unless refused: true when the exchange is stopped. */
static bool stop_for(struct exchange *x, enum node_wait_kind kind, uint64_t index,
                     uint64_t timeout_ms)
{
    x->wait = (struct node_wait){.data = x,
                                 .done = wait_done,
                                 .kind = kind,
                                 .index = index,
                                 .name = x->watched,
                                 .timeout_ms = (uint32_t)timeout_ms};
    enum status status = node_wait(x->context->node, &x->wait);
    if (status != ST_OK) {
        refuse(x, status);
        return false;
    }
    return true;
}

static bool is_applied(const struct exchange *x)
{
    const struct view *view = node_view_lock(x->context->node);
    uint64_t index = view->index;
    view_unlock(&view);
    return index >= x->min_index;
}

/* What has to happen before the handler may run: false when it happened. For an instance that is
 * what happens to its service, over and over until it was the instance's. */
static bool must_watch(struct exchange *x, enum node_wait_kind *ret_kind, uint64_t *ret_index)
{
    bool must = false;
    *ret_index = x->after_index;
    const struct view *view = node_view_lock(x->context->node);
    switch (x->route->watch) {
    case WATCH_NONE:
        break;
    case WATCH_EVENTS:
        if (request_wants_stream(&x->request)) {
            break;
        }
        /* fall through */
    case WATCH_CHANGED:
        *ret_kind = NODE_WAIT_CHANGED;
        must = view->changed_index <= x->after_index;
        break;
    case WATCH_SERVICES:
        *ret_kind = NODE_WAIT_SERVICES;
        must = view->services_index <= x->after_index;
        break;
    case WATCH_SERVICE:
        *ret_kind = NODE_WAIT_SERVICE;
        must = view_service_index(view, x->request.param) <= x->after_index;
        if (must && x->watched == NULL) {
            x->watched = mem_strdup(x->request.param);
        }
        break;
    case WATCH_INSTANCE: {
        const struct record *record = view_instance(view, x->request.param);
        must = record != NULL && record->index <= x->after_index;
        if (must) {
            *ret_kind = NODE_WAIT_SERVICE;
            free(x->watched);
            x->watched = mem_strdup(record_name(record));
            uint64_t now = view_service_index(view, x->watched);
            *ret_index = now > x->after_index ? now : x->after_index;
        }
        break;
    }
    }
    view_unlock(&view);
    return must;
}

static bool stop_for_change(struct exchange *x)
{
    enum node_wait_kind kind = NODE_WAIT_CHANGED;
    uint64_t index, now_ms = 0;
    if (x->deadline_ms == 0 || (now_ms = clock_monotonic_ms()) >= x->deadline_ms ||
        !must_watch(x, &kind, &index)) {
        x->stage = STAGE_HANDLE;
        return false;
    }
    return stop_for(x, kind, index, x->deadline_ms - now_ms);
}

static enum status begin_write(struct exchange *x)
{
    x->write = (struct node_write){.data = x, .done = write_done};
    return node_write(x->context->node, &x->write, &x->scratch->command);
}

static enum status begin_change(struct exchange *x)
{
    x->change.data = x;
    x->change.done = change_done;
    return node_change(x->context->node, &x->change);
}

static void backup_stepped(struct download *d)
{
    stop_over(d->owner, d->status);
}

static enum status begin_backup(struct exchange *x)
{
    x->download = download_open(x->context->node, backup_stepped, x);
    return download_take(x->download);
}

static enum status begin(struct exchange *x, enum next next)
{
    switch (next) {
    case NEXT_CHANGE:
        return begin_change(x);
    case NEXT_BACKUP:
        return begin_backup(x);
    default:
        return begin_write(x);
    }
}

static bool follow(struct exchange *x, enum next next)
{
    if (next == NEXT_REPLY) {
        x->stage = STAGE_DONE;
        return false;
    }
    if (next == NEXT_PROOF) {
        x->stage = STAGE_LINEAR;
        return false;
    }
    x->stage = STAGE_WRITE; /* `wake` may come before this returns */
    enum status status = begin(x, next);
    if (status != ST_OK) {
        if (status == ST_BUSY) {
            metric_add(METRIC_http_responses_refused_total, 1);
        }
        /* The handler knows whether a command before this one was done. */
        (void)x->finish(x, status);
        x->stage = STAGE_DONE;
        return false;
    }
    return true;
}

/* Goes on until it stops or the reply is complete. */
static bool run(struct exchange *x)
{
    bool stopped = false;
    while (!stopped && x->stage != STAGE_DONE) {
        switch (x->stage) {
        case STAGE_LINEAR:
            stopped =
                stop_for(x, NODE_WAIT_LINEAR, 0, node_facts(x->context->node)->write_timeout_ms);
            break;
        case STAGE_APPLIED:
            if (is_applied(x)) {
                x->stage = STAGE_WATCH;
            } else {
                stopped = stop_for(x, NODE_WAIT_APPLIED, x->min_index,
                                   node_facts(x->context->node)->write_timeout_ms);
            }
            break;
        case STAGE_WATCH:
            stopped = stop_for_change(x);
            break;
        case STAGE_HANDLE:
            stopped = follow(x, x->route->handle(x));
            break;
        case STAGE_WRITE:
        case STAGE_DONE:
            break;
        }
    }
    if (!stopped && x->reply.body.overflowed) {
        reply_error(&x->reply, 413, "too_large", "", "the answer is too long; ask for pages");
    }
    return !stopped;
}

/* Bodies: their type, and that there is one only where it is wanted. */
static bool check_body(struct exchange *x)
{
    const struct request *request = &x->request;
    if (x->route->body_limit == 0 && request->body.overflowed) {
        reply_error(&x->reply, 400, "invalid", "", "this call takes no body");
        return false;
    }
    if (request->body.overflowed) {
        char message[80];
        (void)snprintf(message, sizeof message, "the body must be at most %zu bytes",
                       x->route->body_limit);
        reply_error(&x->reply, 413, "too_large", "", message);
        return false;
    }
    if (request->body.len > 0 && !request_has_json_type(request)) {
        reply_error(&x->reply, 415, "unsupported_media_type", "Content-Type",
                    "the body must be sent as application/json");
        return false;
    }
    return true;
}

bool exchange_start(struct exchange *x)
{
    struct fault fault;
    if (x->route == NULL || !check_body(x)) {
        return true;
    }
    if (x->route->watch == WATCH_NONE) {
        x->stage = STAGE_HANDLE;
    } else if (!parse_read(x, &fault)) {
        reply_fault(&x->reply, &fault);
        return true;
    }
    return run(x);
}

bool exchange_resume(struct exchange *x)
{
    enum status outcome = x->outcome;
    switch (x->stage) {
    case STAGE_LINEAR:
        if (outcome == ST_OK) {
            x->proven = true;
            x->stage = STAGE_APPLIED;
        } else {
            refuse(x, outcome == ST_TIMEOUT ? ST_NO_LEADER : outcome);
        }
        break;
    case STAGE_APPLIED:
        if (outcome == ST_OK) {
            x->stage = STAGE_WATCH;
        } else {
            refuse(x, outcome);
        }
        break;
    case STAGE_WATCH:
        /* In time or not, the answer is what there is now; an instance may not be the cause. */
        if (outcome == ST_TIMEOUT || x->route->watch != WATCH_INSTANCE) {
            x->stage = STAGE_HANDLE;
        }
        if (outcome != ST_OK && outcome != ST_TIMEOUT) {
            refuse(x, outcome);
        }
        break;
    case STAGE_WRITE:
        if (x->download != NULL) {
            download_stepped(x->download);
        }
        if (follow(x, x->finish(x, outcome))) {
            return false;
        }
        break;
    case STAGE_HANDLE:
    case STAGE_DONE:
        break;
    }
    return run(x);
}

uint64_t exchange_due_ms(const struct exchange *x)
{
    return x->stage == STAGE_WATCH
               ? x->deadline_ms
               : clock_monotonic_ms() + node_facts(x->context->node)->write_timeout_ms;
}

void exchange_late(struct exchange *x)
{
    metric_add(METRIC_http_late_total, 1);
    switch (x->stage) {
    case STAGE_WATCH:
        if (x->route->handle(x) == NEXT_REPLY) {
            return; /* nothing has changed that could be seen */
        }
        reply_status(&x->reply, ST_STALLED);
        return;
    case STAGE_WRITE:
        reply_status(&x->reply, ST_UNKNOWN);
        return;
    case STAGE_APPLIED:
        reply_status(&x->reply, ST_TIMEOUT);
        return;
    case STAGE_LINEAR:
    case STAGE_HANDLE:
    case STAGE_DONE:
        break;
    }
    reply_status(&x->reply, ST_STALLED);
}
