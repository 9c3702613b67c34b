/* GET /v1/health/... */
#include "api/consul/handlers.h"

#include <string.h>

#include "api/consul/list.h"
#include "api/consul/nodes.h"
#include "api/consul/query.h"

static const struct slice no_key = {NULL, 0};

static void begin_array(struct list *list)
{
    json_out_begin(&list->json, '[');
}

static enum next end_array(struct list *list, uint64_t index)
{
    json_out_end(&list->json, ']');
    list_end(list, index);
    return NEXT_RESPOND;
}

static uint64_t service_index(const struct list *list)
{
    return view_service_index(list->view, list->x->permit.key);
}

enum next consul_health_service(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    bool passing;
    if (!query_bool(&x->request, "passing", &passing) || !list_begin(&list, x, SELECTORS_HEALTH)) {
        return NEXT_RESPOND;
    }
    begin_array(&list);
    list_walk_service(&list, &walk, x->permit.key);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (list_has_tags(&list, r) && list_has_node_meta(&list, r) &&
            (!passing || shown_is_passing(list.view, r))) {
            shape_health(list_entry(&list, no_key), &list.entries, r);
            list_keep(&list);
        }
    }
    return end_array(&list, service_index(&list));
}

/* Nothing is a proxy. */
enum next consul_no_instances(struct exchange *x)
{
    struct list list;
    if (!list_begin(&list, x, SELECTORS_HEALTH)) {
        return NEXT_RESPOND;
    }
    begin_array(&list);
    return end_array(&list, service_index(&list));
}

/* --- checks --- */

static void add_check(void *ctx, const struct shown_check *check)
{
    struct list *list = ctx;
    shape_check(list_entry(list, no_key), check, false);
    list_keep(list);
}

enum next consul_health_checks(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    if (!list_begin(&list, x, SELECTORS_CHECK)) {
        return NEXT_RESPOND;
    }
    begin_array(&list);
    list_walk_service(&list, &walk, x->permit.key);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (list_has_node_meta(&list, r)) {
            shown_of_instance(list.view, r, add_check, &list);
        }
    }
    return end_array(&list, service_index(&list));
}

struct of_state {
    struct list *list;
    const char *state; /* "any": all */
};

static void add_of_state(void *ctx, const struct shown_check *check)
{
    struct of_state *s = ctx;
    if (strcmp(s->state, "any") == 0 || strcmp(s->state, check->status) == 0) {
        add_check(s->list, check);
    }
}

enum next consul_health_state(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    struct nodes nodes;
    const struct record *r;
    if (!list_begin(&list, x, SELECTORS_CHECK)) {
        return NEXT_RESPOND;
    }
    struct of_state of = {&list, x->request.params[0]};
    begin_array(&list);
    nodes_find(&nodes, &list);
    for (size_t i = 0; i < nodes.count; i++) {
        shown_of_node(list.view, list.entries.space, nodes.all[i].name, nodes.all[i].any,
                      add_of_state, &of);
    }
    nodes_done(&nodes);
    list_walk_all(&list, &walk);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (list_has_node_meta(&list, r)) {
            shown_of_instance(list.view, r, add_of_state, &of);
        }
    }
    return end_array(&list, list.view->changed_index);
}

enum next consul_health_node(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    const struct record *any = NULL;
    const char *name = x->request.params[0];
    struct slice node = {name, strlen(name)};
    if (!list_begin(&list, x, SELECTORS_CHECK)) {
        return NEXT_RESPOND;
    }
    begin_array(&list);
    list_walk_all(&list, &walk);
    while (any == NULL && (r = list_next(&list, &walk)) != NULL) {
        any = identity_is_node(r, name) ? r : NULL;
    }
    if (any != NULL || shown_node(list.view, list.entries.space, node) != NULL) {
        shown_of_node(list.view, list.entries.space, any != NULL ? identity_of(any).node : node,
                      any, add_check, &list);
    }
    list_walk_all(&list, &walk);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (identity_is_node(r, name)) {
            shown_of_instance(list.view, r, add_check, &list);
        }
    }
    return end_array(&list, list.view->changed_index);
}

enum next consul_of_none(struct exchange *x)
{
    response_error(&x->response, 400, "invalid", "", "Missing what to look for");
    return NEXT_RESPOND;
}
