/* Three members, one of which was away while the others wrote so much that they compacted their
 * logs.
 *
 * Owns: the world. */
#ifndef MUSTER_TESTS_LAGGING_FIXTURE_H
#define MUSTER_TESTS_LAGGING_FIXTURE_H

#include "tests/unit/engine_fixture.h"

#define OP_BYTES (20u * 1024)
#define OPS      60 /* more than four pieces of a snapshot */

struct fixture {
    struct world world;
    struct host *leader, *good, *behind;
};

/* `behind` is away while the others write so much that they compact their logs. */
static void begin(struct fixture *f)
{
    struct world *w = &f->world;
    world_init(w, 3);
    world_form(w);
    CHECK(host_write(world_host(w, 1), "1early") == ST_OK);
    world_run(w, 300);
    f->leader = world_leader(w);
    f->behind = world_follower(w);
    f->good = world_host(w, 6 - f->leader->id - f->behind->id);
    host_kill(f->behind);
    host_fill(f->leader, "1op", OPS, OP_BYTES);
    world_run(w, 1000);
    CHECK(log_first_index(&f->leader->engine->driver.log) > 10);
    CHECK(log_first_index(&f->good->engine->driver.log) > 10);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    begin(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    world_done(&f->world);
    free(f);
    return 0;
}

static void assert_caught_up(struct fixture *f)
{
    struct world *w = &f->world;
    assert_true(world_start_all(w));
    assert_true(world_run_until(w, world_is_led, 30000));
    assert_int_equal(host_write(f->behind, "1late"), ST_OK);
    world_run(w, 1000);
    assert_true(host_equals(f->behind, f->good));
    assert_true(host_equals(f->behind, f->leader));
    assert_int_equal(f->behind->state.count, 2 + OPS);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
