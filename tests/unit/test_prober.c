/* The parts of the runner of active checks that need no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "api/prober/allow.h"
#include "api/prober/health_call.h"
#include "api/prober/judge.h"
#include "api/prober/output.h"
#include "api/prober/schedule.h"
#include "api/prober/target.h"
#include "api/prober/target_reply.h"
#include "server/base/compiler.h"
#include "server/base/naming.h"
#include "server/base/random.h"

/* --- judge --- */

static void a_status_counts_once_it_was_found_often_enough(void **state)
{
    (void)state;
    /* Each letter of `found` is a result, of `shown` the status after it: p, w or c. */
    static const struct {
        struct judge_limits limits;
        char begin;
        const char *found, *shown;
    } rows[] = {
        {{1, 1, 1}, 'c', "pcwpc", "pcwpc"},
        {{3, 1, 1}, 'c', "pppcpp", "ccpccc"},
        {{1, 3, 3}, 'p', "cccpccpcc", "ppcpppppp"},
        {{1, 2, 4}, 'p', "ccccp", "pwwcp"},
        {{2, 2, 3}, 'c', "pcpp", "cccp"},
        {{2, 1, 3}, 'w', "ccc", "wwc"},
        {{2, 2, 2}, 'p', "wwp", "pwp"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        static const char letters[] = "pwc";
        struct judge judge = {.good = 0};
        enum health shown = (enum health)(strchr(letters, rows[i].begin) - letters);
        for (size_t k = 0; rows[i].found[k] != '\0'; k++) {
            enum health found = (enum health)(strchr(letters, rows[i].found[k]) - letters);
            shown = judge_take(&judge, &rows[i].limits, shown, found);
            if (letters[shown] != rows[i].shown[k]) {
                fail_msg("row %zu, result %zu: %c", i, k, letters[shown]);
            }
        }
    }
}

/* --- schedule --- */

static void what_is_due_first_comes_first(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct schedule s = {.items = NULL};
    static struct schedule_item items[COUNT];
    uint64_t seed = 7;
    assert_null(schedule_first(&s));
    for (size_t i = 0; i < COUNT; i++) {
        schedule_put(&s, &items[i], random_next(&seed) % 1000);
    }
    for (size_t i = 0; i < COUNT; i += 3) {
        schedule_put(&s, &items[i], random_next(&seed) % 1000); /* moved either way */
    }
    for (size_t i = 1; i < COUNT; i += 3) {
        schedule_remove(&s, &items[i]);
        schedule_remove(&s, &items[i]); /* it is not there */
    }
    uint64_t last = 0;
    size_t count = 0;
    for (struct schedule_item *item; (item = schedule_first(&s)) != NULL; count++) {
        assert_true(item->due_ms >= last);
        last = item->due_ms;
        schedule_remove(&s, item);
    }
    assert_int_equal(count, COUNT - (COUNT + 1) / 3);
    schedule_done(&s);
}

static void checks_begin_soon_and_at_different_times(void **state)
{
    (void)state;
    unsigned early = 0, next_early = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        uint64_t turn_ms, again_ms, skipped;
        uint64_t begin_ms = schedule_begin_ms(50000, 60000, seed, &turn_ms);
        assert_in_range(begin_ms, 50000, 50249);
        assert_in_range(turn_ms, begin_ms - 29999, begin_ms);
        uint64_t next_ms = schedule_next_ms(turn_ms, begin_ms, 60000, &skipped);
        assert_in_range(next_ms, begin_ms + 30000, begin_ms + 60000);
        assert_int_equal(skipped, 0);
        early += begin_ms < 50125;
        next_early += next_ms < 50000 + 45000;
        assert_int_equal(schedule_begin_ms(50000, 60000, seed, &again_ms), begin_ms);
        assert_int_equal(again_ms, turn_ms);
    }
    assert_in_range(early, 400, 600);
    assert_in_range(next_early, 400, 600);
}

static void a_late_run_keeps_its_phase_and_what_was_missed_is_counted(void **state)
{
    (void)state;
    uint64_t skipped;
    assert_int_equal(schedule_next_ms(1000, 1000, 500, &skipped), 1500);
    assert_int_equal(skipped, 0);
    assert_int_equal(schedule_next_ms(1000, 1499, 500, &skipped), 1500);
    assert_int_equal(skipped, 0);
    assert_int_equal(schedule_next_ms(1000, 2600, 500, &skipped), 3000);
    assert_int_equal(skipped, 3);
}

/* --- targets --- */

static struct target *take(struct targets *targets, const char *address)
{
    struct check_definition d;
    struct problem problem;
    check_definition_init(&d, CHECK_TCP, address);
    assert_true(check_definition_settle(&d, &problem));
    return targets_take(targets, &d, d.host);
}

static void checks_of_one_address_share_its_target(void **state)
{
    (void)state;
    struct targets targets = {.kept_count = 0};
    struct target *one = take(&targets, "10.0.0.1:80");
    assert_ptr_equal(take(&targets, "10.0.0.1:80"), one);
    struct target *other = take(&targets, "10.0.0.1:81");
    assert_ptr_not_equal(other, one);
    assert_string_equal(one->host, "10.0.0.1");
    assert_int_equal(other->port, 81);
    targets_release(&targets, one);
    assert_ptr_equal(take(&targets, "10.0.0.1:80"), one);
    targets_release(&targets, one);
    targets_release(&targets, one);
    targets_release(&targets, other);
    assert_int_equal(ptree_count(&targets.all), 0);
}

static void a_target_has_bounds(void **state)
{
    (void)state;
    struct targets targets = {.kept_count = 0};
    struct target *t = take(&targets, "10.0.0.1:80");
    for (unsigned i = 0; i < TARGET_PROBES_MAX; i++) {
        assert_true(target_has_room(t, 500));
        target_begin(t, 500);
    }
    assert_false(target_has_room(t, 500));
    target_end(t);
    assert_true(target_has_room(t, 500));
    for (unsigned i = TARGET_PROBES_MAX; i < TARGET_PROBES_A_SECOND; i++) {
        target_begin(t, 999);
        target_end(t);
    }
    assert_false(target_has_room(t, 999));
    assert_true(target_has_room(t, 1000));
    while (t->under_way > 0) {
        target_end(t);
    }
    targets_release(&targets, t);
}

static void who_waits_for_a_target_is_served_in_order(void **state)
{
    (void)state;
    struct targets targets = {.kept_count = 0};
    struct target *t = take(&targets, "10.0.0.1:80"), *u = take(&targets, "10.0.0.2:80");
    struct target_waiter waiters[5] = {{.target = NULL}};
    targets_wait(&targets, u, &waiters[4]);
    for (unsigned i = 0; i < 4; i++) {
        targets_wait(&targets, t, &waiters[i]);
    }
    assert_ptr_equal(targets.crowded, t);
    assert_ptr_equal(t->next_crowded, u);
    targets_leave(&waiters[1]);
    targets_leave(&waiters[1]); /* it does not wait */
    targets_leave(&waiters[3]);
    targets_wait(&targets, t, &waiters[1]);
    assert_ptr_equal(target_serve(t, 0), &waiters[0]);
    assert_ptr_equal(target_serve(t, 0), &waiters[2]);
    for (unsigned i = 0; i < TARGET_PROBES_MAX; i++) {
        target_begin(t, 0);
    }
    assert_null(target_serve(t, 0)); /* no room */
    target_end(t);
    assert_ptr_equal(target_serve(t, 0), &waiters[1]);
    assert_null(target_serve(t, 0));
    assert_ptr_equal(targets.crowded, u);
    assert_ptr_equal(target_serve(u, 0), &waiters[4]);
    assert_null(targets.crowded);
    while (t->under_way > 0) {
        target_end(t);
    }
    targets_release(&targets, t);
    targets_release(&targets, u);
}

/* --- allow --- */

static const char *refusal(const char *rule, bool loopback, const char *address, bool is_own)
{
    struct allow allow;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    assert_true(allow_parse(rule, &allow));
    allow.loopback = loopback;
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1) {
        return allow_refusal(&allow, (const struct sockaddr *)&in, is_own);
    }
    assert_int_equal(inet_pton(AF_INET6, address, &in6.sin6_addr), 1);
    return allow_refusal(&allow, (const struct sockaddr *)&in6, is_own);
}

static void a_check_reaches_what_the_list_has_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *address;
        bool loopback, is_own, good;
    } rows[] = {
        {"instance", "10.0.0.5", false, true, true},
        {"instance", "10.0.0.5", false, false, false},
        {"any", "10.0.0.5", false, false, true},
        {"off", "10.0.0.5", false, true, false},
        {"10.0.0.0/8", "10.200.3.4", false, false, true},
        {"10.0.0.0/8", "::ffff:10.200.3.4", false, false, true},
        {"10.0.0.0/8", "11.0.0.1", false, true, false},
        {"instance,10.0.0.0/8", "11.0.0.1", false, true, true},
        {"2001:db8::/33", "2001:db8:7fff::1", false, false, true},
        {"2001:db8::/33", "2001:db8:8000::1", false, false, false},
        {"10.0.0.7", "10.0.0.7", false, false, true},
        {"10.0.0.7", "10.0.0.8", false, false, false},
        /* A machine's own addresses. */
        {"any", "127.0.0.1", false, true, false},
        {"any", "127.0.0.1", true, false, true},
        {"instance", "127.0.0.1", true, true, true},
        {"any", "::1", false, true, false},
        {"any", "0.0.0.0", false, true, false},
        {"any", "::", false, true, false},
        {"any", "::ffff:127.9.9.9", false, true, false},
        {"any,127.0.0.0/8", "127.0.0.1", false, false, true},
        /* Never by mistake. */
        {"any", "169.254.169.254", true, true, false},
        {"any", "::ffff:169.254.169.254", true, true, false},
        {"any", "64:ff9b::a9fe:a9fe", true, true, false},
        {"any", "64:ff9b::7f00:1", false, false, false},
        {"any", "64:ff9b::a00:1", false, false, true},
        {"any,169.254.0.0/16", "169.254.169.254", false, false, true},
        {"any", "fe80::1", true, true, false},
        {"any", "fd00:ec2::254", true, true, false},
        {"any", "fd00:1::1", true, true, true},
        {"any", "100.100.100.200", true, true, false},
        {"any", "168.63.129.16", true, true, false},
        {"any", "224.0.0.1", true, true, false},
        {"any", "255.255.255.255", true, true, false},
        {"any", "ff02::1", true, true, false},
        {"0.0.0.0/0", "224.0.0.1", false, false, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        bool good =
            refusal(rows[i].rule, rows[i].loopback, rows[i].address, rows[i].is_own) == NULL;
        if (good != rows[i].good) {
            fail_msg("row %zu: %s by %s", i, rows[i].address, rows[i].rule);
        }
    }
}

static void lists_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          "all",        "10.0.0.0/33",  "10.0.0/8",  "::1/129",
        "instance,", ",instance",  "off,any",      "10.0.0.0/", "10.0.0.0/8 ",
        "a.b.c.d",   "1.2.3.4/-1", "instance any", "localhost", "INSTANCE",
    };
    struct allow allow;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (allow_parse(bad[i], &allow)) {
            fail_msg("%s", bad[i]);
        }
    }
    char many[ALLOW_NETWORKS_MAX * 16 + 64] = "10.0.0.0/8";
    size_t len = strlen(many);
    for (unsigned i = 1; i < ALLOW_NETWORKS_MAX; i++) {
        len += (size_t)snprintf(many + len, sizeof many - len, ",10.%u.0.0/16", i);
    }
    assert_true(allow_parse(many, &allow));
    (void)snprintf(many + len, sizeof many - len, ",1.2.3.4");
    assert_false(allow_parse(many, &allow));
}

/* --- output --- */

static void an_output_is_one_line_of_text_that_may_be_shown(void **state)
{
    (void)state;
    struct output output;
    static const char foreign[] = "a\r\n\tb\x01\xff\xc3\xa4\xe2\x80\xae"
                                  "c  ";
    output_say(&output, "HTTP: ");
    output_add(&output, foreign, sizeof foreign - 1);
    output_trim(&output);
    assert_string_equal(output.text, "HTTP: a b ?\xc3\xa4 c");
    assert_true(naming_is_text(output.text, output.len));
    output_say(&output, "%s", "");
    assert_int_equal(output.len, 0);
}

static void a_long_output_ends_with_a_whole_character(void **state)
{
    (void)state;
    struct output output;
    output_say(&output, "x");
    for (unsigned i = 0; i < OUTPUT_BYTES_MAX; i++) {
        output_add(&output, "\xc3\xa4", 2);
    }
    assert_in_range(output.len, OUTPUT_BYTES_MAX - 1, OUTPUT_BYTES_MAX);
    assert_int_equal(output.len % 2, 1);
    assert_true(naming_is_text(output.text, output.len));
    assert_int_equal(strlen(output.text), output.len);
}

/* --- HTTP --- */

static struct target_reply reply;

/* In pieces of `step` bytes; then the end of the connection. */
static enum target_reply_state feed(const char *text, size_t step, bool is_head)
{
    enum target_reply_state state = REPLY_MORE;
    size_t len = strlen(text);
    target_reply_begin(&reply, is_head);
    for (size_t at = 0; at < len && state == REPLY_MORE; at += step) {
        state = target_reply_feed(&reply, text + at, len - at < step ? len - at : step);
    }
    return state == REPLY_MORE ? target_reply_end(&reply) : state;
}

static void responses_are_read_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_head;
        int status;
        bool keeps;
        const char *body, *location;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, true, "ok", ""},
        {"HTTP/1.1 200\r\ncontent-length:2\r\n\r\nok", false, 200, true, "ok", ""},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, false, "ok", ""},
        {"HTTP/1.1 503 No\nConnection: close\nContent-Length: 0\n\n", false, 503, false, "", ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
         false, 200, true, "abc", ""},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", false, 200, false, "until the end", ""},
        {"HTTP/1.1 204 None\r\n\r\n", false, 204, true, "", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", true, 200, true, "", ""},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false, 200,
         true, "x", ""},
        {"HTTP/1.1 302 Found\r\nLocation:  /there \r\nContent-Length: 0\r\n\r\n", false, 302, true,
         "", "/there"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        static const size_t steps[] = {1, 2, 3, 7, 1000};
        for (size_t k = 0; k < ARRAY_LENGTH(steps); k++) {
            if (feed(rows[i].text, steps[k], rows[i].is_head) != REPLY_OVER ||
                reply.status != rows[i].status || reply.keeps != rows[i].keeps ||
                reply.body_len != strlen(rows[i].body) ||
                memcmp(reply.body, rows[i].body, reply.body_len) != 0 ||
                strcmp(reply.location, rows[i].location) != 0) {
                fail_msg("row %zu in steps of %zu: status %d", i, steps[k], reply.status);
            }
        }
    }
}

static void what_is_no_http_is_bad(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 999 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (feed(rows[i], 1, false) != REPLY_BAD || feed(rows[i], 1000, false) != REPLY_BAD) {
            fail_msg("row %zu", i);
        }
    }
}

static void heads_and_bodies_are_bounded(void **state)
{
    (void)state;
    static const char line[] = "X-Filler: 0123456789012345678901234567890123456789\r\n";
    static char junk[REPLY_LINE_BYTES_MAX + 1];
    enum target_reply_state got = REPLY_MORE;
    size_t fed = 0;
    target_reply_begin(&reply, false);
    assert_int_equal(target_reply_feed(&reply, "HTTP/1.1 200 OK\r\n", 17), REPLY_MORE);
    for (; got == REPLY_MORE && fed < 2 * REPLY_HEAD_BYTES_MAX; fed += sizeof line - 1) {
        got = target_reply_feed(&reply, line, sizeof line - 1);
    }
    assert_int_equal(got, REPLY_BAD);
    assert_in_range(fed, REPLY_HEAD_BYTES_MAX / 2, REPLY_HEAD_BYTES_MAX + sizeof line);

    memset(junk, 'x', sizeof junk);
    target_reply_begin(&reply, false);
    assert_int_equal(target_reply_feed(&reply, junk, sizeof junk), REPLY_BAD);

    /* A body that never ends is over once enough of it is there. */
    target_reply_begin(&reply, false);
    assert_int_equal(target_reply_feed(&reply, "HTTP/1.1 200 OK\r\n\r\n", 19), REPLY_MORE);
    assert_int_equal(target_reply_feed(&reply, junk, 4000), REPLY_MORE);
    assert_int_equal(target_reply_feed(&reply, junk, 4000), REPLY_OVER);
    assert_int_equal(reply.body_len, REPLY_BODY_BYTES_KEPT);
    assert_false(reply.keeps);
}

static void bytes_behind_a_response_end_the_connection(void **state)
{
    (void)state;
    static const char two[] = "HTTP/1.1 204 A\r\n\r\nHTTP/1.1 204 B\r\n\r\n";
    target_reply_begin(&reply, false);
    assert_int_equal(target_reply_feed(&reply, two, sizeof two - 1), REPLY_OVER);
    assert_false(reply.keeps);
}

/* --- gRPC --- */

static enum health answered(int grpc_status, const char *frame, size_t len, struct output *output)
{
    struct health_answer answer = {.http_status = 200, .grpc_status = grpc_status, .len = len};
    memcpy(answer.frame, frame, len);
    return health_judge(&answer, output);
}

static void only_serving_is_passing(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *frame;
        size_t len;
        enum health health;
        const char *words;
    } rows[] = {
        {0, "\0\0\0\0\2\x08\x01", 7, HEALTH_PASSING, "gRPC: SERVING"},
        {0, "\0\0\0\0\2\x08\x02", 7, HEALTH_CRITICAL, "gRPC: NOT_SERVING"},
        {0, "\0\0\0\0\2\x08\x03", 7, HEALTH_CRITICAL, "gRPC: SERVICE_UNKNOWN"},
        {0, "\0\0\0\0\2\x08\x63", 7, HEALTH_CRITICAL, "gRPC: UNKNOWN"},
        {0, "\0\0\0\0\0", 5, HEALTH_CRITICAL, "gRPC: UNKNOWN"},
        {0, "\0\0\0\0\4\x08\x01\x10\x07", 9, HEALTH_PASSING, "gRPC: SERVING"},
        {0, "", 0, HEALTH_CRITICAL, "gRPC: the answer is malformed"},
        {0, "\1\0\0\0\2\x08\x01", 7, HEALTH_CRITICAL, "gRPC: the answer is malformed"},
        {0, "\0\0\0\0\3\x08\x01", 7, HEALTH_CRITICAL, "gRPC: the answer is malformed"},
        {0, "\0\0\0\0\1\x08", 6, HEALTH_CRITICAL, "gRPC: the answer is malformed"},
        {0, "\0\0\0\0\2\x10\x01", 7, HEALTH_CRITICAL, "gRPC: the answer is malformed"},
        {12, "", 0, HEALTH_CRITICAL,
         "gRPC: UNIMPLEMENTED: the target has no grpc.health.v1.Health"},
        {5, "", 0, HEALTH_CRITICAL, "gRPC: NOT_FOUND: the target does not know the service"},
        {-1, "", 0, HEALTH_CRITICAL, "gRPC: HTTP status 200 without a status of gRPC"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct output output;
        enum health health = answered(rows[i].status, rows[i].frame, rows[i].len, &output);
        assert_string_equal(output.text, rows[i].words);
        assert_int_equal(health, rows[i].health);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_counts_once_it_was_found_often_enough),
        cmocka_unit_test(what_is_due_first_comes_first),
        cmocka_unit_test(checks_begin_soon_and_at_different_times),
        cmocka_unit_test(a_late_run_keeps_its_phase_and_what_was_missed_is_counted),
        cmocka_unit_test(checks_of_one_address_share_its_target),
        cmocka_unit_test(a_target_has_bounds),
        cmocka_unit_test(who_waits_for_a_target_is_served_in_order),
        cmocka_unit_test(a_check_reaches_what_the_list_has_and_nothing_else),
        cmocka_unit_test(lists_that_are_none_are_refused),
        cmocka_unit_test(an_output_is_one_line_of_text_that_may_be_shown),
        cmocka_unit_test(a_long_output_ends_with_a_whole_character),
        cmocka_unit_test(responses_are_read_in_pieces_of_any_size),
        cmocka_unit_test(what_is_no_http_is_bad),
        cmocka_unit_test(heads_and_bodies_are_bounded),
        cmocka_unit_test(bytes_behind_a_response_end_the_connection),
        cmocka_unit_test(only_serving_is_passing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
