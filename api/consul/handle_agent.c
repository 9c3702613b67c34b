/* GET /v1/agent/...: what the caller's agent has registered. */
#include "api/consul/handlers.h"

#include <stdio.h>
#include <string.h>

#include "api/consul/hash_wait.h"
#include "api/consul/list.h"
#include "api/consul/query.h"

/* False: the response is an error. */
static bool find_caller(struct exchange *x, char caller[NODE_SIZE])
{
    struct problem problem;
    if (!identity_caller(x, caller, &problem)) {
        response_problem(&x->response, &problem);
        return false;
    }
    return true;
}

static enum next end(struct list *list, char bracket)
{
    json_out_end(&list->json, bracket);
    list_end(list, 1);
    list->x->response.has_asked_index = false; /* nothing here waits */
    return NEXT_RESPOND;
}

/* With ?scope=cluster, all instances. */
static bool is_meant(const struct list *list, const struct record *r, const char *caller)
{
    const char *scope = request_query(&list->x->request, "scope");
    return identity_is_of(r, caller) || (scope != NULL && strcmp(scope, "cluster") == 0);
}

enum next consul_agent_services(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    char caller[NODE_SIZE];
    if (!find_caller(x, caller) || !list_begin(&list, x, SELECTORS_AGENT)) {
        return NEXT_RESPOND;
    }
    json_out_begin(&list.json, '{');
    list_walk_all(&list, &walk);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (is_meant(&list, r, caller)) {
            shape_agent_service(list_entry(&list, identity_of(r).service), &list.entries, r, NULL);
            list_keep(&list);
        }
    }
    return end(&list, '}');
}

static void add_check(void *ctx, const struct shown_check *check)
{
    struct list *list = ctx;
    if (strcmp(check->check_id, "serfHealth") == 0) {
        return; /* the catalog's, not the agent's */
    }
    shape_check(list_entry(list, slice_of(check->check_id)), check, false);
    list_keep(list);
}

enum next consul_agent_checks(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    char caller[NODE_SIZE];
    if (!find_caller(x, caller) || !list_begin(&list, x, SELECTORS_CHECK)) {
        return NEXT_RESPOND;
    }
    json_out_begin(&list.json, '{');
    shown_of_node(list.view, list.entries.space, slice_of(caller), NULL, add_check, &list);
    list_walk_all(&list, &walk);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (is_meant(&list, r, caller)) {
            shown_of_instance(list.view, r, add_check, &list);
        }
    }
    return end(&list, '}');
}

/* --- one --- */

static void unknown_service(struct exchange *x, const char *id, enum found found, unsigned count)
{
    char message[STORED_NAME_SIZE + 120];
    if (found == FOUND_MANY) {
        (void)snprintf(
            message, sizeof message,
            "unknown service ID: %s: %u nodes have one, and none of them is the caller's", id,
            count);
    } else {
        (void)snprintf(message, sizeof message, "unknown service ID: %s", id);
    }
    response_error(&x->response, 404, "not_found", "", message);
}

enum next consul_agent_service(struct exchange *x)
{
    struct list list;
    const struct record *r;
    unsigned count;
    char hash[17];
    const char *id = x->request.params[0];
    if (!list_begin(&list, x, SELECTORS_AGENT)) {
        return NEXT_RESPOND;
    }
    enum found found = identity_find(x, list.view, id, &r, &count);
    if (found == FOUND_ONE) {
        shape_content_hash(&list.entries, r, hash);
        shape_agent_service(&list.json, &list.entries, r, hash);
    }
    list_end(&list, 1);
    x->response.has_asked_index = false;
    if (found != FOUND_ONE) {
        unknown_service(x, id, found, count);
    } else {
        response_header(&x->response, "X-Consul-ContentHash", hash);
    }
    return NEXT_RESPOND;
}

bool hash_wait(struct exchange *x, uint64_t wait_ms, uint64_t *ret_wait_ms)
{
    const struct record *r;
    unsigned count;
    char hash[17];
    const char *said = request_query(&x->request, "hash");
    const struct view *view = node_view_lock(x->context->node);
    const struct shape_view entries = {view, permit_space(&x->permit), x->context->datacenter};
    bool waits = false;
    if (said != NULL && x->request.params[0] != NULL &&
        identity_find(x, view, x->request.params[0], &r, &count) == FOUND_ONE) {
        shape_content_hash(&entries, r, hash);
        waits = strcmp(hash, said) == 0;
        x->read.after_index = view->catalog_index;
    }
    view_unlock(&view);
    if (waits) {
        *ret_wait_ms = wait_ms;
    }
    return waits;
}

/* --- health of one --- */

static const struct {
    const char *status;
    int http;
} answers[] = {{"passing", 200}, {"warning", 429}, {"critical", 503}, {"maintenance", 503}};

static size_t rank_of(const char *status)
{
    size_t rank = 0;
    while (rank + 1 < ARRAY_LENGTH(answers) && strcmp(answers[rank].status, status) != 0) {
        rank++;
    }
    return rank;
}

static void add_whole_check(void *ctx, const struct shown_check *check)
{
    shape_check(ctx, check, true);
}

static void render_health(struct list *list, const struct record *r)
{
    struct json_out *json = &list->json;
    json_out_begin(json, '{');
    json_out_member_text(json, "AggregatedStatus", shown_aggregate(list->view, r));
    json_out_key(json, "Service");
    shape_agent_service(json, &list->entries, r, NULL);
    json_out_key(json, "Checks");
    json_out_begin(json, '[');
    shown_of_instance(list->view, r, add_whole_check, json);
    json_out_end(json, ']');
    json_out_end(json, '}');
}

/* Some ask for the status alone: format=text. */
static enum next answer_health(struct exchange *x, int status, const char *reason)
{
    const char *format = request_query(&x->request, "format");
    x->response.has_asked_index = false;
    if (format != NULL && strcmp(format, "text") == 0) {
        buffer_clear(&x->response.body);
        buffer_append_text(&x->response.body, reason);
        x->response.content_type = "text/plain; charset=utf-8";
    }
    x->response.status = status;
    response_header(&x->response, "X-Consul-Reason", reason);
    return NEXT_RESPOND;
}

enum next consul_agent_health_id(struct exchange *x)
{
    struct list list;
    const struct record *r;
    unsigned count;
    size_t rank = 0;
    if (!list_begin(&list, x, SELECTORS_AGENT)) {
        return NEXT_RESPOND;
    }
    bool found = identity_find(x, list.view, x->request.params[0], &r, &count) == FOUND_ONE;
    if (found) {
        rank = rank_of(shown_aggregate(list.view, r));
        render_health(&list, r);
    } else {
        json_out_raw(&list.json,
                     "{\"AggregatedStatus\":\"critical\",\"Service\":null,\"Checks\":null}");
    }
    list_end(&list, 1);
    return found ? answer_health(x, answers[rank].http, answers[rank].status)
                 : answer_health(x, 404, "ServiceId not found");
}

enum next consul_agent_health_name(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    char caller[NODE_SIZE];
    size_t worst = 0;
    bool found = false;
    if (!find_caller(x, caller) || !list_begin(&list, x, SELECTORS_AGENT)) {
        return NEXT_RESPOND;
    }
    json_out_begin(&list.json, '[');
    list_walk_service(&list, &walk, x->permit.key);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (is_meant(&list, r, caller)) {
            size_t rank = rank_of(shown_aggregate(list.view, r));
            worst = rank > worst ? rank : worst;
            found = true;
            render_health(&list, r);
        }
    }
    json_out_end(&list.json, ']');
    list_end(&list, 1);
    return found ? answer_health(x, answers[worst].http, answers[worst].status)
                 : answer_health(x, 404, "ServiceName Not Found");
}
