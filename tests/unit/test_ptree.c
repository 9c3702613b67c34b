/* The persistent tree is a sorted map, and published versions never change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/ptree.h"

#define KEYS 2000

struct item {
    char key[16];
};

struct retired {
    void **memory;
    size_t count;
};

static const char *item_key(const void *value)
{
    return ((const struct item *)value)->key;
}

static void retire(void *ctx, void *memory, uint64_t epoch)
{
    (void)epoch;
    struct retired *r = ctx;
    if ((r->count & (r->count - 1)) == 0) { /* a power of two: it is full */
        r->memory = realloc(r->memory, (r->count > 0 ? 2 * r->count : 1) * sizeof *r->memory);
    }
    r->memory[r->count++] = memory;
}

static void free_retired(struct retired *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->memory[i]);
    }
    free(r->memory);
    *r = (struct retired){0};
}

static struct item items[KEYS];

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        snprintf(items[i].key, sizeof items[i].key, "k%05d", i);
    }
    return 0;
}

static void assert_holds(const struct ptree *t, const struct ptree_kind *kind, const bool *present)
{
    size_t rank = 0;
    struct ptree_iterator it;
    ptree_iterate(&it, t, 0);
    for (int i = 0; i < KEYS; i++) {
        assert_ptr_equal(ptree_find(t, kind, items[i].key), present[i] ? &items[i] : NULL);
        if (present[i]) {
            assert_ptr_equal(ptree_at(t, rank), &items[i]);
            assert_ptr_equal(ptree_next(&it), &items[i]);
            rank++;
        }
        assert_int_equal(ptree_rank_after(t, kind, items[i].key), rank);
    }
    assert_null(ptree_next(&it));
    assert_int_equal(ptree_count(t), rank);
    assert_null(ptree_at(t, rank));
}

static void random_changes_keep_it_a_sorted_map(void **state)
{
    (void)state;
    struct retired retired = {0};
    struct ptree_kind kind = {.key = item_key, .retire = retire, .ctx = &retired};
    struct ptree t = {0};
    bool present[KEYS] = {0};
    unsigned seed = 7;
    for (int step = 0; step < 40000; step++) {
        int i = rand_r(&seed) % KEYS;
        /* Alternately grows and shrinks, so that nodes split and merge. */
        bool put = rand_r(&seed) % 100 < ((step / 8000) % 2 == 0 ? 80 : 20);
        if (put) {
            void *replaced = ptree_put(&t, &kind, &items[i]);
            assert_ptr_equal(replaced, present[i] ? &items[i] : NULL);
        } else {
            assert_ptr_equal(ptree_remove(&t, &kind, items[i].key), present[i] ? &items[i] : NULL);
        }
        present[i] = put;
        if (step % 3 == 0) {
            ptree_publish(&kind);
        }
        if (step % 1000 == 0) {
            assert_holds(&t, &kind, present);
        }
    }
    for (int i = 0; i < KEYS; i++) {
        ptree_remove(&t, &kind, items[i].key);
    }
    assert_null(t.root);
    free_retired(&retired);
}

static void published_versions_never_change(void **state)
{
    (void)state;
    enum { VERSIONS = 50 };
    struct retired retired = {0};
    struct ptree_kind kind = {.key = item_key, .retire = retire, .ctx = &retired};
    struct ptree t = {0};
    struct ptree versions[VERSIONS];
    static bool present[VERSIONS][KEYS];
    bool now[KEYS] = {0};
    unsigned seed = 11;
    for (int v = 0; v < VERSIONS; v++) {
        for (int change = 0; change < 120; change++) {
            int i = rand_r(&seed) % KEYS;
            now[i] = rand_r(&seed) % 3 != 0;
            if (now[i]) {
                ptree_put(&t, &kind, &items[i]);
            } else {
                ptree_remove(&t, &kind, items[i].key);
            }
        }
        ptree_publish(&kind);
        versions[v] = t;
        memcpy(present[v], now, sizeof now);
    }
    for (int v = 0; v < VERSIONS; v++) {
        assert_holds(&versions[v], &kind, present[v]);
    }
    ptree_clear(&t, &kind);
    free_retired(&retired);
}

static void a_change_copies_only_its_path(void **state)
{
    (void)state;
    struct retired retired = {0};
    struct ptree_kind kind = {.key = item_key, .retire = retire, .ctx = &retired};
    struct ptree t = {0};
    for (int i = 0; i < KEYS; i++) {
        ptree_put(&t, &kind, &items[i]);
    }
    ptree_publish(&kind);
    size_t before = retired.count;
    ptree_put(&t, &kind, &items[KEYS / 2]);
    assert_in_range(retired.count - before, 1, 4);
    ptree_clear(&t, &kind);
    free_retired(&retired);
}

static void appended_values_make_a_tree_like_any_other(void **state)
{
    static const int counts[] = {0, 1, 5, 31, 32, 33, 62, 63, 961, 962, 1000, KEYS};
    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        unsigned seed = 7;
        bool present[KEYS] = {false};
        struct retired retired = {0};
        struct ptree_kind kind = {.key = item_key, .retire = retire, .ctx = &retired};
        struct ptree t = {0};
        for (int i = 0; i < counts[c]; i++) {
            ptree_append(&t, &kind, &items[i]);
            present[i] = true;
        }
        ptree_settle(&t, &kind);
        assert_holds(&t, &kind, present);
        ptree_publish(&kind);
        struct ptree before = t;
        bool was_present[KEYS];
        memcpy(was_present, present, sizeof present);
        /* From the right, where nodes are smallest, then anywhere. */
        for (int i = counts[c] - 1; i >= 0 && i >= counts[c] - 40; i--) {
            assert_ptr_equal(ptree_remove(&t, &kind, items[i].key), &items[i]);
            present[i] = false;
        }
        assert_holds(&t, &kind, present);
        for (int i = 0; i < 300; i++) {
            int at = rand_r(&seed) % KEYS;
            if (present[at]) {
                ptree_remove(&t, &kind, items[at].key);
            } else {
                ptree_put(&t, &kind, &items[at]);
            }
            present[at] = !present[at];
        }
        assert_holds(&t, &kind, present);
        assert_holds(&before, &kind, was_present);
        ptree_clear(&t, &kind);
        free_retired(&retired);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_keep_it_a_sorted_map),
        cmocka_unit_test(published_versions_never_change),
        cmocka_unit_test(a_change_copies_only_its_path),
        cmocka_unit_test(appended_values_make_a_tree_like_any_other),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
