/* GET /v1/catalog/... */
#include "api/consul/handlers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/consul/list.h"
#include "api/consul/nodes.h"
#include "api/consul/query.h"
#include "server/base/mem.h"

static const struct slice no_key = {NULL, 0};

static enum next end(struct list *list, char bracket, uint64_t index)
{
    json_out_end(&list->json, bracket);
    list_end(list, index);
    return NEXT_RESPOND;
}

enum next consul_datacenters(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '[');
    json_out_text(&json, x->context->datacenter);
    json_out_end(&json, ']');
    return NEXT_RESPOND;
}

enum next consul_catalog_service(struct exchange *x)
{
    struct list list;
    struct list_walk walk;
    const struct record *r;
    if (!list_begin(&list, x, SELECTORS_CATALOG)) {
        return NEXT_RESPOND;
    }
    json_out_begin(&list.json, '[');
    list_walk_service(&list, &walk, x->permit.key);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (list_has_tags(&list, r) && list_has_node_meta(&list, r)) {
            shape_catalog(list_entry(&list, no_key), &list.entries, r);
            list_keep(&list);
        }
    }
    return end(&list, ']', view_service_index(list.view, x->permit.key));
}

/* --- services and their tags --- */

/* The tags of the instances that count. */
struct tags {
    size_t count, capacity;
    const char **all;
};

static void add_tags(struct tags *tags, const struct record *r)
{
    const char *tag = record_tags(r);
    for (unsigned i = 0; i < r->tags_count; i++, tag += strlen(tag) + 1) {
        size_t at = 0;
        while (at < tags->count && strcmp(tags->all[at], tag) != 0) {
            at++;
        }
        if (at < tags->count) {
            continue;
        }
        if (tags->count == tags->capacity) {
            tags->capacity = tags->capacity > 0 ? tags->capacity * 2 : 16;
            tags->all = mem_realloc(tags->all, tags->capacity * sizeof *tags->all);
        }
        tags->all[tags->count++] = tag;
    }
}

/* Whether the whole service is meant, so that what is counted of it will do. */
static bool is_whole(const struct list *list)
{
    return list->filter == NULL && !query_has(&list->x->request, "node-meta");
}

static void render_tags(struct json_out *json, const struct tags *tags)
{
    json_out_begin(json, '[');
    for (size_t i = 0; i < tags->count; i++) {
        json_out_text(json, tags->all[i]);
    }
    json_out_end(json, ']');
}

static void render_tallies(struct json_out *json, const struct service_view *service)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &service->tags, 0);
    json_out_begin(json, '[');
    for (const struct tally *tag; (tag = ptree_next(&it)) != NULL;) {
        json_out_text(json, tag->text);
    }
    json_out_end(json, ']');
}

static void add_service(struct list *list, const struct service_view *service, struct tags *tags)
{
    struct list_walk walk;
    const struct record *r;
    bool found = false;
    if (is_whole(list)) {
        json_out_key_text(&list->json, namespace_bare(service->name));
        render_tallies(&list->json, service);
        return;
    }
    tags->count = 0;
    list_walk_service(list, &walk, service->name);
    while ((r = list_next(list, &walk)) != NULL) {
        if (!list_has_node_meta(list, r)) {
            continue;
        }
        if (list->filter != NULL) {
            shape_catalog(list_entry(list, no_key), &list->entries, r);
            if (!list_selects(list)) {
                continue;
            }
        }
        found = true;
        add_tags(tags, r);
    }
    if (found) {
        json_out_key_text(&list->json, namespace_bare(service->name));
        render_tags(&list->json, tags);
    }
}

enum next consul_catalog_services(struct exchange *x)
{
    struct list list;
    struct ptree_iterator it;
    struct tags tags = {0};
    const struct service_view *service;
    if (!list_begin(&list, x, SELECTORS_CATALOG)) {
        return NEXT_RESPOND;
    }
    json_out_begin(&list.json, '{');
    view_iterate_services(
        &it, list.view,
        view_rank_of_namespace(list.view, &list.view->services, list.entries.space));
    while ((service = ptree_next(&it)) != NULL &&
           namespace_has(list.entries.space, service->name)) {
        if (viewer_may(&list.viewer, service->name)) {
            add_service(&list, service, &tags);
        }
    }
    free(tags.all);
    return end(&list, '}', list.view->catalog_index);
}

/* --- nodes --- */

enum next consul_catalog_nodes(struct exchange *x)
{
    struct list list;
    struct nodes nodes;
    if (!list_begin(&list, x, SELECTORS_NODE)) {
        return NEXT_RESPOND;
    }
    json_out_begin(&list.json, '[');
    nodes_find(&nodes, &list);
    for (size_t i = 0; i < nodes.count; i++) {
        if (list_node_has_meta(&list, nodes.all[i].name)) {
            shape_node(list_entry(&list, no_key), &list.entries, nodes.all[i].name,
                       nodes.all[i].any);
            list_keep(&list);
        }
    }
    nodes_done(&nodes);
    return end(&list, ']', list.view->catalog_index);
}

/* The node by its name, if the asker may see it. */
static bool find_node(struct list *list, const char *name, struct known_node *ret_node)
{
    struct nodes nodes;
    bool found = false;
    nodes_find(&nodes, list);
    for (size_t i = 0; i < nodes.count && !found; i++) {
        if (nodes.all[i].name.len == strlen(name) &&
            strncasecmp(nodes.all[i].name.data, name, nodes.all[i].name.len) == 0) {
            *ret_node = nodes.all[i];
            found = true;
        }
    }
    nodes_done(&nodes);
    return found;
}

static enum next answer_node(struct exchange *x, bool is_list)
{
    struct list list;
    struct list_walk walk;
    struct known_node node;
    const struct record *r;
    const char *name = x->request.params[0];
    if (!list_begin(&list, x, SELECTORS_AGENT)) {
        return NEXT_RESPOND;
    }
    if (!find_node(&list, name, &node)) {
        json_out_raw(&list.json, is_list ? "{\"Node\":null,\"Services\":null}" : "null");
        list_end(&list, list.view->catalog_index);
        return NEXT_RESPOND;
    }
    json_out_begin(&list.json, '{');
    json_out_key(&list.json, "Node");
    shape_node(&list.json, &list.entries, node.name, node.any);
    json_out_key(&list.json, "Services");
    json_out_begin(&list.json, is_list ? '[' : '{');
    list_walk_all(&list, &walk);
    while ((r = list_next(&list, &walk)) != NULL) {
        if (identity_is_node(r, name)) {
            shape_service(list_entry(&list, is_list ? no_key : identity_of(r).service), r);
            list_keep(&list);
        }
    }
    json_out_end(&list.json, is_list ? ']' : '}');
    return end(&list, '}', list.view->catalog_index);
}

enum next consul_catalog_node(struct exchange *x)
{
    return answer_node(x, false);
}

enum next consul_catalog_node_services(struct exchange *x)
{
    return answer_node(x, true);
}
