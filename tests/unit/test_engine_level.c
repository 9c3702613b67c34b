/* Levels of the replicated format: raised once all members support it, not used before, and read by
 * nobody who does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

static void restart_with(struct world *w, struct host *h, uint16_t level_max)
{
    host_kill(h);
    h->level_max = level_max;
    assert_true(host_start(h));
    assert_true(world_run_until(w, world_is_led, 10000));
    world_run(w, 1000); /* all have reported their levels */
}

static void the_level_rises_when_the_last_member_speaks_it(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(host_write(world_host(w, 1), "1op"), ST_OK);
        assert_int_equal(world_host(w, 1)->engine->fsm.level, 1);
        restart_with(w, world_host(w, id), 2);
    }
    assert_int_equal(host_write(world_host(w, 1), "1op"), ST_OK);
    world_run(w, 300);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(world_host(w, id)->engine->fsm.level, 2);
        assert_int_equal(world_host(w, id)->level, 2); /* the application learns it, too */
    }
}

static void an_idle_cluster_comes_to_the_level_that_all_speak(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(world_host(w, 1)->engine->fsm.level, 1);
        restart_with(w, world_host(w, id), 2);
    }
    uint64_t last = log_last_index(&world_leader(w)->engine->driver.log);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(world_host(w, id)->engine->fsm.level, 2);
    }
    world_run(w, 1000); /* by one entry, not step by step */
    assert_int_equal(log_last_index(&world_leader(w)->engine->driver.log), last);
}

static void an_operation_above_the_level_is_refused(void **state)
{
    struct world *w = *state;
    assert_int_equal(host_write(world_host(w, 1), "2new"), ST_LEVEL);
    for (uint64_t id = 1; id <= 3; id++) {
        restart_with(w, world_host(w, id), 2);
    }
    assert_int_equal(host_write(world_host(w, 1), "1op"), ST_OK);
    world_run(w, 300);
    assert_int_equal(host_write(world_host(w, 1), "2new"), ST_OK);
    assert_int_equal(host_write(world_host(w, 1), "3newer"), ST_LEVEL);
}

/* Also a batch from a member that does not know the level yet, or ignores it. */
static void a_leader_refuses_a_batch_above_the_level(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct host *h = world_follower(w);
    h->engine->fsm.level = 0;
    const struct op *op = host_submit(h, CONSENSUS_NORMAL, "2new");
    world_run(w, 300);
    assert_true(op->is_done && op->status == ST_LEVEL);
    assert_int_equal(host_has(leader, "2new"), 0);
}

static void a_member_that_cannot_speak_the_level_does_not_start(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    for (uint64_t id = 1; id <= 3; id++) {
        restart_with(w, world_host(w, id), 2);
    }
    assert_int_equal(host_write(world_host(w, 1), "1op"), ST_OK);
    world_run(w, 300);
    host_kill(h);
    h->level_max = 1;
    assert_false(host_start(h));
    assert_non_null(strstr(h->last_words, "is of level 2"));
    h->level_max = 2;
    assert_true(host_start(h));
}

static void an_entry_that_cannot_be_read_is_not_taken(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    const struct host *leader = world_leader(w);
    struct forger f;
    uint64_t term = raft_current_term(&h->engine->driver.raft);
    uint64_t last = log_last_index(&h->engine->driver.log);
    w->hold_frames = true;
    world_settle(w);
    forger_init(&f, leader, last);
    forger_command(&f, term, 2, "1op");
    assert_true(forger_send(&f, h, leader->id, term, last, 1, last));
    assert_int_equal(log_last_index(&h->engine->driver.log), last);
    bool told = false;
    for (const struct flying *frame = w->first; frame != NULL; frame = frame->next) {
        told = told || (frame->type == FRAME_UNREADABLE && frame->from == h->id);
    }
    assert_true(told);
    forger_done(&f);
}

/* It has written an entry of a level that the others supported, and do not any more. */
static void a_leader_whose_entries_nobody_can_read_ends_itself(void **state)
{
    struct world *w = *state;
    struct host *first = world_leader(w);
    for (uint64_t id = 1; id <= 3; id++) {
        if (world_host(w, id) != first) {
            restart_with(w, world_host(w, id), 2);
        }
    }
    host_kill(first);
    world_run(w, 1000); /* the others elect one that they know by its old level */
    struct host *leader = world_leader(w);
    world_isolate(w, leader->id, true);
    assert_true(host_start(first));
    /* As if the last of them had reported just before. */
    for (size_t i = 0; i < leader->engine->members.count; i++) {
        leader->engine->members.list[i].info.level_max = 2;
    }
    assert_int_equal(leader->engine->fsm.level, 1);
    world_run(w, ENGINE_TICK_MS);
    (void)host_submit(leader, CONSENSUS_NORMAL, "2new");
    (void)host_submit(leader, CONSENSUS_NORMAL, "1op");
    assert_int_equal(leader->engine->proposer.level, 2);
    for (uint64_t id = 1; id <= 3; id++) {
        struct host *h = world_host(w, id);
        if (h != leader) {
            host_kill(h);
            h->level_max = 1;
            assert_true(host_start(h));
        }
    }
    world_isolate(w, leader->id, false);
    world_run(w, 1000);
    assert_false(host_is_alive(leader));
    assert_non_null(strstr(leader->last_words, "cannot read"));
    /* None of it was committed: the others go on, and it follows them. */
    assert_true(world_run_until(w, world_is_led, 10000));
    assert_int_equal(host_write(world_leader(w), "1on"), ST_OK);
    assert_true(host_start(leader));
    assert_true(world_run_until(w, world_is_led, 10000));
    world_run(w, 1000);
    assert_int_equal(host_has(leader, "1on"), 1);
    assert_true(host_equals(leader, world_leader(w)));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_level_rises_when_the_last_member_speaks_it),
        CASE(an_idle_cluster_comes_to_the_level_that_all_speak),
        CASE(an_operation_above_the_level_is_refused),
        CASE(a_leader_refuses_a_batch_above_the_level),
        CASE(a_member_that_cannot_speak_the_level_does_not_start),
        CASE(an_entry_that_cannot_be_read_is_not_taken),
        CASE(a_leader_whose_entries_nobody_can_read_ends_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
