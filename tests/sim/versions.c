/* Two versions of the product: which member runs which; and clients of the newer one, which submit
 * the new operation kind: it must be refused until the level has risen. */
#include <inttypes.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"

struct asked {
    struct consensus_op op;
    struct sim_event event;
    struct asked *next;
    struct sim_member *member;
    uint64_t operation;
    bool abandoned;
};

static struct asked *unanswered;
static uint64_t tags;

static void unlink_asked(struct asked *a)
{
    struct asked **link = &unanswered;
    while (*link != a) {
        link = &(*link)->next;
    }
    *link = a->next;
}

static void answered(struct consensus_op *op, enum status status)
{
    struct asked *a = CONTAINER_OF(op, struct asked, op);
    if (!a->abandoned) {
        unlink_asked(a);
        world_trace("new kind at member %" PRIu64 ": %s", a->member->id, status_code(status));
        oracle_outcome(a->operation, status, a->member->consensus->engine.fsm.applied_index);
        figures.new_kinds += status == ST_OK;
    }
    free(a);
}

void versions_member_died(struct sim_member *m)
{
    for (struct asked *a = unanswered; a != NULL;) {
        struct asked *next = a->next;
        if (a->member == m) {
            unlink_asked(a);
            a->abandoned = true;
            oracle_outcome(a->operation, ST_UNKNOWN, 0);
        }
        a = next;
    }
}

static void ask(struct sim_event *event)
{
    struct asked *a = CONTAINER_OF(event, struct asked, event);
    struct sim_member *m = a->member;
    if (member_current == NULL || !member_serves(m) || m->level_max < LEVEL_NEW) {
        free(a);
        return;
    }
    a->op.lane = CONSENSUS_NORMAL;
    a->op.data = app_new_kind(++tags, &a->op.len);
    a->op.done = answered;
    if (consensus_submit(m->consensus, &a->op) != ST_OK) {
        free(a->op.data);
        free(a);
        return;
    }
    a->operation = oracle_last_submitted();
    a->next = unanswered;
    unanswered = a;
}

static void drop(struct sim_event *event)
{
    free(CONTAINER_OF(event, struct asked, event));
}

static void ask_again(struct sim_event *event)
{
    if (workload_ended()) {
        free(event);
        return;
    }
    struct asked *a = mem_zalloc(1, sizeof *a);
    a->member = &members[rng_below(members_count)];
    a->event.run = ask;
    a->event.drop = drop;
    world_at(&a->event, rng_between(50 * US, 3 * MS), a->member);
    world_at(event, rng_between(50 * MS, 400 * MS), NULL);
}

void versions_start(void)
{
    if (tuning.versions_differ) {
        world_call(ask_again, SECOND, NULL);
    }
}

/* --- versions of members --- */

static uint64_t upgrade_ns;     /* from then on nobody downgrades */
static struct sim_member *late; /* upgraded last */

void versions_draw(void)
{
    upgrade_ns = rng_between(2 * SECOND, 30 * SECOND);
    late = &members[rng_below(members_count)];
}

/* Members of two versions: each start may pick the newer or, again, the older, until the newer
 * format can be in use: when all have been seen with the newer version. So one member is upgraded
 * last, and from then on nobody downgrades. */
void versions_choose(struct sim_member *m)
{
    if (!tuning.versions_differ) {
        return;
    }
    bool newer = rng_chance(500000);
    bool over = world_now_ns() >= upgrade_ns;
    if (over) {
        newer = true;
        for (size_t i = 0; m == late && i < members_count; i++) {
            newer = newer && (&members[i] == late || members[i].level_max >= LEVEL_NEW);
        }
    }
    bool was_newer = m->level_max >= LEVEL_NEW;
    if (m == late && !over) {
        newer = false;
    }
    m->level_max = newer || (m == late && was_newer) ? LEVEL_NEW : LEVEL_MAX;
}

void versions_upgrade_all(void)
{
    if (!tuning.versions_differ) {
        return;
    }
    upgrade_ns = 0;
    for (size_t i = 0; i <= members_count; i++) {
        struct sim_member *m = i < members_count ? &members[i] : late;
        if (m->level_max < LEVEL_NEW && (m != late || i == members_count)) {
            member_crash(m, CRASH_PROCESS);
            world_run(world_now_ns() + rng_between(20 * MS, 500 * MS), 0);
            member_start(m);
            world_run(world_now_ns() + rng_between(100 * MS, SECOND), 0);
        }
    }
}
