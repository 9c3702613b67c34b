#include "server/registry/choose.h"

#include <string.h>

#include "server/registry/namespace.h"
#include "server/registry/view.h"

struct instances {
    const struct choice *choice;
    const struct ptree *tree;
};

static const void *at(const void *ctx, size_t rank)
{
    const struct instances *of = ctx;
    return ptree_at(of->tree, of->choice->first + rank);
}

static size_t count_of(const struct instances *of)
{
    return of->choice->count > 0 ? of->choice->count : ptree_count(of->tree);
}

static void walk(const void *ctx, size_t rank, bool (*visit)(void *arg, const void *item),
                 void *arg)
{
    const struct instances *of = ctx;
    struct ptree_iterator it;
    const struct record *record;
    size_t left = count_of(of) - rank;
    ptree_iterate(&it, of->tree, of->choice->first + rank);
    while (left-- > 0 && (record = ptree_next(&it)) != NULL && visit(arg, record)) {
    }
}

static bool wanted(const void *ctx, const void *item)
{
    const struct instances *of = ctx;
    return filter_match(&of->choice->filter, item);
}

static bool near(const void *ctx, const void *item)
{
    const struct instances *of = ctx;
    return of->choice->near == NULL || strcmp(of->choice->near, record_zone(item)) == 0;
}

static uint32_t weight(const void *ctx, const void *item)
{
    const struct record *record = item;
    (void)ctx;
    return record->weight;
}

const struct record *choose_instance(const struct choice *choice, const struct ptree *instances)
{
    const struct instances of = {choice, instances};
    const struct choose_set set = {.ctx = &of,
                                   .count = count_of(&of),
                                   .at = at,
                                   .walk = walk,
                                   .wanted = wanted,
                                   .near = near,
                                   .weight = weight};
    return choose_item(&set, choice->strategy, choice->turn, choice->random);
}

bool choice_among_namespace(struct choice *choice, const struct view *view, const char *space)
{
    const struct namespace_use *use =
        view_namespace(view, space[0] != '\0' ? space : NAMESPACE_DEFAULT);
    choice->first = view_rank_of_namespace(view, &view->instances, space);
    choice->count = use != NULL ? use->instances : 0;
    return choice->count > 0;
}
