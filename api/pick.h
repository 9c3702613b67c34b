/* Chooses one instance of many: the strategies of /discover.
 *
 * Thread: any, within a read-side critical section. */
#ifndef MUSTER_API_PICK_H
#define MUSTER_API_PICK_H

#include <stdbool.h>
#include <stdint.h>

#include "api/filter.h"
#include "server/base/ptree.h"
#include "server/registry/record.h"

enum strategy { STRATEGY_RANDOM, STRATEGY_ROUND_ROBIN, STRATEGY_FIRST, STRATEGY_WEIGHTED };

bool strategy_parse(const char *text, enum strategy *ret_strategy);

struct pick {
    enum strategy strategy;
    const char *near; /* a zone that is preferred; NULL: none */
    uint32_t turn;    /* round_robin: the number of this call */
    uint64_t *random; /* state of the generator */
    struct filter filter;
};

/* NULL when none matches. O(log n) for random and round_robin where most match; else O(n). */
const struct record *pick_instance(const struct pick *pick, const struct ptree *instances);

/* The next of a stream of 64-bit numbers (splitmix64: Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators", 2014). */
uint64_t pick_random(uint64_t *state);

#endif
