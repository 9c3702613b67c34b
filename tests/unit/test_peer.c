/* Links between members: messages arrive complete and in order, queued ones are settled when a link
 * ends, and the end of a process is noticed at once. */
#include "tests/unit/peer_fixture.h"

#include <sys/wait.h>

/* --- tests: between members --- */

static void small_messages_arrive_in_order_both_ways(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    int64_t sent = metric_get(METRIC_peer_messages_sent_total);
    int64_t received = metric_get(METRIC_peer_messages_received_total);
    int64_t bytes_sent = metric_get(METRIC_peer_bytes_sent_total);
    int64_t bytes_received = metric_get(METRIC_peer_bytes_received_total);
    for (size_t i = 0; i < 26; i++) {
        assert_int_equal(send_plain(f, a, 2, (uint8_t)i, false, text, i), ST_OK);
        assert_int_equal(send_plain(f, b, 1, (uint8_t)(100 + i), i < 2, text + i, 1), ST_OK);
    }
    RUN_UNTIL(f, a->received_count == 26 && b->received_count == 26 && f->sent[ST_OK] == 52);
    for (size_t i = 0; i < 26; i++) {
        assert_received(b, i, 1, (uint8_t)i, text, i);
    }
    assert_int_equal(refused(f), 0);
    assert_int_equal(metric_get(METRIC_peer_messages_sent_total) - sent, 52);
    assert_int_equal(metric_get(METRIC_peer_messages_received_total) - received, 52);
    assert_int_equal(metric_get(METRIC_peer_bytes_sent_total) - bytes_sent,
                     metric_get(METRIC_peer_bytes_received_total) - bytes_received);
}

static void three_members_are_all_linked(void **state)
{
    struct fixture *f = *state;
    struct node *n[] = {start(f, 1), start(f, 2), start(f, 3)};
    link_up(f, n[0], n[1]);
    link_up(f, n[1], n[2]);
    link_up(f, n[0], n[2]);
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            if (i != j) {
                assert_int_equal(send_plain(f, n[i], n[j]->id, 9, false, "x", 1), ST_OK);
            }
        }
    }
    RUN_UNTIL(f,
              n[0]->received_count == 2 && n[1]->received_count == 2 && n[2]->received_count == 2);
    assert_int_not_equal(n[0]->received[0].from, n[0]->received[1].from);
}

static void nothing_is_sent_without_a_link(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    assert_int_equal(send_plain(f, a, 2, 1, false, NULL, 0), ST_IO);
    know(a, 2, f->nodes[2].address);
    assert_int_equal(send_plain(f, a, 2, 1, false, NULL, 0), ST_IO);
    assert_false(peers_is_up(a->p, 2));
    know(a, 1, a->address);
    assert_false(peers_is_up(a->p, 1));
}

static void large_frame_arrives_whole(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    size_t len = 30 * 1024 * 1024;
    uint8_t *payload = make_payload(len, 1);
    assert_int_equal(send_plain(f, a, 2, 1, false, payload, len), ST_OK);
    RUN_UNTIL(f, b->received_count == 1 && f->sent[ST_OK] == 1);
    assert_received(b, 0, 1, 1, payload, len);
    free(payload);
    assert_int_equal(send_plain(f, a, 2, 1, false, "", PEER_FRAME_BYTES_MAX), ST_TOO_LARGE);
}

static void small_message_overtakes_bulk_ones(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    size_t len = PEER_BULK_BYTES_MAX - 4;
    uint8_t *one = make_payload(len, 1);
    uint8_t *two = make_payload(len, 2);
    assert_int_equal(send_plain(f, a, 2, 1, true, one, len), ST_OK);
    assert_int_equal(send_plain(f, b, 1, 1, true, one, len), ST_OK);
    assert_int_equal(send_plain(f, a, 2, 2, true, two, len), ST_OK);
    assert_int_equal(send_plain(f, a, 2, 3, true, two, len), ST_BUSY);
    assert_int_equal(send_plain(f, a, 2, 4, false, "x", 1), ST_OK);
    RUN_UNTIL(f, b->received_count == 3 && a->received_count == 1 && f->sent[ST_OK] == 4);
    assert_received(b, 0, 1, 1, one, len);
    assert_received(b, 1, 1, 4, "x", 1);
    assert_received(b, 2, 1, 2, two, len);
    assert_received(a, 0, 2, 1, one, len);
    free(one);
    free(two);
}

static void bulk_has_a_largest_size(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    static const size_t sizes[] = {0, 1, 256 * 1024, PEER_BULK_BYTES_MAX - 4};
    uint8_t *payload = make_payload(PEER_BULK_BYTES_MAX, 3);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(send_plain(f, a, 2, (uint8_t)i, true, payload, sizes[i]), ST_OK);
        RUN_UNTIL(f, b->received_count == i + 1 && f->sent[ST_OK] == (int)i + 1);
        assert_received(b, i, 1, (uint8_t)i, payload, sizes[i]);
    }
    assert_int_equal(send_plain(f, a, 2, 9, true, payload, PEER_BULK_BYTES_MAX - 3), ST_TOO_LARGE);
    assert_int_equal(send_plain(f, a, 2, 9, true, payload, SIZE_MAX), ST_TOO_LARGE);
    free(payload);
}

/* Like a snapshot: each piece once the previous one was written. */
static void pieces_sent_one_after_the_other_arrive_in_order(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    size_t len = 256 * 1024;
    uint8_t *payload = make_payload(len, 4);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(send_plain(f, a, 2, (uint8_t)i, true, payload, len), ST_OK);
        RUN_UNTIL(f, f->sent[ST_OK] == i + 1);
    }
    RUN_UNTIL(f, b->received_count == 40);
    for (size_t i = 0; i < 40; i++) {
        assert_received(b, i, 1, (uint8_t)i, payload, len);
    }
    free(payload);
}

static void full_queue_is_busy(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    size_t len = 4 * 1024 * 1024;
    uint8_t *payload = make_payload(len, 1);
    int queued = 0;
    enum status status;
    while ((status = send_plain(f, a, 2, 1, false, payload, len)) == ST_OK) {
        queued++;
    }
    assert_int_equal(status, ST_BUSY);
    assert_int_equal(queued, PEER_QUEUE_BYTES_MAX / (len + 16));
    assert_int_equal(f->sent[ST_OK], 0);
    RUN_UNTIL(f, f->sent[ST_OK] == queued && b->received_count == (size_t)queued);
    assert_int_equal(send_plain(f, a, 2, 1, false, payload, len), ST_OK);
    RUN_UNTIL(f, f->sent[ST_OK] == queued + 1);
    free(payload);
}

static void closing_fails_what_waits_with_stopping(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    size_t len = 16 * 1024 * 1024;
    uint8_t *payload = make_payload(len, 1);
    assert_int_equal(send_plain(f, a, 2, 1, false, payload, len), ST_OK);
    assert_int_equal(send_plain(f, a, 2, 1, true, payload, PEER_BULK_BYTES_MAX / 2), ST_OK);
    assert_int_equal(send_plain(f, a, 2, 1, true, payload, PEER_BULK_BYTES_MAX / 2), ST_OK);
    peers_close(a->p, on_closed);
    assert_int_equal(f->sent[ST_STOPPING], 0); /* not from inside the call */
    assert_int_equal(send_plain(f, a, 2, 1, false, payload, len), ST_IO);
    RUN_UNTIL(f, a->closed);
    assert_int_equal(f->sent[ST_STOPPING], 3);
    forget(a);
    free(payload);
}

static void loss_of_a_link_fails_what_waits_with_io(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    size_t len = 30 * 1024 * 1024;
    uint8_t *payload = make_payload(len, 1);
    assert_int_equal(send_plain(f, a, 2, 1, false, payload, len), ST_OK);
    assert_int_equal(send_plain(f, a, 2, 1, true, payload, PEER_BULK_BYTES_MAX / 2), ST_OK);
    assert_int_equal(send_plain(f, a, 2, 1, true, payload, PEER_BULK_BYTES_MAX / 2), ST_OK);
    stop(f, b);
    RUN_UNTIL(f, f->sent[ST_IO] == 3);
    free(payload);
}

static void closing_inside_a_callback_is_fine(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    b->close_on_receive = true;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(send_plain(f, a, 2, 1, false, "x", 1), ST_OK);
    }
    RUN_UNTIL(f, b->closed);
    assert_int_equal(b->received_count, 1);
    assert_int_equal(b->received[0].life, a->self.life);
    forget(b);
}

/* --- tests: losses and returns --- */

static void death_is_told_as_down_then_refused_and_return_as_up(void **state)
{
    struct fixture *f = *state;
    f->retry_ms = 500;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    run_for(f, f->retry_ms); /* otherwise the first attempt waits, too */
    uint64_t begin_ms = clock_monotonic_ms();
    stop(f, b);
    RUN_UNTIL(f, a->state_count[2] >= 3);
    assert_true(clock_monotonic_ms() - begin_ms < f->retry_ms / 2);
    start(f, 2);
    know(b, 1, a->address);
    RUN_UNTIL(f, peers_is_up(a->p, 2) && peers_is_up(b->p, 1));
    static const enum peer_state expected[] = {PEER_UP, PEER_DOWN, PEER_REFUSED, PEER_UP};
    assert_int_equal(a->state_count[2], 4);
    assert_memory_equal(a->states[2], expected, sizeof expected);
    assert_int_equal(send_plain(f, a, 2, 5, false, "y", 1), ST_OK);
    RUN_UNTIL(f, b->received_count == 1);
}

/* Runs member 2 in this process until it is killed. */
NORETURN static void be_member_2(struct fixture *f)
{
    assert_int_equal(uv_loop_init(&f->loop), 0);
    struct node *b = start(f, 2);
    know(b, 1, f->nodes[1].address);
    for (;;) {
        turn(f);
    }
}

static void kill_of_a_process_is_noticed_at_once(void **state)
{
    struct fixture *f = *state;
    f->retry_ms = 2000;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        be_member_2(f);
    }
    struct node *a = start(f, 1);
    know(a, 2, f->nodes[2].address);
    RUN_UNTIL(f, peers_is_up(a->p, 2));
    run_for(f, f->retry_ms);
    size_t before = a->state_count[2];
    uint64_t begin_ms = clock_monotonic_ms();
    assert_int_equal(kill(child, SIGKILL), 0);
    RUN_UNTIL(f, a->state_count[2] == before + 2);
    assert_true(clock_monotonic_ms() - begin_ms < f->retry_ms / 2);
    assert_int_equal(a->states[2][before], PEER_DOWN);
    assert_int_equal(a->states[2][before + 1], PEER_REFUSED);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void nobody_there_is_refused_from_the_start(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    know(a, 2, f->nodes[2].address);
    assert_int_equal(a->state_count[2], 0); /* not from inside the call */
    RUN_UNTIL(f, a->state_count[2] == 1);
    assert_int_equal(a->states[2][0], PEER_REFUSED);
    run_for(f, 3 * RETRY_MS);
    assert_int_equal(a->state_count[2], 1);
}

static void name_that_does_not_resolve_is_retried(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    know(a, 2, "no colon");
    know(b, 1, a->address);
    run_for(f, 3 * RETRY_MS);
    assert_int_equal(a->state_count[2], 0);
    know(a, 2, b->address);
    RUN_UNTIL(f, peers_is_up(a->p, 2));
}

static void changed_address_moves_the_link(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    struct node *c = start_as(f, 3, &b->self, SECRET); /* member 2 at another address */
    know(c, 1, a->address);
    link_up(f, a, b);
    know(a, 2, c->address);
    assert_false(peers_is_up(a->p, 2));
    RUN_UNTIL(f, peers_is_up(a->p, 2));
    assert_int_equal(send_plain(f, a, 2, 1, false, "x", 1), ST_OK);
    RUN_UNTIL(f, c->received_count == 1);
    assert_int_equal(a->state_count[2], 3);
    assert_int_equal(a->states[2][1], PEER_DOWN);
}

static void removed_member_is_shut_out(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    a->known[2] = false;
    peers_remove(a->p, 2);
    assert_false(peers_is_up(a->p, 2));
    RUN_UNTIL(f, refused(f) >= 2);
    assert_false(peers_is_up(b->p, 1));
    assert_int_equal(a->state_count[2], 1); /* nothing reported after the removal */
}

static void ipv6_and_host_names_work(void **state)
{
    struct fixture *f = *state;
    unsigned port = free_port(AF_INET6);
    (void)snprintf(f->nodes[2].address, sizeof f->nodes[2].address, "[::1]:%u", port);
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    assert_int_equal(send_plain(f, a, 2, 1, false, "x", 1), ST_OK);
    RUN_UNTIL(f, b->received_count == 1);
    char name[64];
    (void)snprintf(name, sizeof name, "localhost:%s", strrchr(a->address, ':') + 1);
    know(b, 1, name);
    assert_false(peers_is_up(b->p, 1));
    RUN_UNTIL(f, peers_is_up(b->p, 1));
}

static void address_that_cannot_be_bound_is_a_sentence(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct peers_options options = {.loop = &f->loop,
                                    .self = a->self,
                                    .listen = a->address,
                                    .secret = "",
                                    .admit = on_admit,
                                    .receive = on_receive,
                                    .state = on_state};
    char error[256];
    assert_null(peers_create(&options, error, sizeof error));
    assert_non_null(strstr(error, a->address));
    assert_non_null(strstr(error, "in use"));
    options.listen = "127.0.0.1";
    assert_null(peers_create(&options, error, sizeof error));
    assert_non_null(strstr(error, "host:port"));
}

/* Everything twice: plain, and over TLS. */
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down),                                      \
        cmocka_unit_test_setup_teardown(name, set_up_tls, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(small_messages_arrive_in_order_both_ways),
        TEST(three_members_are_all_linked),
        TEST(nothing_is_sent_without_a_link),
        TEST(large_frame_arrives_whole),
        TEST(small_message_overtakes_bulk_ones),
        TEST(bulk_has_a_largest_size),
        TEST(pieces_sent_one_after_the_other_arrive_in_order),
        TEST(full_queue_is_busy),
        TEST(closing_fails_what_waits_with_stopping),
        TEST(loss_of_a_link_fails_what_waits_with_io),
        TEST(closing_inside_a_callback_is_fine),
        TEST(death_is_told_as_down_then_refused_and_return_as_up),
        TEST(kill_of_a_process_is_noticed_at_once),
        TEST(nobody_there_is_refused_from_the_start),
        TEST(name_that_does_not_resolve_is_retried),
        TEST(changed_address_moves_the_link),
        TEST(removed_member_is_shut_out),
        TEST(ipv6_and_host_names_work),
        TEST(address_that_cannot_be_bound_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
