#include "server/base/choose.h"

#include <string.h>

#include "server/base/compiler.h"
#include "server/base/random.h"

#define TRIES       16 /* before searching all */
#define FEW         64 /* up to this size a set is always searched: round_robin is then exact */
#define PREFERENCES 4

struct search {
    const struct choose_set *set;
    enum strategy strategy;
    uint64_t *random;
    /* The first walk: by preference, 0 before 1 and so on. */
    const void *chosen[PREFERENCES];
    uint64_t total[PREFERENCES]; /* of the weights; counts, except for weighted */
    /* The second walk: the item whose turn it is. */
    unsigned preference;
    uint64_t left;
    const void *found;
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

static unsigned preference_of(const struct choose_set *set, enum strategy strategy,
                              const void *item)
{
    bool zero = strategy == STRATEGY_WEIGHTED && set->weight(set->ctx, item) == 0;
    return (zero ? 2u : 0u) + (set->near(set->ctx, item) ? 0u : 1u);
}

static bool is_best(const struct search *s, const void *item)
{
    return s->set->wanted(s->set->ctx, item) && preference_of(s->set, s->strategy, item) == 0;
}

/* Each item replaces the choice with probability weight / total so far: a weighted choice in the
 * end (reservoir sampling with weights, Chao 1982). */
static bool weigh(void *arg, const void *item)
{
    struct search *s = arg;
    if (!s->set->wanted(s->set->ctx, item)) {
        return true;
    }
    unsigned p = preference_of(s->set, s->strategy, item);
    uint64_t weight = 1;
    if (s->strategy == STRATEGY_WEIGHTED && p < 2) {
        weight = s->set->weight(s->set->ctx, item);
    }
    s->total[p] += weight;
    bool draws = s->strategy == STRATEGY_RANDOM || s->strategy == STRATEGY_WEIGHTED;
    if (s->chosen[p] == NULL || (draws && random_next(s->random) % s->total[p] < weight)) {
        s->chosen[p] = item;
    }
    return s->strategy != STRATEGY_FIRST || p != 0;
}

static bool count_down(void *arg, const void *item)
{
    struct search *s = arg;
    if (s->set->wanted(s->set->ctx, item) &&
        preference_of(s->set, s->strategy, item) == s->preference && s->left-- == 0) {
        s->found = item;
        return false;
    }
    return true;
}

static bool try_best(void *arg, const void *item)
{
    struct search *s = arg;
    if (is_best(s, item)) {
        s->found = item;
        return false;
    }
    return --s->left > 0;
}

/* A few tries without searching all of a large set. */
static const void *try_few(struct search *s, uint64_t turn)
{
    if (s->strategy == STRATEGY_RANDOM) {
        for (unsigned i = 0; i < TRIES; i++) {
            const void *item = s->set->at(s->set->ctx, random_next(s->random) % s->set->count);
            if (is_best(s, item)) {
                return item;
            }
        }
    } else if (s->strategy == STRATEGY_ROUND_ROBIN && s->set->count > FEW) {
        s->left = TRIES;
        s->set->walk(s->set->ctx, turn % s->set->count, try_best, s);
    }
    return s->found;
}

const void *choose_item(const struct choose_set *set, enum strategy strategy, uint64_t turn,
                        uint64_t *random)
{
    struct search s = {.set = set, .strategy = strategy, .random = random};
    if (set->count == 0) {
        return NULL;
    }
    const void *item = try_few(&s, turn);
    if (item != NULL) {
        return item;
    }
    set->walk(set->ctx, 0, weigh, &s);
    for (unsigned p = 0; p < PREFERENCES; p++) {
        if (s.chosen[p] == NULL) {
            continue;
        }
        if (strategy != STRATEGY_ROUND_ROBIN) {
            return s.chosen[p];
        }
        s.preference = p;
        s.left = turn % s.total[p];
        set->walk(set->ctx, 0, count_down, &s);
        return s.found;
    }
    return NULL;
}
