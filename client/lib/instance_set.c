#include "client/lib/instance_set.h"

#include <stdlib.h>
#include <string.h>

#include "client/lib/random.h"

#define FIRST_CAPACITY 16
#define TRIES          16 /* before all are looked at */
#define FEW            64 /* so many are always all looked at, to take turns */
#define PREFERENCES    4
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

const struct muster_instance *instance_set_find(const struct instance_set *set, const char *id)
{
    bool found;
    size_t place = place_of(set, id, &found);
    return found ? set->instances[place] : NULL;
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

/* The near before the far; with weights, those of weight 0 only when there is no other. */
static unsigned preference(const struct muster_instance *instance, const struct muster_query *query)
{
    bool far = query->zone != NULL && strcmp(query->zone, instance->zone) != 0;
    bool zero = query->strategy == MUSTER_WEIGHTED && instance->weight == 0;
    return (zero ? 2u : 0u) + (far ? 1u : 0u);
}

static uint64_t weight_of(const struct muster_instance *instance, const struct muster_query *query)
{
    return query->strategy == MUSTER_WEIGHTED && instance->weight > 0 ? instance->weight : 1;
}

/* Adds up the weights of those that fit, by preference. Gives the best one with any, or
 * PREFERENCES. */
static unsigned weigh(const struct instance_set *set, const struct muster_query *query,
                      uint64_t totals[PREFERENCES])
{
    for (size_t i = 0; i < set->count; i++) {
        const struct muster_instance *instance = set->instances[i];
        if (fits(instance, query)) {
            totals[preference(instance, query)] += weight_of(instance, query);
        }
    }
    unsigned best = 0;
    while (best < PREFERENCES && totals[best] == 0) {
        best++;
    }
    return best;
}

/* The one of that preference in whose share of the weights `n` falls. */
static const struct muster_instance *at_weight(const struct instance_set *set,
                                               const struct muster_query *query, unsigned best,
                                               uint64_t n)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct muster_instance *instance = set->instances[i];
        if (fits(instance, query) && preference(instance, query) == best) {
            uint64_t weight = weight_of(instance, query);
            if (n < weight) {
                return instance;
            }
            n -= weight;
        }
    }
    return NULL;
}

/* A few tries that do not look at all of a large service. Taking turns is exact in a small one, and
 * passes over the ill in a large one. */
static const struct muster_instance *try_few(const struct instance_set *set,
                                             const struct muster_query *query, uint64_t *turn)
{
    bool turns = query->strategy == MUSTER_ROUND_ROBIN && set->count > FEW;
    uint64_t start = turns ? (*turn)++ : 0;
    if (set->count == 0 || query->strategy == MUSTER_WEIGHTED ||
        (query->strategy == MUSTER_ROUND_ROBIN && !turns)) {
        return NULL;
    }
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t n = query->strategy == MUSTER_RANDOM ? random_u64() : start + i;
        if (query->strategy == MUSTER_FIRST && n >= set->count) {
            break;
        }
        const struct muster_instance *instance = set->instances[n % set->count];
        if (fits(instance, query) && preference(instance, query) == 0) {
            return instance;
        }
    }
    return NULL;
}

const struct muster_instance *instance_set_choose(const struct instance_set *set,
                                                  const struct muster_query *query, uint64_t *turn)
{
    uint64_t totals[PREFERENCES] = {0}, n = 0;
    const struct muster_instance *instance = try_few(set, query, turn);
    if (instance != NULL) {
        return instance;
    }
    unsigned best = weigh(set, query, totals);
    if (best == PREFERENCES) {
        return NULL;
    }
    if (query->strategy == MUSTER_ROUND_ROBIN) {
        n = (*turn)++ % totals[best];
    } else if (query->strategy != MUSTER_FIRST) {
        n = random_below(totals[best]);
    }
    return at_weight(set, query, best, n);
}
