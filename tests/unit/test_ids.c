/* Ids of clusters and lives: encoding and decoding, never zero, never repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/disk/ids.h"
#include "server/base/compiler.h"

static const struct cluster_id known = {
    .bytes = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, 0x10, 0x9a, 0xbc, 0xde, 0xf0, [15] = 0x0a}};
#define KNOWN_TEXT "00017f80feff109abcdef0000000000a"

static void a_cluster_id_comes_back_from_its_text(void **state)
{
    char text[CLUSTER_ID_TEXT_SIZE];
    struct cluster_id back;
    (void)state;
    cluster_id_text(&known, text);
    assert_string_equal(text, KNOWN_TEXT);
    assert_true(cluster_id_parse(text, &back));
    assert_true(cluster_id_equal(&back, &known));
}

static void every_truncation_of_a_text_is_refused(void **state)
{
    struct cluster_id back = {.bytes = {9}};
    (void)state;
    for (size_t len = 0; len < sizeof KNOWN_TEXT - 1; len++) {
        char *part = strndup(KNOWN_TEXT, len);
        assert_false(cluster_id_parse(part, &back));
        free(part);
    }
    assert_false(cluster_id_parse(KNOWN_TEXT "0", &back));
    assert_int_equal(back.bytes[0], 9);
}

static void only_lower_case_hexadecimal_digits_are_read(void **state)
{
    struct cluster_id back;
    (void)state;
    for (size_t at = 0; at < sizeof KNOWN_TEXT - 1; at++) {
        for (int c = 1; c < 256; c++) {
            char text[] = KNOWN_TEXT;
            text[at] = (char)c;
            bool digit = strchr("0123456789abcdef", c) != NULL;
            assert_int_equal(cluster_id_parse(text, &back), digit);
        }
    }
}

static void each_bit_tells_two_clusters_apart(void **state)
{
    (void)state;
    assert_true(cluster_id_equal(&known, &known));
    for (size_t bit = 0; bit < 8 * CLUSTER_ID_BYTES; bit++) {
        struct cluster_id other = known;
        other.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(cluster_id_equal(&other, &known));
    }
}

static void none_is_all_zero_and_nothing_else(void **state)
{
    struct cluster_id id = {.bytes = {0}};
    (void)state;
    assert_true(cluster_id_is_none(&id));
    for (size_t i = 0; i < CLUSTER_ID_BYTES; i++) {
        id.bytes[i] = 1;
        assert_false(cluster_id_is_none(&id));
        id.bytes[i] = 0;
    }
}

static void made_clusters_and_lives_differ(void **state)
{
    struct cluster_id last = {.bytes = {0}};
    uint64_t last_life = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct cluster_id id = cluster_id_make();
        uint64_t life = life_make();
        assert_false(cluster_id_is_none(&id) || cluster_id_equal(&id, &last));
        assert_true(life >= 1 && life <= INT64_MAX && life != last_life);
        last = id;
        last_life = life;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_id_comes_back_from_its_text),
        cmocka_unit_test(every_truncation_of_a_text_is_refused),
        cmocka_unit_test(only_lower_case_hexadecimal_digits_are_read),
        cmocka_unit_test(each_bit_tells_two_clusters_apart),
        cmocka_unit_test(none_is_all_zero_and_nothing_else),
        cmocka_unit_test(made_clusters_and_lives_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
