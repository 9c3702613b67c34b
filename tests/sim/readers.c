/* Readers: linearizable reads, reads after an index, blocking queries. oracle.c knows what each
 * must see. */
#include <inttypes.h>
#include <stdlib.h>

#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/node/read.h"
#include "tests/sim/member.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#define POLL_MS 3000

struct reader {
    struct node_read read;
    struct sim_event event;
    struct reader *next, **link; /* of those that wait */
    struct sim_member *member;
    uint64_t floor;    /* least index that it must see, with a proof */
    uint64_t asked_ms; /* by its clock, whatever the product reads */
    uint64_t wait_ms;  /* for a change */
    bool abandoned;
    char service[8];
};

static struct reader *waiting;

/* --- results --- */

static void check_poll(const struct reader *r, const struct view *view)
{
    uint64_t index = view_service_index(view, r->service);
    if (r->read.changed && index <= r->read.after_index) {
        world_violation("polls_wake_for_a_change", "%s at member %" PRIu64, r->service,
                        r->member->id);
    }
    if (!r->read.changed && (index > r->read.after_index ||
                             member_mono_ns(r->member) / MS + 1 < r->asked_ms + r->wait_ms)) {
        world_violation("polls_miss_nothing", "%s at member %" PRIu64, r->service, r->member->id);
    }
}

/* A read may request all three. */
static void check_read(const struct reader *r)
{
    const struct view *view = node_view_lock(r->member->node);
    figures.checks++;
    if (r->read.linearizable && view->index < r->floor) {
        world_violation("linearizable_reads_are_fresh",
                        "member %" PRIu64 " answers with %" PRIu64 ", but %" PRIu64
                        " was applied before the question",
                        r->member->id, view->index, r->floor);
    }
    if (view->index < r->read.min_index) {
        world_violation("min_index_is_kept",
                        "member %" PRIu64 " answers with %" PRIu64 " instead of %" PRIu64,
                        r->member->id, view->index, r->read.min_index);
    }
    if (r->read.deadline_ms != 0) {
        check_poll(r, view);
    }
    view_unlock(&view);
}

/* --- waiting reads --- */

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

static void read_done(struct node_read *read, enum status status)
{
    struct reader *r = CONTAINER_OF(read, struct reader, read);
    if (!r->abandoned) {
        link_out(r);
        world_hash((uint64_t)status << 8 | (uint64_t)read->changed);
        if (status == ST_OK) {
            check_read(r);
        }
    }
    free(r);
}

static void begin_read(struct reader *r)
{
    bool passed;
    figures.reads++;
    r->read.done = read_done;
    enum status status = node_read(r->member->node, &r->read, &passed);
    if (status == ST_OK && !passed) {
        link_in(r);
        return;
    }
    if (status == ST_OK) {
        check_read(r);
    }
    free(r);
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

/* --- requests --- */

static void wait_for_change(struct reader *r)
{
    r->service[0] = 's';
    r->service[1] = (char)('0' + rng_below(SERVICES));
    r->read.watch = NODE_WATCH_SERVICE;
    r->read.name = r->service;
    const struct view *view = node_view_lock(r->member->node);
    r->read.after_index = view_service_index(view, r->service);
    view_unlock(&view);
    r->asked_ms = member_mono_ns(r->member) / MS;
    r->wait_ms = rng_between(100, POLL_MS);
    r->read.deadline_ms = clock_monotonic_ms() + r->wait_ms;
}

static void ask(struct sim_event *event)
{
    struct reader *r = CONTAINER_OF(event, struct reader, event);
    if (member_current == NULL || !member_serves(r->member)) {
        free(r);
        return;
    }
    unsigned kind = (unsigned)rng_below(8);
    r->read.linearizable = kind < 4;
    r->floor = oracle_applied();
    if (kind == 3 || kind == 4 || kind == 5) {
        r->read.min_index = oracle_acknowledged();
    }
    if (kind == 2 || kind >= 5) {
        wait_for_change(r);
    }
    begin_read(r);
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
