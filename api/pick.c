#include "api/pick.h"

#include <string.h>

#define TRIES       16 /* before all are looked at */
#define FEW         64 /* so many are always all looked at: round_robin is exact then */
#define PREFERENCES 4

/* The best seen so far in each class of preference: 0 before 1 and so on. */
struct scan {
    const struct record *chosen[PREFERENCES];
    uint64_t total[PREFERENCES]; /* weights; counts for all strategies but weighted */
};

bool strategy_parse(const char *text, enum strategy *ret_strategy)
{
    static const char *const names[] = {[STRATEGY_RANDOM] = "random",
                                        [STRATEGY_ROUND_ROBIN] = "round_robin",
                                        [STRATEGY_FIRST] = "first",
                                        [STRATEGY_WEIGHTED] = "weighted"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_strategy = (enum strategy)i;
            return true;
        }
    }
    return false;
}

uint64_t pick_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The near before the far; with weights, those of weight 0 only when there is no other. */
static unsigned preference(const struct pick *pick, const struct record *record)
{
    bool far = pick->near != NULL && strcmp(pick->near, record_zone(record)) != 0;
    bool zero = pick->strategy == STRATEGY_WEIGHTED && record->weight == 0;
    return (zero ? 2u : 0u) + (far ? 1u : 0u);
}

static bool is_best(const struct pick *pick, const struct record *record)
{
    return filter_match(&pick->filter, record) && preference(pick, record) == 0;
}

static void scan_all(const struct pick *pick, const struct ptree *instances, struct scan *scan)
{
    struct ptree_iterator it;
    const struct record *record;
    ptree_iterate(&it, instances, 0);
    while ((record = ptree_next(&it)) != NULL) {
        if (!filter_match(&pick->filter, record)) {
            continue;
        }
        unsigned p = preference(pick, record);
        bool weighted = pick->strategy == STRATEGY_WEIGHTED && record->weight > 0;
        uint64_t weight = weighted ? record->weight : 1;
        scan->total[p] += weight;
        /* Each takes the place with its share of the total so far: uniform in the end. */
        if (scan->chosen[p] == NULL || (pick->strategy != STRATEGY_FIRST &&
                                        pick_random(pick->random) % scan->total[p] < weight)) {
            scan->chosen[p] = record;
        }
    }
}

/* The one of that class whose turn it is. */
static const struct record *nth(const struct pick *pick, const struct ptree *instances,
                                unsigned class, uint64_t n)
{
    struct ptree_iterator it;
    const struct record *record;
    ptree_iterate(&it, instances, 0);
    while ((record = ptree_next(&it)) != NULL) {
        if (filter_match(&pick->filter, record) && preference(pick, record) == class && n-- == 0) {
            break;
        }
    }
    return record;
}

/* A few tries that do not look at all of a large service. */
static const struct record *try_few(const struct pick *pick, const struct ptree *instances,
                                    size_t count)
{
    const struct record *record;
    if (pick->strategy == STRATEGY_RANDOM) {
        for (unsigned i = 0; i < TRIES; i++) {
            record = ptree_at(instances, pick_random(pick->random) % count);
            if (is_best(pick, record)) {
                return record;
            }
        }
    } else if (pick->strategy == STRATEGY_ROUND_ROBIN && count > FEW) {
        struct ptree_iterator it;
        ptree_iterate(&it, instances, pick->turn % count);
        for (unsigned i = 0; i < TRIES && (record = ptree_next(&it)) != NULL; i++) {
            if (is_best(pick, record)) {
                return record;
            }
        }
    }
    return NULL;
}

const struct record *pick_instance(const struct pick *pick, const struct ptree *instances)
{
    size_t count = ptree_count(instances);
    if (count == 0) {
        return NULL;
    }
    const struct record *record = try_few(pick, instances, count);
    if (record != NULL) {
        return record;
    }
    struct scan scan = {{NULL}, {0}};
    scan_all(pick, instances, &scan);
    for (unsigned p = 0; p < PREFERENCES; p++) {
        if (scan.chosen[p] != NULL) {
            return pick->strategy == STRATEGY_ROUND_ROBIN
                       ? nth(pick, instances, p, pick->turn % scan.total[p])
                       : scan.chosen[p];
        }
    }
    return NULL;
}
