#include "api/consul/write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/keep.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"

enum next write_done(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    (void)json;
    x->response.content_type = NULL;
    return NEXT_RESPOND;
}

enum next write_true(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    json_out_bool(&json, true);
    return NEXT_RESPOND;
}

enum next write_bad(struct exchange *x, const struct problem *problem)
{
    response_error(&x->response, 400, "invalid", "", problem->message);
    return NEXT_RESPOND;
}

enum next write_failed(struct exchange *x, enum status status)
{
    if (status == ST_TOO_LARGE) {
        response_error(&x->response, 400, "invalid", "",
                       "the ids of service, node and check have too many bytes together");
    } else if (status == ST_NOT_FOUND) {
        response_error(&x->response, 404, "not_found", "", "unknown service or check");
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

enum next write_finish(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    return status == ST_OK ? write_done(x) : write_failed(x, status);
}

static void enrolling_free(void *state)
{
    struct enrolling *e = state;
    enrolment_done(&e->enrolment);
    free(e);
}

struct enrolling *write_begin_enrolling(struct exchange *x)
{
    struct enrolling *e = mem_zalloc(1, sizeof *e);
    x->state = e;
    x->state_free = enrolling_free;
    return e;
}

/* The command is the worker's: it has what the last one had. */
static void begin_enrol(struct command *c)
{
    c->kind = COMMAND_ENROL;
    memset(&c->enrol, 0, sizeof c->enrol);
}

void write_enrol(struct command *c, const struct enrolment *e)
{
    begin_enrol(c);
    c->enrol.registration = e->registration;
    c->enrol.checks_count = e->checks_count;
    memcpy(c->enrol.checks, e->checks, sizeof e->checks);
}

void write_node(struct command *c, const char *name, const char *address, char *id)
{
    static const struct slice none = {"", 0};
    (void)snprintf(id, STORED_NAME_SIZE, "%c%s", CHECK_MARK, name);
    begin_enrol(c);
    c->enrol.registration = (struct registration){
        .id = {id, strlen(id)},
        .name = none,
        .type = none,
        .host = {address, strlen(address)},
        .zone = none,
        .extra = none,
    };
}

void write_node_check(struct command *c, struct enrolling *e, const struct check_spec *check)
{
    json_t *keep = json_object();
    json_object_set_new(keep, KEEP_AGENT, json_string(e->caller));
    const char *extra = enrolment_own(&e->enrolment, keep_dump(keep));
    c->enrol.registration.extra = slice_of(extra);
    c->enrol.checks_count = 1;
    c->enrol.checks[0] = *check;
}

/* With the words of newer and of older ones: clients look for either. */
enum next write_unknown_check(struct exchange *x, enum found found, unsigned count)
{
    char message[3 * STORED_NAME_SIZE];
    const char *id = x->request.params[0];
    if (found == FOUND_MANY) {
        (void)snprintf(message, sizeof message,
                       "Unknown check ID \"%s\". CheckID \"%s\" does not have associated TTL: %u "
                       "nodes have it, and none of them is the caller's; register it again",
                       id, id, count);
    } else {
        (void)snprintf(message, sizeof message,
                       "Unknown check ID \"%s\". Ensure that the check ID is passed, not the check "
                       "name. CheckID \"%s\" does not have associated TTL",
                       id, id);
    }
    response_error(&x->response, 404, "not_found", "", message);
    return NEXT_RESPOND;
}
