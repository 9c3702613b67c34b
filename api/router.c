#include "api/router.h"

#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "server/base/limits.h"

static const struct route routes[] = {
#define ROUTE(method, pattern, handler, body, watch, params)                                       \
    {METHOD_##method, pattern, handle_##handler, body, WATCH_##watch, params},
#include "api/routes.def"
#undef ROUTE
};

const struct route *router_row(size_t row)
{
    return row < ARRAY_LENGTH(routes) ? &routes[row] : NULL;
}

/* Whether the path has the pattern's form; then *ret_var and *ret_len are the variable's, if any.
 */
static bool path_matches(const char *pattern, const char *path, size_t *ret_var, size_t *ret_len)
{
    const char *p = pattern, *at = path;
    *ret_len = 0;
    while (*p != '\0') {
        if (*p == '{') {
            *ret_var = (size_t)(at - path);
            *ret_len = strcspn(at, "/");
            if (*ret_len == 0) {
                return false;
            }
            at += *ret_len;
            p += strcspn(p, "}") + 1;
        } else if (*p++ != *at++) {
            return false;
        }
    }
    return *at == '\0';
}

static bool take_param(struct request *request, const char *pattern, size_t at, size_t len,
                       struct fault *fault)
{
    char *param = request->path + at;
    param[len] = '\0';
    const char *brace = strchr(pattern, '{');
    const char *name = strncmp(brace, "{id}", 4) == 0 ? "id" : "name";
    if (!request_unescape(param, false)) {
        fault_set(fault, name, "must be printable UTF-8 in valid %%XX form");
        return false;
    }
    if (strlen(param) > NAME_BYTES_MAX) {
        fault_set(fault, name, "must be at most %d bytes", NAME_BYTES_MAX);
        return false;
    }
    request->param = param;
    return true;
}

static void allow_method(char *allow, enum method method)
{
    static const char *const names[] = {[METHOD_GET] = "GET, HEAD",
                                        [METHOD_POST] = "POST",
                                        [METHOD_PUT] = "PUT",
                                        [METHOD_DELETE] = "DELETE"};
    size_t len = strlen(allow);
    (void)snprintf(allow + len, ROUTER_ALLOW_SIZE - len, "%s%s", len > 0 ? ", " : "",
                   names[method]);
}

enum route_result router_find(struct request *request, const struct route **ret_route,
                              char ret_allow[ROUTER_ALLOW_SIZE], struct fault *fault)
{
    enum method method = request->method == METHOD_HEAD ? METHOD_GET : request->method;
    unsigned allowed = 0; /* a bit for each method seen */
    ret_allow[0] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        const struct route *route = &routes[i];
        size_t at, len;
        if (!path_matches(route->pattern, request->path, &at, &len)) {
            continue;
        }
        if (route->method == method) {
            if (len > 0 && !take_param(request, route->pattern, at, len, fault)) {
                return ROUTE_BAD_PARAM;
            }
            *ret_route = route;
            return ROUTE_FOUND;
        }
        if ((allowed & 1u << route->method) == 0) {
            allowed |= 1u << route->method;
            allow_method(ret_allow, route->method);
        }
    }
    return ret_allow[0] != '\0' ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}

/* The place of a parameter in the route's list; NULL when it is not there. */
static const char *find_param(const char *params, const char *name, size_t *ret_len)
{
    while (*params != '\0') {
        size_t len = strcspn(params, " ");
        bool star = len > 0 && params[len - 1] == '*';
        size_t fixed = star ? len - 1 : len;
        bool prefix = star && fixed > 0 && params[fixed - 1] == '.';
        if (fixed > 0 && strncmp(params, name, fixed) == 0 &&
            (prefix ? name[fixed] != '\0' : name[fixed] == '\0')) {
            *ret_len = len;
            return params;
        }
        params += len + (params[len] == ' ');
    }
    return NULL;
}

bool router_check_params(const struct route *route, const struct request *request,
                         struct fault *fault)
{
    for (size_t i = 0; i < request->query_count; i++) {
        const char *name = request->query[i].name;
        size_t len;
        const char *found = find_param(route->params, name, &len);
        if (found == NULL) {
            fault_set_named(fault, name, "is not a query parameter of this call");
            return false;
        }
        for (size_t j = 0; found[len - 1] != '*' && j < i; j++) {
            if (strcmp(request->query[j].name, name) == 0) {
                fault_set(fault, name, "can be given only once");
                return false;
            }
        }
    }
    return true;
}

bool router_is_for_operators(const struct route *route)
{
    static const char *const prefixes[] = {"/health", "/metrics", "/cluster"};
    for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
        if (route->method == METHOD_GET &&
            strncmp(route->pattern, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}
