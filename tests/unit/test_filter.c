/* Filters of reads, and the ids of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/buffer.h"

#include "api/core/event_id.h"
#include "api/native/filter_query.h"

static struct request request;
static struct filter filter;
static struct problem problem;

static bool parse(const char *target)
{
    request_done(&request);
    assert_true(request_parse_target(&request, target, &problem));
    return filter_parse(&filter, &request, FILTER_DISCOVERABLE, &problem);
}

static struct slice slice(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static bool matches(const char *target)
{
    struct registration r = {.port = 1, .tags_count = 2, .metadata_count = 1};
    r.id = r.name = r.host = slice("x");
    r.type = slice("http");
    r.zone = slice("eu");
    r.tags[0] = slice("a");
    r.tags[1] = slice("b");
    r.metadata[0] = (struct pair){slice("version"), slice("2")};
    struct record *record = record_create(&r);
    assert_true(parse(target));
    bool match = filter_match(&filter, record);
    free(record);
    return match;
}

static void all_that_is_asked_must_match(void **state)
{
    (void)state;
    assert_true(matches("/"));
    assert_true(matches("/?tag=a&tag=b&type=http&zone=eu&meta.version=2"));
    assert_false(matches("/?tag=a&tag=c"));
    assert_false(matches("/?type=tcp"));
    assert_false(matches("/?zone="));
    assert_false(matches("/?meta.version=3"));
    assert_false(matches("/?meta.other=2"));
    assert_false(matches("/?health=critical"));
    assert_true(matches("/?health=critical,passing"));
    assert_true(matches("/?health=critical&health=passing"));
}

static void health_is_any_or_a_list(void **state)
{
    (void)state;
    assert_true(parse("/?health=any"));
    assert_int_equal(filter.health, FILTER_ANY_HEALTH);
    assert_true(parse("/"));
    assert_int_equal(filter.health, FILTER_DISCOVERABLE);
    assert_true(filter_is_plain(&filter));
    assert_true(parse("/?health=maintenance"));
    assert_false(filter_is_plain(&filter));
    static const char *const bad[] = {
        "/?health=",         "/?health=ok",          "/?health=passing,",
        "/?health=,passing", "/?health=passing,any", "/?health=passingpassingpassing"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(parse(bad[i]));
        assert_string_equal(problem.field, "health");
    }
}

/* Leaves the text unchanged, without the NUL added to it. */
static void assert_parses(struct buffer *target, bool parses)
{
    buffer_append_byte(target, 0);
    assert_int_equal(parse((const char *)target->data), parses);
    target->len--;
}

static void repeated_filters_are_limited(void **state)
{
    (void)state;
    struct buffer tags, meta;
    buffer_init(&tags, 4096);
    buffer_init(&meta, 4096);
    buffer_append_text(&tags, "/?tag=a");
    buffer_append_text(&meta, "/?meta.a=b");
    for (unsigned i = 1; i < TAGS_MAX; i++) {
        buffer_append_text(&tags, "&tag=a");
    }
    for (unsigned i = 1; i < METADATA_MAX; i++) {
        buffer_append_text(&meta, "&meta.a=b");
    }
    assert_parses(&tags, true);
    assert_parses(&meta, true);
    buffer_append_text(&tags, "&tag=a");
    buffer_append_text(&meta, "&meta.a=b");
    assert_parses(&tags, false);
    assert_parses(&meta, false);
    buffer_done(&tags);
    buffer_done(&meta);
}

static void event_ids_are_index_and_position(void **state)
{
    (void)state;
    struct event_id id;
    char text[EVENT_ID_SIZE];
    uint32_t cluster = 1;
    assert_true(event_id_parse("18446744073709551615.4294967295", &id, &cluster));
    assert_int_equal(cluster, 0);
    event_id_format(id, cluster, text);
    assert_string_equal(text, "18446744073709551615.4294967295");
    assert_true(event_id_parse("18446744073709551615.4503599627370495", &id, &cluster));
    assert_int_equal(cluster, (1 << 20) - 1);
    assert_int_equal(id.position, UINT32_MAX);
    event_id_format(id, cluster, text);
    assert_string_equal(text, "18446744073709551615.4503599627370495");
    static const char *const bad[] = {"",
                                      "1",
                                      "1.",
                                      ".1",
                                      "1.2.3",
                                      "1.2.",
                                      "-1.0",
                                      "1.x",
                                      "18446744073709551616.0",
                                      "1.10000000000000000",
                                      "00000000000000000000000000000000000001.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(event_id_parse(bad[i], &id, &cluster));
    }
}

static void event_ids_are_ordered(void **state)
{
    (void)state;
    struct event_id a = {1, 9}, b = {2, 0}, c = {2, 1};
    assert_true(event_id_compare(a, b) < 0 && event_id_compare(b, c) < 0);
    assert_true(event_id_compare(c, a) > 0 && event_id_compare(b, b) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_asked_must_match),
        cmocka_unit_test(health_is_any_or_a_list),
        cmocka_unit_test(repeated_filters_are_limited),
        cmocka_unit_test(event_ids_are_index_and_position),
        cmocka_unit_test(event_ids_are_ordered),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    request_done(&request);
    return failed;
}
