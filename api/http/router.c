#include "api/http/router.h"

#include <stdio.h>
#include <string.h>

#include "server/base/limits.h"

/* Where the values of a pattern's {variables} are in a path. */
struct found {
    size_t count;
    struct {
        const char *name; /* in the pattern, up to the brace */
        size_t at, len;
    } values[REQUEST_PARAMS_MAX];
};

/* Whether the path has the pattern's form. */
static bool path_matches(const char *pattern, const char *path, struct found *found)
{
    const char *p = pattern, *at = path;
    found->count = 0;
    while (*p != '\0') {
        if (*p == '{') {
            const char *end = p + strcspn(p, "}");
            size_t len = end[-1] == '*' ? strlen(at) : strcspn(at, "/");
            if (len == 0) {
                return false;
            }
            found->values[found->count].name = p + 1;
            found->values[found->count].at = (size_t)(at - path);
            found->values[found->count++].len = len;
            at += len;
            p = end + 1;
        } else if (*p++ != *at++) {
            return false;
        }
    }
    return *at == '\0';
}

static bool take_params(struct request *request, const struct found *found, struct problem *problem)
{
    for (size_t i = 0; i < found->count; i++) {
        char name[32];
        char *param = request->path + found->values[i].at;
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(found->values[i].name, "*}"),
                       found->values[i].name);
        param[found->values[i].len] = '\0';
        if (!request_unescape(param, false)) {
            problem_set(problem, name, "must be printable UTF-8 in valid %%XX form");
            return false;
        }
        if (strlen(param) > NAME_BYTES_MAX) {
            problem_set(problem, name, "must be at most %d bytes", NAME_BYTES_MAX);
            return false;
        }
        request->params[i] = param;
    }
    return true;
}

void router_allow(unsigned methods, char out[ROUTER_ALLOW_SIZE])
{
    static const char *const names[] = {[METHOD_GET] = "GET, HEAD",
                                        [METHOD_POST] = "POST",
                                        [METHOD_PUT] = "PUT",
                                        [METHOD_DELETE] = "DELETE"};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if ((methods & 1u << i) != 0 && names[i] != NULL) {
            len += (size_t)snprintf(out + len, ROUTER_ALLOW_SIZE - len, "%s, ", names[i]);
        }
    }
    (void)snprintf(out + len, ROUTER_ALLOW_SIZE - len, "OPTIONS");
}

void router_answer_methods(struct response *response, enum method method, unsigned methods,
                           int options_status)
{
    char allow[ROUTER_ALLOW_SIZE];
    router_allow(methods, allow);
    if (method == METHOD_OPTIONS) {
        response->status = options_status != 0 ? options_status : 204;
        response->content_type = NULL;
    } else {
        response_error(response, 405, "method_not_allowed", "",
                       "use one of the methods in the Allow header");
    }
    response_header(response, "Allow", allow);
}

static bool takes_rest(const char *pattern)
{
    return strchr(pattern, '*') != NULL;
}

enum route_result router_find(const struct site *site, struct request *request,
                              const struct route **ret_route, unsigned *methods,
                              struct problem *problem)
{
    enum method method = request->method == METHOD_HEAD ? METHOD_GET : request->method;
    enum route_result result = ROUTE_NO_PATH;
    bool is_whole = false; /* the path is one of its own */
    for (size_t i = 0; i < site->count; i++) {
        const struct route *route = &site->routes[i];
        struct found found;
        if (!path_matches(route->pattern, request->path, &found) ||
            (is_whole && takes_rest(route->pattern))) {
            continue; /* a path that another pattern has is not the rest of one */
        }
        if (route->method == method) {
            if (!take_params(request, &found, problem)) {
                return ROUTE_BAD_PARAM;
            }
            *ret_route = route;
            return ROUTE_FOUND;
        }
        *methods |= 1u << route->method;
        is_whole = is_whole || !takes_rest(route->pattern);
        result = ROUTE_NO_METHOD;
    }
    return result;
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
                         struct problem *problem)
{
    for (size_t i = 0; i < request->query_count; i++) {
        const char *name = request->query[i].name;
        size_t len;
        const char *found = find_param(route->params, name, &len);
        if (found == NULL) {
            problem_set_named(problem, name, "is not a query parameter of this call");
            return false;
        }
        for (size_t j = 0; found[len - 1] != '*' && j < i; j++) {
            if (strcmp(request->query[j].name, name) == 0) {
                problem_set(problem, name, "can be given only once");
                return false;
            }
        }
    }
    return true;
}
