/* Which replica is tried next, and how outcomes are classified. The test sets the time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client/lib/failover.h"
#include "server/base/compiler.h"

static struct servers servers;
static struct failover failover;
static struct failover_call call;
static const struct http_request read_request = {.method = "GET", .path = "/", .read = true};
static const struct http_request write_request = {.method = "POST", .path = "/"};
static const struct http_request repeatable_request = {
    .method = "PUT", .path = "/", .repeatable = true};

static int three_replicas(void **state)
{
    (void)state;
    char error[200];
    assert_true(servers_parse("http://a:1,http://b:1,http://c:1", &servers, error, sizeof error));
    failover = (struct failover){.servers = &servers};
    return 0;
}

static void assert_try(size_t server, uint64_t now_ms)
{
    assert_int_equal(failover_next(&call, now_ms), FAILOVER_TRY);
    assert_int_equal(call.server, server);
}

static void answer(long status, const char *code, uint64_t now_ms)
{
    struct http_answer got = {
        .status = status, .body = json_pack("{s:s}", "error", code), .retry_after_ms = -1};
    failover_note(&call, HTTP_ANSWERED, &got, NULL, now_ms);
}

static void break_off(enum http_outcome outcome, uint64_t now_ms)
{
    failover_note(&call, outcome, NULL, "as told", now_ms);
}

static void assert_over(enum failover_outcome outcome, long status, uint64_t now_ms)
{
    struct http_answer got = {.body = NULL};
    assert_int_equal(failover_next(&call, now_ms), FAILOVER_OVER);
    assert_int_equal(failover_end(&call, &got), outcome);
    assert_int_equal(got.status, status);
    http_answer_done(&got);
}

static void too_many_requests_is_surely_not_done_and_tried_again_when_told(void **state)
{
    (void)state;
    static const int64_t asked_ms[] = {7000, 3000, 5000};
    struct http_answer got;
    failover_begin(&call, &failover, &write_request, 10000);
    for (size_t i = 0; i < 3; i++) {
        assert_try(i, 100);
        got = (struct http_answer){.status = 429,
                                   .body = json_pack("{s:s}", "error", "rate_limited"),
                                   .retry_after_ms = asked_ms[i]};
        failover_note(&call, HTTP_ANSWERED, &got, NULL, 100);
    }
    assert_int_equal(failover_next(&call, 100), FAILOVER_PAUSE);
    assert_int_equal(call.resume_ms, 3100);
    assert_try(0, 3100);
    answer(201, "", 3200);
    assert_over(FAILOVER_ANSWERED, 201, 3200);
}

static void who_answered_is_asked_first_the_next_time(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &read_request, 1000);
    assert_try(0, 0);
    break_off(HTTP_NOT_SENT, 1);
    assert_try(1, 1);
    answer(200, "", 2);
    assert_over(FAILOVER_ANSWERED, 200, 2);
    failover_begin(&call, &failover, &read_request, 1000);
    assert_try(1, 0);
    break_off(HTTP_BROKEN, 0);
    assert_try(2, 0);
    break_off(HTTP_BROKEN, 0);
    assert_try(0, 0);
    break_off(HTTP_BROKEN, 0);
    assert_over(FAILOVER_UNREACHABLE, 0, 0);
}

static void a_write_that_may_have_left_is_unknown_and_not_repeated(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &write_request, 1000);
    assert_try(0, 0);
    break_off(HTTP_NOT_SENT, 0);
    assert_try(1, 0);
    break_off(HTTP_BROKEN, 0);
    assert_over(FAILOVER_UNKNOWN, 0, 0);
    failover_begin(&call, &failover, &write_request, 1000);
    assert_try(0, 0);
    answer(504, "outcome_unknown", 0);
    assert_over(FAILOVER_UNKNOWN, 0, 0);
}

static void a_repeatable_write_becomes_known_by_a_final_answer(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &repeatable_request, 1000);
    assert_try(0, 0);
    break_off(HTTP_BROKEN, 0);
    assert_try(1, 0);
    answer(200, "", 0);
    assert_true(call.unsure);
    assert_over(FAILOVER_ANSWERED, 200, 0);
}

static void a_refusal_after_an_unsure_attempt_says_nothing_of_it(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &repeatable_request, 100);
    assert_try(0, 0);
    break_off(HTTP_BROKEN, 0);
    assert_try(1, 0);
    answer(503, "no_leader", 0);
    assert_try(2, 0);
    answer(503, "no_leader", 0);
    assert_over(FAILOVER_UNKNOWN, 0, 0);
}

static void a_round_of_refusals_pauses_and_begins_again(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &write_request, 2000);
    for (size_t i = 0; i < 3; i++) {
        assert_try(i, 10 * i);
        answer(503, "no_leader", 10 * i);
    }
    assert_int_equal(failover_next(&call, 30), FAILOVER_PAUSE);
    assert_int_equal(failover_next(&call, call.resume_ms - 1), FAILOVER_PAUSE);
    assert_int_equal(call.resume_ms, 530);
    assert_try(0, 530);
    answer(201, "", 531);
    assert_over(FAILOVER_ANSWERED, 201, 531);
}

static void when_the_pause_would_pass_the_deadline_the_refusal_is_the_answer(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &write_request, 400);
    for (size_t i = 0; i < 3; i++) {
        assert_try(i, 0);
        answer(503, "overloaded", 0);
    }
    assert_over(FAILOVER_ANSWERED, 503, 0);
}

static void what_the_registry_holds_is_an_answer(void **state)
{
    (void)state;
    static const long statuses[] = {200, 201, 302, 400, 404, 409, 413};
    for (size_t i = 0; i < ARRAY_LENGTH(statuses); i++) {
        failover_begin(&call, &failover, &write_request, 1000);
        assert_try(0, 0);
        answer(statuses[i], "x", 0);
        assert_over(FAILOVER_ANSWERED, statuses[i], 0);
    }
    failover_begin(&call, &failover, &read_request, 1000);
    assert_try(0, 0);
    answer(503, "no_healthy_instance", 0);
    assert_over(FAILOVER_ANSWERED, 503, 0);
}

static void a_share_of_the_time_is_for_each_replica(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &read_request, 9000);
    assert_try(0, 0);
    assert_int_equal(call.limit_ms, 3000);
    assert_int_equal(call.connect_ms, 2000);
    break_off(HTTP_BROKEN, 3000);
    assert_try(1, 3000);
    assert_int_equal(call.limit_ms, 3000);
    /* A request that must not be repeated gets all the time there is. */
    failover_begin(&call, &failover, &write_request, 9000);
    assert_try(0, 0);
    assert_int_equal(call.limit_ms, 9000);
}

static void once_takes_the_first_answer_whatever_it_is(void **state)
{
    (void)state;
    failover_begin(&call, &failover, &read_request, 1000);
    call.once = true;
    assert_try(0, 0);
    answer(503, "stopping", 0);
    assert_over(FAILOVER_ANSWERED, 503, 0);
    failover_begin(&call, &failover, &read_request, 1000);
    call.once = true;
    assert_try(0, 0);
    break_off(HTTP_NOT_SENT, 0);
    assert_over(FAILOVER_UNREACHABLE, 0, 0);
}

static void the_reasons_are_kept_and_bounded(void **state)
{
    (void)state;
    char why[HTTP_WHY_SIZE];
    memset(why, 'x', sizeof why);
    why[sizeof why - 1] = '\0';
    failover_begin(&call, &failover, &read_request, UINT64_MAX / 2);
    for (size_t i = 0; i < 3; i++) {
        assert_try(i, 0);
        failover_note(&call, HTTP_NOT_SENT, NULL, why, 0);
    }
    assert_true(strlen(call.why) > 3 * 255 && strlen(call.why) < sizeof call.why);
    assert_over(FAILOVER_UNREACHABLE, 0, 0);
}

#define test(f) cmocka_unit_test_setup(f, three_replicas)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(too_many_requests_is_surely_not_done_and_tried_again_when_told),
        test(who_answered_is_asked_first_the_next_time),
        test(a_write_that_may_have_left_is_unknown_and_not_repeated),
        test(a_repeatable_write_becomes_known_by_a_final_answer),
        test(a_refusal_after_an_unsure_attempt_says_nothing_of_it),
        test(a_round_of_refusals_pauses_and_begins_again),
        test(when_the_pause_would_pass_the_deadline_the_refusal_is_the_answer),
        test(what_the_registry_holds_is_an_answer),
        test(a_share_of_the_time_is_for_each_replica),
        test(once_takes_the_first_answer_whatever_it_is),
        test(the_reasons_are_kept_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
