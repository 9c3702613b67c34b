/* Chooses one of many items: the strategies of discovery, equal at a replica and in libmuster. The
 * caller defines what an item is, and which are acceptable.
 *
 * Thread: any. Owns: nothing; does not allocate. */
#ifndef MUSTER_BASE_CHOOSE_H
#define MUSTER_BASE_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum strategy { STRATEGY_RANDOM, STRATEGY_ROUND_ROBIN, STRATEGY_FIRST, STRATEGY_WEIGHTED };

/* False if `text` is not a strategy. */
bool strategy_parse(const char *text, enum strategy *ret_strategy);

/* Access to the items. Each function gets `ctx`. */
struct choose_set {
    const void *ctx;
    size_t count; /* of all items */
    /* The item of this rank, 0..count-1. */
    const void *(*at)(const void *ctx, size_t rank);
    /* Calls `visit` for each item from this rank on, until it returns false. */
    void (*walk)(const void *ctx, size_t rank, bool (*visit)(void *arg, const void *item),
                 void *arg);
    /* Whether the item can be chosen at all. */
    bool (*wanted)(const void *ctx, const void *item);
    /* Whether it is in the preferred zone. */
    bool (*near)(const void *ctx, const void *item);
    /* 0: only if there is no other. */
    uint32_t (*weight)(const void *ctx, const void *item);
};

/* NULL if no item is acceptable. Near items come before far ones; with weights, those of weight 0
 * come last. `turn` numbers the calls of round_robin; `random` is the state of random_next. O(1)
 * lookups for random, and for round_robin over a large set whose items are mostly acceptable;
 * otherwise one or two walks. */
const void *choose_item(const struct choose_set *set, enum strategy strategy, uint64_t turn,
                        uint64_t *random);

#endif
