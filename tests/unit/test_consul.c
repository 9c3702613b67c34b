/* Small parts of the API of Consul: durations as Go writes them, keys of checks, filters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/consul/expression.h"
#include "api/consul/identity.h"
#include "api/consul/keep.h"
#include "api/consul/query.h"
#include "server/base/compiler.h"

#define MS 1000000ull

static void durations_are_those_of_go(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"120000ms", 120000 * MS},
                {"2s", 2000 * MS},
                {"5m", 300000 * MS},
                {"1h30m", 5400000 * MS},
                {"1.5s", 1500 * MS},
                {"0", 0},
                {"1us", 1000},
                {"2ns", 2},
                {"1h0m0.5s", 3600500 * MS},
                {"+3s", 3000 * MS},
                {".5s", 500 * MS}};
    static const char *const bad[] = {"",       "5",   "s",    "junk", "1x",
                                      "1.2.3s", "1 s", "--1s", "1s2",  "99999999999999h"};
    uint64_t ns;
    bool negative;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(query_parse_duration(good[i].text, &ns, &negative));
        assert_int_equal(ns, good[i].ns);
        assert_false(negative);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(query_parse_duration(bad[i], &ns, &negative));
    }
    assert_true(query_parse_duration("-1s", &ns, &negative));
    assert_true(negative && ns == 0);
}

/* A check's id comes back from its key. */
static void keys_of_checks_are_short_and_come_back(void **state)
{
    static const struct {
        const char *id, *service, *key;
    } rows[] = {{"service:web-1", "web-1", ":"},
                {"service:web-1:2", "web-1", ":2"},
                {"service:web-10", "web-1", "=service:web-10"},
                {"mine", "web-1", "=mine"},
                {"service:", "", "=service:"},
                {"service:a:b", "a:b", ":"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buffer key, id;
        const struct slice service = {rows[i].service, strlen(rows[i].service)};
        buffer_init(&key, 600);
        buffer_init(&id, 600);
        identity_check_key(rows[i].id, service, &key);
        buffer_append(&key, "", 1);
        assert_string_equal((const char *)key.data, rows[i].key);
        identity_check_id((const char *)key.data, service, &id);
        buffer_append(&id, "", 1);
        assert_string_equal((const char *)id.data, rows[i].id);
        buffer_done(&key);
        buffer_done(&id);
    }
}

static void an_agent_is_told_by_its_whole_name(void **state)
{
    (void)state;
    assert_true(keep_is_of("{\"o\":\"10.0.0.1\",\"a\":\"\"}", "10.0.0.1"));
    assert_false(keep_is_of("{\"o\":\"10.0.0.11\"}", "10.0.0.1"));
    assert_false(keep_is_of("{\"o\":\"10.0.0.1\"}", "10.0.0.11"));
    assert_false(keep_is_of("", "10.0.0.1"));
}

static void a_uuid_is_that_of_its_node(void **state)
{
    char a[UUID_SIZE], b[UUID_SIZE], other[UUID_SIZE];
    (void)state;
    identity_uuid("10.0.0.1", a);
    identity_uuid("10.0.0.1", b);
    identity_uuid("10.0.0.2", other);
    assert_string_equal(a, b);
    assert_string_not_equal(a, other);
    assert_int_equal(strlen(a), UUID_SIZE - 1);
}

/* No expression is too deep or too long for it. */
static void a_filter_is_bounded(void **state)
{
    static char text[3 * EXPRESSION_BYTES_MAX];
    struct problem problem;
    (void)state;
    const char *const rows[] = {"not ", "(", "ID == a and "};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        for (size_t most = EXPRESSION_BYTES_MAX - 20; most < sizeof text; most *= 2) {
            size_t len = 0;
            while (len + strlen(rows[i]) + 8 < most) {
                len += (size_t)snprintf(text + len, sizeof text - len, "%s", rows[i]);
            }
            (void)snprintf(text + len, sizeof text - len, "ID == a");
            assert_null(expression_compile(text, SELECTORS_AGENT, &problem));
            assert_true(problem.message[0] != '\0');
        }
    }
    struct expression *e = expression_compile("not not ((ID == a))", SELECTORS_AGENT, &problem);
    assert_non_null(e);
    expression_free(e);
}

/* "and" binds more than "or", and "not" more than both. */
static void a_filter_is_read_as_it_is_written(void **state)
{
    static const struct {
        const char *text;
        enum match match;
    } rows[] = {{"ID == a", MATCH_YES},
                {"ID == b and ID == b or ID == a", MATCH_YES},
                {"ID == a or ID == b and ID == b", MATCH_YES},
                {"(ID == a or ID == b) and ID == b", MATCH_NO},
                {"not ID == b and ID == a", MATCH_YES},
                {"not (ID == a or ID == b)", MATCH_NO},
                {"\"a\" in ID", MATCH_YES},
                {"x not in Tags", MATCH_YES},
                {"v1 in Tags", MATCH_YES},
                {"Tags is empty", MATCH_NO},
                {"Meta.none == x", MATCH_NO},
                {"Meta.none != x", MATCH_YES},
                {"Meta.none is empty", MATCH_ERROR},
                {"Meta[\"a.b\"] == `\"`", MATCH_YES},
                {"Port == 80", MATCH_YES},
                {"Port != 80", MATCH_NO},
                {"ID matches `^[a-c]$`", MATCH_YES}};
    struct problem problem;
    (void)state;
    json_t *entry = json_loads(
        "{\"ID\":\"a\",\"Tags\":[\"v1\"],\"Port\":80,\"Meta\":{\"a.b\":\"\\\"\"}}", 0, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct expression *e = expression_compile(rows[i].text, SELECTORS_AGENT, &problem);
        assert_non_null(e);
        assert_int_equal(expression_match(e, entry), rows[i].match);
        expression_free(e);
    }
    json_decref(entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_those_of_go),
        cmocka_unit_test(keys_of_checks_are_short_and_come_back),
        cmocka_unit_test(an_agent_is_told_by_its_whole_name),
        cmocka_unit_test(a_uuid_is_that_of_its_node),
        cmocka_unit_test(a_filter_is_bounded),
        cmocka_unit_test(a_filter_is_read_as_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
