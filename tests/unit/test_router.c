/* The table of routes: what is found, what is not, and which parameters a call takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/router.h"
#include "api/native/handlers.h"
#include "api/tbfs/handlers.h"
#include "server/base/limits.h"

extern const struct site native_site, tbfs_site;

static struct request request;
static struct problem problem;
static const struct route *route;
static unsigned methods;

static enum route_result find_in(const struct site *site, enum method method, const char *target)
{
    request_done(&request);
    request.method = method;
    route = NULL;
    assert_true(request_parse_target(&request, target, &problem));
    methods = 0;
    return router_find(site, &request, &route, &methods, &problem);
}

static enum route_result find(enum method method, const char *target)
{
    return find_in(&native_site, method, target);
}

static void assert_allowed(const char *expected)
{
    char allow[ROUTER_ALLOW_SIZE];
    router_allow(methods, allow);
    assert_string_equal(allow, expected);
}

static void every_row_is_found_by_its_own_pattern(void **state)
{
    (void)state;
    for (const struct site *const *site = http_sites; *site != NULL; site++) {
        for (size_t i = 0; i < (*site)->count; i++) {
            const struct route *row = &(*site)->routes[i];
            assert_int_equal(find_in(*site, row->method, row->pattern), ROUTE_FOUND);
            assert_ptr_equal(route, row);
        }
    }
}

/* The exchange reads the namespace and the parameters of blocking queries. */
static bool is_of_waiting(const char *name, size_t len)
{
    static const char *const names[] = {"ns", "consistency", "min_index", "index", "wait"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
            return true;
        }
    }
    return false;
}

static void what_waits_and_has_parameters_checks_them_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < native_site.count; i++) {
        const struct route *row = &native_site.routes[i];
        for (const char *at = row->params; *at != '\0';) {
            size_t len = strcspn(at, " ");
            if (row->watch != WATCH_NONE && row->check == NULL && !is_of_waiting(at, len)) {
                fail_msg("%s has %.*s and no check", row->pattern, (int)len, at);
            }
            at += len + strspn(at + len, " ");
        }
    }
}

/* The body is read before it is known which site handles it. */
static void sites_that_share_a_route_take_bodies_of_the_same_length(void **state)
{
    (void)state;
    size_t shared = 0;
    for (const struct site *const *site = http_sites; *site != NULL; site++) {
        for (size_t i = 0; i < (*site)->count; i++) {
            const struct route *row = &(*site)->routes[i];
            for (const struct site *const *other = site + 1; *other != NULL; other++) {
                if (find_in(*other, row->method, row->pattern) == ROUTE_FOUND) {
                    assert_int_equal(row->body_limit, route->body_limit);
                    shared++;
                }
            }
        }
    }
    assert_true(shared >= 2);
}

static void head_goes_where_get_goes(void **state)
{
    (void)state;
    assert_int_equal(find(METHOD_HEAD, "/services"), ROUTE_FOUND);
    assert_ptr_equal(route->handle, handle_services);
    assert_int_equal(find(METHOD_HEAD, "/register"), ROUTE_NO_METHOD);
}

static void variable_is_decoded_after_the_path_is_split(void **state)
{
    (void)state;
    assert_int_equal(find(METHOD_GET, "/services/a%2Fdiscover%20%C3%A9"), ROUTE_FOUND);
    assert_ptr_equal(route->handle, handle_service);
    assert_string_equal(request.params[0], "a/discover \xc3\xa9");
    assert_int_equal(find(METHOD_GET, "/services/a+b/discover"), ROUTE_FOUND);
    assert_ptr_equal(route->handle, handle_discover);
    assert_string_equal(request.params[0], "a+b");
}

static void fixed_path_beats_variable(void **state)
{
    (void)state;
    assert_int_equal(find_in(&tbfs_site, METHOD_GET, "/servers/active"), ROUTE_FOUND);
    assert_ptr_equal(route->handle, tbfs_list_active);
    assert_int_equal(find_in(&tbfs_site, METHOD_DELETE, "/servers/active"), ROUTE_FOUND);
    assert_ptr_equal(route->handle, tbfs_deregister);
}

static void unknown_paths_are_not_found(void **state)
{
    (void)state;
    static const char *const paths[] = {"/nope",     "/services/a/b", "/nope//",
                                        "/Services", "/v1/agent",     ""};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(find(METHOD_GET, paths[i]), ROUTE_NO_PATH);
    }
}

static void wrong_method_lists_those_allowed(void **state)
{
    (void)state;
    assert_int_equal(find(METHOD_GET, "/register"), ROUTE_NO_METHOD);
    assert_allowed("POST, OPTIONS");
    assert_int_equal(find(METHOD_OTHER, "/instances/a"), ROUTE_NO_METHOD);
    assert_allowed("GET, HEAD, DELETE, OPTIONS");
    assert_int_equal(find_in(&tbfs_site, METHOD_POST, "/servers/active"), ROUTE_NO_METHOD);
    assert_allowed("GET, HEAD, DELETE, OPTIONS");
    assert_int_equal(find(METHOD_POST, "/instances/a/maintenance"), ROUTE_NO_METHOD);
    assert_allowed("PUT, OPTIONS");
}

static void bad_variables_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const paths[] = {"/instances/%00", "/instances/%", "/instances/%ff",
                                        "/instances/%0d%0a"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(find(METHOD_GET, paths[i]), ROUTE_BAD_PARAM);
        assert_string_equal(problem.field, "id");
    }
    assert_int_equal(find(METHOD_GET, "/services/%zz"), ROUTE_BAD_PARAM);
    assert_string_equal(problem.field, "name");
}

static void variable_length_is_limited(void **state)
{
    (void)state;
    char path[NAME_BYTES_MAX + 32];
    (void)snprintf(path, sizeof path, "/instances/%0*d", NAME_BYTES_MAX, 0);
    assert_int_equal(find(METHOD_GET, path), ROUTE_FOUND);
    (void)snprintf(path, sizeof path, "/instances/%0*d", NAME_BYTES_MAX + 1, 0);
    assert_int_equal(find(METHOD_GET, path), ROUTE_BAD_PARAM);
}

static bool check(const char *target)
{
    assert_int_equal(find(METHOD_GET, target), ROUTE_FOUND);
    return router_check_params(route, &request, &problem);
}

static void unknown_parameters_are_refused_by_name(void **state)
{
    (void)state;
    assert_true(check("/services/web?consistency=stale&index=1&wait=1s&min_index=2&limit=1"));
    assert_false(check("/services/web?colour=red"));
    assert_string_equal(problem.field, "colour");
    assert_false(check("/services/web?strategy=first"));
    assert_true(check("/services/web/discover?strategy=first&near=eu"));
    assert_false(check("/services/web?meta."));
    assert_false(check("/services/web?meta"));
    assert_false(check("/services/web?tags=a"));
    assert_false(check("/services/web?ta=a"));
    assert_false(check("/services/web?tag*=a"));
    assert_false(check("/services/web?=a"));
    assert_false(check("/health?x"));
}

static void only_some_parameters_may_be_repeated(void **state)
{
    (void)state;
    assert_true(check("/services/web?tag=a&tag=b&health=passing&health=warning&meta.k=1&meta.k=2"));
    assert_false(check("/services/web?zone=a&zone=b"));
    assert_string_equal(problem.field, "zone");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_own_pattern),
        cmocka_unit_test(what_waits_and_has_parameters_checks_them_first),
        cmocka_unit_test(sites_that_share_a_route_take_bodies_of_the_same_length),
        cmocka_unit_test(head_goes_where_get_goes),
        cmocka_unit_test(variable_is_decoded_after_the_path_is_split),
        cmocka_unit_test(fixed_path_beats_variable),
        cmocka_unit_test(unknown_paths_are_not_found),
        cmocka_unit_test(wrong_method_lists_those_allowed),
        cmocka_unit_test(bad_variables_are_refused_by_name),
        cmocka_unit_test(variable_length_is_limited),
        cmocka_unit_test(unknown_parameters_are_refused_by_name),
        cmocka_unit_test(only_some_parameters_may_be_repeated),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    request_done(&request);
    return failed;
}
