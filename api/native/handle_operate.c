#include "api/native/handlers.h"

#include "server/base/clock.h"
#include "server/base/metric.h"

/* Ready to serve; when not, says why. */
static bool is_ready(const struct api_context *context, const char **ret_reason)
{
    if (atomic_load(&context->draining)) {
        *ret_reason = "this replica is shutting down";
        return false;
    }
    return node_ready(context->node, ret_reason);
}

static void ready_members(struct json_out *json, bool ready, const char *reason)
{
    json_out_member_bool(json, "ready", ready);
    if (!ready) {
        json_out_member_text(json, "reason", reason);
    }
}

static const char *phase_name(enum consensus_phase phase)
{
    static const char *const names[] = {
        [CONSENSUS_FORMING] = "forming",
        [CONSENSUS_WAITING] = "waiting",
        [CONSENSUS_MEMBER] = "member",
    };
    return names[phase];
}

static void raft_members(struct json_out *json, const struct node_status *status)
{
    json_out_member_text(json, "role", status->is_leader ? "leader" : "follower");
    json_out_member_u64(json, "leader", status->leader);
    json_out_member_u64(json, "term", status->term);
    json_out_member_seconds(json, "last_contact", status->last_contact_ms);
    json_out_member_u64(json, "applied_index", status->applied_index);
    json_out_member_u64(json, "commit_index", status->commit_index);
}

static void render_warning(struct json_out *json, const struct warning *warning)
{
    json_out_begin(json, '{');
    json_out_member_text(json, "code", warning->code);
    json_out_member_text(json, "message", warning->message);
    json_out_end(json, '}');
}

static void render_warnings(struct json_out *json, const struct api_context *context)
{
    const struct exposure *exposure = &context->exposure;
    struct warning warnings[EXPOSURE_WARNINGS_MAX], one;
    size_t count = exposure_find(exposure, warnings);
    json_out_key(json, "warnings");
    json_out_begin(json, '[');
    for (size_t i = 0; i < count; i++) {
        render_warning(json, &warnings[i]);
    }
    const struct view *view = node_view_lock(context->node);
    if (exposure_find_open(exposure, view, &one)) {
        render_warning(json, &one);
    }
    view_unlock(&view);
    if (exposure_find_end(metric_get(METRIC_tls_certificate_end_seconds), clock_wall_ms() / 1000,
                          &one)) {
        render_warning(json, &one);
    }
    json_out_end(json, ']');
}

/* When its certificate ends, if it has one. */
static void render_tls(struct json_out *json)
{
    int64_t end_s = metric_get(METRIC_tls_certificate_end_seconds);
    int64_t left_ms = end_s * 1000 - clock_wall_ms();
    if (end_s == 0) {
        return;
    }
    json_out_key(json, "tls");
    json_out_begin(json, '{');
    json_out_key(json, "certificate_ends");
    json_out_time(json, end_s * 1000);
    json_out_member_seconds(json, "certificate_ends_in", left_ms > 0 ? (uint64_t)left_ms : 0);
    json_out_end(json, '}');
}

static void render_details(struct json_out *json, struct exchange *x)
{
    const struct consensus_facts *facts = node_facts(x->context->node);
    struct node_status status;
    node_status(x->context->node, &status);
    json_out_member_u64(json, "id", facts->id);
    json_out_member_text(json, "name", facts->name);
    json_out_member_text(json, "version", facts->version);
    json_out_member_seconds(json, "uptime", clock_monotonic_ms() - x->context->started_ms);
    json_out_member_text(json, "phase", phase_name(status.phase));
    json_out_key(json, "life");
    json_out_hex(json, facts->life);
    json_out_member_u64(json, "level", status.level);
    json_out_member_u64(json, "level_max", facts->level_max);
    raft_members(json, &status);
    /* Of one moment: replicas at the same index have the same hash. */
    const struct view *view = node_view_lock(x->context->node);
    x->response.index = view->index;
    json_out_key(json, "state");
    json_out_begin(json, '{');
    json_out_member_u64(json, "index", view->index);
    json_out_key(json, "hash");
    json_out_hex(json, view->hash);
    json_out_member_u64(json, "bytes", view->state_bytes);
    json_out_member_u64(json, "bytes_max", view->state_bytes_max);
    json_out_end(json, '}');
    view_unlock(&view);
    json_out_key(json, "disk");
    json_out_begin(json, '{');
    json_out_member_u64(json, "free_bytes", node_disk_free(x->context->node));
    json_out_member_bool(json, "has_space", status.has_space);
    json_out_end(json, '}');
    json_out_key(json, "queue");
    json_out_begin(json, '{');
    json_out_member_u64(json, "operations", (uint64_t)metric_get(METRIC_queue_operations));
    json_out_member_u64(json, "bytes", (uint64_t)metric_get(METRIC_queue_bytes));
    json_out_member_u64(json, "waiters", (uint64_t)metric_get(METRIC_waiters));
    json_out_end(json, '}');
    render_tls(json);
    render_warnings(json, x->context);
}

/* Anybody may ask; who may not see more is told whether it is ready. */
enum next handle_health(struct exchange *x)
{
    const char *reason = "";
    bool ready = is_ready(x->context, &reason);
    struct json_out json = response_json(&x->response);
    x->response.status = ready ? 200 : 503;
    json_out_begin(&json, '{');
    ready_members(&json, ready, reason);
    if (!x->permit.is_closed) {
        render_details(&json, x);
    }
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next handle_live(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_bool(&json, "live", true);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next handle_ready(struct exchange *x)
{
    const char *reason = "";
    bool ready = is_ready(x->context, &reason);
    if (!ready) {
        response_error(&x->response, 503,
                       atomic_load(&x->context->draining) ? "stopping" : "not_ready", "", reason);
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    ready_members(&json, ready, reason);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

static void render_member(struct json_out *json, const struct consensus_member_info *member,
                          uint64_t commit_index)
{
    json_out_begin(json, '{');
    json_out_member_u64(json, "id", member->id);
    json_out_member_text(json, "name", member->name);
    json_out_member_text(json, "peer", member->peer_address);
    json_out_member_text(json, "http", member->http_address);
    json_out_member_text(json, "version", member->version);
    json_out_member_text(json, "role", member->role);
    json_out_member_bool(json, "held", member->is_held);
    json_out_key(json, "life");
    json_out_hex(json, member->life);
    json_out_member_u64(json, "level_min", member->level_min);
    json_out_member_u64(json, "level_max", member->level_max);
    json_out_member_bool(json, "leader", member->is_leader);
    json_out_member_bool(json, "self", member->is_self);
    json_out_member_bool(json, "reachable", member->reachable);
    json_out_member_text(json, "trouble", member->trouble);
    json_out_member_bool(json, "has_space", member->has_space);
    json_out_member_bool(json, "refuses_heartbeats", member->refuses_heartbeats);
    json_out_member_u64(json, "applied_index", member->applied_index);
    /* The others are behind the leader. What it sent last is older than what it sent with it. */
    bool is_behind = !member->is_leader && commit_index > member->applied_index;
    json_out_member_u64(json, "behind", is_behind ? commit_index - member->applied_index : 0);
    json_out_key(json, "last_heard");
    if (member->last_heard_ms == UINT64_MAX) {
        json_out_null(json);
    } else {
        json_out_seconds(json, member->last_heard_ms);
    }
    json_out_end(json, '}');
}

static void render_events(struct json_out *json, const struct node *node)
{
    struct consensus_cluster_event events[CONSENSUS_CLUSTER_EVENTS_MAX];
    size_t count = node_cluster_events(node, events);
    json_out_key(json, "events");
    json_out_begin(json, '[');
    for (size_t i = 0; i < count; i++) {
        json_out_begin(json, '{');
        json_out_member_u64(json, "index", events[i].index);
        json_out_member_text(json, "event", events[i].what);
        json_out_member_u64(json, "member", events[i].member);
        json_out_key(json, "life");
        json_out_hex(json, events[i].life);
        json_out_member_u64(json, "voters", events[i].voters);
        json_out_end(json, '}');
    }
    json_out_end(json, ']');
}

enum next handle_cluster(struct exchange *x)
{
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count = 0;
    struct node_status status;
    char cluster[CONSENSUS_CLUSTER_SIZE];
    node_status(x->context->node, &status);
    node_members(x->context->node, members, &count);
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    node_cluster(x->context->node, cluster);
    json_out_member_text(&json, "cluster", cluster);
    json_out_member_u64(&json, "level", status.level);
    json_out_member_u64(&json, "id", status.id);
    raft_members(&json, &status);
    json_out_key(&json, "members");
    json_out_begin(&json, '[');
    for (size_t i = 0; i < count; i++) {
        render_member(&json, &members[i], status.commit_index);
    }
    json_out_end(&json, ']');
    render_events(&json, x->context->node);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}
