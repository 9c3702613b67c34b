#include "server/base/budget.h"

#include "server/base/check.h"

void budget_init(struct budget *budget, size_t max, enum metric gauge)
{
    atomic_init(&budget->used, 0);
    budget->max = max;
    budget->gauge = gauge;
}

bool budget_has(const struct budget *budget, size_t bytes)
{
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    return used <= budget->max && bytes <= budget->max - used;
}

bool budget_take(struct budget *budget, size_t bytes)
{
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    do {
        if (used > budget->max || bytes > budget->max - used) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    metric_add(budget->gauge, (int64_t)bytes);
    return true;
}

void budget_add(struct budget *budget, size_t bytes)
{
    (void)atomic_fetch_add_explicit(&budget->used, bytes, memory_order_relaxed);
    metric_add(budget->gauge, (int64_t)bytes);
}

void budget_give(struct budget *budget, size_t bytes)
{
    size_t used = atomic_fetch_sub_explicit(&budget->used, bytes, memory_order_relaxed);
    CHECK(used >= bytes);
    metric_add(budget->gauge, -(int64_t)bytes);
}
