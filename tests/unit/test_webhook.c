/* The signature of a webhook, against values that another implementation has made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/webhook/webhook_sign.h"
#include "server/base/compiler.h"

static void a_signature_has_time_and_hmac(void **state UNUSED)
{
    char out[WEBHOOK_SIGNATURE_SIZE];
    assert_true(webhook_sign("0123456789abcdef", 1790000000, "{}", 2, out));
    assert_string_equal(out, "t=1790000000,v1="
                             "3d02334942fff50e279f641c1b104ff5f49380d94ff307bb92b1e03f5aee6ff0");
    assert_true(webhook_sign("0123456789abcdef", UINT64_MAX, "", 0, out));
    assert_int_equal(strlen(out), 2 + 20 + 4 + 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_signature_has_time_and_hmac)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
