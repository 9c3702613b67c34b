#include "consensus/transfer.h"

#include "consensus/engine.h"

/* Interval between attempts. */
#define RETRY_MS 1000

/* The reachable voter that has applied most, except `except`; NULL: none. */
static const struct member *best_target(struct engine *e, uint64_t except)
{
    const struct member *best = NULL;
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        if (m->info.id != except && !m->info.is_self && member_info_is_voter(m) &&
            m->info.has_space && engine_is_up(e, m) &&
            (best == NULL || m->info.applied_index > best->info.applied_index)) {
            best = m;
        }
    }
    return best;
}

uint64_t transfer_target(struct engine *e, uint64_t except)
{
    const struct member *target = best_target(e, except);
    return target != NULL ? target->info.id : 0;
}

void transfer_begin(struct engine *e, uint64_t except)
{
    uint64_t now_ms = engine_now_ms(e);
    const struct member *target = e->is_leader ? best_target(e, except) : NULL;
    bool recent = e->transfer.begun_ms != 0 && now_ms - e->transfer.begun_ms < RETRY_MS;
    if (target != NULL && !recent && driver_transfer(e, target->info.life)) {
        e->transfer.begun_ms = now_ms;
    }
}

void transfer_to(struct engine *e, uint64_t id)
{
    const struct member *m = id != 0 ? member_info_find(e, id) : best_target(e, 0);
    if (m != NULL && !m->info.is_self && engine_is_up(e, m) && driver_transfer(e, m->info.life)) {
        e->transfer.begun_ms = engine_now_ms(e);
    }
}

void transfer_tick(struct engine *e)
{
    if (e->transfer.excluding != 0) {
        transfer_begin(e, e->transfer.excluding);
        e->transfer.excluding = 0;
    }
}
