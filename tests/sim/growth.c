#include "tests/sim/growth.h"

#include <inttypes.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/member.h"
#include "tests/sim/operators.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

#define ONE_RUN_OF   16
#define ONE_RUN_REST 13

bool growth_is_on(void)
{
    return operators_are_here() && options.seed % ONE_RUN_OF == ONE_RUN_REST;
}

void growth_draw(uint64_t *chance, unsigned *ret_first, unsigned *ret_all)
{
    static const unsigned first[] = {1, 2, 3, 3, 3, 4, 5};
    *ret_first = first[rng_split(chance) % ARRAY_LENGTH(first)];
    *ret_all = *ret_first + 1 + (unsigned)(rng_split(chance) % (GROWTH_MEMBERS_MAX - *ret_first));
}

struct sim_member *growth_pick_outside(uint64_t *chance)
{
    uint64_t start = rng_split(chance);
    for (size_t i = 0; i < members_count; i++) {
        struct sim_member *m = &members[(start + i) % members_count];
        if (m->outside && !m->up) {
            return m;
        }
    }
    return NULL;
}

void growth_prepare(struct sim_member *m)
{
    if (m->life != 0) {
        files_empty(m->disk);
        checks_forget_life(m);
        m->life = 0;
    }
    m->joins = true;
}

struct starting {
    struct sim_event event;
    struct sim_member *member;
};

static void start(struct sim_event *event)
{
    struct starting *s = CONTAINER_OF(event, struct starting, event);
    member_start(s->member);
    free(s);
}

void growth_expected(struct sim_member *m)
{
    if (m->outside) {
        struct starting *s = mem_zalloc(1, sizeof *s);
        *s = (struct starting){.event.run = start, .member = m};
        m->outside = false;
        figures.joined++;
        world_at(&s->event, MS, NULL);
    }
}

void growth_removed(struct sim_member *m)
{
    if (checks_is_configured(m)) {
        world_violation("only_those_taken_out_end", "member %" PRIu64 " is one", m->id);
    }
    m->outside = true;
    figures.removed++;
}
