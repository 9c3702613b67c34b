/* What may be registered, through any door: each bound just met and just exceeded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/compiler.h"
#include "server/registry/check.h"

#define S(text)                                                                                    \
    (struct slice)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static struct problem problem;
static struct registration r;
static char xs[1024];

static int set_up(void **state)
{
    (void)state;
    memset(xs, 'x', sizeof xs);
    r = (struct registration){.id = S("web-1"),
                              .name = S("web"),
                              .host = S("10.0.0.5"),
                              .port = 80,
                              .ttl_ms = 30000,
                              .type = {"", 0},
                              .zone = {"", 0}};
    return 0;
}

static bool is_good(void)
{
    problem = (struct problem){.field = "", .message = ""};
    return registration_check(&r, &problem);
}

static void assert_refused(const char *field)
{
    assert_false(is_good());
    assert_string_equal(problem.field, field);
    assert_true(problem.message[0] != '\0');
}

static void the_shortest_registration_is_good(void **state)
{
    (void)state;
    assert_true(is_good());
}

static void lengths_are_limited(void **state)
{
    struct {
        const char *field;
        struct slice *text;
        size_t min, max;
    } const cases[] = {{"name", &r.name, 1, NAME_BYTES_MAX},
                       {"id", &r.id, 1, NAME_BYTES_MAX},
                       {"host", &r.host, 1, HOST_BYTES_MAX},
                       {"type", &r.type, 0, NAME_BYTES_MAX},
                       {"zone", &r.zone, 0, NAME_BYTES_MAX}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        (void)set_up(NULL);
        *cases[i].text = (struct slice){xs, cases[i].min};
        assert_true(is_good());
        *cases[i].text = (struct slice){xs, cases[i].max};
        assert_true(is_good());
        *cases[i].text = (struct slice){xs, cases[i].max + 1};
        assert_refused(cases[i].field);
        if (cases[i].min > 0) {
            *cases[i].text = (struct slice){xs, 0};
            assert_refused(cases[i].field);
        }
    }
}

static void names_that_mislead_are_refused(void **state)
{
    static const struct slice bad[] = {{" ", 1},
                                       {"\xc2\xa0", 2},
                                       {"a\xe2\x80\xae"
                                        "b",
                                        5},
                                       {"a\xe2\x80\xa8"
                                        "b",
                                        5},
                                       {"\xe2\x80\x8b", 3},
                                       {"a\xc2\x85", 3},
                                       {"a\nb", 3},
                                       {"a\0b", 3},
                                       {"\xff", 1}};
    struct {
        const char *field;
        struct slice *text;
    } const cases[] = {{"name", &r.name},
                       {"id", &r.id},
                       {"type", &r.type},
                       {"zone", &r.zone},
                       {"host", &r.host},
                       {"tags", &r.tags[0]},
                       {"metadata", &r.metadata[0].key}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(bad); k++) {
            (void)set_up(NULL);
            r.tags[0] = S("t");
            r.metadata[0] = (struct pair){S("k"), S("v")};
            r.tags_count = r.metadata_count = 1;
            assert_true(is_good());
            *cases[i].text = bad[k];
            assert_refused(cases[i].field);
        }
    }
}

static void ids_that_paths_cannot_name_are_refused(void **state)
{
    (void)state;
    r.id = S(".");
    assert_refused("id");
    r.id = S("..");
    assert_refused("id");
    r.id = S("...");
    assert_true(is_good());
}

static void hosts_that_nobody_can_dial_are_refused(void **state)
{
    static const struct slice bad[] = {{"0.0.0.0", 7}, {"::", 2},  {"http://a", 8}, {"a:80", 4},
                                       {"[::1]", 5},   {"a/b", 3}, {"a b", 3}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        r.host = bad[i];
        assert_refused("host");
    }
}

static void only_an_ipv6_address_loses_its_brackets(void **state)
{
    (void)state;
    r.host = S("[::1]");
    registration_normalise(&r);
    assert_true(r.host.len == 3 && memcmp(r.host.data, "::1", 3) == 0);
    registration_normalise(&r);
    assert_int_equal(r.host.len, 3);
    r.host = S("[web]");
    registration_normalise(&r);
    assert_int_equal(r.host.len, 5);
    r.host = (struct slice){"", 0};
    registration_normalise(&r);
    assert_int_equal(r.host.len, 0);
}

static void numbers_are_limited(void **state)
{
    (void)state;
    r.port = 0;
    assert_refused("port");
    r.port = UINT16_MAX;
    r.ttl_ms = TTL_MS_MIN - 1;
    assert_refused("ttl");
    r.ttl_ms = TTL_MS_MAX + 1;
    assert_refused("ttl");
    r.ttl_ms = TTL_MS_MAX;
    r.reap_after_ms = REAP_AFTER_MS_MAX + 1;
    assert_refused("reap_after");
    r.reap_after_ms = REAP_AFTER_MS_MAX;
    r.weight = WEIGHT_MAX;
    assert_true(is_good());
}

static void tags_and_metadata_are_limited(void **state)
{
    static char texts[TAGS_MAX + METADATA_MAX][8];
    (void)state;
    for (uint32_t i = 0; i < TAGS_MAX; i++) {
        r.tags[i] = (struct slice){texts[i], (size_t)snprintf(texts[i], 8, "t%u", i)};
        r.metadata[i] = (struct pair){.key = r.tags[i], .value = {"", 0}};
    }
    r.tags_count = TAGS_MAX;
    r.metadata_count = METADATA_MAX;
    assert_true(is_good());
    r.tags_count = TAGS_MAX + 1;
    assert_refused("tags");
    r.tags_count = TAGS_MAX;
    r.tags[3] = r.tags[40];
    assert_refused("tags");
    r.tags_count = 0;
    r.metadata_count = METADATA_MAX + 1;
    assert_refused("metadata");
    r.metadata_count = METADATA_MAX;
    r.metadata[3].key = r.metadata[40].key;
    assert_refused("metadata");
    r.metadata_count = 1;
    r.metadata[0].key = (struct slice){xs, METADATA_KEY_BYTES_MAX + 1};
    assert_refused("metadata");
    r.metadata[0].key = S("k");
    r.metadata[0].value = (struct slice){xs, METADATA_VALUE_BYTES_MAX + 1};
    assert_refused("metadata.k");
    r.metadata[0].value = S("a\xe2\x80\x8d"
                            "b"); /* display text only: joiners belong to scripts */
    assert_true(is_good());
    r.metadata[0].value = S("a\xe2\x80\xae"
                            "b");
    assert_refused("metadata.k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_shortest_registration_is_good, set_up),
        cmocka_unit_test_setup(lengths_are_limited, set_up),
        cmocka_unit_test_setup(names_that_mislead_are_refused, set_up),
        cmocka_unit_test_setup(ids_that_paths_cannot_name_are_refused, set_up),
        cmocka_unit_test_setup(hosts_that_nobody_can_dial_are_refused, set_up),
        cmocka_unit_test_setup(only_an_ipv6_address_loses_its_brackets, set_up),
        cmocka_unit_test_setup(numbers_are_limited, set_up),
        cmocka_unit_test_setup(tags_and_metadata_are_limited, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
