/* PUT /v1/agent/check/... */
#include "api/consul/handlers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/output.h"
#include "api/consul/write.h"
#include "api/core/check_kept.h"
#include "server/base/mem.h"
#include "server/base/naming.h"

/* --- a check is heard from --- */

struct beat {
    char id[STORED_NAME_SIZE];
    struct slice ids[1];
    char note[OUTPUT_BYTES_MAX + 1];
};

/* It is run, not heard from. */
static bool has_no_ttl(const struct record *check, bool is_lease)
{
    struct check_kept kept;
    check_kept_read(is_lease ? "" : record_extra(check), &kept);
    bool none = kept.type[0] != '\0' && strcmp(kept.type, "ttl") != 0;
    check_kept_done(&kept);
    return none;
}

static enum next finish_beat(struct exchange *x, enum status status)
{
    if (status == ST_OK && x->renewal.missed_count > 0) {
        return write_unknown_check(x, FOUND_NONE, 0);
    }
    return status == ST_OK ? write_done(x) : write_failed(x, status);
}

/* Nothing but that it is heard from, where that is all that is new: that is cheaper. */
static bool is_only_alive(const struct record *check, enum health status, const char *note)
{
    return status == HEALTH_PASSING && check->declared == HEALTH_PASSING && !check->expired &&
           strcmp(record_note(check), note) == 0;
}

static enum next beat(struct exchange *x, enum health status, const char *note)
{
    struct meant meant;
    unsigned count;
    bool alone = false, refused = false;
    struct beat *b = mem_zalloc(1, sizeof *b);
    x->state = b;
    x->state_free = free;
    const struct view *view = node_view_lock(x->context->node);
    enum found found = identity_find_check(x, view, x->request.params[0], &meant, &count);
    if (found == FOUND_ONE) {
        bool is_lease = meant.check == meant.instance;
        output_take(note, is_lease ? NOTE_BYTES_MAX : OUTPUT_BYTES_MAX, b->note);
        refused = has_no_ttl(meant.check, is_lease);
        alone = is_only_alive(meant.check, status, b->note);
        (void)snprintf(b->id, sizeof b->id, "%s", namespace_bare(record_id(meant.check)));
    }
    view_unlock(&view);
    if (found != FOUND_ONE) {
        return write_unknown_check(x, found, count);
    }
    if (refused) {
        char message[STORED_NAME_SIZE + 60];
        (void)snprintf(message, sizeof message, "CheckID \"%.200s\" does not have associated TTL",
                       x->request.params[0]);
        response_error(&x->response, 500, "invalid", "", message);
        return NEXT_RESPOND;
    }
    b->ids[0] = slice_of(b->id);
    x->renewal = (struct node_renewal){.ids = b->ids, .count = 1};
    if (!alone) {
        x->renewal.health_given = x->renewal.note_given = true;
        x->renewal.health = status;
        x->renewal.note = slice_of(b->note);
    }
    x->finish = finish_beat;
    return NEXT_RENEW;
}

static enum next beat_with_note(struct exchange *x, enum health status)
{
    const char *note = request_query(&x->request, "note");
    return beat(x, status, note != NULL ? note : "");
}

enum next consul_check_pass(struct exchange *x)
{
    return beat_with_note(x, HEALTH_PASSING);
}

enum next consul_check_warn(struct exchange *x)
{
    return beat_with_note(x, HEALTH_WARNING);
}

enum next consul_check_fail(struct exchange *x)
{
    return beat_with_note(x, HEALTH_CRITICAL);
}

enum next consul_check_update(struct exchange *x)
{
    struct problem problem;
    const char *status, *output;
    enum health health;
    json_t *json = body_parse(&x->request, &problem);
    if (json == NULL) {
        return write_bad(x, &problem);
    }
    enum next next;
    if (!body_text(json, "Status", &status, &problem) ||
        !body_text(json, "Output", &output, &problem)) {
        next = write_bad(x, &problem);
    } else if (!body_status(status, &health)) {
        problem_set(&problem, "", "Invalid check status: '%.40s'", status);
        next = write_bad(x, &problem);
    } else {
        next = beat(x, health, output);
    }
    json_decref(json);
    return next;
}

/* --- deregister --- */

enum next consul_check_deregister(struct exchange *x)
{
    struct meant meant;
    unsigned count;
    struct beat *b = mem_zalloc(1, sizeof *b);
    x->state = b;
    x->state_free = free;
    const struct view *view = node_view_lock(x->context->node);
    enum found found = identity_find_check(x, view, x->request.params[0], &meant, &count);
    if (found == FOUND_ONE && meant.check == meant.instance) {
        found = FOUND_NONE; /* the lease of another door's */
    }
    if (found == FOUND_ONE) {
        (void)snprintf(b->id, sizeof b->id, "%s", namespace_bare(record_id(meant.check)));
    }
    view_unlock(&view);
    if (found != FOUND_ONE) {
        return write_unknown_check(x, found, count);
    }
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_DEREGISTER;
    c->deregister.id = slice_of(b->id);
    c->deregister.incarnation = 0;
    x->finish = write_finish;
    return NEXT_WRITE;
}

/* --- register --- */

/* A check of a service that is there. False: the response is an error. */
static bool find_owner(struct exchange *x, struct enrolling *n, const char *service_id)
{
    const struct record *r;
    unsigned count;
    const struct view *view = node_view_lock(x->context->node);
    enum found found = identity_find(x, view, service_id, &r, &count);
    if (found == FOUND_ONE) {
        (void)snprintf(n->id, sizeof n->id, "%s", namespace_bare(record_id(r)));
    }
    view_unlock(&view);
    if (found != FOUND_ONE) {
        char message[STORED_NAME_SIZE + 60];
        (void)snprintf(message, sizeof message, "ServiceID \"%.200s\" does not exist", service_id);
        response_error(&x->response, 404, "not_found", "", message);
    }
    return found == FOUND_ONE;
}

/* False: the problem says why. */
static bool parse_check(struct exchange *x, struct enrolling *n, const char **ret_service_id,
                        struct problem *problem)
{
    struct enrolment *e = &n->enrolment;
    const char *name;
    e->json = body_parse(&x->request, problem);
    if (e->json == NULL || !identity_caller(x, n->caller, problem) ||
        !body_text(e->json, "Name", &name, problem) ||
        !body_text(e->json, "ServiceID", ret_service_id, problem)) {
        return false;
    }
    if (name[0] == '\0') {
        problem_set(problem, "", "Missing check name");
        return false;
    }
    if (body_check(e, e->json, name, name, slice_of(*ret_service_id), true, problem)) {
        return true;
    }
    if (problem->message[0] == '\0') {
        problem_set(problem, "", "Invalid check: TTL must be > 0 for TTL checks");
    }
    return false;
}

enum next consul_check_register(struct exchange *x)
{
    struct problem problem;
    const char *service_id;
    struct command *c = &x->scratch->command;
    struct enrolling *n = write_begin_enrolling(x);
    if (!parse_check(x, n, &service_id, &problem)) {
        return write_bad(x, &problem);
    }
    x->finish = write_finish;
    if (service_id[0] != '\0') {
        if (!find_owner(x, n, service_id)) {
            return NEXT_RESPOND;
        }
        c->kind = COMMAND_CHECK_PUT;
        c->check_put.id = slice_of(n->id);
        c->check_put.check = n->enrolment.checks[0];
        return NEXT_WRITE;
    }
    write_node(c, n->caller, n->caller, n->id);
    write_node_check(c, n, &n->enrolment.checks[0]);
    return NEXT_WRITE;
}
