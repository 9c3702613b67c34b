#include "api/consul/check_walk.h"

#include "server/registry/check_id.h"

void check_walk_begin(struct check_walk *walk, const struct view *view, const char *space)
{
    *walk = (struct check_walk){.view = view, .space = space, .before = space[0] == '\0'};
    ptree_iterate(&walk->it, &view->checks,
                  walk->before ? 0 : view_rank_of_namespace(view, &view->checks, space));
}

const struct record *check_walk_next(struct check_walk *walk)
{
    const struct record *r = ptree_next(&walk->it);
    if (walk->before && (r == NULL || record_id(r)[0] != CHECK_MARK)) {
        walk->before = false;
        ptree_iterate(&walk->it, &walk->view->checks,
                      view_rank_of_namespace(walk->view, &walk->view->checks, walk->space));
        r = ptree_next(&walk->it);
    }
    return r != NULL && namespace_has(walk->space, record_id(r)) ? r : NULL;
}
