/* How the cluster stands, and what is not here. */
#include "api/consul/handlers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/identity.h"
#include "server/base/text.h"

/* The version of the API that is spoken, where clients ask for one of the server. */
#define API_VERSION "1.14.11"

enum next consul_status_leader(struct exchange *x)
{
    struct consensus_member_info members[MEMBERS_MAX];
    struct node_status status;
    size_t count;
    const char *address = "";
    struct json_out json = response_json(&x->response);
    node_status(x->context->node, &status);
    node_members(x->context->node, members, &count);
    for (size_t i = 0; i < count; i++) {
        if (status.leader != 0 && members[i].id == status.leader) {
            address = members[i].peer_address;
        }
    }
    json_out_text(&json, address);
    return NEXT_RESPOND;
}

enum next consul_status_peers(struct exchange *x)
{
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count;
    struct json_out json = response_json(&x->response);
    node_members(x->context->node, members, &count);
    json_out_begin(&json, '[');
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].role, "voter") == 0) {
            json_out_text(&json, members[i].peer_address);
        }
    }
    json_out_end(&json, ']');
    return NEXT_RESPOND;
}

/* --- members --- */

static void member_tag(struct json_out *json, const char *key, const char *value)
{
    json_out_member_text(json, key, value);
}

static void render_member(struct json_out *json, const struct exchange *x,
                          const struct consensus_member_info *m)
{
    static const char *const numbers[] = {"ProtocolMin", "ProtocolMax", "ProtocolCur",
                                          "DelegateMin", "DelegateMax", "DelegateCur"};
    static const uint64_t values[] = {1, 5, 2, 2, 5, 4};
    char host[HOST_BYTES_MAX + 1] = "";
    char uuid[UUID_SIZE];
    char digits[TEXT_U64_SIZE];
    char name[NAME_BYTES_MAX + 1 + NAMESPACE_SIZE];
    bool wan = request_query(&x->request, "wan") != NULL;
    uint16_t port = 0;
    if (!text_parse_address(m->peer_address, host, sizeof host, &port)) {
        host[0] = '\0'; /* it has not been heard from */
    }
    identity_uuid(m->name, uuid);
    json_out_begin(json, '{');
    (void)snprintf(name, sizeof name, "%s%s%s", m->name, wan ? "." : "",
                   wan ? x->context->datacenter : "");
    json_out_member_text(json, "Name", name);
    json_out_member_text(json, "Addr", host);
    json_out_member_u64(json, "Port", port);
    json_out_key(json, "Tags");
    json_out_begin(json, '{');
    member_tag(json, "acls", "0");
    member_tag(json, "build", API_VERSION);
    member_tag(json, "dc", x->context->datacenter);
    member_tag(json, "ft_fs", "1");
    member_tag(json, "ft_si", "1");
    member_tag(json, "id", uuid);
    member_tag(json, "port", text_format_u64(port, digits));
    member_tag(json, "raft_vsn", "3");
    member_tag(json, "role", "consul");
    member_tag(json, "segment", "");
    member_tag(json, "vsn", "2");
    member_tag(json, "vsn_max", "3");
    member_tag(json, "vsn_min", "2");
    if (!wan) {
        member_tag(json, "wan_join_port", text_format_u64(port, digits));
    }
    json_out_end(json, '}');
    json_out_member_u64(json, "Status", m->reachable || m->is_self ? 1 : 4); /* alive, failed */
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        json_out_member_u64(json, numbers[i], values[i]);
    }
    json_out_end(json, '}');
}

enum next consul_agent_members(struct exchange *x)
{
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count;
    struct json_out json = response_json(&x->response);
    node_members(x->context->node, members, &count);
    json_out_begin(&json, '[');
    for (size_t i = 0; i < count; i++) {
        render_member(&json, x, &members[i]);
    }
    json_out_end(&json, ']');
    return NEXT_RESPOND;
}

/* Each member is an object: some clients read it as a map of maps. */
enum next consul_agent_self(struct exchange *x)
{
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count, self = 0;
    char uuid[UUID_SIZE];
    struct json_out json = response_json(&x->response);
    node_members(x->context->node, members, &count);
    for (size_t i = 0; i < count; i++) {
        self = members[i].is_self ? i : self;
    }
    identity_uuid(members[self].name, uuid);
    json_out_begin(&json, '{');
    json_out_key(&json, "Config");
    json_out_begin(&json, '{');
    json_out_member_text(&json, "Datacenter", x->context->datacenter);
    json_out_member_text(&json, "PrimaryDatacenter", x->context->datacenter);
    json_out_member_text(&json, "NodeName", members[self].name);
    json_out_member_text(&json, "NodeID", uuid);
    json_out_member_text(&json, "Revision", "muster-" MUSTER_VERSION);
    json_out_member_bool(&json, "Server", true);
    json_out_member_text(&json, "Version", API_VERSION);
    json_out_end(&json, '}');
    json_out_key(&json, "DebugConfig");
    json_out_begin(&json, '{');
    json_out_member_text(&json, "Datacenter", x->context->datacenter);
    json_out_member_text(&json, "NodeName", members[self].name);
    json_out_end(&json, '}');
    json_out_key(&json, "Coord");
    json_out_null(&json);
    json_out_key(&json, "Member");
    render_member(&json, x, &members[self]);
    json_out_key(&json, "Stats");
    json_out_raw(&json, "{}");
    json_out_key(&json, "Meta");
    json_out_raw(&json, "{\"consul-network-segment\":\"\"}");
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

/* --- what is not discovery --- */

/* There is never a key: who waits for one waits for all of the time that he gives it. */
enum next consul_kv_get(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    (void)json;
    x->response.status = 404;
    x->response.content_type = NULL;
    response_asked(&x->response, 1);
    return NEXT_RESPOND;
}

enum next consul_nothing(struct exchange *x)
{
    response_error(&x->response, 404, "not_found", "", "Invalid URL path: no id");
    return NEXT_RESPOND;
}

enum next consul_not_implemented(struct exchange *x)
{
    response_error(&x->response, 501, "not_implemented", "",
                   "Muster serves discovery: this part of Consul's API is not here");
    return NEXT_RESPOND;
}
