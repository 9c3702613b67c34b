/* Members of an object as they stand in its text: the same as jansson's, and nothing behind what is
 * no JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "api/core/json_scan.h"
#include "server/base/compiler.h"

/* The members again, with nothing else changed. */
static void write_again(const char *text, char *out, size_t size)
{
    struct json_scan scan = json_scan_of(text);
    struct slice key, value;
    size_t at = 0;
    while (json_scan_next(&scan, &key, &value)) {
        at += (size_t)snprintf(out + at, size - at, "%c\"%.*s\":%.*s", at > 0 ? ',' : '{',
                               (int)key.len, key.data, (int)value.len, value.data);
    }
    (void)snprintf(out + at, size - at, "%s", at > 0 ? "}" : "{}");
}

static void members_are_as_they_stand(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"o\":\"10.0.0.1\"}",
        "{\"o\":\"a\\\"b\\\\\",\"w\":3,\"e\":true,\"x\":null}",
        "{\"t\":{\"lan\":{\"Address\":\"}\",\"Port\":1},\"b\":[1,[2,\"]\"]]},\"z\":-1.5e3}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        char out[200];
        json_t *json = json_loads(texts[i], 0, NULL);
        char *compact = json_dumps(json, JSON_COMPACT);
        write_again(compact, out, sizeof out);
        assert_string_equal(out, compact);
        free(compact);
        json_decref(json);
    }
}

static void what_is_no_json_ends_it(void **state)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "{",
                                        "{\"a",
                                        "{\"a\"",
                                        "{\"a\":",
                                        "{\"a\":1",
                                        "{\"a\":\"x",
                                        "{\"a\":\"x\\",
                                        "{\"a\":{\"b\":1}",
                                        "{\"a\":]}",
                                        "{\"a\":}",
                                        "{\"a\":\"x\"y}",
                                        "{a:1}",
                                        "[1]"};
    struct slice key, value;
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct json_scan scan = json_scan_of(texts[i]);
        assert_false(json_scan_next(&scan, &key, &value));
        assert_false(json_scan_next(&scan, &key, &value));
    }
}

static void texts_are_without_escapes(void **state)
{
    struct json_scan scan =
        json_scan_of("{\"a\":\"plain\",\"b\":\"q\\\"\\u00e4\",\"c\":7,\"d\":\"long one\"}");
    static const char *const expected[] = {"plain", "q\"\xc3\xa4", "", ""};
    struct slice key, value;
    char out[8];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_true(json_scan_next(&scan, &key, &value));
        json_scan_text(value, out, sizeof out);
        assert_string_equal(out, expected[i]);
    }
    assert_true(json_scan_is(key, "d"));
    assert_false(json_scan_is(key, "dd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_as_they_stand),
        cmocka_unit_test(what_is_no_json_ends_it),
        cmocka_unit_test(texts_are_without_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
