/* Who gets gzip, and the limit on compression work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/gzip.h"
#include "api/http/representation.h"
#include "server/base/limits.h"

#define NOW_MS 1000000

static void gzip_is_given_only_to_who_prefers_it(void **state)
{
    static const struct {
        const char *header;
        bool accepted;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"gzip", true},
        {"GZip", true},
        {"x-gzip", true},
        {"*", true},
        {"br", false},
        {"gzipx", false},
        {"xgzip", false},
        {"deflate, gzip;q=1.0, *;q=0.5", true},
        {"br;q=1, \t gzip ; q=0.001", true},
        {"gzip;q=0", false},
        {"gzip;q=0.0", false},
        {"gzip;Q=0.000", false},
        {"gzip;q=0, *", false},
        {"*;q=0", false},
        {"*;q=0, gzip", true},
        {"identity", false},
        {"identity, gzip", true},
        {"identity;q=1, gzip;q=0.9", false},
        {"identity;q=0.5, gzip;q=0.9", true},
        {"identity;q=0, *;q=0.1", true},
        {"gzip;q=2", false},
        {"gzip;q=-1", false},
        {"gzip;q=x", false},
        {"gzip;q=", false},
        {"gzip;q=0.1234", false},
        {"gzip;level=1;q=0", false},
        {"gzip;level=1", true},
        {",,, gzip,", true},
        {";q=1", false},
        {"gzip;", true},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (gzip_is_accepted(cases[i].header) != cases[i].accepted) {
            fail_msg("%s", cases[i].header);
        }
    }
}

static void an_entity_tag_is_found_among_those_that_a_client_has(void **state)
{
    static const struct {
        const char *header;
        bool matches;
    } cases[] = {
        {"W/\"7-a\"", true},
        {"\"7-a\"", true},
        {"\"x\", W/\"7-a\"", true},
        {"*", true},
        {" *", true},
        {"", false},
        {"7-a", false},
        {"\"7-a", false},
        {"W/\"7-ab\"", false},
        {"W/\"17-a\"", false},
        {"\"\"", false},
        {"\"x\",\"y\" , \"7-a\"", true},
        {"\"x\", \"7-a", false},
        {"\",7-a,\"", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (representation_matches(cases[i].header, "W/\"7-a\"") != cases[i].matches) {
            fail_msg("%s", cases[i].header);
        }
    }
}

/* Compressible text, but not down to nothing. */
static char *text_of(size_t len)
{
    uint32_t seed = 1;
    char *text = malloc(len);
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = (char)('a' + (seed >> 28));
    }
    return text;
}

static void assert_unpacks_to(const struct buffer *packed, const char *text, size_t len)
{
    char *out = malloc(len + 1);
    z_stream z = {.next_in = packed->data,
                  .avail_in = (uInt)packed->len,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)len + 1};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, len);
    assert_memory_equal(out, text, len);
    (void)inflateEnd(&z);
    free(out);
}

static void what_was_compressed_comes_out_the_same(void **state)
{
    static const size_t lengths[] = {1000, GZIP_BYTES_MIN, 8192, 100000, 3000000};
    struct gzip gzip = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        struct buffer out;
        char *text = text_of(lengths[i]);
        buffer_init(&out, lengths[i] * 2);
        assert_true(gzip_compress(&gzip, text, lengths[i], NOW_MS, &out));
        assert_true(out.len < lengths[i]);
        assert_unpacks_to(&out, text, lengths[i]);
        buffer_done(&out);
        free(text);
    }
    gzip_done(&gzip);
    gzip_done(&gzip);
}

static void what_does_not_get_smaller_is_left_as_it_is(void **state)
{
    struct gzip gzip = {0};
    struct buffer out;
    (void)state;
    buffer_init(&out, 1000);
    assert_false(gzip_compress(&gzip, "abcdefgh", 8, NOW_MS, &out));
    assert_false(gzip_compress(&gzip, "", 0, NOW_MS, &out));
    buffer_done(&out);
    gzip_done(&gzip);
}

static void an_output_that_has_no_room_is_given_up(void **state)
{
    struct gzip gzip = {0};
    struct buffer out;
    char *text = text_of(100000);
    (void)state;
    buffer_init(&out, 5000);
    assert_false(gzip_compress(&gzip, text, 100000, NOW_MS, &out));
    buffer_done(&out);
    /* It does not affect the next one. */
    buffer_init(&out, 100000);
    assert_true(gzip_compress(&gzip, text, 10000, NOW_MS, &out));
    assert_unpacks_to(&out, text, 10000);
    buffer_done(&out);
    gzip_done(&gzip);
    free(text);
}

static void no_more_is_compressed_in_a_second_than_allowed(void **state)
{
    struct gzip gzip = {0};
    struct buffer out;
    size_t len = GZIP_BODY_BYTES_MAX;
    char *text = calloc(1, len + 1);
    (void)state;
    buffer_init(&out, len);
    assert_false(gzip_compress(&gzip, text, len + 1, NOW_MS, &out)); /* never */
    for (size_t taken = 0; taken < GZIP_BYTES_A_SECOND; taken += len) {
        assert_true(gzip_compress(&gzip, text, len, NOW_MS, &out));
        buffer_clear(&out);
    }
    assert_false(gzip_compress(&gzip, text, 10000, NOW_MS, &out));
    assert_true(gzip_compress(&gzip, text, 10000, NOW_MS + 1, &out)); /* 16 KiB more */
    buffer_clear(&out);
    assert_false(gzip_compress(&gzip, text, 10000, NOW_MS + 1, &out));
    assert_true(gzip_compress(&gzip, text, len, NOW_MS + 1000000, &out));
    buffer_done(&out);
    gzip_done(&gzip);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_is_given_only_to_who_prefers_it),
        cmocka_unit_test(an_entity_tag_is_found_among_those_that_a_client_has),
        cmocka_unit_test(what_was_compressed_comes_out_the_same),
        cmocka_unit_test(what_does_not_get_smaller_is_left_as_it_is),
        cmocka_unit_test(an_output_that_has_no_room_is_given_up),
        cmocka_unit_test(no_more_is_compressed_in_a_second_than_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
