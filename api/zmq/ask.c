#include "api/zmq/ask.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "api/core/rate_limit.h"
#include "api/zmq/cgse_entry.h"
#include "api/zmq/pending.h"
#include "api/zmq/reply.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/metric.h"
#include "server/base/random.h"
#include "server/base/text.h"

/* --- reads --- */

static void render(struct reply *reply, const struct view *view, const struct record *record)
{
    cgse_entry_render(&reply->json, record, cgse_entry_heard_ms(view, record));
}

static bool may_see(const struct viewer *viewer, const struct record *record)
{
    return cgse_entry_is_there(record) && viewer_may(viewer, record_name(record));
}

/* NULL at the end of `default`, the namespace of all these clients. */
static const struct service_view *next_service(struct ptree_iterator *it)
{
    const struct service_view *service = ptree_next(it);
    return service != NULL && namespace_has("", service->name) ? service : NULL;
}

/* All, or those of a type, in order of service and id. */
static void render_list(struct reply *reply, const struct view *view, const struct viewer *viewer,
                        const char *type)
{
    struct ptree_iterator services, instances;
    const struct service_view *service;
    const struct record *record;
    json_out_key(&reply->json, "services");
    json_out_begin(&reply->json, '[');
    view_iterate_services(&services, view, view_rank_of_namespace(view, &view->services, ""));
    while ((service = next_service(&services)) != NULL) {
        if (type != NULL && !view_service_has(view, service, type)) {
            continue;
        }
        ptree_iterate(&instances, &service->instances, 0);
        while ((record = ptree_next(&instances)) != NULL && !reply->text.overflowed) {
            if (may_see(viewer, record) && (type == NULL || cgse_entry_has_type(record, type))) {
                render(reply, view, record);
            }
        }
    }
    json_out_end(&reply->json, ']');
}

/* One of those of a type, each as likely as any other. */
static const struct record *choose(const struct view *view, const struct viewer *viewer,
                                   const char *type, uint64_t *random)
{
    struct ptree_iterator services, instances;
    const struct service_view *service;
    const struct record *record, *chosen = NULL;
    uint64_t count = 0;
    view_iterate_services(&services, view, view_rank_of_namespace(view, &view->services, ""));
    while ((service = next_service(&services)) != NULL) {
        if (!view_service_has(view, service, type)) {
            continue;
        }
        ptree_iterate(&instances, &service->instances, 0);
        while ((record = ptree_next(&instances)) != NULL) {
            if (record_discoverable(record) && may_see(viewer, record) &&
                cgse_entry_has_type(record, type) && random_next(random) % ++count == 0) {
                chosen = record;
            }
        }
    }
    return chosen;
}

static void tell_service(struct ask *ask, const struct view *view, const struct record *record,
                         const char *why_not)
{
    struct reply reply;
    if (record == NULL) {
        reply_error(&ask->asker, why_not);
        return;
    }
    reply_begin(&reply, true);
    json_out_key(&reply.json, "service");
    render(&reply, view, record);
    reply_send(&reply, &ask->asker);
}

static void add_port(struct json_out *json, const char *key, const struct endpoint *endpoint)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    json_out_key(json, key);
    if (text_parse_address(endpoint->address, host, sizeof host, &port)) {
        json_out_u64(json, port);
    } else {
        json_out_null(json);
    }
}

static void tell_all(struct ask *ask, const struct view *view, const struct viewer *viewer)
{
    struct reply reply;
    const struct zmq_worker *worker = ask->asker.worker;
    reply_begin(&reply, true);
    if (ask->request.action == CGSE_INFO) {
        const struct endpoint *ports = worker->ports[ask->asker.client->curve != NULL];
        json_out_member_text(&reply.json, "status", "ok");
        add_port(&reply.json, "req_port", &ports[ZMQ_PORT_REQUESTS]);
        add_port(&reply.json, "pub_port", &ports[ZMQ_PORT_EVENTS]);
        add_port(&reply.json, "hb_port", &ports[ZMQ_PORT_HEARTBEATS]);
        json_out_member_bool(&reply.json, "enforce_unique_service_types",
                             worker->options.zmq_unique_types);
    }
    render_list(&reply, view, viewer, ask->request.service_type);
    reply_send(&reply, &ask->asker);
}

static void tell_health(struct ask *ask)
{
    struct reply reply;
    reply_begin(&reply, true);
    json_out_member_text(&reply.json, "status", "ok");
    json_out_member_u64(&reply.json, "timestamp", (uint64_t)clock_wall_ms() / 1000);
    reply_send(&reply, &ask->asker);
}

static void read_view(struct ask *ask)
{
    struct zmq_worker *worker = ask->asker.worker;
    const struct cgse_request *request = &ask->request;
    char why_not[NAME_BYTES_MAX + 64];
    struct node_status status;
    node_status(worker->node, &status);
    if (!status.caught_up) {
        reply_error(&ask->asker, "this replica has not caught up with the others; ask another one");
        return;
    }
    const struct view *view = node_view_lock(worker->node);
    const struct viewer viewer = principal_viewer(&ask->principal, view, PERMISSION_READ);
    if (request->action == CGSE_GET) {
        char key[STORED_NAME_SIZE];
        namespace_store("", request->service_id, key);
        const struct record *record = view_instance(view, key);
        tell_service(ask, view, record != NULL && may_see(&viewer, record) ? record : NULL,
                     "Service not found");
    } else if (request->action == CGSE_DISCOVER) {
        (void)snprintf(why_not, sizeof why_not, "No healthy service of type %s found",
                       request->service_type);
        tell_service(ask, view, choose(view, &viewer, request->service_type, &worker->random),
                     why_not);
    } else {
        tell_all(ask, view, &viewer);
    }
    view_unlock(&view);
}

/* --- writes --- */

static void register_service(struct ask *ask)
{
    struct zmq_worker *worker = ask->asker.worker;
    const struct cgse_registration_options options = {
        .ttl_ms = worker->options.ttl_ms,
        .reap_after_ms = worker->options.reap_after_ms,
        .unique_types = worker->options.zmq_unique_types,
    };
    struct problem problem;
    uint8_t random[16];
    CHECK(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    if (cgse_request_registration(&ask->request, &options, random, &worker->command, &problem)) {
        pending_write(ask, &worker->command);
    } else {
        reply_problem(&ask->asker, &problem);
    }
}

static void deregister_service(struct ask *ask)
{
    const char *id = ask->request.service_id;
    struct command *command = &ask->asker.worker->command;
    memset(command, 0, sizeof *command);
    command->kind = COMMAND_DEREGISTER;
    command->deregister.id = slice_of(id);
    pending_write(ask, command);
}

static void act(struct ask *ask)
{
    switch (ask->request.action) {
    case CGSE_REGISTER:
        register_service(ask);
        break;
    case CGSE_DEREGISTER:
        deregister_service(ask);
        break;
    case CGSE_RENEW:
        pending_renew(ask);
        break;
    case CGSE_GET:
    case CGSE_LIST:
    case CGSE_DISCOVER:
    case CGSE_INFO:
        read_view(ask);
        break;
    case CGSE_HEALTH:
        tell_health(ask);
        break;
    case CGSE_TERMINATE:
        reply_error(&ask->asker, "this replica is one of a cluster, and is not ended by its "
                                 "clients; nothing was done");
        break;
    }
}

/* --- who asks --- */

static void refuse_rate(struct ask *ask)
{
    struct zmq_worker *worker = ask->asker.worker;
    uint64_t held;
    metric_add(METRIC_zmq_rate_limited_total, 1);
    if (log_gate_open(&worker->rate_gate, &held)) {
        log_write(LOG_WARN, "zmq", "a client is over a limit on rates",
                  "address=\"%s\" held_back=%" PRIu64, ask->asker.client->address, held);
        pending_audit_refusal(ask, ST_RATE_LIMITED, held);
    }
    reply_error(&ask->asker, reply_why(ST_RATE_LIMITED));
}

/* False: refused. */
static bool is_within(struct ask *ask, enum rate rate)
{
    unsigned wait_s;
    bool taken =
        rate_limits_take(ask->asker.worker->options.limits, rate, ask->asker.client->client,
                         ask->asker.client->name, clock_monotonic_ns(), &wait_s);
    if (!taken) {
        refuse_rate(ask);
    }
    return taken;
}

/* Of writes in the namespace. False: refused. */
static bool is_within_quota(struct ask *ask)
{
    const struct zmq_worker *worker = ask->asker.worker;
    unsigned wait_s;
    const struct view *view = node_view_lock(worker->node);
    const struct namespace_use *use =
        view->quotas_count > 0 ? view_namespace(view, NAMESPACE_DEFAULT) : NULL;
    unsigned a_second = use != NULL ? use->quota.writes : 0;
    view_unlock(&view);
    bool taken = rate_limits_take_namespace(worker->options.limits, "", a_second,
                                            clock_monotonic_ns(), &wait_s);
    if (!taken) {
        refuse_rate(ask);
    }
    return taken;
}

/* False: refused. */
static bool is_allowed(struct ask *ask)
{
    struct zmq_worker *worker = ask->asker.worker;
    const struct view *view = node_view_lock(worker->node);
    enum status status = principal_find(&ask->principal, worker->options.anonymous, NULL,
                                        ask->asker.client->name, "", view);
    if (status == ST_OK) {
        status = principal_may(&ask->principal, view, ask->request.needed, NULL);
    }
    view_unlock(&view);
    if (status != ST_OK) {
        metric_add(METRIC_zmq_refused_total, 1);
        pending_audit_refusal(ask, status, 0);
        reply_error(&ask->asker, reply_why(status));
    }
    return status == ST_OK;
}

static void take(struct ask *ask, struct slice body)
{
    struct problem problem;
    bool is_good = cgse_request_parse(&ask->request, body, &problem);
    bool is_health = is_good && ask->request.action == CGSE_HEALTH;
    bool is_change =
        is_good && (ask->request.action == CGSE_REGISTER || ask->request.action == CGSE_DEREGISTER);
    if (!is_health && !is_within(ask, RATE_REQUESTS)) {
        return;
    }
    if (!is_good) {
        reply_problem(&ask->asker, &problem);
    } else if (atomic_load(&ask->asker.worker->draining)) {
        reply_error(&ask->asker, reply_why(ST_STOPPING));
    } else if (is_allowed(ask) &&
               (!is_change || (is_within(ask, RATE_WRITES) && is_within_quota(ask)))) {
        act(ask);
    }
}

void ask_run(struct zmq_client *from, const struct incoming *in)
{
    struct zmq_worker *worker = CONTAINER_OF(from->all, struct zmq_worker, clients);
    struct ask ask = {.asker = {.worker = worker, .client = from}};
    struct slice body;
    metric_add(METRIC_zmq_requests_total, 1);
    bool is_good = envelope_parse(in->frames, in->count, &ask.asker.envelope, &body);
    if (is_good && !in->is_cut) {
        take(&ask, body);
    } else if (is_within(&ask, RATE_REQUESTS)) {
        reply_error(&ask.asker, "Invalid message: must be a JSON object, after a word or not");
    }
    cgse_request_done(&ask.request);
}
