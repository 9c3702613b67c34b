/* The calls of the older registry of Docker Swarm, answered from the replicated registry: by any
 * replica, whether it has a daemon or not. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/core/swarm_entry.h"
#include "api/swarm/handlers.h"
#include "server/base/clock.h"
#include "server/base/metric.h"

static const struct swarm_own *own_of(const struct exchange *x)
{
    return x->context->own;
}

static void member_now(struct json_out *json)
{
    json_out_member_u64(json, "timestamp", (uint64_t)clock_wall_ms() / 1000);
}

static bool may_see(const void *viewer, const char *service)
{
    return viewer_may(viewer, service);
}

/* --- the cache, which is the registry --- */

struct stats {
    uint64_t services, metrics, version;
    double refreshed_s;
    unsigned replicas; /* with a daemon */
};

static void take_cache(struct stats *s, const struct record *record)
{
    const char *version = record_metadata_value(record, "version");
    const char *refreshed = record_metadata_value(record, "refreshed");
    s->version = version != NULL ? strtoull(version, NULL, 10) : 0;
    s->refreshed_s = refreshed != NULL ? (double)strtoull(refreshed, NULL, 10) / 1000 : 0;
}

static struct stats find_stats(const struct view *view)
{
    struct stats s = {.services = 0};
    struct ptree_iterator it;
    uint64_t said = 0;
    ptree_iterate(&it, &view->instances,
                  view_rank_of_namespace(view, &view->instances, SWARM_SPACE));
    for (const struct record *r;
         (r = ptree_next(&it)) != NULL && namespace_has(SWARM_SPACE, record_id(r));) {
        s.services += swarm_entry_is(r, SWARM_TYPE_SERVICE);
        s.replicas += swarm_entry_is(r, SWARM_TYPE_REPLICA) && !r->expired;
        if (swarm_entry_is(r, SWARM_TYPE_METRICS)) {
            said += r->expired ? 0 : r->metadata_count;
        } else if (swarm_entry_is(r, SWARM_TYPE_CACHE)) {
            take_cache(&s, r);
        }
    }
    /* A service that runs on two nodes is said twice. */
    s.metrics = said < s.services ? said : s.services;
    return s;
}

static void render_stats(struct json_out *json, const struct exchange *x, const char *key,
                         const struct stats *s)
{
    json_out_key(json, key);
    json_out_begin(json, '{');
    json_out_member_u64(json, "services_count", s->services);
    json_out_member_u64(json, "metrics_count", s->metrics);
    json_out_key(json, "last_refresh");
    swarm_number_render(json, s->refreshed_s);
    json_out_member_u64(json, "cache_version", s->version);
    json_out_member_u64(json, "refresh_interval_sec", own_of(x)->worker->options.refresh_ms / 1000);
    json_out_end(json, '}');
}

static struct stats look_at_stats(struct exchange *x)
{
    const struct view *view = node_view_lock(x->context->node);
    struct stats s = find_stats(view);
    x->response.index = view->index;
    view_unlock(&view);
    return s;
}

/* --- the publisher, which is a sink of events --- */

/* On a replica that does not publish itself: whether somebody does. */
static bool is_publishing(const struct exchange *x)
{
    struct node_status status;
    node_status(x->context->node, &status);
    return own_of(x)->exchange != NULL &&
           (status.is_leader ? metric_get(METRIC_amqp_connected) == 1 : status.leader != 0);
}

static void render_publisher(struct json_out *json, const struct exchange *x)
{
    json_out_member_bool(json, "enabled", own_of(x)->exchange != NULL);
    json_out_member_bool(json, "connected", is_publishing(x));
}

/* --- calls --- */

enum next swarm_index(struct exchange *x)
{
    static const char *const endpoints[][2] = {{"health", "/health"},
                                               {"services", "/services"},
                                               {"service", "/services/{service_name}"},
                                               {"metrics", "/services/{service_name}/metrics"},
                                               {"cache", "/cache/stats"},
                                               {"events", "/events"}};
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "service", "service-registry");
    json_out_member_text(&json, "version", MUSTER_VERSION);
    json_out_member_text(&json, "description",
                         "Service Registry with Docker Swarm integration, by Muster");
    json_out_key(&json, "endpoints");
    json_out_begin(&json, '{');
    for (size_t i = 0; i < ARRAY_LENGTH(endpoints); i++) {
        json_out_member_text(&json, endpoints[i][0], endpoints[i][1]);
    }
    json_out_end(&json, '}');
    member_now(&json);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

static void render_warnings(struct json_out *json, const struct stats *s)
{
    json_out_key(json, "warnings");
    json_out_begin(json, '[');
    if (s->replicas == 0) {
        json_out_text(json, "no replica has a Docker daemon that answers: what is listed is stale");
    }
    if (s->services == 0 && s->refreshed_s <= 0) {
        json_out_text(json, "No services discovered and cache has never been refreshed");
    }
    json_out_end(json, ']');
}

enum next swarm_health(struct exchange *x)
{
    struct stats s = look_at_stats(x);
    bool is_degraded = s.replicas == 0 || (s.services == 0 && s.refreshed_s <= 0);
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "status", is_degraded ? "degraded" : "healthy");
    member_now(&json);
    json_out_member_text(&json, "service", "service-registry");
    render_stats(&json, x, "cache", &s);
    json_out_key(&json, "publisher");
    json_out_begin(&json, '{');
    render_publisher(&json, x);
    json_out_end(&json, '}');
    if (is_degraded) {
        render_warnings(&json, &s);
    }
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next swarm_services(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    struct stats s = find_stats(view);
    x->response.index = view->index;
    json_out_begin(&json, '{');
    json_out_key(&json, "services");
    json_out_begin(&json, '[');
    size_t count = swarm_entries_render(&json, view, may_see, &viewer);
    json_out_end(&json, ']');
    view_unlock(&view);
    json_out_key(&json, "metadata");
    json_out_begin(&json, '{');
    json_out_member_u64(&json, "count", count);
    json_out_member_u64(&json, "cache_version", s.version);
    json_out_key(&json, "last_refresh");
    swarm_number_render(&json, s.refreshed_s);
    member_now(&json);
    json_out_end(&json, '}');
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

/* The service of the path, if it is there and to be seen; else the response says so. */
static const struct record *find(struct exchange *x, const struct view *view)
{
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const char *name = x->request.params[0];
    const struct record *record = viewer_may(&viewer, name) ? swarm_entry_find(view, name) : NULL;
    x->response.index = view->index;
    if (record == NULL) {
        response_error(&x->response, 404, "not_found", "", "service not found");
    }
    return record;
}

enum next swarm_service(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct record *record = find(x, view);
    if (record != NULL) {
        json_out_begin(&json, '{');
        json_out_key(&json, "service");
        swarm_entry_render(&json, record);
        member_now(&json);
        json_out_end(&json, '}');
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}

static void render_metrics(struct exchange *x, const struct swarm_usage *usage, bool refreshed)
{
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "service_name", x->request.params[0]);
    json_out_key(&json, "metrics");
    if (usage != NULL) {
        swarm_usage_render(&json, usage);
    } else {
        json_out_null(&json);
    }
    if (refreshed) {
        json_out_member_bool(&json, "refreshed", true);
    }
    member_now(&json);
    json_out_end(&json, '}');
}

enum next swarm_metrics(struct exchange *x)
{
    struct swarm_usage usage;
    const struct view *view = node_view_lock(x->context->node);
    bool is_there = find(x, view) != NULL;
    bool is_known = is_there && swarm_usage_find(view, x->request.params[0], &usage);
    view_unlock(&view);
    if (is_known) {
        render_metrics(x, &usage, false);
    } else if (is_there) {
        response_error(&x->response, 404, "not_found", "", "metrics not available");
    }
    return NEXT_RESPOND;
}

/* They are taken by all replicas with a daemon, of their nodes; the answer has what was known. */
enum next swarm_take_metrics(struct exchange *x)
{
    struct swarm_usage usage;
    const struct view *view = node_view_lock(x->context->node);
    bool is_there = find(x, view) != NULL;
    bool is_known = is_there && swarm_usage_find(view, x->request.params[0], &usage);
    view_unlock(&view);
    if (is_there) {
        swarm_worker_ask(own_of(x)->worker, SWARM_METRICS);
        render_metrics(x, is_known ? &usage : NULL, true);
    }
    return NEXT_RESPOND;
}

enum next swarm_stats(struct exchange *x)
{
    struct stats s = look_at_stats(x);
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    render_stats(&json, x, "cache_stats", &s);
    member_now(&json);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next swarm_refresh(struct exchange *x)
{
    swarm_worker_ask(own_of(x)->worker, SWARM_REFRESH);
    struct stats s = look_at_stats(x);
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "message", "Cache refreshed successfully");
    render_stats(&json, x, "cache_stats", &s);
    member_now(&json);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next swarm_clear(struct exchange *x)
{
    swarm_worker_ask(own_of(x)->worker, SWARM_CLEAR);
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "message", "Cache cleared successfully");
    member_now(&json);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next swarm_events(struct exchange *x)
{
    static const char *const events[] = {"services.updated",       "service.added",
                                         "service.removed",        "service.updated",
                                         "metrics.{service_name}", "health.check"};
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_key(&json, "available_events");
    json_out_begin(&json, '[');
    for (size_t i = 0; i < ARRAY_LENGTH(events); i++) {
        json_out_text(&json, events[i]);
    }
    json_out_end(&json, ']');
    json_out_key(&json, "exchange");
    if (own_of(x)->exchange != NULL) {
        json_out_text(&json, own_of(x)->exchange);
    } else {
        json_out_null(&json);
    }
    render_publisher(&json, x);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}
