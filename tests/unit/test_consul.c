/* Small parts of the API of Consul: durations as Go writes them, keys and definitions of
 * checks, filters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/consul/body.h"
#include "api/consul/expression.h"
#include "api/consul/identity.h"
#include "api/consul/keep.h"
#include "api/consul/query.h"
#include "api/core/check_kept.h"
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

/* --- definitions of checks --- */

static struct problem problem;

/* What is kept of a check, as clients of Consul define it; NULL: it is refused. */
static struct check_definition *define(const char *members)
{
    struct enrolment e = {.json = json_loads(members, 0, NULL)};
    struct check_definition *d = NULL;
    assert_non_null(e.json);
    memset(&problem, 0, sizeof problem);
    if (body_check(&e, e.json, "c", "c", slice_of("web-1"), true, &problem)) {
        d = check_kept_load(e.checks[0].extra.data);
        assert_int_equal(e.checks[0].active, d != NULL);
        assert_true(d == NULL || e.checks[0].ttl_ms == 0);
    } else {
        assert_true(problem.message[0] != '\0');
    }
    enrolment_done(&e);
    return d;
}

static void checks_are_kept_in_the_words_of_all_doors(void **state)
{
    (void)state;
    struct check_definition *d =
        define("{\"http\": \"https://10.0.0.5:8443/h\", \"interval\": \"90s\", \"TIMEOUT\": \"3s\","
               "\"Method\": \"HEAD\", \"Header\": {\"X-A\": [\"1\", \"2\"]}, \"Body\": \"b\","
               "\"tls_skip_verify\": true, \"TLSServerName\": \"web\", \"DisableRedirects\": true,"
               "\"SuccessBeforePassing\": 3, \"FailuresBeforeWarning\": 2,"
               "\"FailuresBeforeCritical\": 5}");
    assert_non_null(d);
    assert_int_equal(d->kind, CHECK_HTTP);
    assert_int_equal(d->interval_ms, 90000);
    assert_int_equal(d->timeout_ms, 3000);
    assert_string_equal(d->method, "HEAD");
    assert_int_equal(d->headers_count, 2);
    assert_string_equal(d->headers[1].value, "2");
    assert_true(d->skip_verify && d->disable_redirects && d->tls);
    assert_int_equal(d->rise, 3);
    assert_int_equal(d->warn, 2);
    assert_int_equal(d->fall, 5);
    free(d);
    d = define("{\"GRPC\": \"10.0.0.5:1/s\", \"Interval\": \"10s\", \"GRPCUseTLS\": true, "
               "\"Method\": \"HEAD\"}");
    assert_true(d->kind == CHECK_GRPC && d->tls);
    assert_string_equal(d->service, "s");
    free(d);
}

/* Real clients rely on these. */
static void what_is_out_of_range_is_moved_into_it(void **state)
{
    (void)state;
    struct check_definition *d = define("{\"TCP\": \"10.0.0.5:1\", \"Interval\": \"1ms\", "
                                        "\"Timeout\": \"5m\", \"SuccessBeforePassing\": 0}");
    assert_int_equal(d->interval_ms, 1000);
    assert_int_equal(d->timeout_ms, 1000);
    assert_true(d->rise == 1 && d->warn == 1 && d->fall == 1);
    free(d);
    d = define("{\"TCP\": \"10.0.0.5:1\", \"Interval\": \"5m\", \"FailuresBeforeCritical\": 4}");
    assert_int_equal(d->timeout_ms, 10000);
    assert_int_equal(d->warn, 4);
    free(d);
}

static void what_is_not_run_is_refused(void **state)
{
    static const char *const bad[] = {
        "{\"HTTP\": \"http://10.0.0.5/\"}",
        "{\"HTTP\": \"10.0.0.5\", \"Interval\": \"10s\"}",
        "{\"HTTP\": \"http://10.0.0.5/\", \"Interval\": \"10s\", \"TTL\": \"10s\"}",
        "{\"HTTP\": \"http://10.0.0.5/\", \"Interval\": \"10s\", \"Header\": {\"A\": 1}}",
        "{\"HTTP\": \"http://10.0.0.5/\", \"Interval\": \"10s\", \"TLSSkipVerify\": 1}",
        "{\"TCP\": \"10.0.0.5\", \"Interval\": \"10s\"}",
        "{\"TCP\": \"a:1\", \"Interval\": \"10s\", \"FailuresBeforeCritical\": 101}",
        "{\"TCP\": \"a:1\", \"Interval\": \"10s\", \"FailuresBeforeCritical\": -1}",
        "{\"TCP\": \"a:1\", \"Interval\": \"10s\", \"FailuresBeforeWarning\": 2}",
        "{\"Args\": [\"true\"], \"Interval\": \"10s\"}",
        "{\"Script\": \"true\", \"Interval\": \"10s\"}",
        "{\"DockerContainerID\": \"x\", \"Shell\": \"sh\", \"Args\": [\"true\"]}",
        "{\"UDP\": \"10.0.0.5:1\", \"Interval\": \"10s\"}",
        "{\"H2PING\": \"10.0.0.5:1\", \"Interval\": \"10s\"}",
        "{\"AliasService\": \"db\"}",
        "{\"AliasNode\": \"db\"}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (define(bad[i]) != NULL || problem.message[0] == '\0') {
            fail_msg("%s", bad[i]);
        }
    }
    (void)define("{\"Args\": [\"true\"], \"Interval\": \"10s\"}");
    assert_non_null(strstr(problem.message, "Scripts are disabled on this agent"));
    assert_null(define("{\"TTL\": \"10s\"}")); /* it is one, and not run */
    assert_string_equal(problem.message, "");
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
        cmocka_unit_test(checks_are_kept_in_the_words_of_all_doors),
        cmocka_unit_test(what_is_out_of_range_is_moved_into_it),
        cmocka_unit_test(what_is_not_run_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
