/* Parsing a request: target, escapes, query, headers, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "api/core/client_address.h"
#include "api/http/request.h"

static struct problem problem;

static bool parse(struct request *request, const char *target)
{
    request_init(request);
    return request_parse_target(request, target, &problem);
}

static void path_and_query_are_taken_apart(void **state)
{
    (void)state;
    struct request r;
    assert_true(parse(&r, "/services/a%2Fb?tag=x&tag=y+z&&empty&meta.k=a%3Db%26"));
    assert_string_equal(r.path, "/services/a%2Fb");
    assert_int_equal(r.query_count, 4);
    assert_string_equal(request_query(&r, "tag"), "x");
    assert_string_equal(r.query[1].value, "y z");
    assert_string_equal(request_query(&r, "empty"), "");
    assert_string_equal(request_query(&r, "meta.k"), "a=b&");
    assert_null(request_query(&r, "other"));
    request_done(&r);
}

static void a_path_has_one_spelling(void **state)
{
    static const struct {
        const char *target, *path;
    } rows[] = {{"//register", "/register"},
                {"/register/", "/register"},
                {"/instances//a/", "/instances/a"},
                {"/", "/"},
                {"//", "/"},
                {"/%72egister", "/register"},
                {"/a%2Db%7E%2ec%5f", "/a-b~.c_"},
                {"/a%2Fb%2f", "/a%2Fb%2f"},
                {"/a%25%41", "/a%25A"},
                {"/a%2", "/a%2"},
                {"/%", "/%"},
                {"/%00", "/%00"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request r;
        assert_true(parse(&r, rows[i].target));
        assert_string_equal(r.path, rows[i].path);
        request_done(&r);
    }
}

static void target_without_query_has_no_pairs(void **state)
{
    (void)state;
    struct request r;
    assert_true(parse(&r, "/"));
    assert_int_equal(r.query_count, 0);
    request_done(&r);
    assert_true(parse(&r, "/?"));
    assert_int_equal(r.query_count, 0);
    request_done(&r);
}

static void bad_escapes_and_text_in_the_query_are_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {"/?a=%",      "/?a=%2",   "/?a=%zz",       "/?a=%00",
                                          "/?a=%0a",    "/?a=\x01", "/?a=%ff",       "/?a=%c3",
                                          "/?a=%c0%80", "/?%00=1",  "/?a=%ed%a0%80", "/?a=%7f",
                                          "/?a=%c2%80", "/?a=% 1",  "/?a=b&c=%f8%80"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct request r;
        assert_false(parse(&r, targets[i]));
        request_done(&r);
    }
}

static void fault_names_the_parameter(void **state)
{
    (void)state;
    struct request r;
    assert_false(parse(&r, "/?zone=%ff"));
    assert_string_equal(problem.field, "zone");
    request_done(&r);
}

static void query_pairs_are_bounded(void **state)
{
    (void)state;
    char target[8 + 2 * (QUERY_PAIRS_MAX + 1)] = "/?";
    struct request r;
    for (unsigned i = 0; i < QUERY_PAIRS_MAX; i++) {
        memcpy(target + 2 + 2 * (size_t)i, "a&", 3);
    }
    assert_true(parse(&r, target));
    assert_int_equal(r.query_count, QUERY_PAIRS_MAX);
    request_done(&r);
    target[strlen(target)] = 'a'; /* zeros follow */
    assert_false(parse(&r, target));
    request_done(&r);
}

static void plus_is_a_space_in_queries_only(void **state)
{
    (void)state;
    char path[] = "a+b%2b", query[] = "a+b%2B";
    assert_true(request_unescape(path, false));
    assert_string_equal(path, "a+b+");
    assert_true(request_unescape(query, true));
    assert_string_equal(query, "a b+");
}

static void numbers_in_the_query_are_strict(void **state)
{
    (void)state;
    struct request r;
    uint64_t value = 7;
    assert_true(parse(&r, "/?a=18446744073709551615&b=-1&c=1x&d="));
    assert_true(request_query_u64(&r, "a", &value, &problem));
    assert_true(value == UINT64_MAX);
    assert_false(request_query_u64(&r, "b", &value, &problem));
    assert_false(request_query_u64(&r, "c", &value, &problem));
    assert_false(request_query_u64(&r, "d", &value, &problem));
    assert_string_equal(problem.field, "d");
    value = 7;
    assert_true(request_query_u64(&r, "none", &value, &problem));
    assert_int_equal(value, 7);
    request_done(&r);
}

/* Every header has this value. */
static const char *same_for_all(const void *value, const char *name)
{
    (void)name;
    return value;
}

static void set_headers(struct request *r, const char *value)
{
    r->find_header = same_for_all;
    r->transport = value;
}

static void json_and_curls_default_are_json_types(void **state)
{
    (void)state;
    struct request r;
    request_init(&r);
    assert_true(request_has_json_type(&r));
    static const char *const good[] = {"application/json", "Application/JSON; charset=utf-8",
                                       "application/json;charset=utf-8",
                                       "application/x-www-form-urlencoded"};
    static const char *const bad[] = {"text/xml", "multipart/form-data; boundary=x",
                                      "application/jsonx", "application/jso", ""};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        set_headers(&r, good[i]);
        assert_true(request_has_json_type(&r));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        set_headers(&r, bad[i]);
        assert_false(request_has_json_type(&r));
    }
}

static void html_is_for_those_who_prefer_it(void **state)
{
    (void)state;
    struct request r;
    request_init(&r);
    assert_false(request_wants_html(&r));
    set_headers(&r, "*/*");
    assert_false(request_wants_html(&r));
    set_headers(&r, "text/html,application/xhtml+xml,*/*;q=0.8");
    assert_true(request_wants_html(&r));
    set_headers(&r, "application/json, text/html");
    assert_false(request_wants_html(&r));
    set_headers(&r, "Text/Event-Stream");
    assert_true(request_wants_stream(&r));
}

static void methods_are_case_sensitive(void **state)
{
    (void)state;
    assert_int_equal(request_method("GET"), METHOD_GET);
    assert_int_equal(request_method("DELETE"), METHOD_DELETE);
    assert_int_equal(request_method("get"), METHOD_OTHER);
    assert_int_equal(request_method("PATCH"), METHOD_OTHER);
}

static void assert_peer6(const char *address, const char *expected)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    client_address_text((const struct sockaddr *)&v6, text);
    assert_string_equal(text, expected);
}

static void mapped_addresses_are_shown_as_ipv4(void **state)
{
    (void)state;
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    assert_int_equal(inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr), 1);
    client_address_text((const struct sockaddr *)&v4, text);
    assert_string_equal(text, "10.1.2.3");
    assert_peer6("::ffff:10.1.2.3", "10.1.2.3");
    assert_peer6("2001:db8::1", "2001:db8::1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_and_query_are_taken_apart),
        cmocka_unit_test(a_path_has_one_spelling),
        cmocka_unit_test(target_without_query_has_no_pairs),
        cmocka_unit_test(bad_escapes_and_text_in_the_query_are_refused),
        cmocka_unit_test(fault_names_the_parameter),
        cmocka_unit_test(query_pairs_are_bounded),
        cmocka_unit_test(plus_is_a_space_in_queries_only),
        cmocka_unit_test(numbers_in_the_query_are_strict),
        cmocka_unit_test(json_and_curls_default_are_json_types),
        cmocka_unit_test(html_is_for_those_who_prefer_it),
        cmocka_unit_test(methods_are_case_sensitive),
        cmocka_unit_test(mapped_addresses_are_shown_as_ipv4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
