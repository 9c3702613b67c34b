/* PUT /v1/agent/service/... and /v1/agent/maintenance. */
#include "api/consul/handlers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/query.h"
#include "api/consul/shown.h"
#include "api/consul/write.h"
#include "api/core/check_kept.h"
#include "server/base/mem.h"
#include "server/base/naming.h"

#define NODE_MAINTENANCE_KEY "=" SHOWN_NODE_MAINTENANCE

/* --- register --- */

/* The node that the service itself names, if it is one that can be dialled. */
static bool find_place(const struct exchange *x, struct enrolling *r, struct place *ret_place,
                       struct problem *problem)
{
    const char *header = request_header(&x->request, "X-Registry-Node");
    const char *meta = json_string_value(body_get(body_get(r->enrolment.json, "Meta"), "node"));
    if (!identity_caller(x, r->caller, problem)) {
        return false;
    }
    *ret_place = (struct place){.agent = r->caller};
    if (header != NULL && header[0] != '\0') {
        ret_place->node = r->caller;
    } else if (meta != NULL && naming_is_host(meta, strlen(meta))) {
        ret_place->node = meta;
    }
    return true;
}

/* Of what was there before: other checks, and instances with the same id on other nodes. */
static bool take_replace(const struct exchange *x, struct command *c, struct problem *problem)
{
    const char *checks = request_query(&x->request, "replace-existing-checks");
    const char *what = request_query(&x->request, "replace");
    if (what != NULL && strcmp(what, "by-id") != 0) {
        problem_set(problem, "", "Invalid value for replace: it can be by-id");
        return false;
    }
    /* As in Consul, where any other value means no. */
    c->enrol.only_these = checks != NULL && (checks[0] == '\0' || strcmp(checks, "true") == 0);
    c->enrol.only_here = what != NULL;
    return true;
}

enum next consul_agent_register(struct exchange *x)
{
    struct problem problem;
    struct place place;
    struct enrolling *r = write_begin_enrolling(x);
    struct enrolment *e = &r->enrolment;
    e->json = body_parse(&x->request, &problem);
    if (e->json == NULL || !find_place(x, r, &place, &problem) ||
        !body_service(e, e->json, &place, &problem) || !body_checks(e, e->json, &problem)) {
        return write_bad(x, &problem);
    }
    write_enrol(&x->scratch->command, e);
    if (!take_replace(x, &x->scratch->command, &problem)) {
        return write_bad(x, &problem);
    }
    x->finish = write_finish;
    return NEXT_WRITE;
}

/* --- those of an id --- */

struct meant_id {
    char id[STORED_NAME_SIZE];
    char reason[NOTE_BYTES_MAX + 1];
};

static enum next unknown_service(struct exchange *x, enum found found, unsigned count)
{
    char message[STORED_NAME_SIZE + 200];
    const char *id = x->request.params[0];
    if (found == FOUND_MANY) {
        (void)snprintf(message, sizeof message,
                       "Unknown service ID \"%s\". %u nodes have one, and none of them is the "
                       "caller's",
                       id, count);
    } else {
        (void)snprintf(message, sizeof message,
                       "Unknown service ID \"%s\". Ensure that the service ID is passed, not the "
                       "service name.",
                       id);
    }
    response_error(&x->response, 404, "not_found", "", message);
    return NEXT_RESPOND;
}

/* Into x->state. NULL: the response is an error. */
static struct meant_id *find(struct exchange *x, bool *ret_maintained)
{
    const struct record *r;
    unsigned count;
    struct meant_id *meant = mem_zalloc(1, sizeof *meant);
    x->state = meant;
    x->state_free = free;
    const struct view *view = node_view_lock(x->context->node);
    enum found found = identity_find(x, view, x->request.params[0], &r, &count);
    if (found == FOUND_ONE) {
        (void)snprintf(meant->id, sizeof meant->id, "%s", namespace_bare(record_id(r)));
        *ret_maintained = r->maintenance;
    }
    view_unlock(&view);
    if (found != FOUND_ONE) {
        (void)unknown_service(x, found, count);
        return NULL;
    }
    return meant;
}

enum next consul_agent_deregister(struct exchange *x)
{
    bool ignored;
    const struct meant_id *meant = find(x, &ignored);
    if (meant == NULL) {
        return NEXT_RESPOND;
    }
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_DEREGISTER;
    c->deregister.id = slice_of(meant->id);
    c->deregister.incarnation = 0;
    x->finish = write_finish;
    return NEXT_WRITE;
}

/* --- maintenance --- */

/* False: the response is an error. */
static bool take_enable(struct exchange *x, bool *ret_enable)
{
    char message[120];
    const char *text = request_query(&x->request, "enable");
    if (text == NULL || text[0] == '\0') {
        response_error(&x->response, 400, "invalid", "", "Missing value for enable");
        return false;
    }
    if (!query_bool(&x->request, "enable", ret_enable)) {
        (void)snprintf(message, sizeof message, "Invalid value for enable: \"%.40s\"", text);
        response_error(&x->response, 400, "invalid", "", message);
        return false;
    }
    return true;
}

/* False: the response is an error. */
static bool take_reason(struct exchange *x, const char **ret_reason)
{
    const char *text = request_query(&x->request, "reason");
    *ret_reason = text != NULL ? text : "";
    if (strlen(*ret_reason) > NOTE_BYTES_MAX || !naming_is_text(*ret_reason, strlen(*ret_reason))) {
        response_error(&x->response, 400, "invalid", "",
                       "Invalid value for reason: it is printable, and has at most 512 bytes");
        return false;
    }
    return true;
}

enum next consul_service_maintenance(struct exchange *x)
{
    bool enable, maintained;
    const char *reason;
    if (!take_enable(x, &enable) || !take_reason(x, &reason)) {
        return NEXT_RESPOND;
    }
    const struct meant_id *meant = find(x, &maintained);
    if (meant == NULL) {
        return NEXT_RESPOND;
    }
    if (enable == maintained) {
        return write_done(x); /* the first reason stays */
    }
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_MAINTENANCE;
    c->maintenance.id = slice_of(meant->id);
    c->maintenance.enabled = enable;
    c->maintenance.reason = slice_of(enable ? reason : "");
    x->finish = write_finish;
    return NEXT_WRITE;
}

enum next consul_maintenance_of_none(struct exchange *x)
{
    response_error(&x->response, 400, "invalid", "", "Missing service ID");
    return NEXT_RESPOND;
}

/* --- of the caller's node: a check of it that is critical --- */

/* That it is off already is no error. */
static enum next finish_off(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    return status == ST_NOT_FOUND ? write_done(x) : write_finish(x, status);
}

static char *keep_of_maintenance(const char *reason)
{
    const struct check_kept kept = {
        .name = "Node Maintenance Mode",
        .notes = reason[0] != '\0' ? reason
                                   : "Maintenance mode is enabled for this node, but no "
                                     "reason was provided. This is a default message.",
        .type = "maintenance",
    };
    return check_kept_make(&kept);
}

enum next consul_node_maintenance(struct exchange *x)
{
    bool enable;
    const char *reason;
    struct problem problem;
    struct command *c = &x->scratch->command;
    if (!take_enable(x, &enable) || !take_reason(x, &reason)) {
        return NEXT_RESPOND;
    }
    struct enrolling *n = write_begin_enrolling(x);
    if (!identity_caller(x, n->caller, &problem)) {
        return write_bad(x, &problem);
    }
    write_node(c, n->caller, n->caller, n->id);
    if (!enable) {
        size_t len = strlen(n->id);
        (void)snprintf(n->id + len, sizeof n->id - len, "\x1e" NODE_MAINTENANCE_KEY);
        c->kind = COMMAND_DEREGISTER;
        c->deregister.id = slice_of(n->id);
        c->deregister.incarnation = 0;
        x->finish = finish_off;
        return NEXT_WRITE;
    }
    const struct check_spec check = {
        .key = slice_of(NODE_MAINTENANCE_KEY),
        .extra = slice_of(enrolment_own(&n->enrolment, keep_of_maintenance(reason))),
        .note = {"", 0},
        .status = HEALTH_CRITICAL};
    write_node_check(c, n, &check);
    x->finish = write_finish;
    return NEXT_WRITE;
}
