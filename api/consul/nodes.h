/* The nodes of a namespace: those with instances, and those that are registered by themselves.
 *
 * Thread: any, within the critical section of the list's view. Owns: the array. */
#ifndef MUSTER_API_CONSUL_NODES_H
#define MUSTER_API_CONSUL_NODES_H

#include "api/consul/list.h"

struct nodes {
    size_t count, capacity;
    struct known_node {
        struct slice name;
        const struct record *any; /* an instance of it; NULL: none */
    } * all;                      /* by name, each once */
};

/* Those that the asker may see. */
void nodes_find(struct nodes *nodes, struct list *list);
void nodes_done(struct nodes *nodes);

#endif
