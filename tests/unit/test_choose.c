/* Choosing an instance: strategies, preferences and filters, on a tree of records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/mem.h"
#include "server/registry/choose.h"

#define MANY 200

static const char *key_of(const void *value)
{
    return record_id(value);
}

static void retire(void *ctx, void *memory, uint64_t epoch)
{
    (void)epoch;
    (void)ctx;
    free(memory);
}

static const struct ptree_kind kind = {.key = key_of, .retire = retire};
static struct ptree tree;
static uint64_t seed = 1;

static struct record *add(const char *id, const char *zone, unsigned weight, enum health health)
{
    struct registration r = {.weight = (uint16_t)weight, .port = 1};
    r.id = (struct slice){id, strlen(id)};
    r.name = (struct slice){"web", 3};
    r.host = r.type = (struct slice){"", 0};
    r.zone = (struct slice){zone, strlen(zone)};
    struct record *record = record_create(&r);
    record->declared = (uint8_t)health;
    assert_null(ptree_put(&tree, &kind, record));
    return record;
}

static int clear(void **state)
{
    (void)state;
    struct ptree_iterator it;
    struct record *record;
    ptree_iterate(&it, &tree, 0);
    while ((record = ptree_next(&it)) != NULL) {
        free(record);
    }
    ptree_clear(&tree, &kind);
    tree.root = NULL;
    return 0;
}

static const char *choose(enum strategy strategy, const char *near, uint32_t turn)
{
    struct choice choice = {.strategy = strategy, .near = near, .turn = turn, .random = &seed};
    choice.filter.health = FILTER_DISCOVERABLE;
    const struct record *record = choose_instance(&choice, &tree);
    return record != NULL ? record_id(record) : NULL;
}

static void nothing_to_choose_from_gives_none(void **state)
{
    (void)state;
    for (int s = STRATEGY_RANDOM; s <= STRATEGY_WEIGHTED; s++) {
        assert_null(choose((enum strategy)s, NULL, 3));
    }
    add("a", "", 1, HEALTH_CRITICAL);
    for (int s = STRATEGY_RANDOM; s <= STRATEGY_WEIGHTED; s++) {
        assert_null(choose((enum strategy)s, NULL, 3));
    }
}

static void round_robin_takes_turns_among_the_healthy(void **state)
{
    (void)state;
    add("a", "", 1, HEALTH_PASSING);
    add("b", "", 1, HEALTH_CRITICAL);
    add("c", "", 1, HEALTH_WARNING);
    assert_string_equal(choose(STRATEGY_ROUND_ROBIN, NULL, 0), "a");
    assert_string_equal(choose(STRATEGY_ROUND_ROBIN, NULL, 1), "c");
    assert_string_equal(choose(STRATEGY_ROUND_ROBIN, NULL, 2), "a");
}

static void round_robin_of_many_goes_by_rank(void **state)
{
    (void)state;
    char id[16], expected[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof id, "i%04u", i);
        add(id, "", 1, i % 2 == 0 ? HEALTH_PASSING : HEALTH_CRITICAL);
    }
    for (unsigned i = 0; i < 2 * MANY; i += 2) {
        (void)snprintf(expected, sizeof expected, "i%04u", i % MANY);
        assert_string_equal(choose(STRATEGY_ROUND_ROBIN, NULL, i), expected);
    }
}

static void first_is_the_first_healthy_by_id(void **state)
{
    (void)state;
    add("b", "", 1, HEALTH_PASSING);
    add("a", "", 1, HEALTH_MAINTENANCE);
    add("c", "", 1, HEALTH_PASSING);
    assert_string_equal(choose(STRATEGY_FIRST, NULL, 0), "b");
}

static void random_finds_the_one_among_many_sick(void **state)
{
    (void)state;
    char id[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof id, "i%04u", i);
        add(id, "", 1, i == 77 ? HEALTH_PASSING : HEALTH_CRITICAL);
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_string_equal(choose(STRATEGY_RANDOM, NULL, 0), "i0077");
        assert_string_equal(choose(STRATEGY_ROUND_ROBIN, NULL, i * 7), "i0077");
    }
}

static void random_reaches_all(void **state)
{
    (void)state;
    unsigned seen[3] = {0};
    add("a", "", 1, HEALTH_PASSING);
    add("b", "", 1, HEALTH_PASSING);
    add("c", "", 1, HEALTH_PASSING);
    for (unsigned i = 0; i < 3000; i++) {
        seen[choose(STRATEGY_RANDOM, NULL, 0)[0] - 'a']++;
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_in_range(seen[i], 800, 1200);
    }
}

static void weights_give_shares(void **state)
{
    (void)state;
    unsigned seen[3] = {0};
    add("a", "", 1, HEALTH_PASSING);
    add("b", "", 3, HEALTH_PASSING);
    add("c", "", 0, HEALTH_PASSING);
    for (unsigned i = 0; i < 4000; i++) {
        seen[choose(STRATEGY_WEIGHTED, NULL, 0)[0] - 'a']++;
    }
    assert_in_range(seen[0], 800, 1200);
    assert_in_range(seen[1], 2800, 3200);
    assert_int_equal(seen[2], 0);
}

static void weight_zero_is_the_last_resort(void **state)
{
    (void)state;
    add("a", "", 0, HEALTH_PASSING);
    add("b", "", 5, HEALTH_CRITICAL);
    assert_string_equal(choose(STRATEGY_WEIGHTED, NULL, 0), "a");
}

static void near_is_preferred_but_not_required(void **state)
{
    (void)state;
    add("a", "eu", 1, HEALTH_PASSING);
    add("b", "us", 1, HEALTH_PASSING);
    add("c", "us", 1, HEALTH_CRITICAL);
    for (int s = STRATEGY_RANDOM; s <= STRATEGY_WEIGHTED; s++) {
        for (uint32_t turn = 0; turn < 50; turn++) {
            assert_string_equal(choose((enum strategy)s, "us", turn), "b");
            assert_non_null(choose((enum strategy)s, "asia", turn));
        }
    }
}

static void strategies_have_names(void **state)
{
    (void)state;
    enum strategy strategy;
    assert_true(strategy_parse("round_robin", &strategy));
    assert_int_equal(strategy, STRATEGY_ROUND_ROBIN);
    assert_false(strategy_parse("", &strategy));
    assert_false(strategy_parse("Random", &strategy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_to_choose_from_gives_none, clear),
        cmocka_unit_test_teardown(round_robin_takes_turns_among_the_healthy, clear),
        cmocka_unit_test_teardown(round_robin_of_many_goes_by_rank, clear),
        cmocka_unit_test_teardown(first_is_the_first_healthy_by_id, clear),
        cmocka_unit_test_teardown(random_finds_the_one_among_many_sick, clear),
        cmocka_unit_test_teardown(random_reaches_all, clear),
        cmocka_unit_test_teardown(weights_give_shares, clear),
        cmocka_unit_test_teardown(weight_zero_is_the_last_resort, clear),
        cmocka_unit_test_teardown(near_is_preferred_but_not_required, clear),
        cmocka_unit_test(strategies_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
