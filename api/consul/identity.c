#include "api/consul/identity.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/consul/check_walk.h"
#include "api/consul/keep.h"
#include "api/core/client_address.h"
#include "server/base/naming.h"
#include "server/registry/check_id.h"
#include "server/registry/mix.h"
#include "server/registry/place.h"

#define HEADER  "X-Registry-Node"
#define DEFAULT "service:"

bool identity_is_ours(const struct record *record)
{
    return place_is_given(record);
}

struct identity identity_of(const struct record *record)
{
    const char *id = namespace_bare(record_id(record));
    if (!identity_is_ours(record)) {
        return (struct identity){slice_of(record_host(record)), slice_of(id)};
    }
    struct slice node = place_of(record).node;
    return (struct identity){node, {id, (size_t)(node.data - 1 - id)}};
}

bool identity_is_node(const struct record *record, const char *node)
{
    struct slice own = identity_of(record).node;
    return own.len == strlen(node) && strncasecmp(own.data, node, own.len) == 0;
}

bool identity_caller(const struct exchange *x, char out[NODE_SIZE], struct problem *problem)
{
    const char *said = request_header(&x->request, HEADER);
    if (said == NULL || said[0] == '\0') {
        char address[INET6_ADDRSTRLEN];
        client_address_text(x->request.peer, address);
        (void)snprintf(out, NODE_SIZE, "%s", address);
        return true;
    }
    if (!naming_is_host(said, strlen(said))) {
        problem_set(problem, "", "the header " HEADER " must be the name or address of a host");
        return false;
    }
    (void)snprintf(out, NODE_SIZE, "%s", said);
    return true;
}

bool identity_is_of(const struct record *record, const char *caller)
{
    return identity_is_ours(record) && keep_is_of(record_extra(record), caller);
}

void identity_uuid(const char *node, char out[UUID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t a = mix_bytes(node, strlen(node));
    uint64_t b = mix64(a ^ UINT64_C(0x6d7573746572)); /* "muster" */
    const uint64_t halves[] = {(a & ~UINT64_C(0xf000)) | UINT64_C(0x5000),
                               (b & ~(UINT64_C(3) << 62)) | UINT64_C(1) << 63};
    char *at = out;
    for (unsigned i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            *at++ = '-';
        }
        *at++ = digits[halves[i / 16] >> (60 - 4 * (i % 16)) & 0xf];
    }
    *at = '\0';
}

void identity_resolve_name(struct exchange *x)
{
    struct ptree_iterator it;
    const char *space = permit_space(&x->permit);
    const struct view *view = node_view_lock(x->context->node);
    if (view_service(view, x->permit.key) == NULL) {
        view_iterate_services(&it, view, view_rank_of_namespace(view, &view->services, space));
        const struct service_view *s;
        while ((s = ptree_next(&it)) != NULL && namespace_has(space, s->name)) {
            if (strcasecmp(s->name, x->permit.key) == 0) {
                (void)snprintf(x->permit.key, sizeof x->permit.key, "%s", s->name);
                break;
            }
        }
    }
    view_unlock(&view);
}

/* --- instances --- */

struct search {
    const char *caller;
    const struct record *own, *one, *any; /* on the caller's node; of his agent; the last */
    unsigned own_count, one_count, any_count;
};

static void consider(struct search *s, const struct record *record)
{
    s->any = record;
    s->any_count++;
    if (!identity_is_of(record, s->caller)) {
        return;
    }
    s->one = record;
    s->one_count++;
    if (identity_is_node(record, s->caller)) {
        s->own = record;
        s->own_count++;
    }
}

static enum found conclude(const struct search *s, const struct record **ret_record,
                           unsigned *ret_count)
{
    *ret_count = s->any_count;
    *ret_record = s->own_count == 1 ? s->own : s->one_count == 1 ? s->one : s->any;
    if (s->any_count == 0) {
        return FOUND_NONE;
    }
    return s->own_count == 1 || s->one_count == 1 || s->any_count == 1 ? FOUND_ONE : FOUND_MANY;
}

/* All instances with that service id stand side by side: "ID@...". */
static void search_instances(struct search *s, const struct exchange *x, const struct view *view,
                             const char *service_id, size_t len)
{
    char prefix[STORED_NAME_SIZE];
    char bare[STORED_NAME_SIZE];
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct record *record;
    struct ptree_iterator it;
    if (len + 1 >= sizeof bare) {
        return;
    }
    (void)snprintf(bare, sizeof bare, "%.*s@", (int)len, service_id);
    namespace_store(permit_space(&x->permit), bare, prefix);
    size_t prefix_len = strlen(prefix);
    if (prefix_len == 0) {
        return;
    }
    ptree_iterate(&it, &view->instances, view_rank_after(view, &view->instances, prefix));
    while ((record = ptree_next(&it)) != NULL &&
           strncmp(record_id(record), prefix, prefix_len) == 0) {
        struct slice id = identity_of(record).service;
        if (id.len == len && viewer_may(&viewer, record_name(record))) {
            consider(s, record);
        }
    }
    /* One of another door. */
    prefix[prefix_len - 1] = '\0';
    record = view_instance(view, prefix);
    if (record != NULL && !identity_is_ours(record) && viewer_may(&viewer, record_name(record))) {
        consider(s, record);
    }
}

enum found identity_find(const struct exchange *x, const struct view *view, const char *service_id,
                         const struct record **ret_record, unsigned *ret_count)
{
    char caller[NODE_SIZE];
    struct problem ignored;
    struct search s = {.caller = caller};
    *ret_record = NULL;
    *ret_count = 0;
    if (!identity_caller(x, caller, &ignored)) {
        return FOUND_NONE;
    }
    search_instances(&s, x, view, service_id, strlen(service_id));
    return conclude(&s, ret_record, ret_count);
}

/* --- checks --- */

static bool has_default(const char *check_id, struct slice service_id)
{
    size_t len = sizeof DEFAULT - 1;
    return strncmp(check_id, DEFAULT, len) == 0 &&
           strncmp(check_id + len, service_id.data, service_id.len) == 0;
}

void identity_check_key(const char *check_id, struct slice service_id, struct buffer *out)
{
    const char *rest = check_id + sizeof DEFAULT - 1 + service_id.len;
    if (service_id.len > 0 && has_default(check_id, service_id) &&
        (rest[0] == '\0' || rest[0] == ':')) {
        buffer_append_text(out, ":");
        buffer_append_text(out, rest[0] == ':' ? rest + 1 : rest);
    } else {
        buffer_append_text(out, "=");
        buffer_append_text(out, check_id);
    }
}

void identity_check_id(const char *key, struct slice service_id, struct buffer *out)
{
    if (key[0] == '=') {
        buffer_append_text(out, key + 1);
        return;
    }
    buffer_append_text(out, DEFAULT);
    buffer_append(out, service_id.data, service_id.len);
    if (key[1] != '\0') {
        buffer_append_text(out, key);
    }
}

/* The check of an instance; the instance itself where that is of another door, and has none. */
static bool check_of(const struct view *view, const struct record *instance, const char *key,
                     struct meant *ret_meant)
{
    char id[STORED_NAME_SIZE + 1];
    (void)snprintf(id, sizeof id, "%s%c%s", record_id(instance), CHECK_MARK, key);
    ret_meant->instance = instance;
    ret_meant->check = view_check(view, id);
    if (ret_meant->check == NULL && !identity_is_ours(instance) && instance->ttl_ms > 0 &&
        strcmp(key, ":") == 0) {
        ret_meant->check = instance;
    }
    return ret_meant->check != NULL;
}

/* "service:ID" and "service:ID:N". */
static enum found find_default(const struct exchange *x, const struct view *view,
                               const char *check_id, struct meant *ret_meant, unsigned *ret_count)
{
    char service_id[STORED_NAME_SIZE];
    const struct record *record;
    const char *key = ":";
    (void)snprintf(service_id, sizeof service_id, "%s", check_id + sizeof DEFAULT - 1);
    for (unsigned tries = 0; tries < 2; tries++) {
        enum found found = identity_find(x, view, service_id, &record, ret_count);
        if (found == FOUND_MANY || (found == FOUND_ONE && check_of(view, record, key, ret_meant))) {
            return found;
        }
        char *colon = strrchr(service_id, ':');
        if (colon == NULL) {
            break;
        }
        *colon = '\0';
        key = check_id + sizeof DEFAULT - 1 + (colon - service_id);
    }
    return FOUND_NONE;
}

/* The instance of a check; NULL: it is one of a node. */
static const struct record *instance_of(const struct view *view, const struct record *check)
{
    char id[STORED_NAME_SIZE];
    (void)snprintf(id, sizeof id, "%.*s", (int)(check_key(check) - 1 - record_id(check)),
                   record_id(check));
    return view_instance(view, id);
}

/* Any other id: there is no table of them, as few checks have one. */
static enum found find_named(const struct exchange *x, const struct view *view,
                             const char *check_id, struct meant *ret_meant, unsigned *ret_count)
{
    char caller[NODE_SIZE];
    struct problem ignored;
    struct check_walk walk;
    struct meant own = {NULL, NULL};
    unsigned own_count = 0;
    const struct viewer viewer = permit_viewer(&x->permit, view);
    const struct record *check;
    if (!identity_caller(x, caller, &ignored)) {
        return FOUND_NONE;
    }
    check_walk_begin(&walk, view, permit_space(&x->permit));
    while ((check = check_walk_next(&walk)) != NULL) {
        const char *key = check_key(check);
        if (key[0] != '=' || strcmp(key + 1, check_id) != 0) {
            continue;
        }
        const struct record *instance = instance_of(view, check);
        bool is_mine = instance != NULL ? identity_is_of(instance, caller)
                                        : strncmp(namespace_bare(record_id(check)) + 1, caller,
                                                  strlen(caller)) == 0;
        if (instance != NULL && !viewer_may(&viewer, record_name(instance))) {
            continue;
        }
        *ret_meant = (struct meant){check, instance};
        ++*ret_count;
        if (is_mine) {
            own = *ret_meant;
            own_count++;
        }
    }
    if (own_count == 1) {
        *ret_meant = own;
    }
    if (*ret_count == 0) {
        return FOUND_NONE;
    }
    return own_count == 1 || *ret_count == 1 ? FOUND_ONE : FOUND_MANY;
}

enum found identity_find_check(const struct exchange *x, const struct view *view,
                               const char *check_id, struct meant *ret_meant, unsigned *ret_count)
{
    enum found found = FOUND_NONE;
    *ret_meant = (struct meant){NULL, NULL};
    *ret_count = 0;
    if (strncmp(check_id, DEFAULT, sizeof DEFAULT - 1) == 0) {
        found = find_default(x, view, check_id, ret_meant, ret_count);
    }
    return found != FOUND_NONE ? found : find_named(x, view, check_id, ret_meant, ret_count);
}
