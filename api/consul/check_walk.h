/* All checks and nodes of a namespace. In `default`, nodes stand before all namespaces.
 *
 * Thread: any, within the critical section of the view. */
#ifndef MUSTER_API_CONSUL_CHECK_WALK_H
#define MUSTER_API_CONSUL_CHECK_WALK_H

#include "server/registry/view.h"

/* All private. */
struct check_walk {
    const struct view *view;
    const char *space;
    bool before;
    struct ptree_iterator it;
};
void check_walk_begin(struct check_walk *walk, const struct view *view, const char *space);
/* NULL at the end. */
const struct record *check_walk_next(struct check_walk *walk);

#endif
