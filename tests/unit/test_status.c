/* Every outcome has one HTTP status, one code and one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/http/status_http.h"
#include "server/base/compiler.h"
#include "server/base/status.h"

static const enum status all[] = {
#define X(name, code, text) name,
    STATUS_MAP(X)
#undef X
};

static void every_outcome_has_its_own_code_and_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        assert_in_range(status_http(all[i]), 200, 599);
        assert_true(strlen(status_text(all[i])) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(status_code(all[i]), status_code(all[j]));
        }
    }
}

/* After any failure but 504 a client may repeat a write without checking first. */
static void only_504_leaves_the_outcome_of_a_write_open(void **state)
{
    (void)state;
    assert_int_equal(status_http(ST_UNKNOWN), 504);
    assert_string_equal(status_code(ST_UNKNOWN), "outcome_unknown");
    assert_int_equal(status_http(ST_CONFLICT), 409);
    assert_int_equal(status_http(ST_NOT_FOUND), 404);
    assert_int_equal(status_http(ST_RATE_LIMITED), 429);
    static const enum status not_done[] = {ST_BUSY, ST_NO_LEADER, ST_NO_SPACE, ST_STOPPING};
    for (size_t i = 0; i < ARRAY_LENGTH(not_done); i++) {
        assert_int_equal(status_http(not_done[i]), 503);
    }
}

static void a_number_that_is_no_outcome_is_answered_as_an_error(void **state)
{
    (void)state;
    enum status strange = (enum status)ARRAY_LENGTH(all);
    assert_int_equal(status_http(strange), 500);
    assert_string_equal(status_code(strange), "unknown_status");
    assert_string_equal(status_text(strange), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_outcome_has_its_own_code_and_a_sentence),
        cmocka_unit_test(only_504_leaves_the_outcome_of_a_write_open),
        cmocka_unit_test(a_number_that_is_no_outcome_is_answered_as_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
