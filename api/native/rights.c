#include "api/native/rights.h"

void rights_render_scope(struct json_out *json, const struct token_scope *scope)
{
    json_out_begin(json, '{');
    json_out_key(json, scope->prefix ? "prefix" : "name");
    json_out_text_n(json, scope->name.data, scope->name.len);
    json_out_member_text(json, "access", scope->write ? "write" : "read");
    json_out_end(json, '}');
}

void rights_render(struct json_out *json, const struct view *view, const struct token *token)
{
    struct token_spec spec;
    token_spec_of(token, &spec);
    json_out_member_text(json, "description", token_description(token));
    json_out_key(json, "namespace");
    if (token_space(token)[0] != '\0') {
        json_out_text(json, token_space(token));
    } else {
        json_out_null(json);
    }
    json_out_key(json, "created");
    json_out_time(json, token->created_ms);
    json_out_key(json, "expires_in");
    if (token->expires_ms == UINT64_MAX) {
        json_out_null(json);
    } else {
        json_out_seconds(json, token->expires_ms - view->now_ms);
    }
    json_out_key(json, "services");
    json_out_begin(json, '[');
    for (uint32_t i = 0; i < spec.scopes_count; i++) {
        rights_render_scope(json, &spec.scopes[i]);
    }
    json_out_end(json, ']');
    json_out_key(json, "operator");
    if (token_grants(token, TOKEN_OPERATOR_READ)) {
        json_out_text(json, token_grants(token, TOKEN_OPERATOR_WRITE) ? "write" : "read");
    } else {
        json_out_null(json);
    }
    json_out_member_bool(json, "metrics", token_grants(token, TOKEN_METRICS));
    json_out_member_bool(json, "events", token_grants(token, TOKEN_EVENTS));
}

enum next rights_respond_gone(struct exchange *x, enum status status, const char *key,
                              const char *missing)
{
    status = exchange_outcome(x, status);
    if (status == ST_NOT_FOUND) {
        response_error(&x->response, 404, "not_found", key, missing);
        return NEXT_RESPOND;
    }
    if (status != ST_OK) {
        response_status(&x->response, status);
        return NEXT_RESPOND;
    }
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_text(&json, key, x->request.params[0]);
    json_out_member_u64(&json, "index", x->write.result.index);
    json_out_end(&json, '}');
    return NEXT_RESPOND;
}
