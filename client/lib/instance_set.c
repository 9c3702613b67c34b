#include "client/lib/instance_set.h"

#include <stdlib.h>
#include <string.h>

#include "client/lib/random.h"
#include "server/base/choose.h"

#define FIRST_CAPACITY 16
#define HEALTHY        (MUSTER_HEALTH_BIT(MUSTER_PASSING) | MUSTER_HEALTH_BIT(MUSTER_WARNING))

/* Where the id is, or would be. */
static size_t place_of(const struct instance_set *set, const char *id, bool *ret_found)
{
    size_t low = 0, high = set->count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(set->instances[middle]->id, id);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool instance_set_put(struct instance_set *set, const struct muster_instance *instance)
{
    bool found;
    size_t place = place_of(set, instance->id, &found);
    if (found) {
        muster_instance_unref(set->instances[place]);
        set->instances[place] = instance;
        return true;
    }
    if (set->count == INSTANCE_SET_MAX) {
        return false;
    }
    if (set->count == set->capacity) {
        size_t capacity = set->capacity > 0 ? set->capacity * 2 : FIRST_CAPACITY;
        const struct muster_instance **longer =
            realloc(set->instances, capacity * sizeof *set->instances);
        if (longer == NULL) {
            return false;
        }
        set->instances = longer;
        set->capacity = capacity;
    }
    memmove(set->instances + place + 1, set->instances + place,
            (set->count - place) * sizeof *set->instances);
    set->instances[place] = instance;
    set->count++;
    return true;
}

void instance_set_remove(struct instance_set *set, const char *id)
{
    bool found;
    size_t place = place_of(set, id, &found);
    if (found) {
        muster_instance_unref(set->instances[place]);
        set->count--;
        memmove(set->instances + place, set->instances + place + 1,
                (set->count - place) * sizeof *set->instances);
    }
}

bool instance_set_copy(struct instance_set *set, const struct instance_set *from)
{
    const struct muster_instance **copy = malloc((from->count + 1) * sizeof *copy);
    if (copy == NULL) {
        return false;
    }
    for (size_t i = 0; i < from->count; i++) {
        copy[i] = muster_instance_ref(from->instances[i]);
    }
    *set =
        (struct instance_set){.instances = copy, .count = from->count, .capacity = from->count + 1};
    return true;
}

void instance_set_done(struct instance_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        muster_instance_unref(set->instances[i]);
    }
    free(set->instances);
    *set = (struct instance_set){.count = 0};
}

static bool has_tag(const struct muster_instance *instance, const char *tag)
{
    for (size_t i = 0; i < instance->tags_count; i++) {
        if (strcmp(instance->tags[i], tag) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_pair(const struct muster_instance *instance, const struct muster_pair *pair)
{
    for (size_t i = 0; i < instance->metadata_count; i++) {
        if (strcmp(instance->metadata[i].key, pair->key) == 0) {
            return strcmp(instance->metadata[i].value, pair->value) == 0;
        }
    }
    return false;
}

static bool fits(const struct muster_instance *instance, const struct muster_query *query)
{
    unsigned health = query->health != 0 ? query->health : HEALTHY;
    if ((health & MUSTER_HEALTH_BIT(instance->health)) == 0 ||
        (query->type != NULL && strcmp(query->type, instance->type) != 0)) {
        return false;
    }
    for (size_t i = 0; i < query->metadata_count; i++) {
        if (!has_pair(instance, &query->metadata[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < query->tags_count; i++) {
        if (!has_tag(instance, query->tags[i])) {
            return false;
        }
    }
    return true;
}

/* What is chosen from, and what is asked for. */
struct search {
    const struct instance_set *set;
    const struct muster_query *query;
};

static const void *at(const void *ctx, size_t rank)
{
    const struct search *search = ctx;
    return search->set->instances[rank];
}

static void walk(const void *ctx, size_t rank, bool (*visit)(void *arg, const void *item),
                 void *arg)
{
    const struct search *search = ctx;
    while (rank < search->set->count && visit(arg, search->set->instances[rank])) {
        rank++;
    }
}

static bool wanted(const void *ctx, const void *item)
{
    const struct search *search = ctx;
    return fits(item, search->query);
}

static bool near(const void *ctx, const void *item)
{
    const struct search *search = ctx;
    const struct muster_instance *instance = item;
    return search->query->zone == NULL || strcmp(search->query->zone, instance->zone) == 0;
}

static uint32_t weight(const void *ctx, const void *item)
{
    const struct muster_instance *instance = item;
    (void)ctx;
    return instance->weight;
}

static enum strategy strategy_of(const struct muster_query *query)
{
    switch (query->strategy) {
    case MUSTER_ROUND_ROBIN:
        return STRATEGY_ROUND_ROBIN;
    case MUSTER_FIRST:
        return STRATEGY_FIRST;
    case MUSTER_WEIGHTED:
        return STRATEGY_WEIGHTED;
    default:
        return STRATEGY_RANDOM;
    }
}

const struct muster_instance *instance_set_choose(const struct instance_set *set,
                                                  const struct muster_query *query, uint64_t *turn)
{
    const struct search search = {set, query};
    const struct choose_set all = {.ctx = &search,
                                   .count = set->count,
                                   .at = at,
                                   .walk = walk,
                                   .wanted = wanted,
                                   .near = near,
                                   .weight = weight};
    uint64_t random = random_u64();
    bool turns = query->strategy == MUSTER_ROUND_ROBIN;
    return choose_item(&all, strategy_of(query), turns ? (*turn)++ : 0, &random);
}
