/* Changes of the cluster's members: one is expected, taken out, gets a vote, loses it, or another
 * one leads. The answer comes when that is committed, and says what it does to the majority. */
#include "api/native/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

static struct consensus_plan plan_of(const struct exchange *x)
{
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count = 0;
    node_members(x->context->node, members, &count);
    return consensus_plan(members, count, &x->change.change);
}

static void render_plan(struct json_out *json, const struct consensus_plan *plan, bool is_done)
{
    json_out_member_bool(json, "done", is_done);
    json_out_member_bool(json, "needed", plan->needed);
    json_out_member_bool(json, "safe", plan->safe);
    json_out_member_bool(json, "hands_over", plan->hands_over);
    json_out_member_u64(json, "voters", plan->voters);
    json_out_member_u64(json, "voters_after", plan->voters_after);
    json_out_member_u64(json, "reachable_after", plan->reachable_after);
}

static void reply_plan(struct exchange *x, const struct consensus_plan *plan, bool is_done)
{
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    if (x->change.change.member != 0) {
        json_out_member_u64(&json, "id", x->change.change.member);
    }
    render_plan(&json, plan, is_done);
    json_out_end(&json, '}');
}

static void reply_conflict(struct exchange *x)
{
    const struct consensus_plan plan = plan_of(x);
    char message[200];
    if (x->change.change.kind == CONSENSUS_TRANSFER) {
        (void)snprintf(message, sizeof message,
                       "no member with a vote can be reached that could lead instead");
    } else {
        (void)snprintf(message, sizeof message,
                       "of %zu voters afterwards %zu can be reached: no majority, so nothing could "
                       "be written; %s",
                       plan.voters_after, plan.reachable_after,
                       plan.voters_after > 0 ? "force=true does it nevertheless"
                                             : "a cluster without a voter is none");
    }
    response_error(&x->response, 409, "conflict", "id", message);
}

/* --- one more --- */

/* Why it cannot be added. */
static void reply_in_the_way(struct exchange *x)
{
    const struct consensus_change *change = &x->change.change;
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count = 0;
    char message[400];
    (void)snprintf(message, sizeof message, "there are %d members already; take one out first",
                   CLUSTER_MEMBERS_MAX);
    node_members(x->context->node, members, &count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].peer_address, change->address) == 0) {
            (void)snprintf(message, sizeof message, "%s is member %" PRIu64, change->address,
                           members[i].id);
            break;
        }
        if (members[i].id == change->member) {
            (void)snprintf(message, sizeof message,
                           "member %" PRIu64 " is at %s, and at work; a new one needs another id",
                           change->member, members[i].peer_address);
        }
    }
    response_error(&x->response, 409, "conflict", "peer", message);
}

/* What the new one has to know: who it is, and who the others are. */
static void reply_added(struct exchange *x, bool is_done)
{
    const struct consensus_change *change = &x->change.change;
    const struct consensus_plan plan = plan_of(x);
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count = 0;
    uint64_t id = change->member;
    char cluster[CONSENSUS_CLUSTER_SIZE];
    struct json_out json = response_json(&x->response);
    node_members(x->context->node, members, &count);
    node_cluster(x->context->node, cluster);
    for (size_t i = 0; i < count && id == 0; i++) {
        id = strcmp(members[i].peer_address, change->address) == 0 ? members[i].id : 0;
    }
    json_out_begin(&json, '{');
    if (id != 0) {
        json_out_member_u64(&json, "id", id);
    }
    json_out_member_text(&json, "peer", change->address);
    json_out_member_text(&json, "cluster", cluster);
    render_plan(&json, &plan, is_done);
    json_out_key(&json, "members");
    json_out_begin(&json, '[');
    for (size_t i = 0; i < count; i++) {
        json_out_begin(&json, '{');
        json_out_member_u64(&json, "id", members[i].id);
        json_out_member_text(&json, "peer", members[i].peer_address);
        json_out_end(&json, '}');
    }
    json_out_end(&json, ']');
    json_out_end(&json, '}');
}

static enum next finish_add(struct exchange *x, enum status status)
{
    if (status == ST_OK) {
        reply_added(x, true);
    } else if (status == ST_CONFLICT) {
        reply_in_the_way(x);
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

/* host:port that others can dial. */
static bool parse_peer(const char *text, struct consensus_change *change, struct problem *problem)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    if (text == NULL || strlen(text) >= sizeof change->address ||
        !text_is_printable(text, strlen(text)) ||
        !text_parse_address(text, host, sizeof host, &port) || text_is_any_host(host)) {
        problem_set(problem, "peer", "must be an address that the members can dial, as host:9100");
        return false;
    }
    memcpy(change->address, text, strlen(text) + 1);
    return true;
}

/* --- all --- */

static enum next finish(struct exchange *x, enum status status)
{
    if (status == ST_OK) {
        const struct consensus_plan plan = plan_of(x);
        reply_plan(x, &plan, true);
    } else if (status == ST_NOT_FOUND) {
        response_error(&x->response, 404, "not_found", "id", "there is no such member");
    } else if (status == ST_CONFLICT) {
        reply_conflict(x);
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

static enum next change(struct exchange *x, enum consensus_change_kind kind, const char *id)
{
    struct problem problem;
    bool is_trial;
    x->change = (struct node_change){.change = {.kind = kind}};
    if (!request_query_bool(&x->request, "force", &x->change.change.force, &problem) ||
        !request_query_bool(&x->request, "dry_run", &is_trial, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    if (id != NULL && (!text_parse_u64(id, INT64_MAX, &x->change.change.member) ||
                       x->change.change.member == 0)) {
        problem_set(&problem, kind == CONSENSUS_TRANSFER ? "to" : "id",
                    "must be the id of a member");
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    if (kind == CONSENSUS_ADD &&
        !parse_peer(request_query(&x->request, "peer"), &x->change.change, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    if (is_trial) {
        const struct consensus_plan plan = plan_of(x);
        if (!plan.found) {
            return finish(x, ST_NOT_FOUND);
        }
        if (kind == CONSENSUS_ADD && !plan.safe) {
            return finish_add(x, ST_CONFLICT);
        }
        if (kind == CONSENSUS_ADD) {
            reply_added(x, false);
        } else {
            reply_plan(x, &plan, false);
        }
        return NEXT_RESPOND;
    }
    x->finish = kind == CONSENSUS_ADD ? finish_add : finish;
    return NEXT_CHANGE;
}

enum next handle_member_add(struct exchange *x)
{
    return change(x, CONSENSUS_ADD, request_query(&x->request, "id"));
}

enum next handle_member_remove(struct exchange *x)
{
    return change(x, CONSENSUS_REMOVE, x->request.params[0]);
}

enum next handle_member_promote(struct exchange *x)
{
    return change(x, CONSENSUS_PROMOTE, x->request.params[0]);
}

enum next handle_member_demote(struct exchange *x)
{
    return change(x, CONSENSUS_DEMOTE, x->request.params[0]);
}

enum next handle_transfer(struct exchange *x)
{
    return change(x, CONSENSUS_TRANSFER, request_query(&x->request, "to"));
}
