#include "api/consul/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "api/consul/check_walk.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"

static int compare(const void *a, const void *b)
{
    const struct known_node *x = a;
    const struct known_node *y = b;
    size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.data, y->name.data, len);
    if (order == 0) {
        order = (x->name.len > y->name.len) - (x->name.len < y->name.len);
    }
    /* One with an instance comes first; of these, the oldest. */
    if (order == 0) {
        order = (x->any == NULL) - (y->any == NULL);
    }
    if (order == 0 && x->any != NULL) {
        order = (x->any->incarnation > y->any->incarnation) -
                (x->any->incarnation < y->any->incarnation);
    }
    return order;
}

static void add(struct nodes *nodes, struct slice name, const struct record *any)
{
    if (nodes->count > 0 && nodes->all[nodes->count - 1].name.len == name.len &&
        memcmp(nodes->all[nodes->count - 1].name.data, name.data, name.len) == 0) {
        return; /* most stand side by side */
    }
    if (nodes->count == nodes->capacity) {
        nodes->capacity = nodes->capacity > 0 ? nodes->capacity * 2 : 64;
        nodes->all = mem_realloc(nodes->all, nodes->capacity * sizeof *nodes->all);
    }
    nodes->all[nodes->count++] = (struct known_node){name, any};
}

static bool is_same(const struct known_node *a, const struct known_node *b)
{
    return a->name.len == b->name.len && memcmp(a->name.data, b->name.data, a->name.len) == 0;
}

void nodes_find(struct nodes *nodes, struct list *list)
{
    struct list_walk walk;
    struct check_walk checks;
    const struct record *r;
    const char *space = list->entries.space;
    *nodes = (struct nodes){0};
    list_walk_all(list, &walk);
    while ((r = list_next(list, &walk)) != NULL) {
        add(nodes, identity_of(r).node, r);
    }
    check_walk_begin(&checks, list->view, space);
    while ((r = check_walk_next(&checks)) != NULL) {
        const char *id = namespace_bare(record_id(r));
        if (id[0] == CHECK_MARK && strchr(id + 1, CHECK_MARK) == NULL && !shown_is_agent(r) &&
            viewer_may(&list->viewer, id + 1)) {
            add(nodes, (struct slice){id + 1, strlen(id + 1)}, NULL);
        }
    }
    if (nodes->count == 0) {
        return;
    }
    qsort(nodes->all, nodes->count, sizeof *nodes->all, compare);
    size_t kept = 1;
    for (size_t i = 1; i < nodes->count; i++) {
        if (!is_same(&nodes->all[i], &nodes->all[kept - 1])) {
            nodes->all[kept++] = nodes->all[i];
        }
    }
    nodes->count = kept;
}

void nodes_done(struct nodes *nodes)
{
    free(nodes->all);
    *nodes = (struct nodes){0};
}
