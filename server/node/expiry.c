/* Cluster time and expiry on the leader. Only the log advances cluster time: a leader continues
 * from the last committed time with its own monotonic clock, and counts only time in which
 * heartbeats could have been accepted:
 *
 *   - a turn of the loop counts for at most STEP_MS_MAX, however long the process did not run
 *     (SIGSTOP, a paused machine, a starved CPU);
 *   - nothing counts while the oldest proposed entry has not been applied for STALL_MS (a slow
 *     disk, a lost quorum), nor while heartbeats are refused for lack of disk space, or for lack
 *     of room, here or at another member;
 *   - nothing expires until clients have had time to reach a new leader, or one that was stalled.
 *
 * Leases are never judged here: an entry `expire {until}` goes after all renewals received so far,
 * and applying it decides, equally on every replica. */
#include <inttypes.h>

#include "server/base/clock.h"
#include "server/base/metric.h"
#include "server/node/internal.h"

#define STEP_MS_MAX 150 /* three ticks */
#define STALL_MS    250
#define PAUSE_MS    1000 /* a turn of the loop this long has kept clients out */

/* The next entry comes a tick later, so that neither the loop nor event streams are flooded. */
#define EXPIRATIONS_PER_ENTRY 4096

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
        .pause_grace_until_ms = now_ms + node->pause_grace_ms,
    };
    brake_begin(&x->brake, now_ms);
    probers_watch_begin(&node->probers);
    metric_set(METRIC_expiry_brake, 0);
}

/* Advances cluster time to now. Time that does not count is skipped for good: it would shorten the
 * leases renewed during it. */
static void count_time(struct node *node)
{
    struct expiry *x = &node->expiry;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t step_ms = now_ms - x->counted_ms;
    struct consensus_status status;
    consensus_status(node->consensus, &status);
    if (!status.has_space || consensus_refuses_heartbeats(node->consensus) ||
        consensus_oldest_unapplied_ms(node->consensus) > STALL_MS) {
        step_ms = 0;
    } else if (step_ms > STEP_MS_MAX) {
        step_ms = STEP_MS_MAX;
    }
    /* A restarted leader learns the committed time only as it applies its log. */
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

/* What is due, and how much of it an entry may handle. */
struct verdict {
    uint32_t due;    /* leases to expire and instances to reap */
    uint32_t living; /* of those, not expired yet */
    uint32_t limit;
    bool brakes;
};

/* The brake protects live leases: reaping expired instances only waits while it is engaged. */
static struct verdict judge(struct node *node, uint64_t until_ms)
{
    struct verdict v;
    uint32_t may =
        brake_allowance(&node->expiry.brake, registry_leased(node->registry), clock_monotonic_ms());
    v.due = registry_due(node->registry, until_ms, &v.living);
    v.brakes = v.living > may;
    v.limit = v.brakes ? may : v.due;
    if (v.limit > EXPIRATIONS_PER_ENTRY) {
        v.limit = EXPIRATIONS_PER_ENTRY;
    }
    return v;
}

/* A new leader waits until delayed heartbeats have had time to reach it. A cluster without
 * instances, such as a new one, has none to wait for. */
void expiry_settle(struct node *node)
{
    struct expiry *x = &node->expiry;
    if (x->leads && !x->knows_all && consensus_knows_all(node->consensus)) {
        x->knows_all = true;
        if (registry_count(node->registry) == 0) {
            x->grace_until_ms = x->pause_grace_until_ms;
        }
    }
}

static bool is_in_grace(const struct expiry *x)
{
    uint64_t now_ms = clock_monotonic_ms();
    return !x->knows_all || now_ms < x->grace_until_ms || now_ms < x->pause_grace_until_ms;
}

static void set_brake(struct node *node, bool braking, uint32_t due)
{
    struct expiry *x = &node->expiry;
    if (braking && !x->braking) {
        metric_add(METRIC_expiry_braked_total, 1);
        log_write(LOG_WARN, "lease",
                  "mass-expiry brake engaged: a large share of all leases is due at once",
                  "due=%" PRIu32 " instances=%" PRIu32, due, registry_count(node->registry));
    }
    x->braking = braking;
    metric_set(METRIC_expiry_brake, braking);
}

/* How many events this replica is configured to keep, within the limits of the level. */
static uint32_t events_to_keep(const struct node *node)
{
    const struct registry_limits *limits = registry_limits(node->registry);
    if (node->events_kept < limits->events_kept_min) {
        return limits->events_kept_min;
    }
    return node->events_kept < limits->events_kept_max ? node->events_kept
                                                       : limits->events_kept_max;
}

/* Proposals that do not wait for the grace: another set of probers, an expired token, and the next
 * configured setting that the cluster lacks. */
static bool wish(const struct node *node, struct command *ret_command)
{
    const struct view *view = registry_view(node->registry);
    if (view->active_count > 0 && node->expiry.knows_all &&
        probers_wanted(&node->probers, &view->probers, ret_command)) {
        return true;
    }
    if (registry_tokens_due(node->registry, node->expiry.clock_ms)) {
        /* Any entry removes it; this one does nothing else. */
        *ret_command = (struct command){.kind = COMMAND_EXPIRE, .expire = {.until_ms = 0}};
        return true;
    }
    if (registry_events_kept(node->registry) != events_to_keep(node)) {
        *ret_command = (struct command){
            .kind = COMMAND_KEEP_EVENTS,
            .keep_events = {.count = events_to_keep(node)},
        };
        return true;
    }
    if (registry_level(node->registry) >= LEVEL_STATE_BYTES &&
        registry_state_bytes_max(node->registry) < node->state_bytes) {
        *ret_command = (struct command){
            .kind = COMMAND_STATE_BYTES,
            .state_bytes = {.most = node->state_bytes},
        };
        return true;
    }
    if (registry_level(node->registry) >= LEVEL_TOKENS && node->bootstrap != NULL &&
        registry_tokens(node->registry) == 0 && !node->expiry.bootstrapped) {
        *ret_command = (struct command){
            .kind = COMMAND_TOKEN_CREATE,
            .token_create = {.turn = TOKEN_TURN_ONLY},
        };
        token_spec_of(node->bootstrap, &ret_command->token_create.spec);
        return true;
    }
    return false;
}

void expiry_tick(struct node *node, uint64_t now_ms)
{
    struct expiry *x = &node->expiry;
    if (!x->leads) {
        return;
    }
    if (clock_elapsed(x->seen_ms, now_ms) > PAUSE_MS) {
        x->pause_grace_until_ms = now_ms + node->pause_grace_ms;
    }
    expiry_settle(node);
    count_time(node);
    x->seen_ms = now_ms;
    struct consensus_presence members[MEMBERS_MAX];
    size_t count = consensus_presence(node->consensus, members);
    probers_watch_tick(&node->probers, now_ms, members, count);
    if (x->proposed) {
        return;
    }
    struct command ignored;
    if (wish(node, &ignored)) {
        x->proposed = true;
        consensus_propose(node->consensus);
        return;
    }
    if (is_in_grace(x)) {
        return;
    }
    struct verdict v = judge(node, x->clock_ms);
    set_brake(node, v.brakes, v.living);
    if (v.limit > 0) {
        x->proposed = true;
        consensus_propose(node->consensus);
    }
}

bool expiry_command(struct node *node, struct command *ret_command)
{
    struct expiry *x = &node->expiry;
    uint64_t until_ms = expiry_stamp_ms(node);
    if (wish(node, ret_command)) {
        x->bootstrapped = x->bootstrapped || ret_command->kind == COMMAND_TOKEN_CREATE;
        return true;
    }
    struct verdict v = judge(node, until_ms);
    if (v.limit == 0 || is_in_grace(x)) {
        x->proposed = false;
        return false;
    }
    *ret_command = (struct command){
        .kind = COMMAND_EXPIRE,
        .expire = {.until_ms = until_ms, .limit = v.limit},
    };
    return true;
}

void expiry_applied(struct node *node, uint32_t expired)
{
    node->expiry.proposed = false;
    brake_count(&node->expiry.brake, expired);
}
