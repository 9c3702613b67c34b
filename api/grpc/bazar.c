/* The calls of an older name server, whose programs run unmodified: a server has a number, an
 * address and a service, and says every 30 s whether it is overloaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <discovery_service.pb-c.h>
#include <registry_service.pb-c.h>

#include "api/grpc/handlers.h"
#include "api/grpc/instance.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/metric.h"
#include "server/base/text.h"
#include "server/registry/check.h"
#include "server/registry/choose.h"

#define TTL_MS        60000
#define REAP_AFTER_MS 10000
#define ID_PREFIX     "bazar-"
#define NO_SERVICE    "bazar" /* of a server that names none */

/* Of both heartbeat and registration. */
struct serving {
    struct call_state call;
    char id[32];
    struct slice ids[1];
};

static void make_id(struct serving *s, int32_t number)
{
    int len = snprintf(s->id, sizeof s->id, ID_PREFIX "%" PRId32, number);
    s->ids[0] = (struct slice){s->id, (size_t)len};
}

static enum health health_of(bool overloaded)
{
    return overloaded ? HEALTH_WARNING : HEALTH_PASSING;
}

static enum next succeed(struct exchange *x)
{
    RegistryService__QueryReply reply = REGISTRY_SERVICE__QUERY_REPLY__INIT;
    reply.success = true;
    return call_respond(x, &reply.base);
}

/* --- discovery: a registration --- */

static enum next finish_register(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    return status == ST_OK ? succeed(x) : call_fail(x, status);
}

static enum next refuse(struct exchange *x, const char *field, const char *message)
{
    struct problem problem;
    problem_set(&problem, field, "%s", message);
    return call_refuse(x, &problem);
}

enum next grpc_bazar_discovery(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    struct registration *r = &c->register_.registration;
    struct problem problem;
    struct serving *s = call_begin(x, sizeof *s, &registry_service__record_request__descriptor);
    if (s == NULL) {
        return NEXT_RESPOND;
    }
    const RegistryService__RecordRequest *request = (const void *)s->call.message;
    if (request->serverip.len == 0) {
        return refuse(x, "serverIp", "is required");
    }
    if (request->serverport < 1 || request->serverport > UINT16_MAX) {
        return refuse(x, "serverPort", "must be a number from 1 to 65535");
    }
    make_id(s, request->serverid);
    memset(c, 0, sizeof *c);
    c->kind = COMMAND_REGISTER;
    r->id = s->ids[0];
    r->name = request->service.len > 0 ? frame_slice(request->service) : slice_of(NO_SERVICE);
    r->host = frame_slice(request->serverip);
    r->type = r->zone = r->extra = (struct slice){"", 0};
    r->port = (uint16_t)request->serverport;
    r->weight = 1;
    r->ttl_ms = TTL_MS;
    r->reap_after_ms = REAP_AFTER_MS;
    c->register_.health_given = true;
    c->register_.health = health_of(request->overloaded);
    registration_normalise(r);
    if (!registration_check(r, &problem)) {
        return call_refuse(x, &problem);
    }
    x->finish = finish_register;
    return NEXT_WRITE;
}

/* --- heartBeat --- */

static enum next finish_heartbeat(struct exchange *x, enum status status)
{
    if (status == ST_OK && x->renewal.missed_count > 0) {
        status = ST_NOT_FOUND;
    }
    return status == ST_OK ? succeed(x) : call_fail(x, status);
}

enum next grpc_bazar_heartbeat(struct exchange *x)
{
    struct serving *s = call_begin(x, sizeof *s, &registry_service__renew_request__descriptor);
    if (s == NULL) {
        return NEXT_RESPOND;
    }
    const RegistryService__RenewRequest *request = (const void *)s->call.message;
    make_id(s, request->serverid);
    x->renewal = (struct node_renewal){.ids = s->ids,
                                       .count = 1,
                                       .health_given = true,
                                       .health = health_of(request->overloaded),
                                       .note = {"", 0}};
    x->finish = finish_heartbeat;
    return NEXT_RENEW;
}

/* --- findServer --- */

/* 0: it was registered by other means. */
static int32_t number_of(const char *id)
{
    const char *text = id + strlen(ID_PREFIX);
    uint64_t number;
    if (strncmp(id, ID_PREFIX, strlen(ID_PREFIX)) != 0) {
        return 0;
    }
    bool negative = *text == '-';
    if (!text_parse_u64(text + negative, (uint64_t)INT32_MAX + negative, &number)) {
        return 0;
    }
    return (int32_t)(negative ? -(int64_t)number : (int64_t)number);
}

/* One that is not overloaded, if there is one. */
static const struct record *find(struct exchange *x, const struct view *view, const char *stored)
{
    static const unsigned wanted[] = {1u << HEALTH_PASSING, 1u << HEALTH_WARNING};
    const struct service_view *service = view_service(view, stored);
    struct choice choice = {.strategy = STRATEGY_RANDOM, .random = &x->scratch->random};
    const struct record *record = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(wanted) && service != NULL && record == NULL; i++) {
        choice.filter.health = wanted[i];
        record = choose_instance(&choice, &service->instances);
    }
    return record;
}

enum next grpc_bazar_find(struct exchange *x)
{
    struct call_state *s = call_begin(x, sizeof *s, &discovery_service__query_request__descriptor);
    DiscoveryService__QueryReply reply = DISCOVERY_SERVICE__QUERY_REPLY__INIT;
    char stored[STORED_NAME_SIZE];
    if (s == NULL) {
        return NEXT_RESPOND;
    }
    const DiscoveryService__QueryRequest *request = (const void *)s->message;
    const char *name = arena_text(&s->arena, &request->service);
    if (name == NULL) {
        return refuse(x, "service", "must have no control characters");
    }
    namespace_store(permit_space(&x->permit), name[0] != '\0' ? name : NO_SERVICE, stored);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct record *record = viewer_may(&viewer, stored) ? find(x, view, stored) : NULL;
    x->response.index = view->index;
    if (record != NULL) {
        reply.serverid = number_of(namespace_bare(record_id(record)));
        reply.serverip = frame_text(record_host(record));
        reply.serverport = record->port;
        reply.querysuccess = true;
    }
    (void)call_respond(x, &reply.base);
    view_unlock(&view);
    return NEXT_RESPOND;
}

/* --- warnServerError: what a client says of a server changes nothing --- */

enum next grpc_bazar_warn(struct exchange *x)
{
    static struct log_gate gate;
    struct call_state *s = call_begin(x, sizeof *s, &discovery_service__server_error__descriptor);
    DiscoveryService__QueryReply reply = DISCOVERY_SERVICE__QUERY_REPLY__INIT;
    char id[32], stored[STORED_NAME_SIZE];
    uint64_t held;
    if (s == NULL) {
        return NEXT_RESPOND;
    }
    reply.serverid = ((const DiscoveryService__ServerError *)(const void *)s->message)->serverid;
    (void)snprintf(id, sizeof id, ID_PREFIX "%" PRId32, reply.serverid);
    namespace_store(permit_space(&x->permit), id, stored);
    const struct view *view = node_view_lock(x->context->node);
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct record *record = view_instance(view, stored);
    reply.querysuccess = record != NULL && viewer_may(&viewer, record_name(record));
    view_unlock(&view);
    metric_add(METRIC_grpc_complaints_total, 1);
    if (reply.querysuccess && log_gate_open(&gate, &held)) {
        log_write(LOG_WARN, "grpc", "a client complains of a server",
                  "id=\"%s\" held_back=%" PRIu64, id, held);
    }
    return call_respond(x, &reply.base);
}
