/* Chooses one item of many: the strategies of discovery, the same at a replica and in libmuster.
 * What an item is, and which are wanted, is the caller's.
 *
 * Thread: any. Owns: nothing; allocates nothing. */
#ifndef MUSTER_BASE_CHOOSE_H
#define MUSTER_BASE_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum strategy { STRATEGY_RANDOM, STRATEGY_ROUND_ROBIN, STRATEGY_FIRST, STRATEGY_WEIGHTED };

/* False when `text` names none. */
bool strategy_parse(const char *text, enum strategy *ret_strategy);

/* What is asked of the items. Each gets `ctx`. */
struct choose_set {
    const void *ctx;
    size_t count; /* of all items */
    /* The item of that rank, 0..count-1. */
    const void *(*at)(const void *ctx, size_t rank);
    /* Calls `visit` with each item from that rank on, until it returns false. */
    void (*walk)(const void *ctx, size_t rank, bool (*visit)(void *arg, const void *item),
                 void *arg);
    /* Whether the item can be chosen at all. */
    bool (*wanted)(const void *ctx, const void *item);
    /* Whether it is in the zone that is preferred. */
    bool (*near)(const void *ctx, const void *item);
    /* 0: only when there is no other. */
    uint32_t (*weight)(const void *ctx, const void *item);
};

/* NULL when none is wanted. The near go before the far; with weights, those of weight 0 come last.
 * `turn` numbers the calls of round_robin; `random` is the state of random_next. O(1) lookups for
 * random and for round_robin over a large set, where most items are wanted; else one or two walks.
 */
const void *choose_item(const struct choose_set *set, enum strategy strategy, uint64_t turn,
                        uint64_t *random);

#endif
