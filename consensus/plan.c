/* The effect of a membership change on the majority. */
#include <string.h>

#include "consensus/consensus.h"

static bool has_vote(const struct consensus_member_info *m)
{
    return strcmp(m->role, "voter") == 0;
}

/* Whether the member has a vote after the change. */
static bool votes_after(const struct consensus_member_info *m,
                        const struct consensus_change *change)
{
    if (m->id != change->member || change->kind == CONSENSUS_ADD) {
        return has_vote(m);
    }
    return change->kind == CONSENSUS_PROMOTE || (change->kind == CONSENSUS_TRANSFER && has_vote(m));
}

static bool is_needed(const struct consensus_member_info *m, const struct consensus_change *change)
{
    switch (change->kind) {
    case CONSENSUS_PROMOTE:
        return !has_vote(m);
    case CONSENSUS_DEMOTE:
        return has_vote(m) || !m->is_held;
    case CONSENSUS_TRANSFER:
        return !m->is_leader;
    case CONSENSUS_REMOVE:
    case CONSENSUS_ADD: /* see plan_add() */
        break;
    }
    return true;
}

static bool find_id(const struct consensus_member_info *members, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].id == id) {
            return true;
        }
    }
    return false;
}

/* An address belongs to one member. An unreachable member may have moved; or its machine is gone,
 * and another takes its address. */
static void plan_add(const struct consensus_member_info *members, size_t count,
                     const struct consensus_change *change, struct consensus_plan *plan)
{
    bool is_there = false, in_the_way = false, is_known = false;
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        const struct consensus_member_info *m = &members[i];
        bool is_meant = m->id == change->member;
        bool has_address = strcmp(m->peer_address, change->address) == 0;
        bool has_later = i + 1 < count && find_id(members + i + 1, count - i - 1, m->id);
        others += !is_meant && !has_later;
        is_known = is_known || is_meant;
        is_there = is_there || (has_address && (is_meant || change->member == 0));
        in_the_way = in_the_way || (has_address && !is_meant) ||
                     (is_meant && !has_address && (m->is_self || m->reachable));
    }
    plan->found = true;
    plan->needed = !is_there;
    plan->safe = is_there || (!in_the_way && others < CLUSTER_MEMBERS_MAX);
    plan->hands_over = false;
}

struct consensus_plan consensus_plan(const struct consensus_member_info *members, size_t count,
                                     const struct consensus_change *change)
{
    struct consensus_plan plan = {0};
    bool target_is_able = false;
    for (size_t i = 0; i < count; i++) {
        const struct consensus_member_info *m = &members[i];
        bool is_meant = m->id == change->member;
        bool is_there = m->is_self || m->reachable;
        bool after = votes_after(m, change);
        plan.voters += has_vote(m);
        plan.voters_after += after;
        plan.reachable_after += after && is_there;
        if (is_meant) {
            plan.found = true;
            plan.needed = plan.needed || is_needed(m, change);
            plan.hands_over = plan.hands_over || m->is_leader;
        }
        bool may_lead = has_vote(m) && is_there && !m->is_leader;
        target_is_able = target_is_able || (may_lead && (is_meant || change->member == 0));
    }
    plan.safe = plan.voters_after > 0 && plan.reachable_after > plan.voters_after / 2;
    if (change->kind == CONSENSUS_TRANSFER) {
        plan.found = plan.found || change->member == 0;
        plan.needed = plan.needed || change->member == 0;
        plan.safe = target_is_able || !plan.needed;
        plan.hands_over = plan.needed;
    } else if (change->kind == CONSENSUS_ADD) {
        plan_add(members, count, change, &plan);
    }
    return plan;
}
