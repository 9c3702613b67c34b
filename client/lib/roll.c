#include "client/lib/roll.h"

#include <stdlib.h>
#include <string.h>

#include "client/lib/chance.h"
#include "client/lib/instance.h"

#define FIRST_CAPACITY 16
#define TRIES          16 /* before all are looked at */
#define FEW            64 /* so many are always all looked at, to take turns */
#define PREFERENCES    4

/* Where the id is, or would be. */
static size_t place_of(const struct roll *roll, const char *id, bool *ret_found)
{
    size_t low = 0, high = roll->count;
    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(roll->instances[middle]->id, id);
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

const struct muster_instance *roll_find(const struct roll *roll, const char *id)
{
    bool found;
    size_t place = place_of(roll, id, &found);
    return found ? roll->instances[place] : NULL;
}

bool roll_put(struct roll *roll, const struct muster_instance *instance)
{
    bool found;
    size_t place = place_of(roll, instance->id, &found);
    if (found) {
        muster_instance_unref(roll->instances[place]);
        roll->instances[place] = instance;
        return true;
    }
    if (roll->count == ROLL_MAX) {
        return false;
    }
    if (roll->count == roll->capacity) {
        size_t capacity = roll->capacity > 0 ? roll->capacity * 2 : FIRST_CAPACITY;
        const struct muster_instance **longer =
            realloc(roll->instances, capacity * sizeof *roll->instances);
        if (longer == NULL) {
            return false;
        }
        roll->instances = longer;
        roll->capacity = capacity;
    }
    memmove(roll->instances + place + 1, roll->instances + place,
            (roll->count - place) * sizeof *roll->instances);
    roll->instances[place] = instance;
    roll->count++;
    return true;
}

void roll_remove(struct roll *roll, const char *id)
{
    bool found;
    size_t place = place_of(roll, id, &found);
    if (found) {
        muster_instance_unref(roll->instances[place]);
        roll->count--;
        memmove(roll->instances + place, roll->instances + place + 1,
                (roll->count - place) * sizeof *roll->instances);
    }
}

void roll_done(struct roll *roll)
{
    for (size_t i = 0; i < roll->count; i++) {
        muster_instance_unref(roll->instances[i]);
    }
    free(roll->instances);
    *roll = (struct roll){.count = 0};
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

static bool fits(const struct muster_instance *instance, const struct muster_query *query)
{
    if (!instance_is_healthy(instance)) {
        return false;
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
static unsigned weigh(const struct roll *roll, const struct muster_query *query,
                      uint64_t totals[PREFERENCES])
{
    for (size_t i = 0; i < roll->count; i++) {
        const struct muster_instance *instance = roll->instances[i];
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
static const struct muster_instance *
at_weight(const struct roll *roll, const struct muster_query *query, unsigned best, uint64_t n)
{
    for (size_t i = 0; i < roll->count; i++) {
        const struct muster_instance *instance = roll->instances[i];
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
static const struct muster_instance *try_few(const struct roll *roll,
                                             const struct muster_query *query, uint64_t *turn)
{
    bool turns = query->strategy == MUSTER_ROUND_ROBIN && roll->count > FEW;
    uint64_t start = turns ? (*turn)++ : 0;
    if (roll->count == 0 || query->strategy == MUSTER_WEIGHTED ||
        (query->strategy == MUSTER_ROUND_ROBIN && !turns)) {
        return NULL;
    }
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t n = query->strategy == MUSTER_RANDOM ? chance_u64() : start + i;
        if (query->strategy == MUSTER_FIRST && n >= roll->count) {
            break;
        }
        const struct muster_instance *instance = roll->instances[n % roll->count];
        if (fits(instance, query) && preference(instance, query) == 0) {
            return instance;
        }
    }
    return NULL;
}

const struct muster_instance *roll_pick(const struct roll *roll, const struct muster_query *query,
                                        uint64_t *turn)
{
    uint64_t totals[PREFERENCES] = {0}, n = 0;
    const struct muster_instance *instance = try_few(roll, query, turn);
    if (instance != NULL) {
        return instance;
    }
    unsigned best = weigh(roll, query, totals);
    if (best == PREFERENCES) {
        return NULL;
    }
    if (query->strategy == MUSTER_ROUND_ROBIN) {
        n = (*turn)++ % totals[best];
    } else if (query->strategy != MUSTER_FIRST) {
        n = chance_below(totals[best]);
    }
    return at_weight(roll, query, best, n);
}
