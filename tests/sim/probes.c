#include "tests/sim/probes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/node/probe.h"
#include "server/registry/check_id.h"
#include "tests/sim/calls.h"
#include "tests/sim/checks.h"
#include "tests/sim/member.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

/* Which runs: none of the seeds that are kept. */
#define ONE_RUN_OF    10
#define ONE_RUN_REST  2
#define NODES         3
#define CHECKS        6 /* two of each node */
#define TURN_NS       (40 * MS)
#define INTERVAL_MS   1000
#define RUN_NS_MOST   (300 * MS)
#define TAKEOVER_NS   (2 * SECOND)
#define INTERVAL_NS   (INTERVAL_MS * MS * 10 / 9) /* of the slowest clock */
#define STARTED_AGAIN (2 * SECOND)

/* What a process knows of the checks. */
struct runner {
    bool begun;
    uint32_t process;
    uint64_t version; /* as of the last scan */
    uint64_t epoch;
    struct {
        bool ours, running;
        uint64_t definition;
        uint64_t next_ms; /* of its own clock */
    } checks[CHECKS];
};

struct run {
    struct sim_call base;
    struct sim_event event;
    unsigned check;
    uint32_t number;
    uint64_t definition, epoch;
};

/* A registration of a node with its checks. */
struct enrolment {
    struct sim_call base;
    struct sim_event event;
    unsigned node;
};

static struct {
    uint64_t last_ns; /* when somebody last began to run it; 0: never */
    /* The latest state seen anywhere, and the number of the run whose result is in it. */
    uint64_t index;
    uint32_t number;
} checks[CHECKS];

static struct runner runners[MEMBERS_MAX];
static bool enrolled[NODES];
static uint64_t chance; /* a random source of its own */
static uint32_t numbers;

static uint64_t draw_below(uint64_t n)
{
    return rng_split(&chance) % n;
}

bool probes_are_on(void)
{
    return options.seed % ONE_RUN_OF == ONE_RUN_REST;
}

static struct runner *runner_of(const struct sim_member *m)
{
    struct runner *r = &runners[m - members];
    if (!r->begun || r->process != m->process) {
        *r = (struct runner){.begun = true, .process = m->process, .version = UINT64_MAX};
    }
    return r;
}

/* --- what must hold --- */

/* Whether this member, which may be paused, could begin to run the check now. */
static bool could_start(struct sim_member *m, unsigned check)
{
    const struct runner *r = runner_of(m);
    if (!m->up || m->dying || m->node == NULL || !r->checks[check].ours) {
        return false;
    }
    struct sim_member *before = member_current;
    member_current = m; /* its clock */
    bool may = node_probe_may_start(m->node, r->version);
    member_current = before;
    return may;
}

static void check_alone(const struct sim_member *m, unsigned check)
{
    for (size_t i = 0; i < members_count; i++) {
        figures.checks++;
        if (&members[i] != m && could_start(&members[i], check)) {
            world_violation("a_check_is_run_by_one",
                            "check %u is run by member %" PRIu64 ", and could be by %" PRIu64,
                            check, m->id, members[i].id);
        }
    }
}

/* A later state has the result of the same run, or of a later one. */
static void check_order(const struct sim_member *m, unsigned check, const struct view *view,
                        const struct record *record)
{
    unsigned number = 0;
    if (view->index < checks[check].index || sscanf(record_note(record), "r%u", &number) != 1) {
        return;
    }
    figures.checks++;
    if (number < checks[check].number) {
        world_violation("late_results_are_dropped",
                        "check %u at member %" PRIu64 " in %" PRIu64 ": run %u after %u", check,
                        m->id, view->index, number, checks[check].number);
    }
    checks[check].index = view->index;
    checks[check].number = number;
}

void probes_check_run(void)
{
    for (unsigned i = 0; i < CHECKS && probes_are_on(); i++) {
        uint64_t silent_ns = world_now_ns() - checks[i].last_ns;
        if (enrolled[i / 2] && silent_ns > INTERVAL_NS + RUN_NS_MOST + SECOND / 2) {
            world_violation("active_checks_are_run",
                            "check %u was not for %" PRIu64 " ms, though all is healed", i,
                            silent_ns / MS);
        }
    }
}

/* --- running --- */

#define ID_SIZE 32

static void name_check(unsigned check, char out[ID_SIZE])
{
    (void)snprintf(out, ID_SIZE, "\x1en%u\x1e:c%u", check / 2, check % 2);
}

static void scan(struct sim_member *m, struct runner *r)
{
    uint64_t version = node_probe_version(m->node);
    const struct view *view = node_view_lock(m->node);
    for (unsigned i = 0; i < CHECKS; i++) {
        char id[ID_SIZE];
        name_check(i, id);
        const struct record *record = view_check(view, id);
        bool ours = record != NULL && record->active && node_probe_is_ours(m->node, view, record);
        if (record != NULL) {
            check_order(m, i, view, record);
            r->checks[i].definition = prober_definition(record);
        }
        if (ours != r->checks[i].ours) {
            world_trace("check %u at member %" PRIu64 ": %s", i, m->id, ours ? "its own" : "not");
        }
        r->checks[i].ours = ours;
    }
    r->version = version;
    r->epoch = view->probers.epoch;
    view_unlock(&view);
}

static void result_written(struct sim_call *call, enum status status)
{
    struct run *x = CONTAINER_OF(call, struct run, base);
    world_trace("run %u of check %u at member %" PRIu64 ": %s/%s", x->number, x->check,
                call->member->id, status_code(status), status_code(call->write.result.status));
}

static void ended(struct sim_event *event)
{
    struct run *x = CONTAINER_OF(event, struct run, event);
    struct sim_member *m = x->base.member;
    char id[ID_SIZE];
    char note[16];
    runner_of(m)->checks[x->check].running = false;
    name_check(x->check, id);
    (void)snprintf(note, sizeof note, "r%u", x->number);
    const struct node_probed probed = {
        .check_id = id,
        .definition = x->definition,
        .epoch = x->epoch,
        .status = (enum health)(x->number % HEALTH_MAINTENANCE),
        .note = slice_of(note),
    };
    calls_prepare(&x->base);
    calls_submitted(&x->base, node_probe_write(m->node, &x->base.write, &probed));
}

static void drop_run(struct sim_event *event)
{
    free(CONTAINER_OF(event, struct run, event));
}

static void start(struct sim_member *m, struct runner *r, unsigned check)
{
    struct run *x = mem_zalloc(1, sizeof *x);
    *x = (struct run){
        .base = {.member = m, .done = result_written},
        .event = {.run = ended, .drop = drop_run},
        .check = check,
        .number = ++numbers,
        .definition = r->checks[check].definition,
        .epoch = r->epoch,
    };
    check_alone(m, check);
    checks[check].last_ns = world_now_ns();
    r->checks[check].running = true;
    world_trace("run %u of check %u at member %" PRIu64, x->number, check, m->id);
    world_at(&x->event, 1 + draw_below(RUN_NS_MOST), m);
}

static void turn(struct sim_event *event)
{
    struct sim_member *m = event->member;
    struct runner *r = runner_of(m);
    uint64_t now_ms = member_boot_ns(m) / MS;
    free(event);
    if (!member_serves(m)) {
        return;
    }
    if (node_probe_version(m->node) != r->version) {
        scan(m, r);
    }
    for (unsigned i = 0; i < CHECKS; i++) {
        if (r->checks[i].ours && !r->checks[i].running && now_ms >= r->checks[i].next_ms &&
            node_probe_may_start(m->node, r->version)) {
            r->checks[i].next_ms = now_ms + INTERVAL_MS;
            start(m, r, i);
        }
    }
}

/* --- their definitions --- */

static void enrol_answered(struct sim_call *call, enum status status)
{
    struct enrolment *e = CONTAINER_OF(call, struct enrolment, base);
    if (status == ST_OK && call->write.result.status == ST_OK) {
        enrolled[e->node] = true;
    }
}

static void enrol(struct sim_event *event)
{
    static struct command command; /* large */
    struct enrolment *e = CONTAINER_OF(event, struct enrolment, event);
    char id[8];
    char definition[16];
    if (!member_serves(e->base.member)) {
        free(e);
        return;
    }
    (void)snprintf(id, sizeof id, "\x1en%u", e->node);
    (void)snprintf(definition, sizeof definition, "d%u", ++numbers);
    const struct slice none = slice_of("");
    memset(&command, 0, sizeof command);
    command.kind = COMMAND_ENROL;
    struct registration *g = &command.enrol.registration;
    g->id = slice_of(id);
    g->name = g->type = g->zone = g->extra = none;
    g->host = slice_of("h");
    command.enrol.checks_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        command.enrol.checks[i] = (struct check_spec){.key = slice_of(i == 0 ? ":c0" : ":c1"),
                                                      .extra = slice_of(definition),
                                                      .note = none,
                                                      .active = true,
                                                      .status = HEALTH_CRITICAL};
    }
    calls_prepare(&e->base);
    calls_submitted(&e->base, node_write(e->base.member->node, &e->base.write, &command));
}

static void drop_enrolment(struct sim_event *event)
{
    free(CONTAINER_OF(event, struct enrolment, event));
}

static void define(void)
{
    struct enrolment *e = mem_zalloc(1, sizeof *e);
    struct sim_member *m = &members[draw_below(members_count)];
    *e = (struct enrolment){.base = {.member = m, .done = enrol_answered},
                            .event = {.run = enrol, .drop = drop_enrolment}};
    e->node = (unsigned)draw_below(NODES);
    world_at(&e->event, MS * (1 + draw_below(3)), m);
}

/* --- time goes by --- */

static void tick(struct sim_event *event)
{
    bool all = true;
    for (unsigned i = 0; i < NODES; i++) {
        all = all && enrolled[i];
    }
    for (size_t i = 0; i < members_count; i++) {
        if (members[i].up && members[i].paused_until_ns <= world_now_ns()) {
            world_call(turn, draw_below(5 * MS), &members[i]);
        }
    }
    if (!workload_ended() && draw_below(all ? 200 : 10) == 0) {
        define();
    }
    world_at(event, TURN_NS, NULL);
}

void probes_start(void)
{
    chance = options.seed;
    if (probes_are_on()) {
        world_call(tick, SECOND, NULL);
    }
}

/* One whose death leaves a majority of those that serve; NULL: there is none. */
static struct sim_member *draw_victim(void)
{
    struct sim_member *serving[MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < members_count; i++) {
        if (member_serves(&members[i])) {
            serving[count++] = &members[i];
        }
    }
    return count > members_count / 2 + 1 ? serving[draw_below(count)] : NULL;
}

void probes_take_over(void)
{
    struct sim_member *m = probes_are_on() ? draw_victim() : NULL;
    if (m == NULL) {
        return;
    }
    uint64_t killed_ns = world_now_ns();
    member_crash(m, CRASH_PROCESS);
    world_run(killed_ns + TAKEOVER_NS + INTERVAL_NS, 0);
    for (unsigned i = 0; i < CHECKS; i++) {
        if (enrolled[i / 2] && checks[i].last_ns <= killed_ns) {
            world_violation("checks_are_taken_over",
                            "check %u: not run since member %" PRIu64 " was killed", i, m->id);
        }
    }
    member_start(m);
    world_run(world_now_ns() + STARTED_AGAIN, 0);
}
