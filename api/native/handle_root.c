/* The replica at a glance. Browsers get the page instead (api/ui). */
#include "api/native/handlers.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/core/render.h"
#include "server/base/clock.h"
#include "server/base/text.h"

struct glance {
    const struct consensus_facts *facts;
    struct node_status status;
    struct consensus_member_info members[MEMBERS_MAX];
    size_t members_count;
    uint64_t uptime_ms;
    uint64_t index, changed_index;
    uint32_t services;
    uint32_t counts[HEALTH_COUNT];
    uint64_t instances;
};

static void glance_fill(struct glance *g, const struct api_context *context)
{
    g->facts = node_facts(context->node);
    node_status(context->node, &g->status);
    node_members(context->node, g->members, &g->members_count);
    g->uptime_ms = clock_monotonic_ms() - context->started_ms;
    g->instances = 0;
    const struct view *view = node_view_lock(context->node);
    g->index = view->index;
    g->changed_index = view->changed_index;
    g->services = view->services_count;
    for (unsigned h = 0; h < HEALTH_COUNT; h++) {
        g->counts[h] = view->counts[h];
        g->instances += view->counts[h];
    }
    view_unlock(&view);
}

static const char *role(const struct glance *g)
{
    return g->status.is_leader ? "leader" : "follower";
}

/* The name of the leader; null when there is none. Until it was heard from, the name it has unless
 * it was given another. */
static void render_leader_name(struct json_out *json, const struct glance *g)
{
    char made[sizeof "muster-" + TEXT_U64_SIZE];
    const char *name = made;
    if (g->status.leader == 0) {
        json_out_null(json);
        return;
    }
    (void)snprintf(made, sizeof made, "muster-%" PRIu64, g->status.leader);
    for (size_t i = 0; i < g->members_count; i++) {
        if (g->members[i].id == g->status.leader && g->members[i].name[0] != '\0') {
            name = g->members[i].name;
        }
    }
    json_out_text(json, name);
}

/* What the older HTTP registry (api/tbfs) says of itself at this path. */
static void render_older(struct json_out *json, const struct glance *g)
{
    uint64_t active = (uint64_t)g->counts[HEALTH_PASSING] + g->counts[HEALTH_WARNING];
    json_out_member_text(json, "message", "the registry is running");
    json_out_member_text(json, "node_id", g->facts->name);
    json_out_member_bool(json, "is_leader", g->status.is_leader);
    json_out_key(json, "leader_id");
    render_leader_name(json, g);
    json_out_member_u64(json, "term", g->status.term);
    json_out_member_u64(json, "total_servers", g->instances);
    json_out_member_u64(json, "active_servers", active);
    json_out_member_u64(json, "inactive_servers", g->instances - active);
}

static void render_json(const struct glance *g, struct response *response)
{
    struct json_out json = response_json(response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, "name", g->facts->name);
    json_out_member_u64(&json, "id", g->facts->id);
    json_out_member_text(&json, "role", role(g));
    json_out_member_u64(&json, "leader", g->status.leader);
    json_out_member_text(&json, "version", g->facts->version);
    json_out_member_seconds(&json, "uptime", g->uptime_ms);
    json_out_member_u64(&json, "index", g->index);
    json_out_member_u64(&json, "services", g->services);
    json_out_member_u64(&json, "instances", g->instances);
    json_out_key(&json, "health");
    json_out_begin(&json, '{');
    render_counts(&json, g->counts);
    json_out_end(&json, '}');
    json_out_key(&json, "members");
    json_out_begin(&json, '[');
    for (size_t i = 0; i < g->members_count; i++) {
        json_out_begin(&json, '{');
        json_out_member_u64(&json, "id", g->members[i].id);
        json_out_member_text(&json, "name", g->members[i].name);
        json_out_member_text(&json, "http", g->members[i].http_address);
        json_out_end(&json, '}');
    }
    json_out_end(&json, ']');
    render_older(&json, g);
    json_out_end(&json, '}');
}

enum next handle_root(struct exchange *x)
{
    struct glance glance;
    glance_fill(&glance, x->context);
    x->response.index = glance.index;
    response_header_static(&x->response, "Vary", "Accept");
    response_asked(&x->response, glance.changed_index);
    render_json(&glance, &x->response);
    return NEXT_RESPOND;
}
