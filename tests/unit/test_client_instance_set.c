/* Parsing instances from JSON, and choosing one of a service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/lib/instance.h"
#include "client/lib/instance_set.h"
#include "server/base/limits.h"

static const struct muster_instance *make(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *json = json_vpack_ex(NULL, 0, format, args);
    va_end(args);
    assert_non_null(json);
    const struct muster_instance *made = instance_make(json);
    json_decref(json);
    return made;
}

static void put(struct instance_set *set, const char *id, const char *health, const char *zone,
                int weight)
{
    const struct muster_instance *made = make("{s:s, s:s, s:s, s:i, s:[s]}", "id", id, "health",
                                              health, "zone", zone, "weight", weight, "tags", "t");
    assert_true(instance_set_put(set, made));
}

static void a_record_has_what_the_json_says(void **state)
{
    (void)state;
    const struct muster_instance *made =
        make("{s:s, s:s, s:s, s:i, s:[s, s], s:{s:s}, s:i, s:s, s:f, s:s, s:s, s:I, s:I}", "id",
             "i", "name", "n", "host", "h", "port", 65535, "tags", "a", "b", "metadata", "k", "v",
             "weight", 7, "zone", "z", "ttl", 1.5, "health", "warning", "note", "hot",
             "incarnation", (json_int_t)1 << 40, "index", (json_int_t)9);
    assert_non_null(made);
    assert_string_equal(made->id, "i");
    assert_string_equal(made->type, "");
    assert_string_equal(made->host, "h");
    assert_string_equal(made->note, "hot");
    assert_int_equal(made->port, 65535);
    assert_int_equal(made->tags_count, 2);
    assert_string_equal(made->tags[1], "b");
    assert_string_equal(made->metadata[0].key, "k");
    assert_string_equal(made->metadata[0].value, "v");
    assert_int_equal(made->ttl_ms, 1500);
    assert_int_equal(made->health, MUSTER_WARNING);
    assert_true(made->incarnation == 1ull << 40);
    muster_instance_unref(made);
}

static void in_maintenance_the_note_is_the_reason(void **state)
{
    (void)state;
    const struct muster_instance *made = make("{s:s, s:s, s:s, s:s}", "id", "i", "health",
                                              "maintenance", "note", "n", "reason", "kernel");
    assert_string_equal(made->note, "kernel");
    muster_instance_unref(made);
}

static void what_is_no_instance_is_refused(void **state)
{
    (void)state;
    char big[NOTE_BYTES_MAX + 2];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_null(make("{s:s}", "id", "i"));
    assert_null(make("{s:s}", "health", "passing"));
    assert_null(make("{s:s, s:s}", "id", "", "health", "passing"));
    assert_null(make("{s:s, s:s}", "id", "i", "health", "splendid"));
    assert_null(make("{s:s, s:s, s:i}", "id", "i", "health", "passing", "port", 65536));
    assert_null(make("{s:s, s:s, s:i}", "id", "i", "health", "passing", "weight", -1));
    assert_null(make("{s:s, s:s, s:s}", "id", "i", "health", "passing", "note", big));
    assert_null(instance_make(NULL));
}

static void a_roll_is_in_order_of_id(void **state)
{
    (void)state;
    struct instance_set set = {.count = 0};
    static const char *const ids[] = {"m", "c", "x", "a", "c", "z", "b"};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        put(&set, ids[i], "passing", "", (int)i);
    }
    assert_int_equal(set.count, 6);
    for (size_t i = 1; i < set.count; i++) {
        assert_true(strcmp(set.instances[i - 1]->id, set.instances[i]->id) < 0);
    }
    assert_string_equal(set.instances[2]->id, "c");
    assert_int_equal(set.instances[2]->weight, 4);
    instance_set_remove(&set, "c");
    instance_set_remove(&set, "nobody");
    assert_string_equal(set.instances[2]->id, "m");
    assert_int_equal(set.count, 5);
    instance_set_done(&set);
}

static const char *pick(const struct instance_set *set, enum muster_strategy strategy,
                        const char *zone, uint64_t *turn)
{
    const struct muster_query query = {.strategy = strategy, .zone = zone};
    const struct muster_instance *picked = instance_set_choose(set, &query, turn);
    return picked != NULL ? picked->id : "none";
}

static void only_the_healthy_are_picked(void **state)
{
    (void)state;
    struct instance_set set = {.count = 0};
    uint64_t turn = 0;
    assert_string_equal(pick(&set, MUSTER_RANDOM, NULL, &turn), "none");
    put(&set, "a", "critical", "", 1);
    put(&set, "b", "maintenance", "", 1);
    for (int strategy = MUSTER_RANDOM; strategy <= MUSTER_WEIGHTED; strategy++) {
        assert_string_equal(pick(&set, (enum muster_strategy)strategy, NULL, &turn), "none");
    }
    put(&set, "c", "warning", "", 1);
    for (int strategy = MUSTER_RANDOM; strategy <= MUSTER_WEIGHTED; strategy++) {
        assert_string_equal(pick(&set, (enum muster_strategy)strategy, NULL, &turn), "c");
    }
    instance_set_done(&set);
}

static void round_robin_takes_each_in_turn_and_first_the_first(void **state)
{
    (void)state;
    struct instance_set set = {.count = 0};
    uint64_t turn = 0;
    put(&set, "c", "passing", "", 1);
    put(&set, "a", "passing", "", 9);
    put(&set, "b", "passing", "", 0);
    static const char *const turns[] = {"a", "b", "c", "a", "b"};
    for (size_t i = 0; i < ARRAY_LENGTH(turns); i++) {
        assert_string_equal(pick(&set, MUSTER_ROUND_ROBIN, NULL, &turn), turns[i]);
        assert_string_equal(pick(&set, MUSTER_FIRST, NULL, &turn), "a");
    }
    instance_set_done(&set);
}

static void large_services_are_taken_in_turn_without_the_ill(void **state)
{
    (void)state;
    struct instance_set set = {.count = 0};
    uint64_t turn = 0;
    for (int i = 0; i < 100; i++) {
        char id[8];
        snprintf(id, sizeof id, "%03d", i);
        put(&set, id, i < 30 ? "critical" : "passing", "", 1);
    }
    assert_string_equal(pick(&set, MUSTER_FIRST, NULL, &turn), "030");
    size_t seen[100] = {0};
    for (int i = 0; i < 1000; i++) {
        int id = (int)strtol(pick(&set, MUSTER_ROUND_ROBIN, NULL, &turn), NULL, 10);
        assert_true(id >= 30);
        seen[id]++;
    }
    for (int i = 30; i < 100; i++) {
        assert_true(seen[i] >= 10);
    }
    instance_set_done(&set);
}

static void weights_are_shares_and_none_is_the_last_resort(void **state)
{
    (void)state;
    struct instance_set set = {.count = 0};
    uint64_t turn = 0;
    size_t heavy = 0;
    put(&set, "heavy", "passing", "", 30);
    put(&set, "light", "passing", "", 10);
    put(&set, "none", "passing", "", 0);
    for (int i = 0; i < 4000; i++) {
        const char *id = pick(&set, MUSTER_WEIGHTED, NULL, &turn);
        assert_string_not_equal(id, "none");
        heavy += strcmp(id, "heavy") == 0;
    }
    /* Three quarters; the bounds are more than ten standard deviations away. */
    assert_in_range(heavy, 2700, 3300);
    instance_set_remove(&set, "heavy");
    instance_set_remove(&set, "light");
    assert_string_equal(pick(&set, MUSTER_WEIGHTED, NULL, &turn), "none");
    instance_set_done(&set);
}

static void the_near_are_preferred_and_tags_must_match(void **state)
{
    (void)state;
    struct instance_set set = {.count = 0};
    uint64_t turn = 0;
    put(&set, "far", "passing", "south", 1);
    put(&set, "near", "passing", "north", 1);
    for (int i = 0; i < 50; i++) {
        assert_string_equal(pick(&set, (enum muster_strategy)(i % 4), "north", &turn), "near");
        assert_string_not_equal(pick(&set, MUSTER_RANDOM, "west", &turn), "none");
    }
    static const char *const tags[] = {"t", "other"};
    struct muster_query query = {.tags = tags, .tags_count = 1};
    assert_non_null(instance_set_choose(&set, &query, &turn));
    query.tags_count = 2;
    assert_null(instance_set_choose(&set, &query, &turn));
    instance_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_what_the_json_says),
        cmocka_unit_test(in_maintenance_the_note_is_the_reason),
        cmocka_unit_test(what_is_no_instance_is_refused),
        cmocka_unit_test(a_roll_is_in_order_of_id),
        cmocka_unit_test(only_the_healthy_are_picked),
        cmocka_unit_test(round_robin_takes_each_in_turn_and_first_the_first),
        cmocka_unit_test(large_services_are_taken_in_turn_without_the_ill),
        cmocka_unit_test(weights_are_shares_and_none_is_the_last_resort),
        cmocka_unit_test(the_near_are_preferred_and_tags_must_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
