#include "api/prober/runner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <urcu.h>

#include "api/prober/internal.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define EVENTS_A_TURN 256
/* While runs are under way, what happens is gathered for so long: a turn for each answer costs as
 * much as the answer. */
#define GATHER_NS 2000000
#define SWEEP_MS  1000

/* --- what is due --- */

/* The check's turn is over: the next one is an interval later. */
static void turn_over(struct runner *r, struct check *c)
{
    uint64_t skipped;
    uint32_t interval_ms = c->d != NULL ? c->d->interval_ms : CHECK_INTERVAL_MS_DEFAULT;
    c->turn_ms = schedule_next_ms(c->turn_ms, r->now_ms, interval_ms, &skipped);
    metric_add(METRIC_checks_skipped_total, (int64_t)skipped);
    schedule_put(&r->schedule, &c->item, c->turn_ms);
}

static void refuse(struct runner *r, struct check *c)
{
    struct output output = {.len = 0};
    output_say(&output, "%s", c->why);
    metric_add(METRIC_checks_refused_total, 1);
    turn_over(r, c);
    report_result(r, c, r->set.epoch, HEALTH_CRITICAL, &output);
}

static bool may_run(struct runner *r)
{
    r->is_held = r->under_way_count >= r->probes_max;
    return !r->is_held && node_probe_may_start(r->node, r->set.version);
}

static void begin(struct runner *r, struct check *c)
{
    turn_over(r, c);
    if (c->probe == NULL) {
        probe_start(r, c, r->set.epoch);
    } else {
        metric_add(METRIC_checks_skipped_total, 1); /* never two at once */
    }
}

/* Those whose targets have room again. */
static void run_waiting(struct runner *r)
{
    for (struct target *target = r->targets.crowded, *next; target != NULL; target = next) {
        struct target_waiter *waiter;
        next = target->next_crowded;
        while (may_run(r) && (waiter = target_serve(target, r->now_ms)) != NULL) {
            begin(r, CONTAINER_OF(waiter, struct check, waiter));
        }
    }
}

/* What may not run stays due. */
static void run_due(struct runner *r)
{
    struct schedule_item *item;
    while ((item = schedule_first(&r->schedule)) != NULL && item->due_ms <= r->now_ms &&
           may_run(r)) {
        struct check *c = CONTAINER_OF(item, struct check, item);
        if (c->why != NULL) {
            refuse(r, c);
        } else if (!target_has_room(c->target, r->now_ms)) {
            schedule_remove(&r->schedule, item);
            targets_wait(&r->targets, c->target, &c->waiter);
        } else {
            begin(r, c);
        }
    }
}

static void end_late_ones(struct runner *r)
{
    for (struct probe *p = r->under_way, *next; p != NULL; p = next) {
        next = p->next;
        if (r->now_ms >= p->step_ms) {
            probe_time_out(p);
        }
    }
}

static void take_names(struct runner *r)
{
    resolver_take(r->resolver, r->now_ms);
    for (struct probe *p = r->under_way, *next; p != NULL; p = next) {
        next = p->next;
        if (p->stage == PROBE_NAMES) {
            probe_names(p);
        }
    }
}

static void sweep(struct runner *r)
{
    if (r->now_ms - r->swept_ms >= SWEEP_MS) {
        r->swept_ms = r->now_ms;
        targets_sweep(&r->targets, r->now_ms);
        resolver_sweep(r->resolver, r->now_ms);
    }
    metric_set(METRIC_checks_connections, (int64_t)(r->targets.kept_count + r->under_way_count));
}

/* --- a turn --- */

static void on_link(struct runner *r, struct target_link *link, uint32_t events)
{
    if (link->fd < 0) {
        return; /* closed in this turn */
    }
    if (link->probe != NULL) {
        probe_event(link->probe, events);
    } else if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 &&
               !target_link_attend(link)) {
        targets_drop(&r->targets, link);
    }
}

static void on_lane(struct runner *r)
{
    lane_clear(&r->lane);
    while (lane_run(&r->lane, report_take)) {
    }
    take_names(r);
}

/* To the next multiple of the grain, at which runs begin. */
static int time_to_tick(const struct runner *r)
{
    uint64_t now_ms = clock_monotonic_ms();
    bool is_idle = r->set.count == 0 && r->under_way == NULL && r->waiting == NULL;
    uint64_t step_ms = is_idle ? PROBER_IDLE_MS : PROBER_GRAIN_MS;
    uint64_t next_ms = (r->ticked_ms / step_ms + 1) * step_ms;
    return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static void tick(struct runner *r)
{
    r->ticked_ms = r->now_ms;
    check_set_refresh(r);
    end_late_ones(r);
    report_retry(r);
    run_due(r);
    sweep(r);
}

static void gather(const struct runner *r)
{
    static const struct timespec time = {.tv_nsec = GATHER_NS};
    if (r->under_way != NULL) {
        (void)nanosleep(&time, NULL);
    }
}

static void take_turn(struct runner *r)
{
    struct epoll_event events[EVENTS_A_TURN];
    int within_ms = time_to_tick(r);
    int count = epoll_wait(r->links.epoll, events, EVENTS_A_TURN, within_ms);
    r->now_ms = clock_monotonic_ms();
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL) {
            on_lane(r);
        } else {
            on_link(r, events[i].data.ptr, events[i].events);
        }
    }
    run_waiting(r);
    if (r->is_held) {
        run_due(r);
    }
    target_links_bury(&r->links);
    if (time_to_tick(r) == 0) {
        tick(r);
    }
}

static void *run(void *arg)
{
    struct runner *r = arg;
    rcu_register_thread();
    while (!atomic_load(&r->stopping)) {
        take_turn(r);
        gather(r);
    }
    check_set_done(r);
    target_links_bury(&r->links);
    rcu_unregister_thread();
    return NULL;
}

/* --- its life --- */

/* Any thread. */
static void wake(void *ctx)
{
    lane_wake(&((struct runner *)ctx)->lane);
}

struct runner *runner_new(const struct runner_options *options)
{
    struct runner *r = mem_zalloc(1, sizeof *r);
    r->allow = options->allow;
    r->probes_max = options->connections / CHECK_CONNECTIONS_UNDER_WAY;
    r->kept_max = options->connections - r->probes_max;
    r->links.epoll = r->lane.fd = -1;
    r->tls = target_tls_new(options->ca);
    r->resolver = resolver_new(wake, r);
    atomic_init(&r->stopping, false);
    return r;
}

bool runner_start(struct runner *r, struct node *node, char *error, size_t error_size)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    r->node = node;
    r->now_ms = clock_monotonic_ms();
    (void)snprintf(r->agent, sizeof r->agent, "Muster/%s (check; member %" PRIu64 ")",
                   MUSTER_VERSION, node_facts(node)->id);
    r->links.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r->links.epoll < 0 || !lane_open(&r->lane) ||
        epoll_ctl(r->links.epoll, EPOLL_CTL_ADD, r->lane.fd, &event) != 0) {
        (void)snprintf(error, error_size, "cannot open descriptors for checks: %s",
                       strerror(errno));
        return false;
    }
    if (!thread_start(&r->thread, "checks", run, r)) {
        (void)snprintf(error, error_size, "cannot start a thread for checks");
        return false;
    }
    return true;
}

void runner_drain(struct runner *r)
{
    if (r->thread.runs) {
        atomic_store(&r->stopping, true);
        lane_wake(&r->lane);
        thread_join(&r->thread);
    }
}

void runner_stop(struct runner *r)
{
    runner_drain(r);
    resolver_free(r->resolver);
    target_tls_free(r->tls);
    if (r->lane.fd >= 0) {
        while (lane_run(&r->lane, report_take)) {
        }
        lane_close(&r->lane);
    }
    if (r->links.epoll >= 0) {
        (void)close(r->links.epoll);
    }
    schedule_done(&r->schedule);
    free(r);
}
