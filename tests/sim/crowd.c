#include "tests/sim/crowd.h"

#include <stdint.h>

#include "tests/sim/consensus_sim.h"
#include "tests/sim/faults.h"
#include "tests/sim/growth.h"
#include "tests/sim/member.h"
#include "tests/sim/world.h"

static uint64_t second_of_crowds(void)
{
    bool has = faults_are_on() && options.seed % 3 == 1;
    return has ? world_now_ns() / SECOND % 24 : 0;
}

static bool refuse_all(void)
{
    uint64_t second = second_of_crowds();
    return second >= 5 && second < 9;
}

/* In a growing cluster, the leader may be alone. */
static bool refuse_some(void)
{
    uint64_t second = second_of_crowds();
    return second >= 16 && second < 21 && !growth_is_on();
}

/* Either the leader, or all but the leader. */
static bool is_of_some(const struct sim_member *m)
{
    bool leads = m->up && m->consensus->status.is_leader;
    return leads == (options.seed % 2 == 0);
}

unsigned crowd_at(const struct sim_member *m)
{
    if (refuse_all() || (refuse_some() && is_of_some(m))) {
        return CROWD_OTHERS | CROWD_HEARTBEATS;
    }
    return second_of_crowds() % 12 == 10 ? CROWD_OTHERS : 0;
}

bool crowd_keeps_clients_from(const struct sim_member *m)
{
    return refuse_some() && !is_of_some(m);
}
