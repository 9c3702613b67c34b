#include "api/consul/list.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/consul/query.h"

#define SHOWN_BYTES_MAX (1024 * 1024)

bool list_begin(struct list *list, struct exchange *x, enum selectors selectors)
{
    struct node_status status;
    struct problem problem;
    const char *text = request_query(&x->request, "filter");
    *list = (struct list){.x = x};
    node_status(x->context->node, &status);
    if (!status.caught_up) {
        /* It might show less than there is. */
        response_error(&x->response, 503, "not_ready", "", "");
        return false;
    }
    if (!query_is_here(x)) {
        response_error(&x->response, 500, "invalid", "", "No path to datacenter");
        return false;
    }
    if (text != NULL && text[0] != '\0') {
        list->filter = expression_compile(text, selectors, &problem);
        if (list->filter == NULL) {
            response_error(&x->response, 400, "invalid", "", problem.message);
            return false;
        }
    }
    buffer_init(&list->entry, SHOWN_BYTES_MAX);
    list->view = node_view_lock(x->context->node);
    list->viewer = permit_viewer(&x->permit, list->view);
    list->entries =
        (struct shape_view){list->view, permit_space(&x->permit), x->context->datacenter};
    list->json = response_json(&x->response);
    return true;
}

void list_end(struct list *list, uint64_t index)
{
    struct response *response = &list->x->response;
    response->index = list->view->index;
    view_unlock(&list->view);
    expression_free(list->filter);
    buffer_done(&list->entry);
    if (list->failed) {
        response_error(response, 400, "invalid", "",
                       "error finding value in datum: a key of the filter is not there");
        return;
    }
    response_asked(response, index > 0 ? index : 1);
}

static void add_key(struct list *list, struct slice key)
{
    char text[2 * STORED_NAME_SIZE];
    if (key.data != NULL) {
        (void)snprintf(text, sizeof text, "%.*s", (int)key.len, key.data);
        json_out_key_text(&list->json, text);
    }
}

struct json_out *list_entry(struct list *list, struct slice key)
{
    list->key = key;
    if (list->filter == NULL) {
        add_key(list, key);
        return &list->json;
    }
    buffer_clear(&list->entry);
    list->entry_json = json_out_to(&list->entry);
    return &list->entry_json;
}

bool list_selects(struct list *list)
{
    json_t *entry = json_loadb((const char *)list->entry.data, list->entry.len, 0, NULL);
    enum match match = expression_match(list->filter, entry);
    json_decref(entry);
    list->failed = list->failed || match == MATCH_ERROR;
    return match == MATCH_YES;
}

void list_keep(struct list *list)
{
    if (list->filter == NULL || !list_selects(list)) {
        return;
    }
    add_key(list, list->key);
    buffer_append(&list->entry, "", 1);
    json_out_raw(&list->json, (const char *)list->entry.data);
}

/* --- instances --- */

void list_walk_all(struct list *list, struct list_walk *walk)
{
    const struct ptree *all = &list->view->instances;
    ptree_iterate(&walk->it, all, view_rank_of_namespace(list->view, all, list->entries.space));
}

void list_walk_service(struct list *list, struct list_walk *walk, const char *name)
{
    static const struct ptree none;
    const struct service_view *service = view_service(list->view, name);
    ptree_iterate(&walk->it, service != NULL ? &service->instances : &none, 0);
}

const struct record *list_next(struct list *list, struct list_walk *walk)
{
    const struct record *record;
    while ((record = ptree_next(&walk->it)) != NULL &&
           namespace_has(list->entries.space, record_id(record))) {
        if (viewer_may(&list->viewer, record_name(record))) {
            return record;
        }
    }
    return NULL;
}

static bool has_tag(const struct record *r, const char *tag)
{
    const char *own = record_tags(r);
    for (unsigned i = 0; i < r->tags_count; i++) {
        if (strcasecmp(own, tag) == 0) {
            return true;
        }
        own += strlen(own) + 1;
    }
    return false;
}

bool list_has_tags(const struct list *list, const struct record *instance)
{
    const struct request *request = &list->x->request;
    for (size_t i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, "tag") == 0 &&
            !has_tag(instance, request->query[i].value)) {
            return false;
        }
    }
    return true;
}

/* What every node has that registers for itself. */
static bool is_of_agents(const char *pair)
{
    return strcmp(pair, "consul-network-segment:") == 0;
}

static bool node_has(const struct record *node, const char *pair)
{
    char key[METADATA_KEY_BYTES_MAX + 1];
    const char *colon = strchr(pair, ':');
    if (colon == NULL || (size_t)(colon - pair) >= sizeof key) {
        return false;
    }
    (void)snprintf(key, sizeof key, "%.*s", (int)(colon - pair), pair);
    const char *value = node != NULL ? record_metadata_value(node, key) : NULL;
    return value != NULL ? strcmp(value, colon + 1) == 0
                         : shown_is_agent(node) && is_of_agents(pair);
}

bool list_node_has_meta(const struct list *list, struct slice name)
{
    const struct request *request = &list->x->request;
    if (!query_has(request, "node-meta")) {
        return true;
    }
    const struct record *node = shown_node(list->view, list->entries.space, name);
    for (size_t i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, "node-meta") == 0 &&
            !node_has(node, request->query[i].value)) {
            return false;
        }
    }
    return true;
}

bool list_has_node_meta(const struct list *list, const struct record *instance)
{
    return list_node_has_meta(list, identity_of(instance).node);
}
