#include "consensus/admission.h"

#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/metric.h"

static uint64_t relaxed(const _Atomic uint64_t *value)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)value, memory_order_relaxed);
}

static struct admission_share *share_of(struct admission *a, enum consensus_lane lane)
{
    return lane == CONSENSUS_URGENT ? &a->heartbeats : &a->others;
}

bool admission_has_room(const struct admission *a, enum consensus_lane lane, size_t len)
{
    const struct admission_share *s = share_of((struct admission *)(uintptr_t)a, lane);
    return relaxed(&s->queued_ops) + relaxed(&s->waiting_ops) < QUEUE_OPS_MAX &&
           relaxed(&s->queued_bytes) + relaxed(&s->waiting_bytes) + len <= QUEUE_BYTES_MAX;
}

void admission_add(struct admission *a, enum consensus_lane lane, size_t len)
{
    struct admission_share *s = share_of(a, lane);
    atomic_fetch_add_explicit(&s->queued_ops, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->queued_bytes, len, memory_order_relaxed);
}

bool admission_enter(struct admission *a, enum consensus_lane lane, size_t len, uint64_t now_ms)
{
    if (!admission_has_room(a, lane, len)) {
        if (lane == CONSENSUS_URGENT) {
            metric_add(METRIC_heartbeats_refused_total, 1);
            atomic_store_explicit(&a->refused_ms, now_ms, memory_order_relaxed);
        }
        return false;
    }
    admission_add(a, lane, len);
    return true;
}

void admission_taken(struct admission *a, enum consensus_lane lane, uint64_t ops, uint64_t bytes)
{
    struct admission_share *s = share_of(a, lane);
    atomic_fetch_sub_explicit(&s->queued_ops, ops, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->queued_bytes, bytes, memory_order_relaxed);
}

void admission_set_waiting(struct admission_share *share, uint64_t ops, uint64_t bytes)
{
    atomic_store_explicit(&share->waiting_ops, ops, memory_order_relaxed);
    atomic_store_explicit(&share->waiting_bytes, bytes, memory_order_relaxed);
}

bool admission_refuses_heartbeats(const struct admission *a, uint64_t now_ms)
{
    uint64_t refused_ms = relaxed(&a->refused_ms);
    return refused_ms != 0 && clock_elapsed(refused_ms, now_ms) < ADMISSION_REFUSED_MS;
}
