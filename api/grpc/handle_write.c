/* Register, Heartbeat, Deregister. */
#include <stdlib.h>

#include <registry.pb-c.h>

#include "api/core/client_address.h"
#include "api/grpc/beat.h"
#include "api/grpc/check_message.h"
#include "api/grpc/handlers.h"
#include "api/grpc/instance.h"
#include "api/http/check_beat.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

/* --- Register --- */

struct registering {
    struct call_state call;
    uint64_t incarnation; /* 0: none said */
    struct check_list checks;
    struct slice id;
    char host[INET6_ADDRSTRLEN];
};

static void registering_free(void *state)
{
    struct registering *r = state;
    check_list_done(&r->checks);
    arena_done(&r->call.arena);
    free(r);
}

static enum next finish_register(struct exchange *x, enum status status)
{
    const struct registering *r = x->state;
    const struct result *result = &x->write.result;
    Muster__V1__RegisterReply reply = MUSTER__V1__REGISTER_REPLY__INIT;
    status = exchange_outcome(x, status);
    if (status == ST_CONFLICT) {
        return call_conflict(x, r->incarnation, result->incarnation);
    }
    if (status != ST_OK) {
        return call_fail(x, status);
    }
    reply.id = (ProtobufCBinaryData){r->id.len, (uint8_t *)(uintptr_t)r->id.data};
    reply.incarnation = result->incarnation;
    reply.ttl_ms = result->ttl_ms;
    reply.index = result->index;
    reply.created = result->created;
    return call_respond(x, &reply.base);
}

static bool take_checks(struct registering *r, const Muster__V1__Instance *instance,
                        struct command *c, struct problem *problem)
{
    if (!check_message_parse(instance->checks, &r->call.arena, &r->checks, problem)) {
        return false;
    }
    if (r->checks.given && c->register_.health_given) {
        problem_set(problem, "health", "does not go with checks");
        return false;
    }
    check_list_put(&r->checks, instance->ttl_ms != 0, c);
    return true;
}

enum next grpc_register(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    struct problem problem;
    struct registering *r = call_begin(x, sizeof *r, &muster__v1__register_request__descriptor);
    x->state_free = registering_free;
    if (r == NULL) {
        return NEXT_RESPOND;
    }
    const Muster__V1__RegisterRequest *request = (const void *)r->call.message;
    client_address_text(x->request.peer, r->host);
    const struct instance_defaults defaults = {x->context->ttl_ms, x->context->reap_after_ms,
                                               r->host};
    if (request->instance == NULL) {
        problem_set(&problem, "instance", "is required");
        return call_refuse(x, &problem);
    }
    if (!instance_parse(request->instance, &r->call.arena, &defaults, c, &problem)) {
        return call_refuse(x, &problem);
    }
    r->id = c->register_.registration.id;
    r->incarnation = c->register_.incarnation;
    if (!take_checks(r, request->instance, c, &problem)) {
        return call_refuse(x, &problem);
    }
    x->finish = finish_register;
    return NEXT_WRITE;
}

/* --- Heartbeat --- */

struct beating {
    struct call_state call;
    struct slice *ids;
    char *check_id; /* of a check; NULL: an instance's */
};

static void beating_free(void *state)
{
    struct beating *b = state;
    free(b->ids);
    free(b->check_id);
    arena_done(&b->call.arena);
    free(b);
}

static enum next finish_heartbeat(struct exchange *x, enum status status)
{
    const struct beating *b = x->state;
    const Muster__V1__HeartbeatRequest *request = (const void *)b->call.message;
    const struct node_renewal *renewal = &x->renewal;
    Muster__V1__HeartbeatReply reply = MUSTER__V1__HEARTBEAT_REPLY__INIT;
    if (status == ST_CONFLICT) {
        return call_conflict(x, request->incarnation, renewal->present);
    }
    if (status != ST_OK) {
        return call_fail(x, status);
    }
    ProtobufCBinaryData *unknown = mem_zalloc(renewal->missed_count + 1, sizeof *unknown);
    for (uint32_t i = 0; i < renewal->missed_count; i++) {
        unknown[i] = request->ids[renewal->missed[i]];
    }
    reply.renewed = (uint32_t)renewal->renewed;
    reply.n_unknown = renewal->missed_count;
    reply.unknown = unknown;
    reply.index = renewal->index;
    (void)call_respond(x, &reply.base);
    free(unknown);
    return NEXT_RESPOND;
}

/* False: refused. */
static bool take_check(struct exchange *x, struct beating *b, const ProtobufCBinaryData *said)
{
    struct problem problem;
    const char *check = arena_text(&b->call.arena, said);
    if (check == NULL) {
        problem_set(&problem, "check", "must not have a NUL");
        (void)call_refuse(x, &problem);
        return false;
    }
    return check_beat_take(x, check, &b->ids[0], &b->check_id);
}

enum next grpc_heartbeat(struct exchange *x)
{
    struct problem problem;
    struct beating *b = call_begin(x, sizeof *b, &muster__v1__heartbeat_request__descriptor);
    x->state_free = beating_free;
    if (b == NULL) {
        return NEXT_RESPOND;
    }
    const Muster__V1__HeartbeatRequest *request = (const void *)b->call.message;
    if (!beat_check(request, &problem)) {
        return call_refuse(x, &problem);
    }
    b->ids = mem_zalloc(request->n_ids, sizeof *b->ids);
    for (size_t i = 0; i < request->n_ids; i++) {
        b->ids[i] = frame_slice(request->ids[i]);
    }
    if (request->check.len > 0 && !take_check(x, b, &request->check)) {
        return NEXT_RESPOND;
    }
    beat_renewal(request, &x->renewal);
    x->renewal.ids = b->ids;
    x->renewal.count = (uint32_t)request->n_ids;
    x->finish = finish_heartbeat;
    return NEXT_RENEW;
}

/* --- Deregister --- */

static enum next finish_deregister(struct exchange *x, enum status status)
{
    const struct call_state *s = x->state;
    const Muster__V1__DeregisterRequest *request = (const void *)s->message;
    Muster__V1__DeregisterReply reply = MUSTER__V1__DEREGISTER_REPLY__INIT;
    status = exchange_outcome(x, status);
    if (status == ST_CONFLICT) {
        return call_conflict(x, request->incarnation, x->write.result.incarnation);
    }
    if (status != ST_OK) {
        return call_fail(x, status);
    }
    reply.index = x->write.result.index;
    return call_respond(x, &reply.base);
}

enum next grpc_deregister(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    struct problem problem;
    struct call_state *s = call_begin(x, sizeof *s, &muster__v1__deregister_request__descriptor);
    if (s == NULL) {
        return NEXT_RESPOND;
    }
    const Muster__V1__DeregisterRequest *request = (const void *)s->message;
    if (request->id.len == 0 || request->id.len > NAME_BYTES_MAX) {
        problem_set(&problem, "id", "must be 1 to %d bytes", NAME_BYTES_MAX);
        return call_refuse(x, &problem);
    }
    c->kind = COMMAND_DEREGISTER;
    c->deregister.id = frame_slice(request->id);
    c->deregister.incarnation = request->incarnation;
    x->finish = finish_deregister;
    return NEXT_WRITE;
}
