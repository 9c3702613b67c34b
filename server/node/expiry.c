/* Cluster time and expiry on the leader. Cluster time is what only the log moves forward: a leader
 * continues from the last committed one with its own monotonic clock, and counts only time in which
 * heartbeats could have been taken:
 *
 *   - a turn of the loop counts for at most STEP_MS_MAX, however long the process did not run
 *     (SIGSTOP, a paused machine, a starved CPU);
 *   - nothing counts while the oldest entry proposed has not been applied for STALL_MS (a slow
 *     disk, a lost quorum), nor while heartbeats are refused for lack of space on the disks;
 *   - no expiry at all until clients have had time to reach a new leader, or one that stood still.
 *
 * Leases are never judged here: an entry `expire {until}` goes behind all renewals received so far,
 * and applying it decides, on every replica alike. */
#include <inttypes.h>

#include "server/base/clock.h"
#include "server/base/metric.h"
#include "server/node/internal.h"

#define STEP_MS_MAX 150 /* three ticks */
#define STALL_MS    250
#define PAUSE_MS    1000 /* a turn of the loop that took so long has kept clients out */

/* The brake: if many leases lapse at once, the network broke rather than all of them died. In each
 * window at most a quarter of all leases lapses, or BRAKE_COUNT_MIN if that is more. */
#define BRAKE_WINDOW_MS 5000
#define BRAKE_SHARE     4
#define BRAKE_COUNT_MIN 256

/* The next entry comes a tick later: so neither the loop nor those who follow the events are
 * flooded. */
#define LAPSES_AN_ENTRY 4096

void expiry_leadership(struct node *node, bool leader)
{
    struct expiry *x = &node->expiry;
    uint64_t now_ms = clock_monotonic_ms();
    *x = (struct expiry){
        .leads = leader,
        .clock_ms = registry_now_ms(node->registry),
        .counted_ms = now_ms,
        .seen_ms = now_ms,
        .grace_until_ms = now_ms + node->grace_ms,
        .window_ms = now_ms,
    };
    metric_set(METRIC_expiry_brake, 0);
}

/* Takes cluster time up to this moment. Time that does not count is gone for good: it would shorten
 * the leases that were renewed in it. */
static void count_time(struct node *node)
{
    struct expiry *x = &node->expiry;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t step_ms = now_ms - x->counted_ms;
    struct consensus_status status;
    consensus_status(node->consensus, &status);
    if (!status.has_space || consensus_oldest_unapplied_ms(node->consensus) > STALL_MS) {
        step_ms = 0;
    } else if (step_ms > STEP_MS_MAX) {
        step_ms = STEP_MS_MAX;
    }
    /* A leader that has just been started learns the committed time only as it applies its log. */
    uint64_t committed_ms = registry_now_ms(node->registry);
    x->clock_ms += step_ms;
    if (committed_ms > x->clock_ms) {
        x->clock_ms = committed_ms;
    }
    x->counted_ms = now_ms;
}

uint64_t expiry_stamp_ms(struct node *node)
{
    struct expiry *x = &node->expiry;
    count_time(node);
    if (x->clock_ms > x->stamped_ms) {
        x->stamped_ms = x->clock_ms;
    }
    return x->stamped_ms;
}

/* How many may still lapse in this window. */
static uint32_t allowance(struct node *node, uint64_t now_ms)
{
    struct expiry *x = &node->expiry;
    uint32_t most = registry_count(node->registry) / BRAKE_SHARE;
    if (most < BRAKE_COUNT_MIN) {
        most = BRAKE_COUNT_MIN;
    }
    if (clock_elapsed(x->window_ms, now_ms) >= BRAKE_WINDOW_MS) {
        x->window_ms = now_ms;
        x->window_lapsed = 0;
    }
    return x->window_lapsed < most ? most - x->window_lapsed : 0;
}

static void set_brake(struct node *node, bool braking, uint32_t due)
{
    struct expiry *x = &node->expiry;
    if (braking && !x->braking) {
        metric_add(METRIC_expiry_braked_total, 1);
        log_write(LOG_WARN, "lease", "so many leases are due that they lapse slowly",
                  "due=%" PRIu32 " instances=%" PRIu32, due, registry_count(node->registry));
    }
    x->braking = braking;
    metric_set(METRIC_expiry_brake, braking);
}

void expiry_tick(struct node *node, uint64_t now_ms)
{
    struct expiry *x = &node->expiry;
    if (!x->leads) {
        return;
    }
    if (clock_elapsed(x->seen_ms, now_ms) > PAUSE_MS) {
        x->grace_until_ms = now_ms + node->grace_ms;
    }
    count_time(node);
    x->seen_ms = now_ms;
    if (x->proposed) {
        return;
    }
    if (registry_events_kept(node->registry) != node->events_kept) {
        x->proposed = true;
        consensus_propose(node->consensus);
        return;
    }
    if (now_ms < x->grace_until_ms) {
        return;
    }
    uint32_t due = registry_due(node->registry, x->clock_ms);
    uint32_t may = allowance(node, now_ms);
    set_brake(node, due > may, due);
    if (due > 0 && may > 0) {
        x->proposed = true;
        consensus_propose(node->consensus);
    }
}

bool expiry_command(struct node *node, struct command *ret_command)
{
    struct expiry *x = &node->expiry;
    uint64_t until_ms = expiry_stamp_ms(node);
    if (registry_events_kept(node->registry) != node->events_kept) {
        *ret_command = (struct command){
            .kind = COMMAND_KEEP_EVENTS,
            .keep_events = {.count = node->events_kept},
        };
        return true;
    }
    if (clock_monotonic_ms() < x->grace_until_ms || registry_due(node->registry, until_ms) == 0) {
        x->proposed = false;
        return false;
    }
    uint32_t allowed = allowance(node, clock_monotonic_ms());
    *ret_command = (struct command){
        .kind = COMMAND_EXPIRE,
        .expire = {.until_ms = until_ms,
                   .limit = allowed < LAPSES_AN_ENTRY ? allowed : LAPSES_AN_ENTRY},
    };
    return true;
}

void expiry_applied(struct node *node, uint32_t lapsed)
{
    node->expiry.proposed = false;
    node->expiry.window_lapsed += lapsed;
}
