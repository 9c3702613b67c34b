/* --restore and --recover on the command line: removed from it, and accepted only where they make
 * sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/offline.h"

#define WORDS_MAX 12

struct line {
    char *argv[WORDS_MAX + 1];
    int argc;
    struct offline offline;
    char error[512];
};

static bool scan(struct line *l, const char *const *words)
{
    l->argv[0] = (char *)(uintptr_t) "musterd";
    l->argc = 1;
    for (; words[l->argc - 1] != NULL; l->argc++) {
        l->argv[l->argc] = (char *)(uintptr_t)words[l->argc - 1];
    }
    l->argv[l->argc] = NULL;
    l->error[0] = '\0';
    return offline_scan(&l->argc, l->argv, &l->offline, l->error, sizeof l->error);
}

#define SCAN(l, ...) scan(l, (const char *const[]){__VA_ARGS__, NULL})

static void the_other_options_stay(void **state)
{
    struct line l;
    (void)state;
    assert_true(SCAN(&l, "--id", "2", "--restore", "b", "--data=d"));
    assert_string_equal(l.offline.restore, "b");
    assert_int_equal(l.argc, 4);
    assert_string_equal(l.argv[3], "--data=d");
    assert_null(l.argv[4]);
    assert_true(SCAN(&l, "--restore=b=c", "--id", "2"));
    assert_string_equal(l.offline.restore, "b=c");
    assert_int_equal(l.argc, 3);
    assert_true(SCAN(&l, "--recover", "--id", "2", "--yes"));
    assert_true(l.offline.recover && l.offline.confirmed && l.offline.restore == NULL);
    assert_int_equal(l.argc, 3);
    assert_true(SCAN(&l, "--restored", "x"));
    assert_true(l.offline.restore == NULL);
    assert_int_equal(l.argc, 3);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct line l;
    (void)state;
    assert_false(SCAN(&l, "--restore"));
    assert_false(SCAN(&l, "--restore="));
    assert_false(SCAN(&l, "--restore", "--id", "2"));
    assert_non_null(strstr(l.error, "needs a value"));
    assert_false(SCAN(&l, "--restore", "b", "--recover"));
    assert_false(SCAN(&l, "--yes"));
    assert_false(SCAN(&l, "--restore", "b", "--yes"));
    assert_non_null(strstr(l.error, "--yes goes with"));
}

static void a_restore_is_of_one_member(void **state)
{
    struct offline o = {.restore = "b"};
    static struct config config;
    char error[512];
    (void)state;
    config.members_count = 1;
    assert_true(offline_check(&o, &config, error, sizeof error));
    config.members_count = 3;
    assert_false(offline_check(&o, &config, error, sizeof error));
    assert_non_null(strstr(error, "leave out --cluster"));
    config.members_count = 1;
    config.join.count = 1;
    assert_false(offline_check(&o, &config, error, sizeof error));
    assert_non_null(strstr(error, "--join"));
    config.join.count = 0;
    config.members_count = 3;
    o = (struct offline){.recover = true};
    assert_true(offline_check(&o, &config, error, sizeof error));
}

static const char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static void an_id_counts_for_a_recovery_only_when_it_is_given(void **state)
{
    static struct config config;
    char error[512];
    char *none[] = {(char *)(uintptr_t) "musterd", NULL};
    char *one[] = {(char *)(uintptr_t) "musterd", (char *)(uintptr_t) "--id=1", NULL};
    (void)state;
    assert_int_equal(config_load(1, none, no_variable, &config, error, sizeof error), CONFIG_RUN);
    assert_false(config.id_given);
    assert_int_equal(config_load(2, one, no_variable, &config, error, sizeof error), CONFIG_RUN);
    assert_true(config.id_given);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_options_stay),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(a_restore_is_of_one_member),
        cmocka_unit_test(an_id_counts_for_a_recovery_only_when_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
