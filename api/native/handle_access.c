/* What the caller may do: for programs that show only what is allowed, such as the page (api/ui).
 * It is a hint: each call is decided by itself. */
#include "api/native/handlers.h"

#include "api/native/rights.h"

static void render_principal(struct json_out *json, const struct principal *p)
{
    json_out_member_text(json, "credentials",
                         p->is_unknown                  ? "invalid"
                         : principal_name(p)[0] != '\0' ? "valid"
                                                        : "none");
    json_out_key(json, "principal");
    if (principal_name(p)[0] != '\0') {
        json_out_text(json, principal_name(p));
    } else {
        json_out_null(json);
    }
}

static void render_all(struct json_out *json, bool write)
{
    const struct token_scope all = {.name = {"", 0}, .prefix = true, .write = write};
    rights_render_scope(json, &all);
}

/* What everybody may, and what the token or policy adds. */
static void render_services(struct json_out *json, const struct token *token, bool all_read,
                            bool all_write)
{
    json_out_key(json, "services");
    json_out_begin(json, '[');
    if (all_read || all_write) {
        render_all(json, all_write);
    }
    if (token != NULL) {
        struct token_spec spec;
        token_spec_of(token, &spec);
        for (uint32_t i = 0; i < spec.scopes_count; i++) {
            rights_render_scope(json, &spec.scopes[i]);
        }
    }
    json_out_end(json, ']');
    json_out_key(json, "namespace");
    if (token != NULL && token_space(token)[0] != '\0') {
        json_out_text(json, token_space(token));
    } else {
        json_out_null(json);
    }
}

enum next handle_access(struct exchange *x)
{
    const struct principal *p = &x->permit.principal;
    struct principal nobody = {.anonymous = p->anonymous};
    struct json_out json = response_json(&x->response);
    const struct view *view = node_view_lock(x->context->node);
    const struct token *token = principal_token(p, view);
    x->response.index = view->index;
    json_out_begin(&json, '{');
    render_principal(&json, p);
    render_services(&json, token, principal_may(&nobody, view, PERMISSION_READ, NULL) == ST_OK,
                    principal_anybody_writes(p->anonymous, view));
    static const struct {
        const char *name;
        enum permission permission;
    } rows[] = {{"read", PERMISSION_READ},
                {"write", PERMISSION_WRITE},
                {"events", PERMISSION_EVENTS},
                {"metrics", PERMISSION_METRICS},
                {"status", PERMISSION_STATUS},
                {"operator_read", PERMISSION_OPERATOR_READ},
                {"operator_write", PERMISSION_OPERATOR_WRITE}};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        json_out_member_bool(&json, rows[i].name,
                             !p->is_unknown &&
                                 principal_may(p, view, rows[i].permission, NULL) == ST_OK);
    }
    json_out_end(&json, '}');
    view_unlock(&view);
    return NEXT_RESPOND;
}
