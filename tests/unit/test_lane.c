/* The way back to a worker: what other threads give is taken once, in order, and is never slept
 * through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "api/core/lane.h"

#define GIVERS      3
#define ITEMS       20000 /* of each giver and kind */
#define PATIENCE_MS 30000

struct item {
    struct lane_item item;
    unsigned giver;
    enum lane_kind kind;
    unsigned number;
};

static struct {
    struct lane lane;
    struct item items[GIVERS][LANE_KINDS][ITEMS];
    unsigned next[GIVERS][LANE_KINDS]; /* to be taken */
    unsigned taken;
    enum lane_kind last;
} t;

static int set_up(void **state)
{
    (void)state;
    memset(t.next, 0, sizeof t.next);
    t.taken = 0;
    for (unsigned giver = 0; giver < GIVERS; giver++) {
        for (unsigned kind = 0; kind < LANE_KINDS; kind++) {
            for (unsigned i = 0; i < ITEMS; i++) {
                struct item *item = &t.items[giver][kind][i];
                *item = (struct item){.giver = giver, .kind = kind, .number = i};
                lane_item_init(&item->item);
            }
        }
    }
    return lane_open(&t.lane) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    lane_close(&t.lane);
    return 0;
}

static void take(struct lane_item *lane_item)
{
    struct item *item = CONTAINER_OF(lane_item, struct item, item);
    assert_int_equal(item->number, t.next[item->giver][item->kind]);
    t.next[item->giver][item->kind]++;
    t.taken++;
    t.last = item->kind;
}

static bool is_readable(int timeout_ms)
{
    struct pollfd fd = {.fd = t.lane.fd, .events = POLLIN};
    return poll(&fd, 1, timeout_ms) == 1;
}

static void *give_all(void *arg)
{
    unsigned giver = *(unsigned *)arg;
    for (unsigned i = 0; i < ITEMS; i++) {
        lane_give(&t.lane, &t.items[giver][LANE_READ][i].item, LANE_READ);
        lane_give(&t.lane, &t.items[giver][LANE_WRITE][i].item, LANE_WRITE);
    }
    return NULL;
}

static void what_threads_give_is_taken_once_in_their_order_and_never_slept_through(void **state)
{
    (void)state;
    pthread_t threads[GIVERS];
    unsigned numbers[GIVERS];
    bool more = false;
    for (unsigned i = 0; i < GIVERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, give_all, &numbers[i]), 0);
    }
    while (t.taken < GIVERS * LANE_KINDS * ITEMS) {
        assert_true(more || is_readable(PATIENCE_MS));
        lane_clear(&t.lane);
        more = lane_run(&t.lane, take);
    }
    for (unsigned i = 0; i < GIVERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_false(lane_run(&t.lane, take));
    assert_int_equal(t.taken, GIVERS * LANE_KINDS * ITEMS);
}

static void writes_pass_reads_and_a_turn_has_an_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ITEMS; i++) {
        lane_give(&t.lane, &t.items[0][LANE_READ][i].item, LANE_READ);
    }
    lane_give(&t.lane, &t.items[0][LANE_WRITE][0].item, LANE_WRITE);
    assert_true(lane_run(&t.lane, take));
    assert_int_equal(t.next[0][LANE_WRITE], 1);
    assert_in_range(t.next[0][LANE_READ], 1, ITEMS - 1);
    assert_int_equal(t.last, LANE_READ);
    while (lane_run(&t.lane, take)) {
    }
    assert_int_equal(t.next[0][LANE_READ], ITEMS);
}

static void worker_is_woken_by_the_first_item_and_by_lane_wake(void **state)
{
    (void)state;
    assert_false(is_readable(0));
    lane_give(&t.lane, &t.items[0][LANE_READ][0].item, LANE_READ);
    assert_true(is_readable(0));
    lane_clear(&t.lane);
    /* It has not looked yet, and will: no second call to the system. */
    lane_give(&t.lane, &t.items[0][LANE_READ][1].item, LANE_READ);
    assert_false(is_readable(0));
    assert_false(lane_run(&t.lane, take));
    assert_int_equal(t.taken, 2);
    lane_give(&t.lane, &t.items[0][LANE_READ][2].item, LANE_READ);
    assert_true(is_readable(0));
    lane_clear(&t.lane);
    assert_false(lane_run(&t.lane, take));
    lane_wake(&t.lane);
    assert_true(is_readable(0));
}

/* As an operation is that goes on to another step. */
static void take_and_give_again(struct lane_item *lane_item)
{
    take(lane_item);
    if (t.taken == 1) {
        t.next[0][LANE_WRITE] = 0;
        lane_give(&t.lane, lane_item, LANE_WRITE);
    }
}

static void item_can_be_given_anew_while_it_is_taken(void **state)
{
    (void)state;
    lane_give(&t.lane, &t.items[0][LANE_WRITE][0].item, LANE_WRITE);
    assert_false(lane_run(&t.lane, take_and_give_again));
    assert_int_equal(t.taken, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_threads_give_is_taken_once_in_their_order_and_never_slept_through, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(writes_pass_reads_and_a_turn_has_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worker_is_woken_by_the_first_item_and_by_lane_wake, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(item_can_be_given_anew_while_it_is_taken, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
