/* Definitions of checks: what is taken apart, each limit just met and just exceeded, defaults, and
 * the way through what is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/core/check_kept.h"
#include "server/base/compiler.h"

static struct check_definition d;
static struct problem problem;
static json_t *json;

static bool parse(const char *text)
{
    json_decref(json);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    memset(&problem, 0, sizeof problem);
    return check_definition_parse(json, &d, &problem);
}

/* An HTTP check with more members. */
static bool with(const char *members)
{
    char text[8192];
    int len = snprintf(text, sizeof text, "{\"http\": \"http://10.0.0.5/\", %s}", members);
    assert_true(len < (int)sizeof text);
    return parse(text);
}

static void assert_refused(bool good, const char *field)
{
    assert_false(good);
    assert_string_equal(problem.field, field);
    assert_true(problem.message[0] != '\0');
}

struct target {
    enum check_kind kind;
    const char *text;
    const char *host; /* NULL: it is refused */
    uint16_t port;
    const char *rest; /* path or service */
    bool tls;
};

static const struct target targets[] = {
    {CHECK_HTTP, "http://10.0.0.5", "10.0.0.5", 80, "/", false},
    {CHECK_HTTP, "http://10.0.0.5:8080", "10.0.0.5", 8080, "/", false},
    {CHECK_HTTP, "https://web.example/", "web.example", 443, "/", true},
    {CHECK_HTTP, "HTTPS://web.example:8443/a/b?c=d&e", "web.example", 8443, "/a/b?c=d&e", true},
    {CHECK_HTTP, "http://[2001:db8::7]/x", "2001:db8::7", 80, "/x", false},
    {CHECK_HTTP, "http://[::1]:65535/x", "::1", 65535, "/x", false},
    {CHECK_HTTP, "http://localhost/a:b@c", "localhost", 80, "/a:b@c", false},
    {CHECK_HTTP, "", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://", NULL, 0, NULL, false},
    {CHECK_HTTP, "http:///health", NULL, 0, NULL, false},
    {CHECK_HTTP, "ftp://10.0.0.5/", NULL, 0, NULL, false},
    {CHECK_HTTP, "10.0.0.5:8080", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5:0/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5:65536/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5:/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://user:secret@10.0.0.5/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5?x", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5#x", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5/#x", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://0.0.0.0/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://2001:db8::7/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://[web]/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://[web]:80/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://[::1/", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://[", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://[]", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://]", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5/a b", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5/a\\r\\nX: y", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5/\\u00e4", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://10.0.0.5/\\u007f", NULL, 0, NULL, false},
    {CHECK_HTTP, "http://127.1/", NULL, 0, NULL, false},
    {CHECK_TCP, "10.0.0.5:6379", "10.0.0.5", 6379, "", false},
    {CHECK_TCP, "[2001:db8::7]:22", "2001:db8::7", 22, "", false},
    {CHECK_TCP, "db.example:5432", "db.example", 5432, "", false},
    {CHECK_TCP, "db.example", NULL, 0, NULL, false},
    {CHECK_TCP, ":5432", NULL, 0, NULL, false},
    {CHECK_TCP, "db.example:5432/x", NULL, 0, NULL, false},
    {CHECK_TCP, "tcp://db.example:5432", NULL, 0, NULL, false},
    {CHECK_TCP, "[db.example]:5432", NULL, 0, NULL, false},
    {CHECK_GRPC, "10.0.0.5:50051", "10.0.0.5", 50051, "", false},
    {CHECK_GRPC, "10.0.0.5:50051/", "10.0.0.5", 50051, "", false},
    {CHECK_GRPC, "[::1]:50051/orders.Orders", "::1", 50051, "orders.Orders", false},
    {CHECK_GRPC, "10.0.0.5/orders.Orders", NULL, 0, NULL, false},
    {CHECK_GRPC, "10.0.0.5:50051/a b", NULL, 0, NULL, false},
};

static void targets_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(targets); i++) {
        const struct target *t = &targets[i];
        char text[512];
        (void)snprintf(text, sizeof text, "{\"%s\": \"%s\"}", check_kind_name(t->kind), t->text);
        bool good = parse(text);
        if (good != (t->host != NULL)) {
            fail_msg("%s: %s", t->text, problem.message);
        }
        if (!good) {
            assert_string_equal(problem.field, check_kind_name(t->kind));
            continue;
        }
        assert_int_equal(d.kind, t->kind);
        assert_string_equal(d.host, t->host);
        assert_int_equal(d.port, t->port);
        assert_string_equal(t->kind == CHECK_HTTP ? d.path : d.service, t->rest);
        assert_int_equal(d.tls, t->tls);
    }
}

static void a_target_has_a_limit(void **state)
{
    char text[CHECK_TARGET_BYTES_MAX + 64], url[CHECK_TARGET_BYTES_MAX + 2];
    (void)state;
    for (size_t len = CHECK_TARGET_BYTES_MAX; len <= CHECK_TARGET_BYTES_MAX + 1; len++) {
        memset(url, 'x', len);
        memcpy(url, "http://web/", 11);
        url[len] = '\0';
        (void)snprintf(text, sizeof text, "{\"http\": \"%s\"}", url);
        assert_int_equal(parse(text), len == CHECK_TARGET_BYTES_MAX);
    }
    assert_refused(false, "http");
}

static void defaults_are_filled_in(void **state)
{
    (void)state;
    assert_true(parse("{\"http\": \"http://web/\"}"));
    assert_int_equal(d.interval_ms, 10000);
    assert_int_equal(d.timeout_ms, 10000);
    assert_int_equal(d.rise, 1);
    assert_int_equal(d.fall, 1);
    assert_int_equal(d.warn, 1);
    assert_string_equal(d.method, "GET");
    assert_string_equal(d.body, "");
    assert_string_equal(d.server_name, "");
    assert_false(d.disable_redirects || d.skip_verify);
    assert_int_equal(d.headers_count, 0);
    assert_true(with("\"interval\": \"2s\", \"fall\": 4"));
    assert_int_equal(d.timeout_ms, 2000);
    assert_int_equal(d.warn, 4);
    assert_true(with("\"interval\": \"5m\", \"timeout\": null, \"tls\": null, \"headers\": null"));
    assert_int_equal(d.timeout_ms, 10000);
}

static const char *const good[] = {
    "\"interval\": 1",
    "\"interval\": \"1s\", \"timeout\": \"1s\"",
    "\"interval\": \"24h\", \"timeout\": \"60s\"",
    "\"timeout\": 0.01",
    "\"rise\": 100, \"fall\": 100, \"warn\": 100",
    "\"fall\": 3, \"warn\": 1",
    "\"method\": \"HEAD\"",
    "\"method\": \"M-SEARCH\"",
    "\"headers\": {}",
    "\"headers\": {\"Host\": \"shop.example\"}",
    "\"headers\": {\"host\": \"[2001:db8::1]:8080\"}",
    "\"headers\": {\"Accept\": \"text/plain\", \"X-A\": [\"1\", \"2\"], \"x-a\": \"\"}",
    "\"headers\": {\"X\": \"\xc3\xa4 b\"}",
    "\"body\": \"a\\tb\\r\\nc \xe2\x82\xac\"",
    "\"disable_redirects\": true",
    "\"tls\": {}",
    "\"tls\": {\"skip_verify\": true, \"server_name\": \"web.example\"}",
};

static const struct {
    const char *members, *field;
} bad[] = {
    {"\"tcp\": \"10.0.0.5:1\"", "tcp"},
    {"\"grpc\": \"10.0.0.5:1\"", "grpc"},
    {"\"interval\": \"999ms\"", "interval"},
    {"\"interval\": 0", "interval"},
    {"\"interval\": -1", "interval"},
    {"\"interval\": 86401", "interval"},
    {"\"interval\": \"\"", "interval"},
    {"\"interval\": \"soon\"", "interval"},
    {"\"interval\": []", "interval"},
    {"\"timeout\": 0", "timeout"},
    {"\"timeout\": 0.009", "timeout"},
    {"\"timeout\": \"10001ms\"", "timeout"},
    {"\"interval\": \"5m\", \"timeout\": \"60001ms\"", "timeout"},
    {"\"rise\": 0", "rise"},
    {"\"rise\": 101", "rise"},
    {"\"rise\": 1.5", "rise"},
    {"\"fall\": 0", "fall"},
    {"\"fall\": 101", "fall"},
    {"\"fall\": \"1\"", "fall"},
    {"\"warn\": 0", "warn"},
    {"\"fall\": 3, \"warn\": 4", "warn"},
    {"\"method\": \"\"", "method"},
    {"\"method\": \"GET \"", "method"},
    {"\"method\": \"GET\\r\\n\"", "method"},
    {"\"method\": \"CONNECT\"", "method"},
    {"\"method\": \"ABCDEFGHIJKLMNOPQ\"", "method"},
    {"\"method\": 1", "method"},
    {"\"headers\": []", "headers"},
    {"\"headers\": {\"X\": 1}", "headers"},
    {"\"headers\": {\"X\": [1]}", "headers"},
    {"\"headers\": {\"X\": {}}", "headers"},
    {"\"headers\": {\"\": \"1\"}", "headers"},
    {"\"headers\": {\"X Y\": \"1\"}", "headers"},
    {"\"headers\": {\"X:\": \"1\"}", "headers"},
    {"\"headers\": {\":path\": \"1\"}", "headers"},
    {"\"headers\": {\"X\": \"1\\r\\nY: 2\"}", "headers"},
    {"\"headers\": {\"X\": \"1\\u0001\"}", "headers"},
    {"\"headers\": {\"X\": \" 1\"}", "headers"},
    {"\"headers\": {\"X\": \"1 \"}", "headers"},
    {"\"headers\": {\"Host\": [\"a\", \"b\"]}", "headers"},
    {"\"headers\": {\"Host\": \"a\", \"hOST\": \"a\"}", "headers"},
    {"\"headers\": {\"Host\": \"\"}", "headers"},
    {"\"headers\": {\"Host\": \"a, b\"}", "headers"},
    {"\"headers\": {\"Host\": \"a:0\"}", "headers"},
    {"\"headers\": {\"Host\": \"u@a\"}", "headers"},
    {"\"headers\": {\"Host\": \"a/b\"}", "headers"},
    {"\"headers\": {\"Content-Length\": \"1\"}", "headers"},
    {"\"headers\": {\"Transfer-Encoding\": \"chunked\"}", "headers"},
    {"\"headers\": {\"Connection\": \"close\"}", "headers"},
    {"\"headers\": {\"Proxy-Authorization\": \"x\"}", "headers"},
    {"\"body\": \"a\\u0000b\"", "body"},
    {"\"body\": \"a\\u0007\"", "body"},
    {"\"body\": \"a\\u007f\"", "body"},
    {"\"body\": {}", "body"},
    {"\"disable_redirects\": 1", "disable_redirects"},
    {"\"tls\": true", "tls"},
    {"\"tls\": {\"enabled\": true}", "tls.enabled"},
    {"\"tls\": {\"skip_verify\": 1}", "tls.skip_verify"},
    {"\"tls\": {\"server_name\": \"a b\"}", "tls.server_name"},
    {"\"tls\": {\"server_name\": 1}", "tls.server_name"},
    {"\"tls\": {\"verify\": true}", "tls.verify"},
};

static void every_field_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        if (!with(good[i])) {
            fail_msg("%s: %s", good[i], problem.message);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "{\"http\": \"http://10.0.0.5/\", %s}", bad[i].members);
        json_decref(json);
        json = json_loads(text, JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        if (check_definition_parse(json, &d, &problem)) {
            fail_msg("%s is accepted", bad[i].members);
        }
        assert_string_equal(problem.field, bad[i].field);
    }
}

static void each_kind_has_its_own_fields(void **state)
{
    static const char *const of_http[] = {"\"method\": \"GET\"", "\"headers\": {}",
                                          "\"body\": \"\"", "\"disable_redirects\": false"};
    char text[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(of_http); i++) {
        (void)snprintf(text, sizeof text, "{\"tcp\": \"a:1\", %s}", of_http[i]);
        assert_false(parse(text));
        assert_string_equal(problem.message, "goes with http alone");
        (void)snprintf(text, sizeof text, "{\"grpc\": \"a:1\", %s}", of_http[i]);
        assert_false(parse(text));
    }
    assert_refused(parse("{\"tcp\": \"a:1\", \"tls\": {}}"), "tls");
    assert_true(parse("{\"grpc\": \"a:1\", \"tls\": {\"enabled\": true, \"skip_verify\": true}}"));
    assert_true(d.tls && d.skip_verify);
    assert_refused(parse("{\"interval\": 10}"), "");
    assert_refused(parse("{\"http\": null, \"interval\": 10}"), "");
    assert_refused(parse("{\"http\": 5}"), "http");
}

/* `count` headers of a value of `len` bytes. */
static bool with_headers(unsigned count, size_t len)
{
    char value[1024], text[8192];
    int at = snprintf(text, sizeof text, "\"headers\": {\"X\": [");
    memset(value, 'v', len);
    value[len] = '\0';
    for (unsigned i = 0; i < count; i++) {
        at += snprintf(text + at, sizeof text - (size_t)at, "%s\"%s\"", i > 0 ? "," : "", value);
    }
    (void)snprintf(text + at, sizeof text - (size_t)at, "]}");
    return with(text);
}

static void texts_have_limits(void **state)
{
    static char body[CHECK_BODY_BYTES_MAX + 32];
    (void)state;
    assert_true(with_headers(CHECK_HEADERS_MAX, 1));
    assert_refused(with_headers(CHECK_HEADERS_MAX + 1, 1), "headers");
    assert_true(with_headers(1, CHECK_HEADER_BYTES_MAX));
    assert_refused(with_headers(1, CHECK_HEADER_BYTES_MAX + 1), "headers");
    assert_true(with_headers(4, CHECK_HEADERS_BYTES_MAX / 4 - 1));
    assert_refused(with_headers(4, CHECK_HEADERS_BYTES_MAX / 4), "headers");
    for (size_t len = CHECK_BODY_BYTES_MAX; len <= CHECK_BODY_BYTES_MAX + 1; len++) {
        int head = snprintf(body, sizeof body, "\"body\": \"");
        memset(body + head, 'b', len);
        memcpy(body + (size_t)head + len, "\"", 2);
        assert_int_equal(with(body), len == CHECK_BODY_BYTES_MAX);
    }
    assert_refused(false, "body");
}

/* --- what is kept --- */

static void assert_same(const struct check_definition *a, const struct check_definition *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->target, b->target);
    assert_string_equal(a->host, b->host);
    assert_int_equal(a->port, b->port);
    assert_string_equal(a->path, b->path);
    assert_string_equal(a->service, b->service);
    assert_int_equal(a->interval_ms, b->interval_ms);
    assert_int_equal(a->timeout_ms, b->timeout_ms);
    assert_int_equal(a->rise, b->rise);
    assert_int_equal(a->warn, b->warn);
    assert_int_equal(a->fall, b->fall);
    assert_string_equal(a->method, b->method);
    assert_string_equal(a->body, b->body);
    assert_int_equal(a->disable_redirects, b->disable_redirects);
    assert_int_equal(a->tls, b->tls);
    assert_int_equal(a->skip_verify, b->skip_verify);
    assert_string_equal(a->server_name, b->server_name);
    assert_int_equal(a->headers_count, b->headers_count);
    for (unsigned i = 0; i < a->headers_count; i++) {
        assert_string_equal(a->headers[i].name, b->headers[i].name);
        assert_string_equal(a->headers[i].value, b->headers[i].value);
    }
}

static struct check_definition *keep_and_load(void)
{
    json_t *kept =
        json_pack("{s:s, s:o}", "t", check_kind_name(d.kind), "d", check_definition_json(&d));
    char *text = json_dumps(kept, JSON_COMPACT);
    struct check_definition *loaded = check_kept_load(text);
    json_decref(kept);
    free(text);
    return loaded;
}

static void what_is_kept_is_what_was_said(void **state)
{
    static const char *const texts[] = {
        "{\"http\": \"http://10.0.0.5\"}",
        "{\"http\": \"https://[::1]:8443/a?b\", \"interval\": \"1500ms\", \"timeout\": \"250ms\", "
        "\"rise\": 2, \"warn\": 3, \"fall\": 4, \"method\": \"POST\", \"body\": \"a\\nb\", "
        "\"headers\": {\"A\": [\"1\", \"2\"], \"B\": \"3\"}, \"disable_redirects\": true, "
        "\"tls\": {\"skip_verify\": true, \"server_name\": \"web.example\"}}",
        "{\"tcp\": \"db.example:5432\", \"interval\": 86400, \"timeout\": 60}",
        "{\"grpc\": \"10.0.0.5:50051/orders.Orders\", \"tls\": {\"enabled\": true}}",
        "{\"grpc\": \"10.0.0.5:50051/\", \"tls\": {\"enabled\": false}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_true(parse(texts[i]));
        struct check_definition *loaded = keep_and_load();
        assert_non_null(loaded);
        assert_same(loaded, &d);
        free(loaded);
    }
}

static void a_copy_has_texts_of_its_own(void **state)
{
    (void)state;
    assert_true(parse("{\"http\": \"http://10.0.0.5/a\", \"headers\": {\"A\": \"1\"}}"));
    struct check_definition *copy = check_definition_copy(&d);
    json_decref(json);
    json = NULL;
    assert_string_equal(copy->target, "http://10.0.0.5/a");
    assert_string_equal(copy->path, "/a");
    assert_string_equal(copy->headers[0].value, "1");
    free(copy);
}

static void what_cannot_be_run_is_not_loaded(void **state)
{
    static const char *const kept[] = {"",
                                       "{",
                                       "[]",
                                       "{\"t\":\"ttl\"}",
                                       "{\"d\":null}",
                                       "{\"d\":\"http\"}",
                                       "{\"d\":{\"udp\":\"10.0.0.5:1\"}}",
                                       "{\"d\":{\"http\":\"http://10.0.0.5/\",\"rise\":0}}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(kept); i++) {
        assert_null(check_kept_load(kept[i]));
    }
    struct check_definition *loaded =
        check_kept_load("{\"d\":{\"http\":\"http://10.0.0.5/\",\"later\":1}}");
    assert_non_null(loaded);
    free(loaded);
}

static int forget(void **state)
{
    (void)state;
    json_decref(json);
    json = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(targets_are_taken_apart, forget),
        cmocka_unit_test_teardown(a_target_has_a_limit, forget),
        cmocka_unit_test_teardown(defaults_are_filled_in, forget),
        cmocka_unit_test_teardown(every_field_is_checked, forget),
        cmocka_unit_test_teardown(each_kind_has_its_own_fields, forget),
        cmocka_unit_test_teardown(texts_have_limits, forget),
        cmocka_unit_test_teardown(what_is_kept_is_what_was_said, forget),
        cmocka_unit_test_teardown(a_copy_has_texts_of_its_own, forget),
        cmocka_unit_test_teardown(what_cannot_be_run_is_not_loaded, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
