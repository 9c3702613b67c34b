/* The API of Consul as a site: its table of routes, its headers, its errors in plain text, and how
 * a read says what it waits for. */
#include "api/http/site.h"

#include <string.h>

#include "api/consul/handlers.h"
#include "api/consul/identity.h"
#include "api/consul/query.h"
#include "server/base/limits.h"

extern const struct site consul_site;

static const struct route routes[] = {
#define ROUTE(METHOD, PATTERN, NEEDED, handler, BODY, WATCH)                                       \
    {.method = METHOD_##METHOD,                                                                    \
     .name = #handler,                                                                             \
     .permission = PERMISSION_##NEEDED,                                                            \
     .pattern = (PATTERN),                                                                         \
     .check = query_check,                                                                         \
     .handle = consul_##handler,                                                                   \
     .body_limit = (BODY),                                                                         \
     .watch = WATCH_##WATCH,                                                                       \
     .params = ""},
#include "api/consul/routes.def"
#undef ROUTE
};

/* The texts that clients look for. */
static const struct {
    const char *code;
    int status;
    const char *text;
} texts[] = {
    {"unauthenticated", 403, "Permission denied: ACL not found"},
    {"forbidden", 403, "Permission denied"},
    {"no_leader", 500, "No cluster leader"},
    {"not_ready", 500, "No cluster leader"},
    {"overloaded", 429, NULL}, /* as it is */
};

static void consul_error(struct response *response, int status, const char *code,
                         const char *field UNUSED, const char *message)
{
    int said = status == 503 || status == 504 ? 500 : status;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (strcmp(texts[i].code, code) == 0) {
            said = texts[i].status;
            message = texts[i].text != NULL ? texts[i].text : message;
        }
    }
    struct json_out ignored = response_json(response);
    (void)ignored;
    response->status = said;
    response->content_type = "text/plain; charset=utf-8";
    buffer_append_text(&response->body, message);
}

static void index_headers(const struct exchange *x, struct response *response)
{
    struct node_status status;
    node_status(x->context->node, &status);
    response_header_u64(response, "X-Consul-Index",
                        response->asked_index > 0 ? response->asked_index : 1);
    response_header_static(response, "X-Consul-KnownLeader", status.leader != 0 ? "true" : "false");
    response_header_u64(response, "X-Consul-LastContact", status.last_contact_ms);
    response_header_static(response, "X-Consul-Query-Backend", "blocking-query");
    if (x->route != NULL && x->route->watch != WATCH_NONE) {
        response_header_static(response, "X-Consul-Effective-Consistency",
                               query_consistency(&x->request));
    }
    if (query_has(&x->request, "cached")) {
        /* What is here is as fresh as what any replica has. */
        response_header_static(response, "X-Cache", "HIT");
        response_header_u64(response, "Age", status.last_contact_ms / 1000);
    }
}

static bool has_header(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->headers_count; i++) {
        if (strcmp(response->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void consul_headers(const struct exchange *x, struct response *response)
{
    if (!has_header(response, "Vary")) {
        response_header_static(response, "Vary", "Accept-Encoding");
    }
    response_header_static(response, "X-Content-Type-Options", "nosniff");
    response_header_static(response, "X-Consul-Default-ACL-Policy",
                           x->permit.is_narrow ? "deny" : "allow");
    if (response->has_asked_index) {
        index_headers(x, response);
    }
}

static const char *find_token(const struct request *request)
{
    const char *token = request_header(request, "X-Consul-Token");
    if (token == NULL || token[0] == '\0') {
        token = request_query(request, "token");
    }
    return token != NULL && token[0] != '\0' ? token : NULL;
}

static bool parse_read(struct exchange *x, uint64_t *ret_wait_ms, struct problem *problem)
{
    if (!query_parse_read(x, ret_wait_ms, problem)) {
        return false;
    }
    if (x->route->watch == WATCH_SERVICE) {
        identity_resolve_name(x);
    }
    return true;
}

const struct site consul_site = {.name = "consul",
                                 .routes = routes,
                                 .count = ARRAY_LENGTH(routes),
                                 .strict = false,
                                 .prefix = "/v1",
                                 .any_type = true,
                                 .options_status = 200,
                                 .parse_read = parse_read,
                                 .find_token = find_token,
                                 .headers = consul_headers,
                                 .error = consul_error};
