/* Membership changes requested at any member, whichever crashes meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

/* --- effect on the majority --- */

static struct consensus_member_info member(uint64_t id, const char *role, bool reachable)
{
    struct consensus_member_info m = {.id = id, .reachable = reachable};
    (void)snprintf(m.role, sizeof m.role, "%s", role);
    return m;
}

static void a_plan_says_whether_a_majority_can_be_reached_afterwards(void **state UNUSED)
{
    const struct {
        const char *roles; /* v: voter, s: standby; upper case: reachable; the first one leads */
        enum consensus_change_kind kind;
        uint64_t member;
        bool found, needed, safe, hands_over;
        size_t after;
    } rows[] = {
        {"VVV", CONSENSUS_REMOVE, 2, true, true, true, false, 2},
        {"VVV", CONSENSUS_REMOVE, 1, true, true, true, true, 2},
        {"VVv", CONSENSUS_REMOVE, 3, true, true, true, false, 2},
        {"VVv", CONSENSUS_REMOVE, 2, true, true, false, false, 2},
        {"VVv", CONSENSUS_DEMOTE, 2, true, true, false, false, 2},
        {"VVVvv", CONSENSUS_REMOVE, 2, true, true, false, false, 4},
        {"VVVvv", CONSENSUS_REMOVE, 5, true, true, true, false, 4},
        {"VVvS", CONSENSUS_REMOVE, 4, true, true, true, false, 3},
        {"VVvS", CONSENSUS_PROMOTE, 4, true, true, true, false, 4},
        {"VvvS", CONSENSUS_PROMOTE, 4, true, true, false, false, 4},
        {"VVV", CONSENSUS_PROMOTE, 2, true, false, true, false, 3},
        {"V", CONSENSUS_REMOVE, 1, true, true, false, true, 0},
        {"VVV", CONSENSUS_REMOVE, 9, false, false, true, false, 3},
        {"VVV", CONSENSUS_TRANSFER, 0, true, true, true, true, 3},
        {"VVV", CONSENSUS_TRANSFER, 1, true, false, true, false, 3},
        {"VvV", CONSENSUS_TRANSFER, 2, true, true, false, true, 3},
        {"VS", CONSENSUS_TRANSFER, 2, true, true, false, true, 1},
        {"Vv", CONSENSUS_TRANSFER, 0, true, true, false, true, 2},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct consensus_member_info members[MEMBERS_MAX];
        size_t count = strlen(rows[i].roles);
        for (size_t k = 0; k < count; k++) {
            char c = rows[i].roles[k];
            bool is_voter = c == 'v' || c == 'V';
            members[k] = member(k + 1, is_voter ? "voter" : "standby", c < 'a');
        }
        members[0].is_leader = true;
        const struct consensus_change change = {.kind = rows[i].kind, .member = rows[i].member};
        struct consensus_plan plan = consensus_plan(members, count, &change);
        print_message("%s %d %d\n", rows[i].roles, (int)rows[i].kind, (int)rows[i].member);
        assert_int_equal(plan.found, rows[i].found);
        assert_int_equal(plan.needed, rows[i].needed);
        assert_int_equal(plan.safe, rows[i].safe);
        assert_int_equal(plan.hands_over, rows[i].hands_over);
        assert_int_equal(plan.voters_after, rows[i].after);
    }
}

/* --- requests --- */

static bool is_in(const struct host *h, uint64_t id)
{
    return member_info_find(h->engine, id) != NULL;
}

static void a_member_is_taken_out_whoever_is_asked_and_whoever_leads(void **state UNUSED)
{
    for (uint64_t id = 1; id <= 3; id++) {
        for (uint64_t at = 1; at <= 3; at++) {
            struct world w;
            if (at == id) {
                continue; /* it cannot know that it is gone */
            }
            world_init(&w, 3);
            world_form(&w);
            world_run(&w, 500);
            assert_int_equal(host_change(world_host(&w, at), CONSENSUS_REMOVE, id, false), ST_OK);
            assert_false(is_in(world_host(&w, at), id));
            assert_int_equal(host_write(world_host(&w, at), "1after"), ST_OK);
            world_run(&w, 3000);
            assert_int_equal(host_has(world_host(&w, id), "1after"), 0);
            assert_false(world_host(&w, id)->engine->is_leader);
            /* Repeating it changes nothing. */
            assert_int_equal(host_change(world_host(&w, at), CONSENSUS_REMOVE, id, false), ST_OK);
            world_done(&w);
        }
    }
}

static void a_vote_is_taken_and_given_back(void **state)
{
    struct world *w = *state;
    struct host *one = world_follower(w);
    for (unsigned turn = 0; turn < 3; turn++) {
        struct host *at = world_host(w, turn % 3 + 1);
        assert_int_equal(host_change(at, CONSENSUS_DEMOTE, one->id, false), ST_OK);
        world_run(w, 3000);
        assert_int_equal(member_info_voters(world_leader(w)->engine), 2);
        assert_int_equal(host_write(one, "1standby"), ST_OK);
        assert_int_equal(host_change(at, CONSENSUS_PROMOTE, one->id, false), ST_OK);
        assert_int_equal(member_info_voters(world_leader(w)->engine), 3);
    }
}

static void a_leader_that_is_demoted_hands_over_first(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    assert_int_equal(host_change(world_follower(w), CONSENSUS_DEMOTE, leader->id, false), ST_OK);
    assert_true(world_leader(w) != leader);
    assert_int_equal(host_write(leader, "1standby"), ST_OK);
}

static void what_leaves_no_majority_is_refused_unless_forced(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct host *one = world_follower(w);
    struct host *away = world_host(w, 6 - leader->id - one->id);
    host_kill(away);
    world_run(w, 100);
    assert_int_equal(host_change(one, CONSENSUS_REMOVE, one->id, false), ST_CONFLICT);
    assert_int_equal(host_change(leader, CONSENSUS_DEMOTE, one->id, false), ST_CONFLICT);
    assert_int_equal(host_change(one, CONSENSUS_DEMOTE, 9, false), ST_NOT_FOUND);
    assert_int_equal(member_info_voters(leader->engine), 3);
    assert_int_equal(host_write(one, "1two"), ST_OK);
    struct asked forced;
    host_ask(&forced, leader,
             &(const struct consensus_change){
                 .kind = CONSENSUS_REMOVE, .member = one->id, .force = true});
    world_run(w, 1000);
    assert_false(forced.is_done); /* it needs the unreachable member, */
    assert_true(host_start(away));
    assert_int_equal(world_answer(w, &forced), ST_OK); /* and waits for it */
    assert_int_equal(host_write(away, "1after"), ST_OK);
}

static void two_that_are_asked_at_once_are_done_one_after_the_other(void **state UNUSED)
{
    struct world w;
    struct asked first, second;
    world_init(&w, 5);
    world_form(&w);
    world_run(&w, 500);
    struct host *leader = world_leader(&w);
    uint64_t a = leader->id == 5 ? 4 : 5;
    uint64_t b = leader->id >= 4 ? 3 : 4;
    host_ask(
        &first, leader,
        &(const struct consensus_change){.kind = CONSENSUS_REMOVE, .member = a, .force = false});
    host_ask(
        &second, world_host(&w, leader->id == 1 ? 2 : 1),
        &(const struct consensus_change){.kind = CONSENSUS_DEMOTE, .member = b, .force = false});
    assert_int_equal(world_answer(&w, &first), ST_OK);
    assert_int_equal(world_answer(&w, &second), ST_OK);
    assert_int_equal(leader->engine->members.count, 4);
    assert_int_equal(member_info_voters(leader->engine), 3);
    world_done(&w);
}

/* The requester gets its answer even if the leader that was asked is gone. */
static void a_change_survives_the_leader_that_began_it(void **state UNUSED)
{
    for (uint64_t ms = 0; ms <= 60; ms += ENGINE_TICK_MS) {
        struct world w;
        struct asked a;
        world_init(&w, 5);
        world_form(&w);
        world_run(&w, 500);
        struct host *leader = world_leader(&w);
        struct host *at = world_host(&w, leader->id == 1 ? 2 : 1);
        uint64_t id = leader->id == 5 ? 4 : 5;
        host_ask(&a, at,
                 &(const struct consensus_change){
                     .kind = CONSENSUS_REMOVE, .member = id, .force = false});
        leader->hold_work = true;
        world_run(&w, ms);
        host_lose_power(leader);
        leader->hold_work = false;
        assert_int_equal(world_answer(&w, &a), ST_OK);
        assert_true(host_start(leader));
        assert_true(host_write(at, "1after") == ST_OK);
        world_run(&w, 2000);
        assert_false(is_in(leader, id));
        world_done(&w);
    }
}

static void another_member_leads_when_it_is_asked_for(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(host_change(world_host(w, id % 3 + 1), CONSENSUS_TRANSFER, id, false),
                         ST_OK);
        assert_true(world_leader(w) == world_host(w, id));
    }
    assert_int_equal(host_change(world_host(w, 1), CONSENSUS_TRANSFER, 0, false), ST_OK);
    assert_true(world_leader(w) != world_host(w, 3));
    assert_int_equal(host_change(world_host(w, 1), CONSENSUS_TRANSFER, 9, false), ST_NOT_FOUND);
}

/* What it sent before it was on its own disk, and then lost, has an earlier term than what it sends
 * afterwards. */
static void the_only_voter_leads_no_term_twice(void **state UNUSED)
{
    struct world w;
    world_init(&w, 2);
    world_form(&w);
    world_run(&w, 500);
    struct host *leader = world_leader(&w);
    struct host *standby = world_follower(&w);
    assert_int_equal(host_change(leader, CONSENSUS_DEMOTE, standby->id, false), ST_OK);
    uint64_t term = raft_current_term(&leader->engine->driver.raft);
    uint64_t last = log_last_index(&standby->engine->driver.log);
    leader->hold_work = true;
    (void)host_submit(leader, CONSENSUS_NORMAL, "1lost");
    world_run(&w, 100);
    assert_true(log_last_index(&standby->engine->driver.log) > last);
    host_lose_power(leader);
    leader->hold_work = false;
    assert_true(host_start(leader));
    assert_true(raft_current_term(&leader->engine->driver.raft) > term);
    assert_true(world_run_until(&w, world_is_led, 5000));
    assert_int_equal(host_write(leader, "1kept"), ST_OK);
    world_run(&w, 1000);
    assert_true(host_is_alive(leader) && host_is_alive(standby));
    assert_int_equal(host_has(standby, "1lost"), 0);
    assert_true(host_equals(leader, standby));
    world_done(&w);
}

static void without_a_leader_nothing_is_done(void **state)
{
    struct world *w = *state;
    struct host *one = world_follower(w);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != one->id) {
            host_kill(world_host(w, id));
        }
    }
    world_run(w, 2000);
    assert_int_equal(host_change(one, CONSENSUS_REMOVE, one->id % 3 + 1, false), ST_NO_LEADER);
    assert_int_equal(one->engine->members.count, 3);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_says_whether_a_majority_can_be_reached_afterwards),
        cmocka_unit_test(a_member_is_taken_out_whoever_is_asked_and_whoever_leads),
        CASE(a_vote_is_taken_and_given_back),
        CASE(a_leader_that_is_demoted_hands_over_first),
        CASE(what_leaves_no_majority_is_refused_unless_forced),
        cmocka_unit_test(two_that_are_asked_at_once_are_done_one_after_the_other),
        cmocka_unit_test(a_change_survives_the_leader_that_began_it),
        CASE(another_member_leads_when_it_is_asked_for),
        cmocka_unit_test(the_only_voter_leads_no_term_twice),
        CASE(without_a_leader_nothing_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
