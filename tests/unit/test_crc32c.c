/* The checksum is CRC-32C whichever way it is computed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/compiler.h"

/* Included as source, so that the portable version is tested even if the CPU has an instruction for
 * it. */
#include "server/base/crc32c.c"

static uint32_t bit_by_bit(const uint8_t *p, size_t len)
{
    uint32_t crc = ~0u;
    for (; len > 0; len--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

/* RFC 3720, appendix B.4, and the check value of the catalogues. */
static void known_values_come_out(void **state)
{
    uint8_t data[32];
    (void)state;
    assert_int_equal(crc32c(0, "", 0), 0);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    memset(data, 0, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    assert_int_equal(crc32c(0, data, sizeof data), 0x62a8ab43);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, data, sizeof data), 0x46dd794e);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(crc32c(0, data, sizeof data), 0x113fdb5c);
}

static void all_ways_agree_at_every_length_and_alignment(void **state)
{
    uint8_t data[160];
    unsigned seed = 3;
    (void)state;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)rand_r(&seed);
    }
    for (size_t offset = 0; offset < 8; offset++) {
        for (size_t len = 0; len + offset <= sizeof data; len++) {
            uint32_t expected = bit_by_bit(data + offset, len);
            assert_int_equal(crc32c(0, data + offset, len), expected);
            assert_int_equal(~crc_portable(~0u, data + offset, len), expected);
        }
    }
}

static void pieces_give_the_same_as_the_whole(void **state)
{
    static const char text[] = "the whole is read in pieces, and nobody can tell";
    uint32_t whole = crc32c(0, text, sizeof text);
    (void)state;
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, sizeof text - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_come_out),
        cmocka_unit_test(all_ways_agree_at_every_length_and_alignment),
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
