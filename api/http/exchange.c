#include "api/http/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/body_type.h"
#include "api/http/download.h"
#include "api/http/read_query.h"
#include "api/http/route_find.h"
#include "api/http/router.h"
#include "api/http/status_http.h"
#include "api/http/stream.h"
#include "api/http/throttle.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/metric.h"
#include "server/registry/mix.h"

#define ALL_METHODS (1u << METHOD_GET | 1u << METHOD_POST | 1u << METHOD_PUT | 1u << METHOD_DELETE)

static const struct site *last_site(const struct exchange *x)
{
    const struct site *const *sites = exchange_sites(x);
    while (sites[1] != NULL) {
        sites++;
    }
    return *sites;
}

void exchange_init(struct exchange *x, struct api_context *context, struct worker_scratch *scratch,
                   void (*wake)(struct exchange *x))
{
    *x = (struct exchange){.context = context, .scratch = scratch, .certificate = "", .wake = wake};
    request_init(&x->request);
    x->site = last_site(x);
    response_init(&x->response, x->site->error);
}

void exchange_done(struct exchange *x)
{
    if (x->state != NULL) {
        x->state_free(x->state);
    }
    if (x->stream != NULL) {
        x->stream->kind->free(x->stream);
    }
    if (x->download != NULL) {
        download_free(x->download);
    }
    free(x->renewal.missed);
    audited_done(&x->audited);
    request_done(&x->request);
    response_done(&x->response);
}

static void take_site(struct exchange *x, const struct site *site)
{
    x->site = site;
    x->response.error = site->error;
}

static void answer_methods(struct exchange *x, unsigned methods)
{
    router_answer_methods(&x->response, x->request.method, methods, x->site->options_status);
}

static void route_among(struct exchange *x, const struct site *const *sites)
{
    struct problem problem;
    unsigned methods = 0;
    const struct route *route = NULL;
    x->route = NULL;
    const struct site *site = x->site;
    enum route_result result = route_find(sites, &x->request, &site, &route, &methods, &problem);
    take_site(x, site);
    switch (result) {
    case ROUTE_FOUND:
        break;
    case ROUTE_NO_PATH:
        response_error(&x->response, 404, "not_found", "", "there is no such path in this API");
        return;
    case ROUTE_NO_METHOD:
        answer_methods(x, methods);
        return;
    case ROUTE_BAD_PARAM:
        response_problem(&x->response, &problem);
        return;
    }
    x->audited.route = route;
    if (!origin_allows(&x->context->origins, &x->request, route_changes(route), &x->response)) {
        return;
    }
    if (x->site->strict && !router_check_params(route, &x->request, &problem)) {
        response_problem(&x->response, &problem);
        return;
    }
    x->route = route;
    if (!route->vital) {
        buffer_count_in(&x->response.body, &x->context->answers);
    }
}

/* The sites that are asked after the one that has it now. */
static const struct site *const *sites_after(const struct exchange *x)
{
    const struct site *const *sites = exchange_sites(x);
    while (*sites != x->site) {
        sites++;
    }
    return sites + 1;
}

/* In the shape of the last site that has the route, as the others might have declined it. */
static void take_last_site(struct exchange *x)
{
    for (const struct site *const *sites = sites_after(x); *sites != NULL; sites++) {
        const struct route *route;
        unsigned methods = 0;
        struct problem problem;
        if (router_find(*sites, &x->request, &route, &methods, &problem) == ROUTE_FOUND) {
            take_site(x, *sites);
        }
    }
}

void exchange_refuse(struct exchange *x, int status, const char *code, const char *field,
                     const char *message)
{
    take_last_site(x);
    response_error(&x->response, status, code, field, message);
}

/* 429: surely not done. */
static void refuse_rate(struct exchange *x, const char *why, unsigned wait_s)
{
    x->route = NULL;
    metric_add(METRIC_http_rate_limited_total, 1);
    exchange_refuse(x, status_http(ST_RATE_LIMITED), status_code(ST_RATE_LIMITED), "", why);
    response_header_u64(&x->response, "Retry-After", wait_s);
    throttle_report(&x->scratch->rate_gate, &x->request, principal_name(&x->permit.principal), why);
}

/* False: refused. */
static bool is_within(struct exchange *x, enum rate rate, enum throttle_bucket bucket)
{
    const struct throttle throttle = {x->context->limits, x->context->node, x->client, &x->permit};
    unsigned wait_s;
    const char *why = throttle_take(&throttle, rate, bucket, &wait_s);
    if (why != NULL) {
        refuse_rate(x, why, wait_s);
    }
    return why == NULL;
}

/* Who asks whether a replica is healthy always gets an answer. */
static bool is_unlimited(const struct exchange *x)
{
    return x->route != NULL && x->route->vital && x->route->permission == PERMISSION_OPEN;
}

/* Whoever may not do it is told so before anything else of the request is looked at. */
static void refuse_stranger(struct exchange *x, enum status status)
{
    if (status == ST_RATE_LIMITED) {
        refuse_rate(x, THROTTLE_LOGINS, x->permit.wait_s);
    } else {
        exchange_refuse(x, status_http(status), status_code(status), "", status_text(status));
    }
    permit_refused(&x->permit, status, &x->response);
    x->route = NULL;
}

static void admit(struct exchange *x)
{
    struct problem problem;
    const struct login login = {x->context->anonymous, x->context->limits, x->client,
                                x->certificate, NULL};
    const char *token = x->site->find_token != NULL ? x->site->find_token(&x->request) : NULL;
    if (x->route == NULL) {
        return;
    }
    enum status status =
        permit_find(&x->permit, x->context->node, &login, token, &x->request, x->route, &problem);
    if (status == ST_INVALID) {
        take_last_site(x);
        response_problem(&x->response, &problem);
        x->route = NULL;
    } else if (status != ST_OK) {
        refuse_stranger(x, status);
    }
}

void exchange_route(struct exchange *x, const char *target)
{
    struct problem problem;
    x->target = target;
    if (!request_parse_target(&x->request, target, &problem)) {
        response_problem(&x->response, &problem);
        return;
    }
    if (x->request.method == METHOD_OPTIONS && strcmp(x->request.path, "*") == 0) {
        answer_methods(x, ALL_METHODS);
        return;
    }
    route_among(x, exchange_sites(x));
    bool unlimited = is_unlimited(x);
    if (unlimited || is_within(x, RATE_REQUESTS, THROTTLE_ADDRESS)) {
        admit(x);
    }
    if (x->route != NULL && (unlimited || is_within(x, RATE_REQUESTS, THROTTLE_PRINCIPAL))) {
        buffer_init(&x->request.body,
                    x->route->body_limit > 0 ? x->route->body_limit : EMPTY_BODY_BYTES_MAX);
        buffer_count_in(&x->request.body, &x->context->bodies);
    }
}

/* The site that has it does not want it. */
static void route_again(struct exchange *x)
{
    route_among(x, sites_after(x));
    admit(x);
}

/* Into the read to begin with. */
static bool parse_read(struct exchange *x, struct problem *problem)
{
    uint64_t wait_ms;
    bool good = x->site->parse_read != NULL
                    ? x->site->parse_read(x, &wait_ms, problem)
                    : read_query_parse(&x->read, &wait_ms, &x->request, x->route, problem);
    if (!good) {
        return false;
    }
    x->read.name = x->permit.key;
    if (wait_ms != READ_QUERY_NO_WAIT &&
        !(x->route->watch == WATCH_INSTANCE && permit_hides(&x->permit, x->context->node))) {
        x->read.deadline_ms = clock_monotonic_ms() + wait_ms;
    }
    return true;
}

static void stop_over(struct exchange *x, enum status status)
{
    x->outcome = status;
    x->wake(x);
}

static void read_done(struct node_read *read, enum status status)
{
    stop_over(read->data, status);
}

static void write_done(struct node_write *write, enum status status)
{
    stop_over(write->data, status);
}

static void renewal_done(struct node_renewal *renewal, enum status status)
{
    stop_over(renewal->data, status);
}

static void change_done(struct node_change *change, enum status status)
{
    stop_over(change->data, status);
}

void exchange_crowded(struct exchange *x, bool too_fast)
{
    if (x->route == NULL || x->route->vital) {
        return;
    }
    x->route = NULL;
    metric_add(METRIC_http_connections_refused_total, 1);
    if (too_fast) {
        refuse_rate(x, THROTTLE_CONNECTIONS, 1);
    } else {
        exchange_refuse(x, 503, "overloaded", "",
                        "too many connections to this replica; try again or try another replica");
    }
}

/* Ends with what `status` says. */
static void refuse(struct exchange *x, enum status status)
{
    if (status == ST_BUSY) {
        metric_add(METRIC_http_responses_refused_total, 1);
    }
    response_status(&x->response, status);
    x->stage = STAGE_DONE;
}

/* What the node says of the read. */
static void end_read(struct exchange *x, enum status status)
{
    if (status != ST_OK) {
        refuse(x, status);
        return;
    }
    x->proven = x->read.linearizable;
    x->was_read = true;
    x->stage = STAGE_HANDLE;
    /* His token may have been revoked while he waited. */
    status = permit_again(&x->permit, x->context->node);
    if (status != ST_OK) {
        refuse(x, status);
        permit_refused(&x->permit, status, &x->response);
    }
}

/* True when the exchange is stopped. */
static bool begin_read(struct exchange *x)
{
    bool passed;
    x->read.data = x;
    x->read.done = read_done;
    enum status status = node_read(x->context->node, &x->read, &passed);
    if (status == ST_OK && !passed) {
        return true;
    }
    end_read(x, status);
    return false;
}

static enum status begin_write(struct exchange *x)
{
    x->write = (struct node_write){.data = x, .done = write_done};
    if (permission_has_namespace(x->route->permission)) {
        x->scratch->command.space = permit_space_text(&x->permit);
    }
    x->scratch->command.guard = permit_guard(&x->permit, x->context->node);
    return node_write(x->context->node, &x->write, &x->scratch->command);
}

static enum status begin_renewal(struct exchange *x)
{
    x->renewal.data = x;
    x->renewal.space = permit_space_text(&x->permit);
    x->renewal.guard = permit_guard(&x->permit, x->context->node);
    x->renewal.done = renewal_done;
    return node_renew(x->context->node, &x->renewal);
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
    case NEXT_RENEW:
        return begin_renewal(x);
    case NEXT_CHANGE:
        return begin_change(x);
    case NEXT_BACKUP:
        return begin_backup(x);
    default:
        return begin_write(x);
    }
}

/* With the body complete. False: the response is an error. */
static bool begin_route(struct exchange *x)
{
    struct problem problem;
    struct body_refusal refusal;
    if (x->request.body.starved) {
        response_refuse_memory(&x->response);
        return false;
    }
    if (!body_is_taken(&x->request, x->site, x->route->body_limit, &refusal)) {
        exchange_refuse(x, refusal.status, refusal.code, refusal.field, refusal.message);
        return false;
    }
    x->stage = STAGE_HANDLE;
    x->read = (struct node_read){0};
    if (x->route->watch != WATCH_NONE) {
        x->stage = STAGE_READ;
        if (!parse_read(x, &problem)) {
            response_problem(&x->response, &problem);
            return false;
        }
    }
    if (x->route->check != NULL && !x->route->check(x, &problem)) {
        response_problem(&x->response, &problem);
        return false;
    }
    return true;
}

/* The site does not want the request: from the beginning at the next one that has a route for it.
 */
static void decline(struct exchange *x)
{
    route_again(x);
    if (x->route == NULL || !begin_route(x)) {
        x->stage = STAGE_DONE;
    }
}

/* True when the exchange is stopped. */
static bool follow(struct exchange *x, enum next next)
{
    if (next == NEXT_RESPOND) {
        x->stage = STAGE_DONE;
        return false;
    }
    if (next == NEXT_PROOF || next == NEXT_READ) {
        x->read.linearizable = x->read.linearizable || next == NEXT_PROOF;
        x->stage = STAGE_READ;
        return false;
    }
    if (next == NEXT_DECLINE) {
        decline(x);
        return false;
    }
    if (x->stage == STAGE_HANDLE && next != NEXT_RENEW && next != NEXT_BACKUP &&
        !(is_within(x, RATE_WRITES, THROTTLE_ADDRESS) &&
          is_within(x, RATE_WRITES, THROTTLE_PRINCIPAL) &&
          is_within(x, RATE_WRITES, THROTTLE_NAMESPACE))) {
        x->stage = STAGE_DONE;
        return false;
    }
    const struct audited_change asked = {next, &x->scratch->command, &x->renewal, &x->change.change,
                                         permit_space(&x->permit)};
    if (!audited_begin(&x->audited, x->context->audit, x->context->node, &asked)) {
        refuse(x, ST_UNAUDITED);
        return false;
    }
    x->due_ms = clock_monotonic_ms() + node_facts(x->context->node)->write_timeout_ms;
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

/* Goes on until it stops or the response is complete. */
static bool run(struct exchange *x)
{
    bool stopped = false;
    while (!stopped && x->stage != STAGE_DONE) {
        switch (x->stage) {
        case STAGE_READ:
            stopped = begin_read(x);
            break;
        case STAGE_HANDLE:
            x->scratch->command.space = (struct slice){"", 0};
            stopped = follow(x, x->route->handle(x));
            break;
        case STAGE_WRITE:
        case STAGE_DONE:
            break;
        }
    }
    return !stopped;
}

bool exchange_start(struct exchange *x)
{
    return x->route == NULL || !begin_route(x) || run(x);
}

bool exchange_again(struct exchange *x)
{
    audited_done(&x->audited);
    x->audited = (struct audited){.route = x->route};
    x->read = (struct node_read){0};
    x->was_read = false;
    x->stage = STAGE_HANDLE;
    return run(x);
}

bool exchange_may_ask(struct exchange *x)
{
    return is_within(x, RATE_REQUESTS, THROTTLE_ADDRESS) &&
           is_within(x, RATE_REQUESTS, THROTTLE_PRINCIPAL);
}

bool exchange_resume(struct exchange *x)
{
    enum status outcome = x->outcome;
    switch (x->stage) {
    case STAGE_READ:
        end_read(x, outcome);
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

void exchange_cancel(struct exchange *x)
{
    if (x->stage == STAGE_READ) {
        node_read_cancel(&x->read);
    }
}

/* Of a read: the response is made, unless the status says what to say. */
static enum status read_late(struct exchange *x)
{
    enum status status = node_read_late(&x->read);
    if (status == ST_OK) {
        status = permit_again(&x->permit, x->context->node);
    }
    if (status == ST_OK && x->route->handle(x) != NEXT_RESPOND) {
        return ST_STALLED;
    }
    return status;
}

static bool is_over(const struct exchange *x, uint64_t now_ms)
{
    return x->deadline_ms != 0 && now_ms >= x->deadline_ms;
}

bool exchange_is_late(struct exchange *x, uint64_t now_ms)
{
    uint64_t due_ms = x->stage == STAGE_READ ? node_read_due_ms(&x->read) : x->due_ms;
    /* A backup takes as long as it takes to write it. */
    return is_over(x, now_ms) ||
           (now_ms >= due_ms + LATE_MS &&
            !(x->stage == STAGE_WRITE && x->download != NULL && download_is_written(x->download)));
}

/* Of a write; a backup changes nothing. */
static enum status write_late(const struct exchange *x)
{
    return x->download == NULL ? ST_UNKNOWN : ST_STALLED;
}

void exchange_late(struct exchange *x)
{
    metric_add(METRIC_http_late_total, 1);
    x->late = true;
    enum status status = x->stage != STAGE_READ             ? write_late(x)
                         : is_over(x, clock_monotonic_ms()) ? ST_TIMEOUT
                                                            : read_late(x);
    if (status != ST_OK) {
        response_status(&x->response, status);
    }
}

uint32_t exchange_take_turn(struct exchange *x, const char *name)
{
    size_t slot = mix_bytes(name, strlen(name)) % TURNS_SLOTS;
    return atomic_fetch_add_explicit(&x->context->turns[slot], 1, memory_order_relaxed);
}
