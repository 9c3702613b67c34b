#include "api/consul/shape.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/keep.h"
#include "api/consul/kept.h"
#include "api/core/json_scan.h"
#include "api/core/render.h"
#include "api/core/render_check.h"
#include "server/base/limits.h"
#include "server/registry/mix.h"

#define SHOWN_BYTES_MAX (1024 * 1024)
#define DURATION_SIZE   48

static uint64_t created(const struct record *record)
{
    return record->incarnation >> INCARNATION_POSITION_BITS;
}

static void member_slice(struct json_out *json, const char *key, struct slice text)
{
    json_out_key(json, key);
    json_out_text_n(json, text.data, text.len);
}

static void member_raw(struct json_out *json, const char *key, const char *value)
{
    json_out_key(json, key);
    json_out_raw(json, value);
}

static void member_json(struct json_out *json, const char *key, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    if (text != NULL) {
        member_raw(json, key, text);
    }
    free(text);
}

static void indexes(struct json_out *json, uint64_t create, uint64_t modify)
{
    json_out_member_u64(json, "CreateIndex", create);
    json_out_member_u64(json, "ModifyIndex", modify);
}

/* --- pieces --- */

static void tags_of(struct json_out *json, const char *key, const struct record *r)
{
    json_out_key(json, key);
    json_out_begin(json, '[');
    render_tags(json, r);
    json_out_end(json, ']');
}

static void metadata_of(struct json_out *json, const struct record *r)
{
    json_out_begin(json, '{');
    render_metadata(json, r);
    json_out_end(json, '}');
}

/* As the client has said it. */
static const char *address_of(const struct record *r, const struct kept *kept)
{
    return kept->has_address ? record_host(r) : "";
}

static void weights_of(struct json_out *json, const char *key, const struct record *r,
                       const struct kept *kept)
{
    json_out_key(json, key);
    json_out_begin(json, '{');
    json_out_member_u64(json, "Passing", r->weight);
    json_out_member_u64(json, "Warning", kept->warning);
    json_out_end(json, '}');
}

static bool is_ipv4(const char *address)
{
    struct in_addr ignored;
    return inet_pton(AF_INET, address, &ignored) == 1;
}

static bool is_ipv6(const char *address)
{
    struct in6_addr ignored;
    return inet_pton(AF_INET6, address, &ignored) == 1;
}

static void tagged_address(struct json_out *json, const char *key, const char *address,
                           uint16_t port, struct slice said)
{
    struct json_scan scan = json_scan_of(said.data != NULL ? said.data : "");
    struct slice name, value;
    while (json_scan_next(&scan, &name, &value)) {
        if (json_scan_is(name, key)) {
            return; /* it is said */
        }
    }
    json_out_key(json, key);
    json_out_begin(json, '{');
    json_out_member_text(json, "Address", address);
    json_out_member_u64(json, "Port", port);
    json_out_end(json, '}');
}

/* What was said, and where an address is one, that. Nothing when there is neither. */
static void tagged_of(struct json_out *json, const char *key, const struct record *r,
                      const struct kept *kept)
{
    const char *address = address_of(r, kept);
    bool ipv4 = is_ipv4(address);
    if (kept->tagged.data == NULL && !ipv4 && !is_ipv6(address)) {
        return;
    }
    json_out_key(json, key);
    json_out_begin(json, '{');
    if (ipv4 || is_ipv6(address)) {
        tagged_address(json, ipv4 ? "lan_ipv4" : "lan_ipv6", address, r->port, kept->tagged);
        tagged_address(json, ipv4 ? "wan_ipv4" : "wan_ipv6", address, r->port, kept->tagged);
    }
    if (kept->tagged.len > 2) { /* what is between the brackets */
        json_out_raw_n(json, kept->tagged.data + 1, kept->tagged.len - 2);
    }
    json_out_end(json, '}');
}

/* --- nodes --- */

struct node_facts {
    const struct record *record; /* NULL: it is known by its instances alone */
    json_t *keep;
    bool is_agent;
    char address[HOST_BYTES_MAX + 1];
    char uuid[UUID_SIZE];
};

/* `kept`: with `any`; NULL: without. */
static void find_node(const struct shape_view *v, struct slice node, const struct kept *kept,
                      struct node_facts *f)
{
    char name[STORED_NAME_SIZE];
    size_t len = node.len < sizeof name ? node.len : sizeof name - 1;
    memcpy(name, node.data, len);
    name[len] = '\0';
    f->record = shown_node(v->view, v->space, node);
    f->is_agent = shown_is_agent(f->record);
    f->keep = f->record != NULL ? keep_parse(record_extra(f->record)) : NULL;
    f->address[0] = '\0';
    if (f->record == NULL && kept != NULL) {
        json_scan_text(kept->node_address, f->address, sizeof f->address);
    }
    if (f->address[0] == '\0') {
        const char *address = f->record != NULL ? record_host(f->record) : name;
        memccpy(f->address, address, '\0', sizeof f->address - 1);
        f->address[sizeof f->address - 1] = '\0';
    }
    if (f->is_agent) {
        identity_uuid(name, f->uuid);
    } else {
        (void)snprintf(f->uuid, sizeof f->uuid, "%s", keep_text(f->keep, KEEP_UUID));
    }
}

static void node_meta(struct json_out *json, const char *key, const struct node_facts *f,
                      bool may_be_null)
{
    json_out_key(json, key);
    if (f->record != NULL && f->record->metadata_count > 0) {
        metadata_of(json, f->record);
    } else if (f->is_agent) {
        json_out_raw(json, "{\"consul-network-segment\":\"\"}");
    } else {
        json_out_raw(json, may_be_null ? "null" : "{}");
    }
}

static void node_tagged(struct json_out *json, const struct node_facts *f)
{
    const json_t *said = json_object_get(f->keep, KEEP_TAGGED);
    if (said != NULL) {
        member_json(json, "TaggedAddresses", said);
        return;
    }
    json_out_key(json, "TaggedAddresses");
    if (!f->is_agent) {
        json_out_null(json);
        return;
    }
    json_out_begin(json, '{');
    json_out_member_text(json, "lan", f->address);
    json_out_member_text(json, "wan", f->address);
    if (is_ipv4(f->address)) {
        json_out_member_text(json, "lan_ipv4", f->address);
        json_out_member_text(json, "wan_ipv4", f->address);
    }
    json_out_end(json, '}');
}

void shape_node(struct json_out *json, const struct shape_view *v, struct slice node,
                const struct record *any)
{
    struct node_facts f;
    struct kept kept;
    if (any != NULL) {
        kept_read(any, &kept);
    }
    find_node(v, node, any != NULL ? &kept : NULL, &f);
    const struct record *source = f.record != NULL ? f.record : any;
    json_out_begin(json, '{');
    json_out_member_text(json, "ID", f.uuid);
    member_slice(json, "Node", node);
    json_out_member_text(json, "Address", f.address);
    json_out_member_text(json, "Datacenter", v->datacenter);
    node_tagged(json, &f);
    node_meta(json, "Meta", &f, true);
    /* Of one that is known by its instances alone, no index moves with them. */
    indexes(json, source != NULL ? created(source) : 1, source != NULL ? created(source) : 1);
    json_out_end(json, '}');
    json_decref(f.keep);
}

/* --- services --- */

static void member_if_any(struct json_out *json, const char *key, struct slice value)
{
    if (value.data != NULL) {
        json_out_key(json, key);
        json_out_raw_n(json, value.data, value.len);
    }
}

static void member_or_empty(struct json_out *json, const char *key, struct slice value)
{
    member_if_any(json, key, value.data != NULL ? value : slice_of("\"\""));
}

/* What both forms begin with; the braces are theirs to close. */
static void begin_service(struct json_out *json, const struct record *r, const struct kept *kept)
{
    json_out_begin(json, '{');
    member_if_any(json, "Kind", kept->kind);
    member_slice(json, "ID", identity_of(r).service);
    json_out_member_text(json, "Service", namespace_bare(record_name(r)));
    tags_of(json, "Tags", r);
}

void shape_agent_service(struct json_out *json, const struct shape_view *v, const struct record *r,
                         const char *hash)
{
    struct kept kept;
    kept_read(r, &kept);
    begin_service(json, r, &kept);
    json_out_key(json, "Meta");
    metadata_of(json, r);
    json_out_member_u64(json, "Port", r->port);
    json_out_member_text(json, "Address", address_of(r, &kept));
    member_if_any(json, "SocketPath", kept.socket);
    tagged_of(json, "TaggedAddresses", r, &kept);
    weights_of(json, "Weights", r, &kept);
    json_out_member_bool(json, "EnableTagOverride", kept.has_override);
    json_out_member_text(json, "Datacenter", v->datacenter);
    if (hash != NULL) {
        json_out_member_text(json, "ContentHash", hash);
    }
    json_out_end(json, '}');
}

void shape_service(struct json_out *json, const struct record *r)
{
    struct kept kept;
    kept_read(r, &kept);
    begin_service(json, r, &kept);
    json_out_member_text(json, "Address", address_of(r, &kept));
    tagged_of(json, "TaggedAddresses", r, &kept);
    json_out_key(json, "Meta");
    if (r->metadata_count > 0) {
        metadata_of(json, r);
    } else {
        json_out_null(json);
    }
    if (r->port > 0) {
        json_out_member_u64(json, "Port", r->port);
    }
    member_if_any(json, "SocketPath", kept.socket);
    weights_of(json, "Weights", r, &kept);
    json_out_member_bool(json, "EnableTagOverride", kept.has_override);
    json_out_raw(json, "\"Proxy\":{\"Mode\":\"\",\"MeshGateway\":{},\"Expose\":{}},\"Connect\":{},"
                       "\"PeerName\":\"\"");
    indexes(json, created(r), r->index);
    json_out_end(json, '}');
}

void shape_catalog(struct json_out *json, const struct shape_view *v, const struct record *r)
{
    struct node_facts f;
    struct kept kept;
    kept_read(r, &kept);
    struct slice node = identity_of(r).node;
    find_node(v, node, &kept, &f);
    const char *address = address_of(r, &kept);
    json_out_begin(json, '{');
    json_out_member_text(json, "ID", f.uuid);
    member_slice(json, "Node", node);
    json_out_member_text(json, "Address", f.address);
    json_out_member_text(json, "Datacenter", v->datacenter);
    node_tagged(json, &f);
    node_meta(json, "NodeMeta", &f, true);
    member_or_empty(json, "ServiceKind", kept.kind);
    member_slice(json, "ServiceID", identity_of(r).service);
    json_out_member_text(json, "ServiceName", namespace_bare(record_name(r)));
    tags_of(json, "ServiceTags", r);
    /* Some clients take an empty one for an address, and not that of the node. */
    json_out_member_text(json, "ServiceAddress", address[0] != '\0' ? address : record_host(r));
    tagged_of(json, "ServiceTaggedAddresses", r, &kept);
    weights_of(json, "ServiceWeights", r, &kept);
    json_out_key(json, "ServiceMeta");
    metadata_of(json, r);
    json_out_member_u64(json, "ServicePort", r->port);
    member_or_empty(json, "ServiceSocketPath", kept.socket);
    json_out_member_bool(json, "ServiceEnableTagOverride", kept.has_override);
    json_out_raw(json, "\"ServiceProxy\":{\"Mode\":\"\",\"MeshGateway\":{},\"Expose\":{}},"
                       "\"ServiceConnect\":{}");
    indexes(json, created(r), r->index);
    json_out_end(json, '}');
    json_decref(f.keep);
}

/* --- checks --- */

/* As Go writes it: 10m0s, 1s, 500ms. */
static void member_duration(struct json_out *json, const char *key, uint32_t ms)
{
    char text[DURATION_SIZE];
    unsigned hours = ms / 3600000, minutes = ms / 60000 % 60;
    double seconds = ms % 60000 / 1000.0;
    if (ms < 1000 && ms > 0) {
        (void)snprintf(text, sizeof text, "%ums", (unsigned)ms);
    } else if (hours > 0) {
        (void)snprintf(text, sizeof text, "%uh%um%gs", hours, minutes, seconds);
    } else if (minutes > 0) {
        (void)snprintf(text, sizeof text, "%um%gs", minutes, seconds);
    } else {
        (void)snprintf(text, sizeof text, "%gs", seconds);
    }
    json_out_member_text(json, key, text);
}

static void headers_of(struct json_out *json, const struct check_definition *d)
{
    json_out_key(json, "Header");
    if (d->headers_count > 0) {
        render_check_headers(json, d);
    } else {
        json_out_null(json);
    }
}

static const char *target_if(const struct check_definition *d, enum check_kind kind)
{
    return d->kind == kind ? d->target : "";
}

static void definition_of(struct json_out *json, const struct shown_check *c)
{
    static const struct check_definition none = {
        .target = "", .method = "", .body = "", .server_name = ""};
    const struct check_definition *d = c->definition != NULL ? c->definition : &none;
    json_out_begin(json, '{');
    json_out_member_text(json, "HTTP", target_if(d, CHECK_HTTP));
    headers_of(json, d);
    json_out_member_text(json, "Method", target_if(d, CHECK_HTTP)[0] != '\0' ? d->method : "");
    json_out_member_text(json, "Body", d->body);
    json_out_member_text(json, "TLSServerName", d->server_name);
    json_out_member_bool(json, "TLSSkipVerify", d->skip_verify);
    json_out_member_text(json, "TCP", target_if(d, CHECK_TCP));
    json_out_member_text(json, "UDP", "");
    json_out_member_text(json, "GRPC", target_if(d, CHECK_GRPC));
    json_out_member_text(json, "OSService", "");
    json_out_member_bool(json, "GRPCUseTLS", d->kind == CHECK_GRPC && d->tls);
    member_duration(json, "Interval", d->interval_ms);
    member_duration(json, "Timeout", d->timeout_ms);
    member_duration(json, "DeregisterCriticalServiceAfter", 0);
    json_out_end(json, '}');
}

/* `kept`: JSON in place of the text. */
static void member_text(struct json_out *json, const char *key, const char *text,
                        const struct slice *kept)
{
    if (kept != NULL) {
        member_if_any(json, key, *kept);
    } else {
        json_out_member_text(json, key, text);
    }
}

void shape_check(struct json_out *json, const struct shown_check *c, bool whole)
{
    json_out_begin(json, '{');
    member_slice(json, "Node", c->node);
    json_out_member_text(json, "CheckID", c->check_id);
    member_text(json, "Name", c->name, c->kept != NULL ? &c->kept->name : NULL);
    json_out_member_text(json, "Status", c->status);
    member_text(json, "Notes", c->notes, c->kept != NULL ? &c->kept->notes : NULL);
    json_out_member_text(json, "Output", c->output);
    member_slice(json, "ServiceID",
                 c->instance != NULL ? identity_of(c->instance).service : (struct slice){"", 0});
    json_out_member_text(json, "ServiceName",
                         c->instance != NULL ? namespace_bare(record_name(c->instance)) : "");
    if (c->instance != NULL) {
        tags_of(json, "ServiceTags", c->instance);
    } else {
        member_raw(json, "ServiceTags", "[]");
    }
    member_text(json, "Type", whole ? "" : c->type,
                !whole && c->kept != NULL ? &c->kept->type : NULL);
    if (!whole && c->definition != NULL) {
        member_duration(json, "Interval", c->definition->interval_ms);
        member_duration(json, "Timeout", c->definition->timeout_ms);
    } else if (!whole) {
        json_out_raw(json, "\"Interval\":\"\",\"Timeout\":\"\"");
    }
    if (whole) {
        json_out_member_u64(json, "ExposedPort", 0);
        json_out_key(json, "Definition");
        definition_of(json, c);
    } else {
        json_out_raw(json, "\"ExposedPort\":0,\"Definition\":{}");
    }
    indexes(json, c->created, c->modified);
    json_out_end(json, '}');
}

static void add_check(void *ctx, const struct shown_check *check)
{
    shape_check(ctx, check, false);
}

void shape_health(struct json_out *json, const struct shape_view *v, const struct record *r)
{
    json_out_begin(json, '{');
    json_out_key(json, "Node");
    shape_node(json, v, identity_of(r).node, r);
    json_out_key(json, "Service");
    shape_service(json, r);
    json_out_key(json, "Checks");
    json_out_begin(json, '[');
    shown_of_all(v->view, r, add_check, json);
    json_out_end(json, ']');
    json_out_end(json, '}');
}

void shape_content_hash(const struct shape_view *v, const struct record *r, char out[17])
{
    struct buffer text;
    buffer_init(&text, SHOWN_BYTES_MAX);
    struct json_out json = json_out_to(&text);
    shape_agent_service(&json, v, r, NULL);
    (void)snprintf(out, 17, "%016llx",
                   (unsigned long long)mix_bytes((const char *)text.data, text.len));
    buffer_done(&text);
}
