/* A member that comes back empty is admitted as a new life, and nothing is lost: whoever crashes
 * meanwhile, at any point, and whoever is emptied next. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

#define OP_BYTES (20u * 1024)
#define OPS      20 /* several snapshots */

static bool all_vote(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        if (h->engine == NULL || !h->engine->running || h->engine->members.count != w->count ||
            member_info_voters(h->engine) != w->count || h->engine->identity.joining ||
            member_info_of_life(h->engine, h->engine->identity.life) == NULL) {
            return false;
        }
    }
    return world_is_led(w);
}

/* All are voters under their present lives, and working. */
static void assert_whole(struct world *w)
{
    assert_true(world_run_until(w, all_vote, 30000));
    for (uint64_t id = 1; id <= w->count; id++) {
        char text[32];
        (void)snprintf(text, sizeof text, "1at%d", (int)id);
        assert_int_equal(host_write(world_host(w, id), text), ST_OK);
    }
    world_run(w, 500);
    for (uint64_t id = 2; id <= w->count; id++) {
        assert_true(host_equals(world_host(w, 1), world_host(w, id)));
    }
}

static void lose_directory(struct host *h)
{
    host_kill(h);
    host_empty(h);
}

/* --- one member --- */

static void a_follower_that_was_emptied_votes_again(void **state)
{
    struct world *w = *state;
    struct host *lost = world_follower(w);
    uint64_t earlier = lost->engine->identity.life;
    assert_int_equal(host_write(lost, "1before"), ST_OK);
    lose_directory(lost);
    assert_true(host_start(lost));
    assert_whole(w);
    assert_true(lost->engine->identity.life != earlier);
    assert_int_equal(host_has(lost, "1before"), 1);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_null(member_info_of_life(world_host(w, id)->engine, earlier));
    }
    /* Its vote counts. */
    host_kill(world_leader(w));
    assert_true(world_run_until(w, world_is_led, 5000));
    assert_int_equal(host_write(lost, "1after"), ST_OK);
}

static void a_leader_that_was_emptied_votes_again(void **state)
{
    struct world *w = *state;
    struct host *lost = world_leader(w);
    assert_int_equal(host_write(lost, "1before"), ST_OK);
    lose_directory(lost);
    assert_true(host_start(lost));
    assert_whole(w);
    assert_int_equal(host_has(lost, "1before"), 1);
}

static void one_that_was_emptied_gets_the_snapshot_when_the_log_is_compacted(void **state)
{
    struct world *w = *state;
    struct host *lost = world_follower(w);
    host_fill(world_leader(w), "1op", OPS, OP_BYTES);
    world_run(w, 1000);
    lose_directory(lost);
    assert_true(host_start(lost));
    assert_whole(w);
    assert_true(lost->installs > 0);
    host_lose_power(lost);
    assert_true(world_start_all(w));
    assert_whole(w);
}

static void each_in_turn_is_emptied_and_nothing_is_lost(void **state)
{
    struct world *w = *state;
    assert_int_equal(host_write(world_leader(w), "1before"), ST_OK);
    for (unsigned turn = 0; turn < 6; turn++) {
        struct host *lost = world_host(w, turn % 3 + 1);
        lose_directory(lost);
        assert_true(host_start(lost));
        assert_whole(w);
        assert_int_equal(host_has(lost, "1before"), 1);
    }
}

static void one_that_is_emptied_again_while_it_is_let_in_is_let_in_again(void **state)
{
    struct world *w = *state;
    struct host *lost = world_follower(w);
    for (uint64_t ms = 300; ms < 1500; ms += 20) {
        lose_directory(lost);
        assert_true(host_start(lost));
        world_run(w, ms);
    }
    assert_whole(w);
}

static void two_of_five_are_let_in_one_after_the_other(void **state UNUSED)
{
    struct world w;
    world_init(&w, 5);
    world_form(&w);
    assert_int_equal(host_write(world_host(&w, 1), "1before"), ST_OK);
    world_run(&w, 500);
    lose_directory(world_host(&w, 2));
    lose_directory(world_host(&w, 4));
    assert_true(world_start_all(&w));
    assert_whole(&w);
    assert_int_equal(host_has(world_host(&w, 4), "1before"), 1);
    world_done(&w);
}

/* --- with other members away --- */

/* Its earlier life counts as one unreachable voter; no more votes are needed than before. */
static void with_another_one_away_it_waits_until_a_majority_is_there(void **state)
{
    struct world *w = *state;
    struct host *lost = world_follower(w);
    struct host *away = world_host(w, 6 - lost->id - world_leader(w)->id);
    assert_int_equal(host_write(lost, "1before"), ST_OK);
    host_kill(away);
    lose_directory(lost);
    assert_true(host_start(lost));
    world_run(w, 10000);
    assert_false(lost->engine->running);
    assert_int_equal(host_write(lost, "1without"), ST_NO_LEADER);
    assert_true(host_start(away));
    assert_whole(w);
    assert_int_equal(host_has(lost, "1before"), 1);
    assert_int_equal(host_has(lost, "1without"), 0);
}

/* A member whose log lacks the new life follows it, and votes for it. */
static void one_that_was_away_meanwhile_hears_the_new_life_and_votes_for_it(void **state)
{
    struct world *w = *state;
    struct host *lost = world_follower(w);
    struct host *leader = world_leader(w);
    struct host *away = world_host(w, 6 - lost->id - leader->id);
    lose_directory(lost);
    assert_true(host_start(lost));
    /* Until the new life has a vote, both others are needed; then one of them leaves before it
     * hears of that. */
    while (member_info_voters(leader->engine) != 3 || lost->engine->identity.joining ||
           lost->engine->members.count != 3) {
        world_run(w, ENGINE_TICK_MS);
    }
    world_run(w, 500);
    host_kill(away);
    assert_int_equal(host_write(leader, "1without it"), ST_OK);
    world_run(w, 500);
    host_kill(leader);
    assert_true(host_start(away));
    assert_true(world_run_until(w, world_is_led, 10000));
    assert_int_equal(host_write(away, "1two"), ST_OK);
    assert_int_equal(host_has(away, "1without it"), 1);
    assert_true(world_start_all(w));
    assert_whole(w);
}

/* `watched` is a standby. What would tell it of its vote is lost. */
static bool nothing_tells_it_of_its_vote(struct world *w, const struct flying *frame)
{
    struct host *sender = world_host(w, frame->from);
    return frame->type != FRAME_RAFT || frame->to != w->watched || sender->engine == NULL ||
           member_info_voters(sender->engine) < 3;
}

/* The others have committed its vote, and it has not received that. */
static void one_that_does_not_know_yet_that_it_votes_votes_when_it_is_needed(void **state)
{
    struct world *w = *state;
    struct host *lost = world_follower(w);
    struct host *leader = world_leader(w);
    struct host *other = world_host(w, 6 - lost->id - leader->id);
    lose_directory(lost);
    assert_true(host_start(lost));
    while (member_info_voters(leader->engine) != 2) {
        world_run(w, ENGINE_TICK_MS);
    }
    w->watched = lost->id;
    w->passes = nothing_tells_it_of_its_vote;
    while (member_info_voters(other->engine) != 3) {
        world_run(w, ENGINE_TICK_MS);
    }
    world_run(w, 100);
    assert_int_not_equal(member_info_voters(lost->engine), 3);
    host_kill(leader);
    w->passes = NULL;
    assert_true(world_run_until(w, world_is_led, 10000));
    assert_int_equal(host_write(lost, "1two"), ST_OK);
    assert_true(world_start_all(w));
    assert_whole(w);
}

/* --- the earlier life --- */

static void the_earlier_directory_that_is_put_back_is_refused(void **state)
{
    struct world *w = *state;
    struct host *lost = world_follower(w);
    host_close(lost);
    struct files_disk *kept = files_clone(
        lost->disk, &(const struct files_options){.random = world_draw, .data = &w->chance});
    host_empty(lost);
    assert_true(host_start(lost));
    assert_whole(w);
    uint64_t term = raft_current_term(&world_leader(w)->engine->driver.raft);
    host_close(lost);
    files_destroy(lost->disk);
    lost->disk = kept;
    assert_true(host_start(lost));
    struct hello_facts facts = engine_facts(lost->engine);
    assert_int_equal(engine_admit(world_leader(w)->engine, &facts), HELLO_EARLIER_LIFE);
    world_run(w, 5000);
    struct host *leader = world_leader(w);
    assert_true(leader != NULL && leader != lost);
    assert_true(raft_current_term(&leader->engine->driver.raft) <= term + 1);
    assert_int_equal(host_write(leader, "1after"), ST_OK);
    assert_int_equal(host_has(lost, "1after"), 0);
    assert_int_equal(member_info_voters(leader->engine), 3);
}

/* --- crashes --- */

static unsigned changes_in_log(const struct host *h)
{
    const struct log *log = &h->engine->driver.log;
    unsigned changes = 0;
    for (uint64_t index = 2; index <= log_last_index(log); index++) {
        changes += log_get(log, index)->type == RAFT_CHANGE;
    }
    return changes;
}

/* The leader crashes after proposing `n` changes and one more, which is sent or not; false: there
 * were fewer. */
static bool replace_with_death_of_the_leader(unsigned n, bool is_sent)
{
    struct world w;
    bool died = false;
    world_init(&w, 3);
    world_form(&w);
    world_run(&w, 500);
    assert_int_equal(host_write(world_host(&w, 1), "1before"), ST_OK);
    struct host *leader = world_leader(&w);
    struct host *lost = world_follower(&w);
    lose_directory(lost);
    assert_true(host_start(lost));
    for (unsigned i = 0; i < 500 && !died; i++) {
        w.hold_frames = leader->hold_work = !is_sent && changes_in_log(leader) == n;
        world_run(&w, ENGINE_TICK_MS);
        died = changes_in_log(leader) > n;
        if (died) {
            host_kill(leader);
        }
        w.hold_frames = leader->hold_work = false;
        world_settle(&w);
    }
    assert_true(world_start_all(&w));
    assert_whole(&w);
    assert_int_equal(host_has(lost, "1before"), 1);
    world_done(&w);
    return died;
}

static void another_leader_goes_on_with_a_replacement_wherever_it_stands(void **state UNUSED)
{
    for (int is_sent = 0; is_sent <= 1; is_sent++) {
        unsigned n = 0;
        while (replace_with_death_of_the_leader(n, is_sent != 0)) {
            n++;
        }
        assert_int_equal(n, 3);
    }
}

/* The new life crashes at its call number `n`; false: it has its vote before that. */
static bool join_with_death(uint64_t n, enum files_fate fate, bool power, bool compacted)
{
    struct world w;
    world_init(&w, 3);
    w.chance = n;
    world_form(&w);
    world_run(&w, 500);
    struct host *lost = world_follower(&w);
    host_fill(world_leader(&w), "1op", compacted ? OPS : 2, compacted ? OP_BYTES : 100);
    world_run(&w, 500);
    lose_directory(lost);
    assert_true(host_start(lost));
    files_plan(lost->disk, &(const struct files_plan){.fate = fate, .calls = n});
    for (unsigned i = 0; i < 500 && host_is_alive(lost) && !all_vote(&w); i++) {
        world_run(&w, ENGINE_TICK_MS);
    }
    bool died = !host_is_alive(lost);
    if (died && power) {
        files_lose_power(lost->disk);
    }
    struct files_plan left;
    (void)files_take_plan(lost->disk, &left);
    assert_true(world_start_all(&w));
    assert_whole(&w);
    assert_int_equal(host_has(lost, "1op1"), 1);
    world_done(&w);
    return died;
}

static void a_new_life_that_dies_at_any_call_is_let_in_nevertheless(void **state UNUSED)
{
    for (int way = 0; way < 8; way++) {
        uint64_t n = 0;
        while (join_with_death(n, way % 2 == 0 ? FILES_DIE_BEFORE : FILES_DIE_AFTER,
                               way / 2 % 2 != 0, way / 4 != 0)) {
            n++;
        }
        print_message("%d calls\n", (int)n);
        assert_true(n > 15);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_follower_that_was_emptied_votes_again),
        CASE(a_leader_that_was_emptied_votes_again),
        CASE(one_that_was_emptied_gets_the_snapshot_when_the_log_is_compacted),
        CASE(each_in_turn_is_emptied_and_nothing_is_lost),
        CASE(one_that_is_emptied_again_while_it_is_let_in_is_let_in_again),
        cmocka_unit_test(two_of_five_are_let_in_one_after_the_other),
        CASE(with_another_one_away_it_waits_until_a_majority_is_there),
        CASE(one_that_was_away_meanwhile_hears_the_new_life_and_votes_for_it),
        CASE(one_that_does_not_know_yet_that_it_votes_votes_when_it_is_needed),
        CASE(the_earlier_directory_that_is_put_back_is_refused),
        cmocka_unit_test(another_leader_goes_on_with_a_replacement_wherever_it_stands),
        cmocka_unit_test(a_new_life_that_dies_at_any_call_is_let_in_nevertheless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
