/* Heartbeats refused at one member stop time for all, as long as it is heard and believed; and that
 * is logged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

#define A_SECOND 1000

static const struct refusals *refusals_of(struct host *h)
{
    return &h->engine->refusals;
}

/* What the leader knows of a member. */
static struct member *told_of(struct world *w, const struct host *h)
{
    return member_info_find(world_leader(w)->engine, h->id);
}

static void time_stands_still_when_a_follower_refuses(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    world_run(w, A_SECOND);
    assert_false(refusal_anywhere(world_leader(w)->engine));
    refusal_set_here(follower->engine, true);
    world_run(w, 50); /* not with the next info frame: at once */
    assert_true(refusal_anywhere(world_leader(w)->engine));
    refusal_set_here(follower->engine, false);
    world_run(w, A_SECOND);
    assert_false(refusal_anywhere(world_leader(w)->engine));
}

static void a_new_leader_knows_it_too(void **state)
{
    struct world *w = *state;
    struct host *before = world_leader(w);
    struct host *follower = world_follower(w);
    refusal_set_here(follower->engine, true);
    world_run(w, A_SECOND);
    host_kill(before);
    assert_true(world_run_until(w, world_is_led, 5000));
    assert_true(refusal_anywhere(world_leader(w)->engine));
}

static void one_that_is_not_heard_stops_nothing(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    refusal_set_here(follower->engine, true);
    world_run(w, A_SECOND);
    assert_true(refusal_anywhere(world_leader(w)->engine));
    world_isolate(w, follower->id, true);
    world_run(w, REFUSAL_HEARD_MS + 100);
    assert_false(refusal_anywhere(world_leader(w)->engine));
    host_kill(follower);
}

static void it_is_said_only_when_it_lasts(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    const struct refusals *r = refusals_of(world_leader(w));
    refusal_set_here(follower->engine, true);
    world_run(w, REFUSAL_FIRST_MS - 100);
    assert_int_equal(r->distance_ms, 0);
    world_run(w, 200);
    assert_int_equal(r->distance_ms, REFUSAL_DISTANCE_MS);
    world_run(w, REFUSAL_DISTANCE_MS);
    assert_int_equal(r->distance_ms, 2 * REFUSAL_DISTANCE_MS);
    assert_int_equal(refusals_of(follower)->distance_ms, 0); /* logged by the leader only */
    refusal_set_here(follower->engine, false);
    world_run(w, A_SECOND);
    assert_int_equal(r->since_ms, 0);
    assert_int_equal(r->distance_ms, 0);
}

static void what_the_leader_refuses_itself_is_said_too(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    refusal_set_here(leader->engine, true);
    assert_true(refusal_anywhere(leader->engine));
    world_run(w, REFUSAL_FIRST_MS + 100);
    assert_int_equal(refusals_of(leader)->distance_ms, REFUSAL_DISTANCE_MS);
}

/* However long, and even with pauses; the others are believed meanwhile. */
static void one_that_always_refuses_does_not_stop_time_for_good(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    struct engine *leader = world_leader(w)->engine;
    refusal_set_here(follower->engine, true);
    world_run(w, REFUSAL_BELIEVED_MS - A_SECOND);
    assert_true(refusal_anywhere(leader));
    world_run(w, 2 * A_SECOND);
    assert_false(refusal_anywhere(leader));
    assert_true(told_of(w, follower)->info.refuses_heartbeats);
    assert_int_equal(refusals_of(world_leader(w))->since_ms, 0);

    refusal_set_here(follower->engine, false);
    world_run(w, A_SECOND);
    refusal_set_here(follower->engine, true);
    world_run(w, A_SECOND);
    assert_false(refusal_anywhere(leader));

    refusal_set_here(follower->engine, false);
    world_run(w, REFUSAL_BELIEVED_MS / 2 + 2 * A_SECOND);
    refusal_set_here(follower->engine, true);
    world_run(w, A_SECOND);
    assert_true(refusal_anywhere(leader));
}

static void a_change_of_members_does_not_bring_trust_back(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    struct engine *leader = world_leader(w)->engine;
    refusal_set_here(follower->engine, true);
    world_run(w, REFUSAL_BELIEVED_MS + A_SECOND);
    assert_false(refusal_anywhere(leader));
    assert_int_equal(host_add(world_leader(w), 4, "host-4:9100"), ST_OK);
    world_run(w, A_SECOND);
    assert_false(refusal_anywhere(leader));
}

/* Earlier versions end their frame before the flags. */
static void one_that_cannot_tell_refuses_nothing(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    struct host *leader = world_leader(w);
    struct buffer out;
    buffer_init(&out, 256);
    buffer_append_u64(&out, leader->engine->fsm.applied_index);
    buffer_append_u64(&out, 0);
    buffer_append_u64(&out, 0);
    buffer_append_u16(&out, 1);
    buffer_append_u16(&out, 1);
    buffer_append_byte(&out, 1);
    for (int texts = 0; texts < 4; texts++) {
        buffer_append_u16(&out, 0);
    }
    refusal_set_here(follower->engine, true);
    world_run(w, 50);
    assert_true(told_of(w, follower)->info.refuses_heartbeats);
    assert_true(host_receive(leader, follower->id, FRAME_INFO, out.data, out.len));
    assert_false(told_of(w, follower)->info.refuses_heartbeats);
    buffer_done(&out);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(time_stands_still_when_a_follower_refuses),
        CASE(a_new_leader_knows_it_too),
        CASE(one_that_is_not_heard_stops_nothing),
        CASE(it_is_said_only_when_it_lasts),
        CASE(what_the_leader_refuses_itself_is_said_too),
        CASE(one_that_always_refuses_does_not_stop_time_for_good),
        CASE(a_change_of_members_does_not_bring_trust_back),
        CASE(one_that_cannot_tell_refuses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
