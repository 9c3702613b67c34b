/* The replica at a glance: JSON to programs, a page to browsers. */
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

static void append_html(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            buffer_append_text(out, "&lt;");
            break;
        case '>':
            buffer_append_text(out, "&gt;");
            break;
        case '&':
            buffer_append_text(out, "&amp;");
            break;
        case '"':
            buffer_append_text(out, "&quot;");
            break;
        case '\'':
            buffer_append_text(out, "&#39;");
            break;
        default:
            buffer_append_byte(out, (uint8_t)*text);
            break;
        }
    }
}

static const char page_head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Muster</title><style>"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;"
    "color:#222;background:#fff}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}"
    "th,td{border-color:#444}a{color:#8bf}}</style></head><body><h1>";

static void append_row(struct buffer *out, const char *name, uint64_t value)
{
    buffer_printf(out, "<tr><th>%s</th><td>%" PRIu64 "</td></tr>", name, value);
}

static void render_html(const struct glance *g, struct response *response)
{
    struct buffer *out = &response->body;
    response->content_type = "text/html; charset=utf-8";
    buffer_append_text(out, page_head);
    append_html(out, g->facts->name);
    buffer_printf(out, "</h1><p>Muster %s, replica %" PRIu64 ", %s", g->facts->version,
                  g->facts->id, role(g));
    if (g->status.leader == 0) {
        buffer_append_text(out, ". No leader is known.</p>");
    } else {
        buffer_printf(out, ". The leader is %" PRIu64 ".</p>", g->status.leader);
    }
    buffer_append_text(out, "<table>");
    append_row(out, "services", g->services);
    append_row(out, "instances", g->instances);
    for (unsigned h = 0; h < HEALTH_COUNT; h++) {
        append_row(out, health_name((enum health)h), g->counts[h]);
    }
    append_row(out, "index", g->index);
    append_row(out, "seconds up", g->uptime_ms / 1000);
    buffer_append_text(out, "</table><h2>Members</h2><table><tr><th>id</th><th>name</th>"
                            "<th>address</th><th>role</th></tr>");
    for (size_t i = 0; i < g->members_count; i++) {
        const struct consensus_member_info *member = &g->members[i];
        buffer_printf(out, "<tr><td>%" PRIu64 "</td><td>", member->id);
        append_html(out, member->name);
        buffer_append_text(out, "</td><td>");
        append_html(out, member->http_address);
        buffer_append_text(out, "</td><td>");
        append_html(out, member->is_leader ? "leader" : member->role);
        buffer_append_text(out, "</td></tr>");
    }
    buffer_append_text(out, "</table><p><a href=\"/services\">services</a> &middot; "
                            "<a href=\"/instances\">instances</a> &middot; "
                            "<a href=\"/events\">events</a> &middot; "
                            "<a href=\"/cluster\">cluster</a> &middot; "
                            "<a href=\"/health\">health</a> &middot; "
                            "<a href=\"/metrics\">metrics</a></p></body></html>");
}

enum next handle_root(struct exchange *x)
{
    struct glance glance;
    glance_fill(&glance, x->context);
    x->response.index = glance.index;
    response_header_static(&x->response, "Vary", "Accept");
    response_asked(&x->response, glance.changed_index);
    if (request_wants_html(&x->request)) {
        render_html(&glance, &x->response);
    } else {
        render_json(&glance, &x->response);
    }
    return NEXT_RESPOND;
}
