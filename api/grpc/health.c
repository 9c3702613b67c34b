/* grpc.health.v1: whether this replica serves. A load balancer takes one that does not out of its
 * list. */
#include <stdlib.h>
#include <string.h>

#include <health.pb-c.h>

#include "api/grpc/handlers.h"
#include "api/grpc/talk.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving;

#define SERVING(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

static serving state_of(const struct exchange *x, const struct slice *service)
{
    static const char *const known[] = {"", "muster.v1.Registry",
                                        "registry_service.RegistryService",
                                        "discovery_service.DiscoveryService"};
    const char *reason;
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (strlen(known[i]) == service->len &&
            memcmp(known[i], service->data, service->len) == 0) {
            return node_ready(x->context->node, &reason) ? SERVING(SERVING) : SERVING(NOT_SERVING);
        }
    }
    return SERVING(SERVICE_UNKNOWN);
}

enum next grpc_health_check(struct exchange *x)
{
    struct call_state *s =
        call_begin(x, sizeof *s, &grpc__health__v1__health_check_request__descriptor);
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    if (s == NULL) {
        return NEXT_RESPOND;
    }
    const Grpc__Health__V1__HealthCheckRequest *request = (const void *)s->message;
    const struct slice service = frame_slice(request->service);
    reply.status = state_of(x, &service);
    if (reply.status == SERVING(SERVICE_UNKNOWN)) {
        response_error(&x->response, 404, "not_found", "", "there is no such service");
        return NEXT_RESPOND;
    }
    return call_respond(x, &reply.base);
}

/* --- Watch --- */

struct watching {
    struct talk talk;
    bool has_asked;
    char *service;
    serving told;
};

static void watching_done(void *state)
{
    struct watching *w = state;
    free(w->service);
}

/* Says the state when it is another one. */
static bool tell(struct exchange *x)
{
    struct watching *w = x->state;
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    if (!w->has_asked) {
        return false;
    }
    const struct slice service = {w->service, strlen(w->service)};
    reply.status = state_of(x, &service);
    bool is_new = reply.status != w->told;
    w->told = reply.status;
    if (is_new) {
        frame_put(&w->talk.out, &reply.base);
    }
    return is_new;
}

enum next grpc_health_watch(struct exchange *x)
{
    struct watching *w = talk_turn(x, sizeof *w, SMALL_BODY_BYTES_MAX, watching_done);
    const Grpc__Health__V1__HealthCheckRequest *request =
        (const void *)talk_next(x, &grpc__health__v1__health_check_request__descriptor);
    if (request == NULL) {
        return NEXT_RESPOND;
    }
    if (w->has_asked) {
        response_error(&x->response, 400, "malformed", "", "there must be one message");
        return NEXT_RESPOND;
    }
    const char *service = arena_text(&w->talk.arena, &request->service);
    w->service = mem_strdup(service != NULL ? service : "?");
    w->has_asked = true;
    w->told = SERVING(UNKNOWN);
    (void)tell(x);
    return NEXT_RESPOND;
}

const struct duplex_kind health_watch_duplex = {
    .take = talk_take, .has_work = talk_has_work, .read = talk_read, .tick = tell, .endless = true};
