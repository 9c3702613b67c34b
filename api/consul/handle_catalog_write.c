/* PUT /v1/catalog/register and deregister: several commands, one after the other. Each is complete
 * by itself, so what was done before one is refused stays. */
#include "api/consul/handlers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/consul/check_walk.h"
#include "api/consul/keep.h"
#include "api/consul/list.h"
#include "api/consul/output.h"
#include "api/consul/write.h"
#include "server/base/mem.h"
#include "server/base/naming.h"
#include "server/registry/check_id.h"

/* A node has so many instances at most that one call removes. */
#define STEPS_MAX 100000

/* --- register --- */

struct writing {
    struct enrolment service, node; /* checks of each */
    json_t *json;
    char caller[NODE_SIZE];
    char node_id[STORED_NAME_SIZE];
    char owner[STORED_NAME_SIZE]; /* of the checks that are about a service */
    bool has_service;
    bool node_done, service_done;
    uint32_t next_check; /* of `service`, whose status is to be said */
    char check_id[3 * STORED_NAME_SIZE];
    struct slice ids[1];
};

static void writing_free(void *state)
{
    struct writing *w = state;
    enrolment_done(&w->service);
    enrolment_done(&w->node);
    json_decref(w->json);
    free(w);
}

static enum next finish_step(struct exchange *x, enum status status);

/* A check keeps its status when it is put again; here it is what is said. */
static void say_status(struct command *c, struct writing *w)
{
    const struct check_spec *spec = &w->service.checks[w->next_check++];
    (void)snprintf(w->check_id, sizeof w->check_id, "%s%c%.*s", w->owner, CHECK_MARK,
                   (int)spec->key.len, spec->key.data);
    w->ids[0] = slice_of(w->check_id);
    c->kind = COMMAND_HEARTBEAT;
    c->heartbeat.ids = w->ids;
    c->heartbeat.count = 1;
    c->heartbeat.incarnation = 0;
    c->heartbeat.status_given = c->heartbeat.note_given = true;
    c->heartbeat.status = spec->status;
    c->heartbeat.note = spec->note;
}

/* The next command. False: all is done. */
static bool fill_step(struct exchange *x, struct writing *w)
{
    struct command *c = &x->scratch->command;
    if (!w->node_done) {
        w->node_done = true;
        write_enrol(c, &w->node);
        return true;
    }
    if (w->has_service && !w->service_done) {
        w->service_done = true;
        write_enrol(c, &w->service);
        return true;
    }
    if (!w->has_service && w->owner[0] != '\0' && !w->service_done) {
        const struct check_spec *spec = &w->service.checks[w->next_check];
        c->kind = COMMAND_CHECK_PUT;
        c->check_put.id = slice_of(w->owner);
        c->check_put.check = *spec;
        w->service_done = w->next_check + 1 == w->service.checks_count;
        w->next_check = w->service_done ? 0 : w->next_check + 1;
        return true;
    }
    if (w->next_check < w->service.checks_count) {
        say_status(c, w);
        return true;
    }
    return false;
}

static enum next go_on(struct exchange *x)
{
    if (!fill_step(x, x->state)) {
        return write_true(x);
    }
    x->finish = finish_step;
    return NEXT_WRITE;
}

static enum next finish_step(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    return status == ST_OK ? go_on(x) : write_failed(x, status);
}

/* --- what is said --- */

static bool take_uuid(const json_t *json, json_t *keep, struct problem *problem)
{
    const char *id;
    if (!body_text(json, "ID", &id, problem)) {
        return false;
    }
    if (id[0] == '\0') {
        return true;
    }
    bool good = strlen(id) == UUID_SIZE - 1;
    for (size_t i = 0; good && id[i] != '\0'; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        good = dash ? id[i] == '-' : strchr("0123456789abcdefABCDEF", id[i]) != NULL;
    }
    if (!good) {
        problem_set(problem, "",
                    "Bad node ID: uuid string is wrong length or has other characters");
        return false;
    }
    json_object_set_new(keep, KEEP_UUID, json_string(id));
    return true;
}

/* The addresses of a node: texts. */
static bool take_tagged(const json_t *json, json_t *keep, struct problem *problem)
{
    json_t *tagged = body_get(json, "TaggedAddresses");
    const char *key;
    json_t *value;
    bool good = tagged == NULL || json_is_object(tagged);
    json_object_foreach(tagged, key, value)
    {
        good = good && json_is_string(value);
    }
    if (good && json_object_size(tagged) > 0) {
        json_object_set(keep, KEEP_TAGGED, tagged);
    }
    if (!good) {
        problem_set(problem, "", "Request decode failed: TaggedAddresses must be texts");
    }
    return good;
}

static bool take_node(struct writing *w, struct problem *problem)
{
    struct registration *g = &w->node.registration;
    const char *name, *address;
    json_t *keep = json_object();
    bool good = body_text(w->json, "Node", &name, problem) &&
                body_text(w->json, "Address", &address, problem);
    if (good && (name[0] == '\0' || address[0] == '\0')) {
        problem_set(problem, "", "Must provide node and address");
        good = false;
    }
    if (good && (!naming_is_name(name, strlen(name)) || strchr(name, '@') != NULL ||
                 strlen(name) > NAME_BYTES_MAX / 2)) {
        problem_set(problem, "",
                    "Bad node name: it is printable, without '@', and has at most %d bytes",
                    NAME_BYTES_MAX / 2);
        good = false;
    }
    if (good && (strlen(address) > HOST_BYTES_MAX || !naming_is_name(address, strlen(address)))) {
        problem_set(problem, "", "Bad node address");
        good = false;
    }
    if (!good || !take_uuid(w->json, keep, problem) || !take_tagged(w->json, keep, problem) ||
        !body_meta(body_get(w->json, "NodeMeta"), g, problem)) {
        json_decref(keep);
        return false;
    }
    (void)snprintf(w->node_id, sizeof w->node_id, "%c%s", CHECK_MARK, name);
    g->id = slice_of(w->node_id);
    g->name = g->type = g->zone = (struct slice){"", 0};
    g->host = slice_of(address);
    char *extra = keep_dump(keep);
    g->extra = extra != NULL ? slice_of(enrolment_own(&w->node, extra)) : (struct slice){"", 0};
    return true;
}

static bool take_check(struct writing *w, const json_t *json, struct problem *problem)
{
    const char *service_id, *node, *output;
    struct enrolment *e;
    if (!json_is_object(json)) {
        problem_set(problem, "", "Request decode failed: a check must be an object");
        return false;
    }
    if (!body_text(json, "ServiceID", &service_id, problem) ||
        !body_text(json, "Node", &node, problem) || !body_text(json, "Output", &output, problem)) {
        return false;
    }
    if (node[0] != '\0' && strcasecmp(node, w->node_id + 1) != 0) {
        problem_set(problem, "", "check node \"%.60s\" does not match the node", node);
        return false;
    }
    const char *name;
    if (!body_text(json, "Name", &name, problem)) {
        return false;
    }
    e = service_id[0] != '\0' ? &w->service : &w->node;
    if (service_id[0] != '\0') {
        (void)snprintf(w->owner, sizeof w->owner, "%.*s@%s", NAME_BYTES_MAX / 2, service_id,
                       w->node_id + 1);
    }
    if (!body_check(e, json, name, name, slice_of(service_id), false, problem)) {
        return false;
    }
    char *kept = mem_alloc(OUTPUT_BYTES_MAX + 1);
    output_take(output, OUTPUT_BYTES_MAX, kept);
    e->checks[e->checks_count - 1].note = slice_of(enrolment_own(e, kept));
    return true;
}

static bool take_checks(struct writing *w, struct problem *problem)
{
    const json_t *one = body_get(w->json, "Check");
    const json_t *many = body_get(w->json, "Checks");
    size_t i;
    json_t *check;
    if (one != NULL && !take_check(w, one, problem)) {
        return false;
    }
    json_array_foreach(many, i, check)
    {
        if (!take_check(w, check, problem)) {
            return false;
        }
    }
    return true;
}

static bool is_here(const struct exchange *x, const json_t *json, struct problem *problem)
{
    const char *dc;
    if (!body_text(json, "Datacenter", &dc, problem)) {
        return false;
    }
    if (dc[0] != '\0' && strcasecmp(dc, x->context->datacenter) != 0) {
        problem_set(problem, "", "No path to datacenter");
        return false;
    }
    return true;
}

static bool take_service(struct writing *w, struct problem *problem)
{
    const json_t *service = body_get(w->json, "Service");
    const struct slice *host = &w->node.registration.host;
    if (service == NULL) {
        return true;
    }
    w->has_service = true;
    const struct place place = {.agent = w->node_id + 1, /* nobody calls from there */
                                .node = w->node_id + 1,
                                .node_address =
                                    enrolment_own(&w->service, mem_strndup(host->data, host->len))};
    return body_service(&w->service, service, &place, problem);
}

enum next consul_catalog_register(struct exchange *x)
{
    struct problem problem;
    struct writing *w = mem_zalloc(1, sizeof *w);
    x->state = w;
    x->state_free = writing_free;
    w->json = body_parse(&x->request, &problem);
    if (w->json == NULL || !identity_caller(x, w->caller, &problem) ||
        !is_here(x, w->json, &problem) || !take_node(w, &problem) || !take_service(w, &problem) ||
        !take_checks(w, &problem)) {
        return write_bad(x, &problem);
    }
    const json_t *skip = body_get(w->json, "SkipNodeUpdate");
    w->node_done = json_is_true(skip) && w->node.checks_count == 0;
    if (w->has_service && w->owner[0] == '\0') {
        w->service.checks_count = 0;
    }
    return go_on(x);
}

/* --- deregister --- */

struct removal {
    json_t *json;
    size_t count, capacity, next;
    char **ids;
};

static void removal_free(void *state)
{
    struct removal *r = state;
    for (size_t i = 0; i < r->count; i++) {
        free(r->ids[i]);
    }
    free(r->ids);
    json_decref(r->json);
    free(r);
}

static void add_id(struct removal *r, const char *id)
{
    if (r->count == STEPS_MAX) {
        return;
    }
    if (r->count == r->capacity) {
        r->capacity = r->capacity > 0 ? r->capacity * 2 : 8;
        r->ids = mem_realloc(r->ids, r->capacity * sizeof *r->ids);
    }
    r->ids[r->count++] = mem_strdup(id);
}

static enum next remove_next(struct exchange *x);

/* What is gone is gone. */
static enum next finish_removal(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    return status == ST_OK || status == ST_NOT_FOUND ? remove_next(x) : write_failed(x, status);
}

static enum next remove_next(struct exchange *x)
{
    struct removal *r = x->state;
    if (r->next == r->count) {
        return write_true(x);
    }
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_DEREGISTER;
    c->deregister.id = slice_of(r->ids[r->next++]);
    c->deregister.incarnation = 0;
    x->finish = finish_removal;
    return NEXT_WRITE;
}

/* All of the node. False: the response is an error. */
static bool add_node(struct exchange *x, struct removal *removal, const char *node)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    char id[STORED_NAME_SIZE];
    if (!list_begin(&list, x, SELECTORS_AGENT)) {
        return false;
    }
    list_walk_all(&list, &walk);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (identity_is_ours(r) && identity_is_node(r, node)) {
            add_id(removal, namespace_bare(record_id(r)));
        }
    }
    list_end(&list, 1);
    x->response.has_asked_index = false;
    (void)snprintf(id, sizeof id, "%c%s", CHECK_MARK, node);
    add_id(removal, id);
    return true;
}

/* A check by its id: of the node, or of one of its instances. */
static void add_check(struct exchange *x, struct removal *removal, const char *node,
                      const char *check_id)
{
    struct check_walk walk;
    const struct record *check;
    const struct view *view = node_view_lock(x->context->node);
    check_walk_begin(&walk, view, permit_space(&x->permit));
    while ((check = check_walk_next(&walk)) != NULL) {
        const char *id = namespace_bare(record_id(check));
        char owner[STORED_NAME_SIZE];
        const char *key = strrchr(id, CHECK_MARK);
        (void)snprintf(owner, sizeof owner, "%.*s", (int)(key - id), id);
        const char *at = strrchr(owner, '@');
        const char *of = at != NULL ? at + 1 : owner + (owner[0] == CHECK_MARK);
        struct slice service = {owner, at != NULL ? (size_t)(at - owner) : 0};
        struct buffer name;
        buffer_init(&name, 2 * STORED_NAME_SIZE);
        identity_check_id(key + 1, service, &name);
        buffer_append(&name, "", 1);
        if (strcasecmp(of, node) == 0 && strcmp((const char *)name.data, check_id) == 0) {
            add_id(removal, id);
        }
        buffer_done(&name);
    }
    view_unlock(&view);
}

enum next consul_catalog_deregister(struct exchange *x)
{
    struct problem problem;
    const char *node, *service_id, *check_id;
    char id[2 * STORED_NAME_SIZE + 4];
    struct removal *r = mem_zalloc(1, sizeof *r);
    x->state = r;
    x->state_free = removal_free;
    r->json = body_parse(&x->request, &problem);
    if (r->json == NULL || !is_here(x, r->json, &problem) ||
        !body_text(r->json, "Node", &node, &problem) ||
        !body_text(r->json, "ServiceID", &service_id, &problem) ||
        !body_text(r->json, "CheckID", &check_id, &problem)) {
        return write_bad(x, &problem);
    }
    if (node[0] == '\0') {
        problem_set(&problem, "", "Must provide node");
        return write_bad(x, &problem);
    }
    if (service_id[0] != '\0') {
        (void)snprintf(id, sizeof id, "%.*s@%.*s", STORED_NAME_SIZE, service_id,
                       STORED_NAME_SIZE - 2, node);
        add_id(r, id);
    } else if (check_id[0] != '\0') {
        add_check(x, r, node, check_id);
    } else if (!add_node(x, r, node)) {
        return NEXT_RESPOND;
    }
    return remove_next(x);
}
