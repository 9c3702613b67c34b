/* An amount of memory that many share: who wants a part of it asks first, and is refused when it is
 * used up.
 *
 * Thread: any. Owns: nothing but the count. */
#ifndef MUSTER_BASE_BUDGET_H
#define MUSTER_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"
#include "server/base/metric.h"

/* What is smaller is not worth counting: each connection may have that much anyway. */
#define BUDGET_FREE_BYTES 8192

struct budget {
    atomic_size_t used;
    size_t max;        /* bytes */
    enum metric gauge; /* shows what is used */
};

void budget_init(struct budget *budget, size_t max, enum metric gauge);
/* False, and nothing is taken, when there is not so much left. */
MUST_USE bool budget_take(struct budget *budget, size_t bytes);
/* Takes it in any case: of what is there already. */
void budget_add(struct budget *budget, size_t bytes);
void budget_give(struct budget *budget, size_t bytes);
/* Whether there is so much left, at this moment. */
bool budget_has(const struct budget *budget, size_t bytes);

#endif
