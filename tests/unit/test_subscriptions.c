/* The event streams of one worker: which are cut off, kept alive and resumed, on a clock that
 * advances while code runs, like a real one. The fixture's registry replaces a node. */
#include "tests/unit/registry_fixture.h"

#include "api/core/subscriptions.h"
#include "server/base/clock.h"

#define SUBSCRIPTIONS 3
#define STEP_NS       1000000 /* for each reading of the clock */
#define STANDING_MS   30000   /* subscriptions.c: STUCK_MS */
#define SILENT_MS     15000   /* subscriptions.c: SILENCE_MS */

static struct {
    uint64_t now_ns;
    unsigned cut[SUBSCRIPTIONS], resumed;
    struct view_source views;
    struct subscriptions all;
    struct subscription list[SUBSCRIPTIONS];
} t;

void node_listen(struct node *node, struct node_listener *listener)
{
    (void)node;
    (void)listener;
}

const struct view *node_view_lock(const struct node *node)
{
    (void)node;
    return view_lock(&t.views);
}

uint64_t node_changed_ns(const struct node *node)
{
    (void)node;
    return 0;
}

static uint64_t monotonic_ns(void)
{
    return t.now_ns += STEP_NS;
}

static int64_t wall_ms(void)
{
    return 0;
}

static void wake(void *ctx)
{
    (void)ctx;
}

static void resume(struct subscription *stream)
{
    (void)stream;
    t.resumed++;
}

static void cut(struct subscription *stream)
{
    unsigned times = ++t.cut[stream - t.list];
    assert_true(times <= 10); /* must end */
}

static void pass_ms(uint64_t ms)
{
    t.now_ns += ms * 1000000;
}

static void assert_cut(unsigned first, unsigned second, unsigned third)
{
    assert_int_equal(t.cut[0], first);
    assert_int_equal(t.cut[1], second);
    assert_int_equal(t.cut[2], third);
}

static int set_up(void **state)
{
    const struct clock_source source = {.monotonic_ns = monotonic_ns, .wall_ms = wall_ms};
    const struct subscription_actions actions = {.wake = wake, .resume = resume, .cut = cut};
    fixture_set_up(state);
    memset(&t, 0, sizeof t);
    t.now_ns = 1000000000;
    view_source_set(&t.views, ((struct fixture *)*state)->registry);
    clock_replace(&source);
    subscriptions_start(&t.all, NULL, &actions);
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        subscriptions_add(&t.all, &t.list[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        subscriptions_remove(&t.all, &t.list[i]);
    }
    return fixture_tear_down(state);
}

static void readers_that_stand_still_are_cut_off_once_while_the_clock_moves(void **state)
{
    (void)state;
    pass_ms(STANDING_MS - 10);
    assert_false(subscriptions_run(&t.all));
    assert_cut(0, 0, 0);
    pass_ms(10);
    assert_false(subscriptions_run(&t.all));
    assert_cut(1, 1, 1);
}

static void readers_that_move_are_not_cut_off(void **state)
{
    (void)state;
    for (int i = 0; i < 15; i++) {
        pass_ms(STANDING_MS / 10);
        subscriptions_moved(&t.all, &t.list[0]);
        subscriptions_moved(&t.all, &t.list[2]);
        assert_false(subscriptions_run(&t.all));
    }
    assert_cut(0, 1, 0);
}

static void silent_streams_are_reminded_and_resumed_once(void **state)
{
    (void)state;
    subscriptions_idle(&t.all, &t.list[0]);
    subscriptions_idle(&t.all, &t.list[1]);
    pass_ms(SILENT_MS / 2);
    subscriptions_idle(&t.all, &t.list[2]);
    assert_false(subscriptions_run(&t.all));
    assert_int_equal(t.resumed, 0);
    pass_ms(SILENT_MS / 2);
    assert_false(subscriptions_run(&t.all));
    assert_int_equal(t.resumed, 2);
    assert_true(t.list[0].remind && t.list[1].remind && !t.list[2].remind);
}

static void all_streams_are_told_of_the_end(void **state)
{
    (void)state;
    subscriptions_idle(&t.all, &t.list[0]);
    subscriptions_close(&t.all);
    assert_false(subscriptions_run(&t.all));
    assert_int_equal(t.resumed, 1);
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        assert_true(t.list[i].closed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            readers_that_stand_still_are_cut_off_once_while_the_clock_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readers_that_move_are_not_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_streams_are_reminded_and_resumed_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(all_streams_are_told_of_the_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
