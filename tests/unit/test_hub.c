/* The event streams of one worker: who is cut off, reminded and resumed, on a clock that passes
 * while code runs, as a real one does. In place of a node there is the fixture's registry. */
#include "tests/unit/registry_fixture.h"

#include "api/hub.h"
#include "server/base/clock.h"

#define STREAMS     3
#define STEP_NS     1000000 /* with each look at the clock */
#define STANDING_MS 30000   /* hub.c: STUCK_MS */
#define SILENT_MS   15000   /* hub.c: SILENCE_MS */

static struct {
    uint64_t now_ns;
    unsigned cut[STREAMS], resumed;
    struct view_source views;
    struct hub hub;
    struct stream streams[STREAMS];
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

static void resume(struct stream *stream)
{
    (void)stream;
    t.resumed++;
}

static void cut(struct stream *stream)
{
    unsigned times = ++t.cut[stream - t.streams];
    assert_true(times <= 10); /* rather than for ever */
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
    const struct hub_actions actions = {.wake = wake, .resume = resume, .cut = cut};
    fixture_set_up(state);
    memset(&t, 0, sizeof t);
    t.now_ns = 1000000000;
    view_source_set(&t.views, ((struct fixture *)*state)->registry);
    clock_replace(&source);
    hub_start(&t.hub, NULL, &actions);
    for (size_t i = 0; i < STREAMS; i++) {
        hub_add(&t.hub, &t.streams[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < STREAMS; i++) {
        hub_remove(&t.hub, &t.streams[i]);
    }
    return fixture_tear_down(state);
}

static void readers_that_stand_still_are_cut_off_once_while_the_clock_moves(void **state)
{
    (void)state;
    pass_ms(STANDING_MS - 10);
    assert_false(hub_run(&t.hub));
    assert_cut(0, 0, 0);
    pass_ms(10);
    assert_false(hub_run(&t.hub));
    assert_cut(1, 1, 1);
}

static void readers_that_move_are_not_cut_off(void **state)
{
    (void)state;
    for (int i = 0; i < 15; i++) {
        pass_ms(STANDING_MS / 10);
        hub_moved(&t.hub, &t.streams[0]);
        hub_moved(&t.hub, &t.streams[2]);
        assert_false(hub_run(&t.hub));
    }
    assert_cut(0, 1, 0);
}

static void silent_streams_are_reminded_and_resumed_once(void **state)
{
    (void)state;
    hub_is_idle(&t.hub, &t.streams[0]);
    hub_is_idle(&t.hub, &t.streams[1]);
    pass_ms(SILENT_MS / 2);
    hub_is_idle(&t.hub, &t.streams[2]);
    assert_false(hub_run(&t.hub));
    assert_int_equal(t.resumed, 0);
    pass_ms(SILENT_MS / 2);
    assert_false(hub_run(&t.hub));
    assert_int_equal(t.resumed, 2);
    assert_true(t.streams[0].remind && t.streams[1].remind && !t.streams[2].remind);
}

static void all_streams_are_told_of_the_end(void **state)
{
    (void)state;
    hub_is_idle(&t.hub, &t.streams[0]);
    hub_close(&t.hub);
    assert_false(hub_run(&t.hub));
    assert_int_equal(t.resumed, 1);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_true(t.streams[i].closed);
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
