#include "api/native/handlers.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "api/core/client_address.h"
#include "api/native/body.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

static_assert(NAME_BYTES_MAX - 2 == 253, "as the message says");

/* What the write ended with: what the registry said of the command once it was applied. */
static enum next reply_bad(struct exchange *x, const struct problem *problem)
{
    response_problem(&x->response, problem);
    return NEXT_RESPOND;
}

void respond_conflict(struct exchange *x, uint64_t said, uint64_t present)
{
    char message[160];
    if (present == 0) {
        response_status(&x->response, ST_CONFLICT);
        return;
    }
    if (said < present) {
        (void)snprintf(message, sizeof message,
                       "a newer incarnation holds this id: it is %" PRIu64 " now", present);
    } else {
        (void)snprintf(message, sizeof message,
                       "this id has had no incarnation %" PRIu64 " yet: it is %" PRIu64 " now",
                       said, present);
    }
    response_error(&x->response, 409, "conflict", "incarnation", message);
}

/* --- register --- */

struct registering {
    struct body_register body;
    uint64_t incarnation; /* 0: none said */
    struct slice id;
    char host[INET6_ADDRSTRLEN];
};

static void registering_free(void *state)
{
    struct registering *r = state;
    body_register_done(&r->body);
    free(r);
}

static enum next finish_register(struct exchange *x, enum status status)
{
    const struct registering *r = x->state;
    const struct result *result = &x->write.result;
    status = exchange_outcome(x, status);
    if (status == ST_CONFLICT) {
        respond_conflict(x, r->incarnation, result->incarnation);
        return NEXT_RESPOND;
    }
    if (status == ST_TOO_LARGE && r->body.checks.count > 0) {
        response_error(&x->response, 413, "too_large", "checks",
                       "namespace, id and the id of a check may have 252 bytes together");
        return NEXT_RESPOND;
    }
    if (status == ST_TOO_LARGE && permit_space(&x->permit)[0] != '\0') {
        response_error(&x->response, 413, "too_large", "id",
                       "id and name may each have 253 bytes together with the namespace");
        return NEXT_RESPOND;
    }
    if (status != ST_OK) {
        response_status(&x->response, status);
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    x->response.status = result->created ? 201 : 200;
    json_out_begin(&json, '{');
    json_out_key(&json, "id");
    json_out_text_n(&json, r->id.data, r->id.len);
    json_out_member_u64(&json, "incarnation", result->incarnation);
    json_out_member_seconds(&json, "ttl", result->ttl_ms);
    json_out_member_u64(&json, "index", result->index);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

static bool complete(struct registering *r, struct registration *registration,
                     const struct request *request, struct problem *problem)
{
    uint8_t random[16];
    CHECK(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    client_address_text(request->peer, r->host);
    if (!body_register_complete(&r->body, registration, random, r->host, problem)) {
        return false;
    }
    r->id = registration->id;
    return true;
}

enum next handle_register(struct exchange *x)
{
    struct registering *r = mem_zalloc(1, sizeof *r);
    struct command *c = &x->scratch->command;
    struct problem problem;
    x->state = r;
    x->state_free = registering_free;
    if (!body_register_parse(&r->body, c, &x->request.body, x->context->ttl_ms,
                             x->context->reap_after_ms, &problem) ||
        !complete(r, &c->register_.registration, &x->request, &problem)) {
        return reply_bad(x, &problem);
    }
    r->incarnation = c->register_.incarnation;
    body_register_enrol(&r->body, c);
    x->finish = finish_register;
    return NEXT_WRITE;
}

/* --- deregister and maintenance: one id, a short answer --- */

static void maintenance_free(void *state)
{
    struct body_maintenance *body = state;
    body_maintenance_done(body);
    free(body);
}

static enum next finish_change(struct exchange *x, enum status status)
{
    const struct body_maintenance *body = x->state; /* NULL: of a deregistration */
    status = exchange_outcome(x, status);
    if (status == ST_CONFLICT) {
        struct problem problem;
        uint64_t said = 0; /* it was valid when it came */
        if (request_query_u64(&x->request, "incarnation", &said, &problem)) {
            respond_conflict(x, said, x->write.result.incarnation);
        }
        return NEXT_RESPOND;
    }
    if (status != ST_OK) {
        response_status(&x->response, status);
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "id", x->request.params[0]);
    if (body != NULL) {
        json_out_member_bool(&json, "maintenance", body->enabled);
    }
    json_out_member_u64(&json, "index", x->write.result.index);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next handle_maintenance(struct exchange *x)
{
    struct body_maintenance *body = mem_zalloc(1, sizeof *body);
    struct command *c = &x->scratch->command;
    struct problem problem;
    x->state = body;
    x->state_free = maintenance_free;
    if (!body_maintenance_parse(body, &x->request.body, &problem)) {
        return reply_bad(x, &problem);
    }
    c->kind = COMMAND_MAINTENANCE;
    c->maintenance.id = slice_of(x->request.params[0]);
    c->maintenance.enabled = body->enabled;
    c->maintenance.reason = body->reason.data != NULL ? body->reason : (struct slice){"", 0};
    x->finish = finish_change;
    return NEXT_WRITE;
}

enum next handle_deregister(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    struct problem problem;
    c->kind = COMMAND_DEREGISTER;
    c->deregister.id = slice_of(x->request.params[0]);
    c->deregister.incarnation = 0;
    if (!request_query_u64(&x->request, "incarnation", &c->deregister.incarnation, &problem)) {
        return reply_bad(x, &problem);
    }
    x->finish = finish_change;
    return NEXT_WRITE;
}
