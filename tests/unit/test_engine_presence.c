/* What members know of each other's presence: who was heard from, who is able, who is about to
 * stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

/* What the leader knows of a member. */
static struct consensus_presence told_of(struct world *w, const struct host *h)
{
    struct consensus_presence list[MEMBERS_MAX];
    size_t count = member_info_presence(world_leader(w)->engine, list);
    assert_int_equal(count, w->count);
    for (size_t i = 0; i < count; i++) {
        if (list[i].id == h->id) {
            return list[i];
        }
    }
    fail_msg("the leader does not know the member");
    return list[0];
}

static void the_leader_learns_who_is_able(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    assert_false(told_of(w, follower).available);
    follower->engine->available = world_leader(w)->engine->available = true;
    assert_true(told_of(w, world_leader(w)).available);
    world_run(w, 400);
    assert_true(told_of(w, follower).available);
    follower->engine->available = false;
    world_run(w, 400);
    assert_false(told_of(w, follower).available);
}

static void whoever_is_heard_is_not_silent(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    world_run(w, 1000);
    for (int i = 0; i < 50; i++) { /* it answers heartbeats, not only with what it reports */
        world_run(w, 10);
        assert_true(told_of(w, follower).silent_ms < 150);
    }
    assert_int_equal(told_of(w, world_leader(w)).silent_ms, 0);
    world_isolate(w, follower->id, true);
    world_run(w, 1000);
    assert_in_range(told_of(w, follower).silent_ms, 800, 1200);
    world_isolate(w, follower->id, false);
    world_run(w, 2000);
    assert_true(told_of(w, follower).silent_ms < 150);
}

static void one_that_is_about_to_stop_says_so_at_once(void **state)
{
    struct world *w = *state;
    struct host *follower = world_follower(w);
    world_run(w, 1000);
    member_info_say_leaving(follower->engine);
    world_run(w, 20);
    assert_true(told_of(w, follower).leaves);
    host_kill(follower);
    assert_true(host_start(follower));
    world_run(w, 2000);
    assert_false(told_of(w, follower).leaves);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_leader_learns_who_is_able),
        CASE(whoever_is_heard_is_not_silent),
        CASE(one_that_is_about_to_stop_says_so_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
