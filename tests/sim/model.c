/* Instances according to the events, and the promise of leases: never expired early. */
#include <inttypes.h>

#include "server/node/brake.h"
#include "tests/sim/oracle.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

#define RENEWALS_KEPT    64
#define EXPIRATIONS_KEPT 8
/* No member's clock runs faster than this; a lease may end early by this factor. */
#define RATE_MOST 1.1
#define SLACK_NS  (3 * MS)
/* From becoming leader to expiring leases: an election timeout and a client's retry. */
#define GRACE_NS (1400.0 * MS)

struct expiration {
    uint64_t index;
    struct oracle_proposal proposal;
};

static struct {
    struct model model;
    bool lives;
    struct oracle_renewal renewals[RENEWALS_KEPT];
    uint64_t renewals_count;
    struct expiration expirations[EXPIRATIONS_KEPT];
    uint64_t expirations_count;
} instances[INSTANCES];
static unsigned present_now, present_most;
static unsigned apart_now;   /* in the namespace */
static uint64_t quota_since; /* entry; 0: it has none yet */

const struct model *model_of(unsigned instance)
{
    return &instances[instance].model;
}

void model_lives(unsigned instance, bool lives)
{
    instances[instance].lives = lives;
}

/* --- leases --- */

static void check_lease(unsigned instance, const struct oracle_renewal *r,
                        const struct expiration *l)
{
    const struct oracle_proposal *p = &l->proposal;
    figures.checks++;
    if (r->index < l->index &&
        (double)(p->at_ns + SLACK_NS) < (double)r->invoked_ns + (double)r->ttl_ns / RATE_MOST) {
        world_violation("no_lapse_before_its_time",
                        "i%u was renewed in entry %" PRIu64 " and expired in %" PRIu64 ", %" PRIu64
                        " ms after the renewal was asked for; its ttl is %" PRIu64,
                        instance, r->index, l->index, (p->at_ns - r->invoked_ns) / MS,
                        r->ttl_ns / MS);
    }
    if (r->index > l->index && r->at == p->by && r->invoked_ns < p->asked_ns) {
        world_violation("renewals_received_go_first",
                        "i%u expired in entry %" PRIu64 ", though member %" PRIu64
                        ", which proposed that, had received its renewal (entry %" PRIu64
                        ") before",
                        instance, l->index, p->by, r->index);
    }
}

void model_renewed(unsigned instance, const struct oracle_renewal *renewal)
{
    uint64_t at = instances[instance].renewals_count++ % RENEWALS_KEPT;
    instances[instance].renewals[at] = *renewal;
    for (unsigned i = 0; i < EXPIRATIONS_KEPT && i < instances[instance].expirations_count; i++) {
        check_lease(instance, renewal, &instances[instance].expirations[i]);
    }
}

/* At most a share of the most instances that were ever present expires in one entry. */
static void check_brake(uint64_t index)
{
    static uint64_t entry;
    static unsigned expirations;
    expirations = entry == index ? expirations + 1 : 1;
    entry = index;
    if (expirations > BRAKE_FLOOR && expirations > present_most / BRAKE_SHARE) {
        world_violation("many_lapse_slowly", "%u of at most %u instances expired in entry %" PRIu64,
                        expirations, present_most, index);
    }
}

static void note_expiration(unsigned instance, uint64_t index,
                            const struct oracle_proposal *proposal)
{
    check_brake(index);
    struct expiration *l =
        &instances[instance]
             .expirations[instances[instance].expirations_count++ % EXPIRATIONS_KEPT];
    *l = (struct expiration){.index = index, .proposal = *proposal};
    figures.expirations++;
    if (instances[instance].lives) {
        world_violation("the_living_never_lapse",
                        "i%u, which is heard from at all members all the time, expired in entry "
                        "%" PRIu64,
                        instance, index);
    }
    if ((double)(proposal->leads_ns + SLACK_NS) < GRACE_NS / RATE_MOST) {
        world_violation("no_lapse_within_grace",
                        "i%u expired in entry %" PRIu64 ", proposed %" PRIu64
                        " ms after member %" PRIu64 " became leader",
                        instance, index, proposal->leads_ns / MS, proposal->by);
    }
    for (unsigned i = 0; i < RENEWALS_KEPT && i < instances[instance].renewals_count; i++) {
        check_lease(instance, &instances[instance].renewals[i], l);
    }
}

/* --- events --- */

static bool fits(const struct model *m, const struct oracle_event *e)
{
    bool same = m->present && e->incarnation == m->incarnation;
    switch (e->type) {
    case EVENT_REGISTERED:
        /* On a move to another service, it was removed from the first just before. */
        return !m->present && (e->incarnation > m->incarnation ||
                               (m->left_index == e->index && e->incarnation == m->incarnation));
    case EVENT_UPDATED:
        return m->present && e->incarnation >= m->incarnation;
    case EVENT_EXPIRED:
        return same && !m->expired;
    case EVENT_RECOVERED:
    case EVENT_REAPED:
        return same && m->expired;
    case EVENT_DEREGISTERED:
    case EVENT_MAINTENANCE:
        return same;
    case EVENT_HEALTH:
        return same && !m->expired;
    case EVENT_TYPES:
        break;
    }
    return false;
}

void model_has_quota(uint64_t index)
{
    quota_since = quota_since == 0 ? index : quota_since;
}

/* Whoever comes in finds room; a move, which leaves and comes in the same entry, needs none. */
static void check_quota(const struct oracle_event *e, bool moved)
{
    if (e->type == EVENT_REGISTERED && !moved && workload_is_apart(e->instance) &&
        quota_since > 0 && e->index > quota_since && apart_now > NAMESPACE_MOST) {
        world_violation("quotas_are_kept", "i%u is number %u in its namespace in entry %" PRIu64,
                        e->instance, apart_now, e->index);
    }
}

/* Nobody alive has its type. */
static void check_only_one(const struct oracle_event *e)
{
    const struct model *m = &instances[e->instance].model;
    unsigned type = workload_only_one_of(e->instance);
    if (type == 0 || !m->present || m->expired) {
        return;
    }
    figures.checks++;
    for (unsigned n = 0; n < INSTANCES; n++) {
        const struct model *other = &instances[n].model;
        if (n != e->instance && other->present && !other->expired &&
            workload_only_one_of(n) == type &&
            workload_is_apart(n) == workload_is_apart(e->instance)) {
            world_violation("unique_types_have_one", "i%u and i%u are alive in entry %" PRIu64, n,
                            e->instance, e->index);
        }
    }
}

void model_event(const struct oracle_event *e, const struct oracle_proposal *proposal)
{
    struct model *m = &instances[e->instance].model;
    world_trace("entry %" PRIu64 ": i%u %s", e->index, e->instance, event_type_name(e->type));
    if (!fits(m, e)) {
        world_violation(m->present ? "events_make_sense" : "deregister_is_final",
                        "%s of i%u, incarnation %" PRIu64 ", in entry %" PRIu64
                        "; it was %s, incarnation %" PRIu64,
                        event_type_name(e->type), e->instance, e->incarnation, e->index,
                        m->present ? m->expired ? "expired" : "there" : "not there",
                        m->incarnation);
    }
    bool was_present = m->present;
    bool moved = m->left_index == e->index;
    m->incarnation = e->incarnation;
    switch (e->type) {
    case EVENT_REGISTERED:
    case EVENT_UPDATED:
        m->present = true;
        m->expired = false;
        break;
    case EVENT_EXPIRED:
        m->expired = true;
        m->expired_ns = world_now_ns();
        note_expiration(e->instance, e->index, proposal);
        break;
    case EVENT_RECOVERED:
        m->expired = false;
        break;
    case EVENT_DEREGISTERED:
        m->left_index = e->index;
        m->present = m->expired = false;
        break;
    case EVENT_REAPED:
        m->present = m->expired = false;
        break;
    default:
        break;
    }
    present_now += (unsigned)m->present - (unsigned)was_present;
    present_most = present_now > present_most ? present_now : present_most;
    if (workload_is_apart(e->instance)) {
        apart_now += (unsigned)m->present - (unsigned)was_present;
    }
    check_quota(e, moved);
    check_only_one(e);
}
