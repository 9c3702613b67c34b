/* Namespaces: which there are, what they take, and their quotas. One is there by being used. */
#include "api/native/handlers.h"

#include <string.h>

#include "api/native/body.h"
#include "server/base/naming.h"

static void render_bound(struct json_out *json, const char *key, uint64_t most)
{
    json_out_key(json, key);
    if (most == 0) {
        json_out_null(json);
    } else {
        json_out_u64(json, most);
    }
}

static void render_use(struct json_out *json, const struct namespace_use *use)
{
    json_out_begin(json, '{');
    json_out_member_text(json, "name", use->name);
    json_out_member_u64(json, "instances", use->instances);
    json_out_member_u64(json, "services", use->services);
    json_out_member_u64(json, "bytes", use->bytes);
    render_bound(json, "instances_max", use->quota.instances);
    render_bound(json, "bytes_max", use->quota.bytes);
    render_bound(json, "writes_max", use->quota.writes);
    json_out_end(json, '}');
}

enum next handle_namespaces(struct exchange *x)
{
    struct ptree_iterator it;
    const struct namespace_use *use;
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    x->response.index = view->index;
    json_out_begin(&json, '{');
    json_out_key(&json, "namespaces");
    json_out_begin(&json, '[');
    ptree_iterate(&it, &view->namespaces, 0);
    while (!json.out->overflowed && (use = ptree_next(&it)) != NULL) {
        render_use(&json, use);
    }
    json_out_end(&json, ']');
    json_out_end(&json, '}');
    view_unlock(&view);
    return NEXT_RESPOND;
}

static void respond_none(struct exchange *x, const char *message)
{
    response_error(&x->response, 404, "not_found", "namespace", message);
}

enum next handle_namespace(struct exchange *x)
{
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct namespace_use *use = view_namespace(view, x->request.params[0]);
    x->response.index = view->index;
    if (use != NULL) {
        render_use(&json, use);
    } else {
        respond_none(x, "this namespace has neither instances nor a quota");
    }
    view_unlock(&view);
    return NEXT_RESPOND;
}

static enum next finish_quota(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    if (status == ST_NOT_FOUND) {
        respond_none(x, "this namespace has no quota");
        return NEXT_RESPOND;
    }
    if (status != ST_OK) {
        response_status(&x->response, status);
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    x->response.status = x->write.result.created ? 201 : 200;
    json_out_begin(&json, '{');
    json_out_member_text(&json, "name", x->request.params[0]);
    json_out_member_u64(&json, "index", x->write.result.index);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}

enum next handle_quota_set(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    const char *name = x->request.params[0];
    struct namespace_quota quota;
    struct problem problem;
    if (!naming_is_namespace(name, strlen(name))) {
        problem_set(&problem, "namespace",
                    "must be 1 to %d lower-case letters, digits, '-', '_' and '.', the first a "
                    "letter or digit",
                    NAMESPACE_BYTES_MAX);
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    if (!body_quota_parse(&quota, &x->request.body, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    c->kind = COMMAND_QUOTA_SET;
    c->quota_set.name = slice_of(name);
    c->quota_set.instances = quota.instances;
    c->quota_set.bytes = quota.bytes;
    c->quota_set.writes = quota.writes;
    x->finish = finish_quota;
    return NEXT_WRITE;
}

enum next handle_quota_delete(struct exchange *x)
{
    struct command *c = &x->scratch->command;
    c->kind = COMMAND_QUOTA_DELETE;
    c->quota_delete.name = slice_of(x->request.params[0]);
    x->finish = finish_quota;
    return NEXT_WRITE;
}
