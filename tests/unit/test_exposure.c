/* What only this machine reaches, and which warnings a replica has that others reach. */
#include "tests/unit/registry_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "api/core/exposure.h"
#include "server/net/loopback.h"

static void only_the_loopback_is_local(void **state)
{
    (void)state;
    static const char *const local[] = {"127.0.0.1:1", "127.255.0.9:1", "[::1]:1", "localhost:1",
                                        "[::ffff:127.0.0.1]:1"},
                             *const others[] = {
                                 ":1",          "0.0.0.0:1",  "[::]:1",           "10.0.0.1:1",
                                 "[fe80::1]:1", "no address", "nowhere.invalid:1"};
    for (size_t i = 0; i < ARRAY_LENGTH(local); i++) {
        assert_true(loopback_listens(local[i]));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        assert_false(loopback_listens(others[i]));
    }
}

/* The codes, with a space after each. */
static const char *codes(const struct exposure *exposure)
{
    static char out[200];
    struct warning warnings[EXPOSURE_WARNINGS_MAX];
    size_t count = exposure_find(exposure, warnings);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(out + strlen(out), sizeof out - strlen(out), "%s ", warnings[i].code);
    }
    return out;
}

static void what_is_reached_must_be_protected(void **state)
{
    (void)state;
    struct exposure e = {.clients_reach = false};
    assert_string_equal(codes(&e), "");
    e.clients_reach = e.members_reach = true;
    assert_string_equal(codes(&e), "clients_not_encrypted members_not_proven ");
    e.is_encrypted = true;
    assert_string_equal(codes(&e), "members_not_proven ");
    e.members_prove = true;
    assert_string_equal(codes(&e), "");
}

static void open_is_what_anybody_may_write(void **state)
{
    struct fixture *f = *state;
    struct warning warning;
    struct exposure e = {.clients_reach = true};
    fixture_begin(f);
    registry_set_level(f->registry, LEVEL_MAX);
    fixture_end(f);
    assert_true(exposure_find_open(&e, fixture_view(f), &warning));
    assert_string_equal(warning.code, "open_to_all");
    e.anonymous = ANONYMOUS_READ;
    assert_false(exposure_find_open(&e, fixture_view(f), &warning));
    static const uint8_t hash[TOKEN_HASH_BYTES] = {1};
    struct command first = {
        .kind = COMMAND_TOKEN_CREATE,
        .token_create = {.spec = {.id = slice_of("abcdefghij"),
                                  .hash = {(const char *)hash, sizeof hash},
                                  .description = slice_of("")},
                         .turn = TOKEN_TURN_ONLY},
    };
    assert_int_equal(fixture_apply(f, &first)->status, ST_OK);
    e.anonymous = ANONYMOUS_DEFAULT;
    assert_false(exposure_find_open(&e, fixture_view(f), &warning));
    e.anonymous = ANONYMOUS_WRITE;
    assert_true(exposure_find_open(&e, fixture_view(f), &warning));
    e.clients_reach = false;
    assert_false(exposure_find_open(&e, fixture_view(f), &warning));
}

static void a_certificate_is_told_of_two_weeks_before(void **state)
{
    (void)state;
    struct warning warning;
    const int64_t day_s = 24 * 3600, now_s = 1000 * day_s;
    assert_false(exposure_find_end(0, now_s, &warning));
    assert_false(exposure_find_end(now_s + 14 * day_s, now_s, &warning));
    assert_true(exposure_find_end(now_s + 14 * day_s - 1, now_s, &warning));
    assert_string_equal(warning.code, "certificate_ends");
    assert_true(exposure_find_end(now_s, now_s, &warning));
    assert_string_equal(warning.code, "certificate_ended");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_the_loopback_is_local),
        TEST(what_is_reached_must_be_protected),
        TEST(open_is_what_anybody_may_write),
        TEST(a_certificate_is_told_of_two_weeks_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
