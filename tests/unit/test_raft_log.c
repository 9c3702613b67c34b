/* The log in memory compared with a plain list, and its checksum chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/disk/log.h"
#include "server/base/crc32c.h"

static void empty_log_ends_at_its_beginning(void **state)
{
    (void)state;
    struct log log;
    uint64_t term = 9;
    uint32_t checksum = 9;
    log_init(&log);
    assert_int_equal(log_first_index(&log), 1);
    assert_int_equal(log_last_index(&log), 0);
    assert_int_equal(log_last_term(&log), 0);
    assert_int_equal(log_last_checksum(&log), 0);
    assert_null(log_get(&log, 0));
    assert_null(log_get(&log, 1));
    assert_true(log_position(&log, 0, &term, &checksum));
    assert_int_equal(term, 0);
    assert_int_equal(checksum, 0);
    assert_false(log_position(&log, 1, &term, &checksum));
    assert_false(log_position(&log, UINT64_MAX, &term, &checksum));
    log_done(&log);
    log_done(&log);
}

static void checksum_is_of_all_that_the_entry_is(void **state)
{
    (void)state;
    /* Fixed: it is on disk and sent between members. */
    assert_int_equal(log_checksum(0, 1, 1, "", 0), 0xb498f22d);
    assert_int_equal(log_checksum(0x12345678, 0x0102030405060708, 3, "hello", 5), 0xde2121bc);
    uint32_t one = log_checksum(5, 6, 1, "ab", 2);
    assert_int_not_equal(one, log_checksum(4, 6, 1, "ab", 2));
    assert_int_not_equal(one, log_checksum(5, 7, 1, "ab", 2));
    assert_int_not_equal(one, log_checksum(5, 6, 2, "ab", 2));
    assert_int_not_equal(one, log_checksum(5, 6, 1, "ac", 2));
    assert_int_not_equal(one, log_checksum(5, 6, 1, "ab\0", 3));
}

static void forks_show_at_every_later_entry(void **state)
{
    (void)state;
    struct log a;
    struct log b;
    log_init(&a);
    log_init(&b);
    for (uint64_t i = 0; i < 20; i++) {
        uint32_t x = log_append(&a, 1, 1, "x", 1);
        uint32_t y = log_append(&b, 1, 1, i == 7 ? "y" : "x", 1);
        assert_int_equal(x == y, i < 7);
        assert_int_equal(x, log_last_checksum(&a));
    }
    log_done(&a);
    log_done(&b);
}

struct plain {
    uint64_t term[4096];
    uint32_t checksum[4096];
    size_t len[4096];
    uint64_t first, last;
};

static void assert_same(const struct log *log, const struct plain *p)
{
    uint64_t bytes = 0;
    assert_int_equal(log_first_index(log), p->first);
    assert_int_equal(log_last_index(log), p->last);
    assert_int_equal(log_last_term(log), p->term[p->last]);
    assert_int_equal(log_last_checksum(log), p->checksum[p->last]);
    for (uint64_t i = p->first > 2 ? p->first - 2 : 0; i <= p->last + 2; i++) {
        const struct log_entry *e = log_get(log, i);
        uint64_t term = 0;
        uint32_t checksum = 0;
        bool held = i >= p->first && i <= p->last;
        assert_int_equal(e != NULL, held);
        assert_int_equal(log_position(log, i, &term, &checksum), held || i + 1 == p->first);
        if (held || i + 1 == p->first) {
            assert_int_equal(term, p->term[i]);
            assert_int_equal(checksum, p->checksum[i]);
        }
        if (held) {
            assert_int_equal(e->term, p->term[i]);
            assert_int_equal(e->checksum, p->checksum[i]);
            assert_int_equal(e->len, p->len[i]);
            assert_int_equal(e->type, 1 + i % 3);
            for (size_t j = 0; j < e->len; j++) {
                assert_int_equal(e->data[j], (uint8_t)(i + j));
            }
            bytes += e->len;
        }
    }
    assert_int_equal(log->bytes, bytes);
}

static void any_sequence_of_changes_agrees_with_a_list(void **state)
{
    (void)state;
    static struct plain p;
    struct log log;
    unsigned seed = 42;
    print_message("seed %u\n", seed);
    memset(&p, 0, sizeof p);
    p.first = 1;
    log_init(&log);
    while (p.last < 3900) {
        unsigned what = (unsigned)rand_r(&seed) % 40;
        if (what < 34) {
            uint8_t data[64];
            uint64_t i = p.last + 1;
            p.len[i] = (size_t)rand_r(&seed) % sizeof data;
            for (size_t j = 0; j < p.len[i]; j++) {
                data[j] = (uint8_t)(i + j);
            }
            p.term[i] = p.term[p.last] + (rand_r(&seed) % 8 == 0 ? 1 : 0);
            p.checksum[i] = log_append(&log, p.term[i], (uint8_t)(1 + i % 3), data, p.len[i]);
            assert_int_equal(p.checksum[i], log_checksum(p.checksum[p.last], p.term[i],
                                                         (uint8_t)(1 + i % 3), data, p.len[i]));
            p.last = i;
        } else if (what < 37) {
            uint64_t held = p.last + 1 - p.first;
            uint64_t index = p.last + 1 - (uint64_t)rand_r(&seed) % ((held < 9 ? held : 9) + 1);
            log_truncate(&log, index);
            p.last = index - 1;
        } else if (what < 39) {
            uint64_t index = p.first + (uint64_t)rand_r(&seed) % 200;
            log_compact(&log, index); /* sometimes beyond the end */
            p.first = index >= p.last ? p.last + 1 : index + 1;
        } else {
            p.last += (uint64_t)rand_r(&seed) % 50;
            p.first = p.last + 1;
            p.term[p.last] += 3;
            p.checksum[p.last] = (uint32_t)rand_r(&seed);
            log_reset(&log, p.last, p.term[p.last], p.checksum[p.last]);
        }
        assert_same(&log, &p);
    }
    log_done(&log);
}

static void compaction_below_the_log_changes_nothing(void **state)
{
    (void)state;
    struct log log;
    log_init(&log);
    log_reset(&log, 10, 2, 99);
    (void)log_append(&log, 2, 1, "x", 1);
    log_compact(&log, 0);
    log_compact(&log, 10);
    assert_int_equal(log_first_index(&log), 11);
    log_compact(&log, UINT64_MAX);
    assert_int_equal(log_first_index(&log), 12);
    assert_int_equal(log_last_index(&log), 11);
    assert_int_equal(log.bytes, 0);
    log_done(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_log_ends_at_its_beginning),
        cmocka_unit_test(checksum_is_of_all_that_the_entry_is),
        cmocka_unit_test(forks_show_at_every_later_entry),
        cmocka_unit_test(any_sequence_of_changes_agrees_with_a_list),
        cmocka_unit_test(compaction_below_the_log_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
