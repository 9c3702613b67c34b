#include "server/node/probe.h"

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/node/internal.h"

/* How often a leader proof is asked for; several fit into a permission. */
#define PROOF_EVERY_MS 150
/* A replica that has had no proof for so long lags, or is cut off: others should run its checks. */
#define LAGS_MS 2000

/* --- any thread --- */

static uint64_t load(const _Atomic uint64_t *value)
{
    return atomic_load((_Atomic uint64_t *)(uintptr_t)value);
}

uint64_t node_probe_version(const struct node *node)
{
    return load(&node->probe.version);
}

uint64_t node_probe_until_ms(const struct node *node)
{
    return load(&node->probe.until_ms);
}

/* The permission first, then whether it was for the present set, and the clock last: a thread may
 * lose the processor between any two. */
bool node_probe_may_start(const struct node *node, uint64_t version)
{
    uint64_t until_ms = node_probe_until_ms(node);
    return node_probe_version(node) == version && clock_boot_ms() < until_ms;
}

bool node_probe_is_ours(const struct node *node, const struct view *view,
                        const struct record *check)
{
    return prober_was(&view->probers, slice_of(record_id(check)), node_facts(node)->id,
                      load(&node->probe.settled));
}

void node_probe_decline(struct node *node)
{
    atomic_store(&node->probe.declines, true);
}

enum status node_probe_write(struct node *node, struct node_write *write,
                             const struct node_probed *probed)
{
    const struct command command = {
        .kind = COMMAND_CHECK_RESULT,
        .space = namespace_of(probed->check_id),
        .check_result = {.id = slice_of(namespace_bare(probed->check_id)),
                         .definition = probed->definition,
                         .member = node_facts(node)->id,
                         .epoch = probed->epoch,
                         .status = (uint32_t)probed->status,
                         .note = probed->note},
    };
    return node_write(node, write, &command);
}

/* --- loop --- */

static bool is_prober(const struct node *node)
{
    const struct probers *probers = &registry_view(node->registry)->probers;
    return probers_find(probers, node_facts(node)->id) != NULL;
}

static bool there_are_checks(const struct node *node)
{
    return registry_view(node->registry)->active_count > 0;
}

static void move(struct node *node)
{
    atomic_fetch_add(&node->probe.version, 1);
    replica_tell_listeners(node);
}

static void forbid(struct node *node)
{
    atomic_store(&node->probe.until_ms, 0);
}

static bool may_probe(const struct node *node)
{
    const char *reason;
    return !node->probe.leaving && is_prober(node) && there_are_checks(node) &&
           node_ready(node, &reason);
}

/* With the last proof, for as long as that counts. What this replica has applied up to it must have
 * been published: then the version has moved if checks were lost. */
static void permit(struct node *node)
{
    struct probe *p = &node->probe;
    uint64_t until_ms = p->proved_ms + PROBE_PERMITTED_MS;
    bool is_published = registry_view(node->registry)->index == registry_index(node->registry);
    if (p->proved_ms == 0 || until_ms == load(&p->until_ms) || !is_published || !may_probe(node)) {
        return;
    }
    uint64_t now_ms = clock_boot_ms();
    if (until_ms > now_ms && atomic_exchange(&p->until_ms, until_ms) <= now_ms) {
        move(node); /* it comes back */
    }
}

static void follow(struct node *node)
{
    struct probe *p = &node->probe;
    const struct view *view = registry_view(node->registry);
    if (view->active_index == p->active_index && view->probers.epoch == p->epoch) {
        return;
    }
    if (view->probers.epoch != p->epoch) {
        /* A newer set waits longer, so it may take the place of one that waits. */
        p->waiting_count += p->waiting_count < PROBE_SETS_WAITING;
        p->waiting[p->waiting_count - 1].epoch = view->probers.epoch;
        p->waiting[p->waiting_count - 1].known_ms = clock_boot_ms();
    }
    p->active_index = view->active_index;
    p->epoch = view->probers.epoch;
    if (!is_prober(node)) {
        forbid(node);
    }
    move(node);
}

void probe_published(struct node *node)
{
    if (node->consensus == NULL) {
        return; /* no process runs: a backup is restored, or a survivor recovered */
    }
    follow(node);
    permit(node);
}

/* The sets that are known for long enough: what this replica has gained with them is its own. */
static void settle(struct node *node, uint64_t now_ms)
{
    struct probe *p = &node->probe;
    unsigned settled = 0;
    while (settled < p->waiting_count &&
           clock_elapsed(p->waiting[settled].known_ms, now_ms) >= PROBE_WAIT_MS) {
        settled++;
    }
    if (settled == 0) {
        return;
    }
    atomic_store(&p->settled, p->waiting[settled - 1].epoch);
    p->waiting_count -= settled;
    for (unsigned i = 0; i < p->waiting_count; i++) {
        p->waiting[i] = p->waiting[i + settled];
    }
    move(node);
}

/* Able to run checks: ready, but for the leader, whom the others may have. */
static bool is_able(const struct node *node, uint64_t now_ms)
{
    const struct probe *p = &node->probe;
    struct node_status s;
    node_status(node, &s);
    uint64_t since_ms = p->proved_ms > p->wanted_ms ? p->proved_ms : p->wanted_ms;
    bool lags = p->wanted_ms != 0 && clock_elapsed(since_ms, now_ms) > LAGS_MS;
    return !atomic_load(&p->declines) && s.phase == CONSENSUS_MEMBER && s.caught_up &&
           s.disk_stalled_ms < STALL_UNFIT_MS && !lags;
}

static void proof_done(struct consensus_op *op, enum status status)
{
    struct node *node = CONTAINER_OF(op, struct node, probe.proof);
    struct probe *p = &node->probe;
    p->proving = false;
    if (status == ST_OK) {
        p->proved_ms = p->asked_ms;
        permit(node);
    }
}

static void ask_for_proof(struct node *node, uint64_t now_ms)
{
    struct probe *p = &node->probe;
    if (p->proving || clock_elapsed(p->asked_ms, now_ms) < PROOF_EVERY_MS) {
        return;
    }
    p->proof = (struct consensus_op){.lane = CONSENSUS_READ, .done = proof_done};
    p->asked_ms = now_ms;
    p->proving = consensus_submit(node->consensus, &p->proof) == ST_OK;
}

void probe_tick(struct node *node)
{
    struct probe *p = &node->probe;
    uint64_t now_ms = clock_boot_ms();
    settle(node, now_ms);
    if (!there_are_checks(node) || p->leaving) {
        p->wanted_ms = 0;
    } else if (p->wanted_ms == 0) {
        p->wanted_ms = now_ms;
    }
    if (may_probe(node)) {
        permit(node);
    } else {
        forbid(node);
    }
    if (p->wanted_ms != 0) {
        ask_for_proof(node, now_ms);
    }
    consensus_set_available(node->consensus, is_able(node, now_ms));
}

/* --- stopping --- */

static void leave_done(struct consensus_op *op, enum status status UNUSED)
{
    struct node *node = CONTAINER_OF(op, struct node, probe.leave);
    node->probe.leaving = true;
    forbid(node);
    consensus_say_leaving(node->consensus);
}

void probe_leave(struct node *node)
{
    struct probe *p = &node->probe;
    p->leave = (struct consensus_op){.lane = CONSENSUS_POST, .done = leave_done};
    bool told = consensus_submit(node->consensus, &p->leave) == ST_OK;
    (void)told; /* else the others learn it from its silence */
}
