/* Readers: linearizable reads, reads behind an index, long-polls. What each must see is known from
 * oracle.c. */
#include <inttypes.h>
#include <stdlib.h>

#include "server/base/mem.h"
#include "tests/sim/member.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#define POLL_MS 3000

struct reader {
    struct node_wait wait;
    struct sim_event event;
    struct reader *next, **link; /* of those that wait */
    struct sim_member *member;
    uint64_t floor;    /* what it must see at least */
    uint64_t asked_ms; /* by its clock, whatever the product takes for it */
    bool abandoned;
    char service[8];
};

static struct reader *waiting;

/* --- what is seen --- */

static void check_poll(const struct reader *r, const struct view *view, enum status status)
{
    uint64_t index = view_service_index(view, r->service);
    if (status == ST_OK && index <= r->wait.index) {
        world_violation("polls_wake_for_a_change", "%s at member %" PRIu64, r->service,
                        r->member->id);
    }
    if (status == ST_TIMEOUT && (index > r->wait.index || member_mono_ns(r->member) / MS + 1 <
                                                              r->asked_ms + r->wait.timeout_ms)) {
        world_violation("polls_miss_nothing", "%s at member %" PRIu64, r->service, r->member->id);
    }
}

static void check_read(const struct reader *r, enum status status)
{
    const struct view *view = node_view_lock(r->member->node);
    figures.checks++;
    switch (r->wait.kind) {
    case NODE_WAIT_LINEAR:
        if (status == ST_OK && view->index < r->floor) {
            world_violation("linearizable_reads_are_fresh",
                            "member %" PRIu64 " answers with %" PRIu64 ", but %" PRIu64
                            " was applied before the question",
                            r->member->id, view->index, r->floor);
        }
        break;
    case NODE_WAIT_APPLIED:
        if (status == ST_OK && view->index < r->floor) {
            world_violation("min_index_is_kept",
                            "member %" PRIu64 " answers with %" PRIu64 " instead of %" PRIu64,
                            r->member->id, view->index, r->floor);
        }
        break;
    case NODE_WAIT_SERVICE:
        check_poll(r, view, status);
        break;
    default:
        break;
    }
    view_unlock(&view);
}

/* --- waiting --- */

static void link_in(struct reader *r)
{
    r->next = waiting;
    r->link = &waiting;
    if (waiting != NULL) {
        waiting->link = &r->next;
    }
    waiting = r;
}

static void link_out(struct reader *r)
{
    *r->link = r->next;
    if (r->next != NULL) {
        r->next->link = r->link;
    }
}

static void read_done(struct node_wait *wait, enum status status)
{
    struct reader *r = CONTAINER_OF(wait, struct reader, wait);
    if (!r->abandoned) {
        link_out(r);
        world_hash((uint64_t)status << 8 | (uint64_t)wait->kind);
        if (status == ST_OK || status == ST_TIMEOUT) {
            check_read(r, status);
        }
    }
    free(r);
}

static void begin_wait(struct reader *r)
{
    figures.reads++;
    r->asked_ms = member_mono_ns(r->member) / MS;
    r->wait.done = read_done;
    if (node_wait(r->member->node, &r->wait) != ST_OK) {
        free(r);
        return;
    }
    link_in(r);
}

void readers_member_died(struct sim_member *m)
{
    for (struct reader *r = waiting; r != NULL;) {
        struct reader *next = r->next;
        if (r->member == m) {
            link_out(r);
            r->abandoned = true;
        }
        r = next;
    }
}

/* --- asking --- */

static void ask(struct sim_event *event)
{
    struct reader *r = CONTAINER_OF(event, struct reader, event);
    if (member_current == NULL || !member_serves(r->member)) {
        free(r);
        return;
    }
    const struct view *view;
    switch (rng_below(4)) {
    case 0:
    case 1:
        r->wait.kind = NODE_WAIT_LINEAR;
        r->floor = oracle_applied();
        break;
    case 2:
        r->wait.kind = NODE_WAIT_APPLIED;
        r->floor = r->wait.index = oracle_acknowledged();
        r->wait.timeout_ms = (uint32_t)rng_between(100, 2000);
        break;
    default:
        r->wait.kind = NODE_WAIT_SERVICE;
        r->service[0] = 's';
        r->service[1] = (char)('0' + rng_below(SERVICES));
        r->wait.name = r->service;
        view = node_view_lock(r->member->node);
        r->wait.index = view_service_index(view, r->service);
        view_unlock(&view);
        r->wait.timeout_ms = (uint32_t)rng_between(100, POLL_MS);
        break;
    }
    begin_wait(r);
}

static void ask_again(struct sim_event *event)
{
    if (workload_ended()) {
        free(event);
        return;
    }
    struct reader *r = mem_zalloc(1, sizeof *r);
    r->member = &members[rng_below(members_count)];
    r->event.run = ask;
    r->event.drop = ask;
    world_at(&r->event, rng_between(50 * US, 3 * MS), r->member);
    world_at(event, rng_between(5 * MS, 100 * MS), NULL);
}

void readers_start(void)
{
    world_call(ask_again, SECOND / 2, NULL);
}
