#include "tests/sim/operators.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/damage.h"
#include "tests/sim/growth.h"
#include "tests/sim/member.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#define ONE_RUN_OF    8
#define ONE_RUN_REST  5
#define HEAL_NS       (20 * SECOND)
#define HEAL_ROUND_NS (300 * MS)
/* A removed member must learn it, and an expected one be admitted, within this time. */
#define SETTLE_NS (10 * SECOND)

/* A random source of its own: see operators_are_here(). */
static uint64_t chance;

static uint64_t draw_below(uint64_t n)
{
    return rng_split(&chance) % n;
}

bool operators_are_here(void)
{
    return options.seed % ONE_RUN_OF == ONE_RUN_REST;
}

/* --- requests --- */

struct request {
    struct sim_event event;
    struct sim_member *member;
    struct consensus_op op;
    struct request *next;
    bool abandoned;
};

static struct request *unanswered;

static void unlink_request(struct request *r)
{
    struct request **link = &unanswered;
    while (*link != r) {
        link = &(*link)->next;
    }
    *link = r->next;
}

static void answered(struct consensus_op *op, enum status status)
{
    struct request *r = CONTAINER_OF(op, struct request, op);
    if (!r->abandoned) {
        static const char *const names[] = {
            [CONSENSUS_REMOVE] = "remove", [CONSENSUS_PROMOTE] = "promote",
            [CONSENSUS_DEMOTE] = "demote", [CONSENSUS_TRANSFER] = "transfer",
            [CONSENSUS_ADD] = "add",
        };
        unlink_request(r);
        world_trace("%s %" PRIu64 " at member %" PRIu64 ": %s", names[op->change.kind],
                    op->change.member, r->member->id, status_code(status));
        figures.changes += status == ST_OK;
        if (op->change.kind == CONSENSUS_ADD && status == ST_OK) {
            growth_expected(member_of(op->change.member));
        }
    }
    free(r);
}

void operators_member_died(const struct sim_member *m)
{
    for (struct request *r = unanswered; r != NULL;) {
        struct request *next = r->next;
        if (r->member == m) {
            unlink_request(r);
            r->abandoned = true;
        }
        r = next;
    }
}

static void ask(struct sim_event *event)
{
    struct request *r = CONTAINER_OF(event, struct request, event);
    if (member_current == NULL || !member_serves(r->member)) {
        free(r);
        return;
    }
    r->op.lane = CONSENSUS_CHANGE;
    r->op.done = answered;
    if (consensus_submit(r->member->consensus, &r->op) != ST_OK) {
        free(r);
        return;
    }
    r->next = unanswered;
    unanswered = r;
}

static void drop(struct sim_event *event)
{
    free(CONTAINER_OF(event, struct request, event));
}

static void request(enum consensus_change_kind kind, uint64_t id)
{
    struct request *r = mem_zalloc(1, sizeof *r);
    r->member = &members[draw_below(members_count)];
    r->op.change = (struct consensus_change){.kind = kind, .member = id};
    if (kind == CONSENSUS_ADD) {
        (void)snprintf(r->op.change.address, sizeof r->op.change.address, "member-%" PRIu64 ":9100",
                       id);
    }
    r->event.run = ask;
    r->event.drop = drop;
    world_at(&r->event, MS, r->member);
}

/* --- during the faults --- */

static bool is_healing;

bool operators_wait(void)
{
    return unanswered != NULL;
}

static void grow_or_shrink(uint64_t id)
{
    if (draw_below(4) == 0 && damage_empty(member_of(id))) {
        return;
    }
    struct sim_member *new = draw_below(3) < 2 ? growth_pick_outside(&chance) : NULL;
    if (new != NULL) {
        growth_prepare(new);
        request(CONSENSUS_ADD, new->id);
    } else if (!damage_is_any()) {
        request(CONSENSUS_REMOVE, id);
    }
}

static void act(struct sim_event *event)
{
    if (is_healing) {
        free(event);
        return;
    }
    uint64_t kind = draw_below(5);
    uint64_t id = 1 + draw_below(members_count);
    if (growth_is_on() && draw_below(2) == 0) {
        grow_or_shrink(id);
    } else if (kind < 2 && !damage_is_any()) {
        /* Otherwise a minority of the voters that lost its disks could become half of them. */
        request(CONSENSUS_DEMOTE, id);
    } else if (kind < 4) {
        request(CONSENSUS_PROMOTE, id);
    } else {
        request(CONSENSUS_TRANSFER, draw_below(2) == 0 ? id : 0);
    }
    world_at(event, MS * (100 + draw_below(1500)), NULL);
}

void operators_draw_growth(unsigned *ret_first, unsigned *ret_all)
{
    chance = options.seed;
    growth_draw(&chance, ret_first, ret_all);
}

void operators_start(void)
{
    chance = growth_is_on() ? chance : options.seed;
    if (operators_are_here()) {
        world_call(act, 2 * SECOND, NULL);
    }
}

/* --- afterwards --- */

static const struct sim_member *find_without_vote(void)
{
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *m = &members[i];
        bool is_one = !growth_is_on() || (checks_is_configured(m) && m->up);
        if (is_one && !checks_is_voter(m)) {
            return &members[i];
        }
    }
    return NULL;
}

void operators_stop(void)
{
    is_healing = true;
    if (growth_is_on()) {
        world_run(world_now_ns() + (tuning.write_timeout_ms * MS + SETTLE_NS) * 10 / 9, 0);
    }
}

void operators_heal(void)
{
    uint64_t until_ns = world_now_ns() + HEAL_NS;
    if (!operators_are_here()) {
        return;
    }
    /* Requests made before the end of the faults may still be carried out. */
    world_run(world_now_ns() + tuning.write_timeout_ms * MS * 10 / 9, 0);
    const struct sim_member *m;
    while ((m = find_without_vote()) != NULL) {
        if (world_now_ns() > until_ns + tuning.write_timeout_ms * MS) {
            world_violation("votes_are_given_back", "member %" PRIu64 " has none", m->id);
        }
        request(CONSENSUS_PROMOTE, m->id);
        world_run(world_now_ns() + HEAL_ROUND_NS, 0);
    }
}
