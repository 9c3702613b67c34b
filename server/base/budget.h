/* A shared amount of memory: users take their part first, and are refused once it is used up.
 *
 * Thread: any. Owns: only the count. */
#ifndef MUSTER_BASE_BUDGET_H
#define MUSTER_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"
#include "server/base/metric.h"

/* Smaller amounts are not counted: each connection may have that much anyway. */
#define BUDGET_FREE_BYTES 8192

struct budget {
    atomic_size_t used;
    size_t max;        /* bytes */
    enum metric gauge; /* shows the amount in use */
};

void budget_init(struct budget *budget, size_t max, enum metric gauge);
/* False if that much is not left; then nothing is taken. */
MUST_USE bool budget_take(struct budget *budget, size_t bytes);
/* Takes it unconditionally, for memory that exists already. */
void budget_add(struct budget *budget, size_t bytes);
void budget_give(struct budget *budget, size_t bytes);
/* Whether that much is left at this moment. */
bool budget_has(const struct budget *budget, size_t bytes);

#endif
