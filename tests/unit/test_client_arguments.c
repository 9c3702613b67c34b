/* What callers of libmuster pass: structs of other versions, and which argument is wrong. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/include/muster.h"

#define NOBODY "http://127.0.0.1:1"

/* The structs of version 0.1. */
struct options_0_1 {
    size_t size;
    const char *servers;
    const char *fallback;
    uint32_t request_timeout_ms;
};

struct query_0_1 {
    size_t size;
    const char *service;
    enum muster_strategy strategy;
    const char *const *tags;
    size_t tags_count;
    const char *zone;
};

static struct muster *open_client(const void *options)
{
    struct muster *muster;
    assert_int_equal(muster_open(options, &muster, NULL, 0), MUSTER_OK);
    return muster;
}

static void programs_of_the_first_version_go_on_working(void **state)
{
    (void)state;
    struct {
        struct options_0_1 options;
        char behind[64]; /* not the library's to read */
    } memory;
    memset(&memory, 0xff, sizeof memory);
    /* Member by member: leaves the padding alone. */
    memory.options.size = sizeof memory.options;
    memory.options.servers = NOBODY;
    memory.options.fallback = "http://10.0.0.1:80";
    memory.options.request_timeout_ms = 0;
    struct muster *muster = open_client(&memory.options);
    assert_int_equal(muster_descriptor(muster), -1);

    struct {
        struct query_0_1 query;
        char behind[64];
    } asked;
    memset(&asked, 0xff, sizeof asked);
    asked.query = (struct query_0_1){.size = sizeof asked.query, .service = "web"};
    struct muster_found found;
    assert_int_equal(
        muster_discover(muster, (const struct muster_query *)&asked.query, 1000, &found),
        MUSTER_OK);
    assert_int_equal(found.source, MUSTER_FROM_FALLBACK);
    muster_instance_unref(found.instance);
    muster_close(muster, 0);
}

static void programs_of_later_versions_work_as_long_as_they_use_nothing_new(void **state)
{
    (void)state;
    struct {
        struct muster_query query;
        uint64_t later;
    } asked = {.query = {.size = sizeof asked, .service = "web"}};
    const struct muster_options options = {
        .size = sizeof options, .servers = NOBODY, .fallback = "http://10.0.0.1:80"};
    struct muster *muster = open_client(&options);
    struct muster_found found;
    assert_int_equal(muster_discover(muster, &asked.query, 1000, &found), MUSTER_OK);
    muster_instance_unref(found.instance);
    asked.later = 1;
    assert_int_equal(muster_discover(muster, &asked.query, 1000, &found), MUSTER_INVALID);
    assert_non_null(strstr(muster_invalid_argument(), "does not have"));
    muster_close(muster, 0);
}

static void a_size_that_is_not_set_is_named(void **state)
{
    (void)state;
    const struct muster_options none = {.servers = NOBODY};
    struct muster *muster;
    char why[200] = "";
    assert_int_equal(muster_open(&none, &muster, why, sizeof why), MUSTER_INVALID);
    assert_non_null(strstr(why, "size"));
    const struct muster_options options = {.size = sizeof options, .servers = NOBODY};
    muster = open_client(&options);
    struct muster_spec spec = {.name = "web", .port = 80};
    struct muster_registration *made;
    assert_int_equal(muster_register(muster, &spec, &made), MUSTER_INVALID);
    assert_non_null(strstr(muster_invalid_argument(), "size"));
    muster_close(muster, 0);
}

static void the_initialisers_set_the_size_and_nothing_else(void **state)
{
    (void)state;
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_spec spec = MUSTER_SPEC_INIT;
    struct muster_query query = MUSTER_QUERY_INIT;
    assert_int_equal(options.size, sizeof options);
    assert_int_equal(spec.size, sizeof spec);
    assert_int_equal(query.size, sizeof query);
    assert_null(options.servers);
    assert_false(options.adopt_environment);
    assert_null(spec.name);
    assert_null(query.service);
    assert_int_equal(query.health, 0);
}

/* A program that was built before there were checks; and what is no JSON. */
static void checks_are_at_the_end_of_a_spec_and_are_json(void **state)
{
    (void)state;
    const struct muster_options options = {.size = sizeof options, .servers = NOBODY};
    struct muster *muster = open_client(&options);
    struct muster_registration *made;
    struct muster_spec spec = {
        .size = offsetof(struct muster_spec, checks), .name = "web", .port = 80, .checks = "{"};
    assert_int_equal(muster_register(muster, &spec, &made), MUSTER_OK);
    spec.size = sizeof spec;
    assert_int_equal(muster_register(muster, &spec, &made), MUSTER_INVALID);
    assert_string_equal(muster_invalid_argument(), "spec->checks is no JSON array");
    spec.checks = "[]";
    assert_int_equal(muster_register(muster, &spec, &made), MUSTER_OK);
    spec.size = offsetof(struct muster_spec, ctx);
    assert_int_equal(muster_register(muster, &spec, &made), MUSTER_INVALID);
    muster_close(muster, 0);
}

static void *look(void *seen)
{
    *(const char **)seen = muster_invalid_argument();
    return NULL;
}

static void each_thread_has_its_own_last_complaint(void **state)
{
    (void)state;
    const char *seen = NULL;
    pthread_t thread;
    assert_int_equal(muster_wait(NULL, 0), MUSTER_INVALID);
    assert_string_equal(muster_invalid_argument(), "registration is NULL");
    assert_int_equal(pthread_create(&thread, NULL, look, &seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(seen, "");
}

static void every_value_has_a_name_and_others_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(muster_error_name(MUSTER_OK), "ok");
    assert_string_equal(muster_error_name(MUSTER_TIMED_OUT), "timed_out");
    assert_string_equal(muster_error_name((enum muster_error)(MUSTER_TIMED_OUT + 1)),
                        "unknown error");
    assert_string_equal(muster_health_name(MUSTER_MAINTENANCE), "maintenance");
    assert_string_equal(muster_health_name((enum muster_health) - 1), "unknown");
    assert_string_equal(muster_state_name(MUSTER_DENIED), "denied");
    assert_string_equal(muster_state_name((enum muster_state)4), "unknown");
    assert_string_equal(muster_strategy_name(MUSTER_ROUND_ROBIN), "round_robin");
    assert_string_equal(muster_strategy_name((enum muster_strategy)4), "unknown");
    assert_string_equal(muster_source_name(MUSTER_FROM_FALLBACK), "fallback");
    assert_string_equal(muster_change_name(MUSTER_REMOVED), "removed");
    assert_string_equal(muster_change_name((enum muster_change)6), "unknown");
    assert_string_equal(muster_log_level_name(MUSTER_LOG_ERROR), "error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_of_the_first_version_go_on_working),
        cmocka_unit_test(programs_of_later_versions_work_as_long_as_they_use_nothing_new),
        cmocka_unit_test(a_size_that_is_not_set_is_named),
        cmocka_unit_test(the_initialisers_set_the_size_and_nothing_else),
        cmocka_unit_test(checks_are_at_the_end_of_a_spec_and_are_json),
        cmocka_unit_test(each_thread_has_its_own_last_complaint),
        cmocka_unit_test(every_value_has_a_name_and_others_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
