#include "api/handlers.h"

#include <stdlib.h>
#include <string.h>

#include <sys/random.h>

#include "api/body.h"
#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

/* What the write ended with: what the registry said of the command once it was applied. */
static enum status outcome(const struct exchange *x, enum status status)
{
    return status == ST_OK ? x->write.result.status : status;
}

static enum next reply_bad(struct exchange *x, const struct fault *fault)
{
    reply_fault(&x->reply, fault);
    return NEXT_REPLY;
}

/* --- register --- */

struct registering {
    struct body_register body;
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
    struct registering *r = x->state;
    const struct result *result = &x->write.result;
    status = outcome(x, status);
    if (status != ST_OK) {
        reply_status(&x->reply, status);
        return NEXT_REPLY;
    }
    const struct slice *id = &r->body.command.register_.registration.id;
    struct json_out json = reply_json(&x->reply);
    x->reply.status = result->created ? 201 : 200;
    json_out_begin(&json, '{');
    json_out_key(&json, "id");
    json_out_text_n(&json, id->data, id->len);
    json_out_member_u64(&json, "incarnation", result->incarnation);
    json_out_member_seconds(&json, "ttl", result->ttl_ms);
    json_out_member_u64(&json, "index", result->index);
    json_out_end(&json, '}');
    return NEXT_REPLY;
}

/* Without an id one is made; without a host it is the caller's address. */
static bool complete(struct registering *r, const struct request *request, struct fault *fault)
{
    if (!r->body.has_id) {
        uint8_t random[16];
        CHECK(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
        if (!body_register_make_id(&r->body, random, fault)) {
            return false;
        }
    }
    if (!r->body.has_host) {
        request_peer_text(request->peer, r->host);
        if (r->host[0] == '\0') {
            fault_set(fault, "host", "is required on this connection");
            return false;
        }
        r->body.command.register_.registration.host = (struct slice){r->host, strlen(r->host)};
    }
    return true;
}

enum next handle_register(struct exchange *x)
{
    struct registering *r = mem_zalloc(1, sizeof *r);
    struct fault fault;
    x->state = r;
    x->state_free = registering_free;
    if (!body_register_parse(&r->body, &x->request.body, x->context->ttl_ms,
                             x->context->reap_after_ms, &fault) ||
        !complete(r, &x->request, &fault)) {
        return reply_bad(x, &fault);
    }
    x->command = &r->body.command;
    x->finish = finish_register;
    return NEXT_WRITE;
}

/* --- deregister and maintenance: one id, a short answer --- */

struct changing {
    struct body_maintenance body;
    struct command command;
};

static void changing_free(void *state)
{
    struct changing *c = state;
    body_maintenance_done(&c->body);
    free(c);
}

static struct changing *begin_change(struct exchange *x)
{
    struct changing *c = mem_zalloc(1, sizeof *c);
    x->state = c;
    x->state_free = changing_free;
    x->command = &c->command;
    return c;
}

static enum next finish_change(struct exchange *x, enum status status)
{
    const struct changing *c = x->state;
    status = outcome(x, status);
    if (status != ST_OK) {
        reply_status(&x->reply, status);
        return NEXT_REPLY;
    }
    struct json_out json = reply_json(&x->reply);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "id", x->request.param);
    if (c->command.kind == COMMAND_MAINTENANCE) {
        json_out_member_bool(&json, "maintenance", c->command.maintenance.enabled);
    }
    json_out_member_u64(&json, "index", x->write.result.index);
    json_out_end(&json, '}');
    return NEXT_REPLY;
}

enum next handle_maintenance(struct exchange *x)
{
    struct changing *c = begin_change(x);
    struct fault fault;
    if (!body_maintenance_parse(&c->body, &x->request.body, &fault)) {
        return reply_bad(x, &fault);
    }
    c->command.kind = COMMAND_MAINTENANCE;
    c->command.maintenance.id = (struct slice){x->request.param, strlen(x->request.param)};
    c->command.maintenance.enabled = c->body.enabled;
    c->command.maintenance.reason =
        c->body.reason.data != NULL ? c->body.reason : (struct slice){"", 0};
    x->finish = finish_change;
    return NEXT_WRITE;
}

enum next handle_deregister(struct exchange *x)
{
    struct changing *c = begin_change(x);
    struct fault fault;
    c->command.kind = COMMAND_DEREGISTER;
    c->command.deregister.id = (struct slice){x->request.param, strlen(x->request.param)};
    if (!request_query_u64(&x->request, "incarnation", &c->command.deregister.incarnation,
                           &fault)) {
        return reply_bad(x, &fault);
    }
    x->finish = finish_change;
    return NEXT_WRITE;
}
