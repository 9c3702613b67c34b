/* What the handlers of reads share: whether a replica may answer, and lists of entries that a
 * filter selects.
 *
 * Thread: the worker. */
#ifndef MUSTER_API_CONSUL_LIST_H
#define MUSTER_API_CONSUL_LIST_H

#include "api/consul/expression.h"
#include "api/consul/shape.h"

/* Within a critical section of the view, from list_begin() to list_end(). */
struct list {
    struct exchange *x;
    const struct view *view;
    struct shape_view entries;
    struct viewer viewer;
    struct expression *filter; /* NULL: all */
    struct json_out json;
    struct buffer entry; /* one, before the filter has seen it */
    struct json_out entry_json;
    struct slice key; /* of it */
    bool failed;      /* the filter looked at what is not there */
};

/* False: the response is an error. `selectors`: of ?filter=. */
MUST_USE bool list_begin(struct list *list, struct exchange *x, enum selectors selectors);
/* The answer is as of this index. */
void list_end(struct list *list, uint64_t index);

/* Where the next entry goes: render it there, then list_keep(). `key`, which is borrowed: in an
 * object; without data: in an array. */
struct json_out *list_entry(struct list *list, struct slice key);
/* Adds it if the filter selects it. */
void list_keep(struct list *list);
/* Whether it does, instead. */
MUST_USE bool list_selects(struct list *list);

/* Iterates the instances of the namespace that the asker may see. */
struct list_walk {
    struct ptree_iterator it;
};
void list_walk_all(struct list *list, struct list_walk *walk);
/* Of one service. */
void list_walk_service(struct list *list, struct list_walk *walk, const char *name);
const struct record *list_next(struct list *list, struct list_walk *walk);

/* Whether it has all ?tag=, and its node all ?node-meta=. */
bool list_has_tags(const struct list *list, const struct record *instance);
bool list_has_node_meta(const struct list *list, const struct record *instance);
bool list_node_has_meta(const struct list *list, struct slice node);

#endif
