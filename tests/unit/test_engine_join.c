/* A cluster grows, is replaced piece by piece and shrinks, and stays the same cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

#define FIRST 3

/* Members 1 to 3 have formed; 4 and 5 are unknown machines. */
static void begin(struct world *w)
{
    world_init(w, WORLD_MEMBERS);
    for (uint64_t id = 1; id <= WORLD_MEMBERS; id++) {
        struct host *h = world_host(w, id);
        h->list = w->list;
        h->list_count = id <= FIRST ? FIRST : WORLD_MEMBERS;
        h->joins = id > FIRST;
        CHECK(id > FIRST || host_start(h));
    }
    CHECK(world_run_until(w, world_is_led, 10000));
    world_run(w, 500);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    begin(w);
    *state = w;
    return 0;
}

static const char *address_of(struct world *w, uint64_t id)
{
    return w->list[id - 1].address;
}

static const struct member *known(struct host *at, uint64_t id)
{
    return member_info_find(at->engine, id);
}

static bool has_role(struct host *at, uint64_t id, const char *role)
{
    const struct member *m = known(at, id);
    return m != NULL && strcmp(m->info.role, role) == 0;
}

static void join(struct world *w, uint64_t id)
{
    struct host *h = world_host(w, id);
    assert_int_equal(host_add(world_leader(w), id, address_of(w, id)), ST_OK);
    assert_true(host_start(h));
    assert_true(world_run_until(w, world_is_led, 10000));
    world_run(w, 1000);
    assert_int_equal(known(world_leader(w), id)->info.life, h->engine->identity.life);
    assert_int_equal(configuration_lives(&h->engine->driver.raft.configuration, id), 1);
}

static bool is_member(const struct host *h)
{
    return host_is_alive(h) && h->engine->running;
}

/* All running members take a write, and have equal states. */
static void assert_same(struct world *w)
{
    struct host *leader = world_leader(w);
    for (uint64_t id = 1; id <= w->count; id++) {
        assert_true(!is_member(world_host(w, id)) || host_write(world_host(w, id), "1op") == ST_OK);
    }
    world_run(w, 1000);
    for (uint64_t id = 1; id <= w->count; id++) {
        assert_true(!is_member(world_host(w, id)) || host_equals(world_host(w, id), leader));
    }
}

/* --- joining --- */

static void a_machine_that_was_added_joins_as_a_standby(void **state)
{
    struct world *w = *state;
    assert_int_equal(host_write(world_host(w, 1), "1before"), ST_OK);
    join(w, 4);
    assert_true(has_role(world_host(w, 1), 4, "standby"));
    assert_same(w);
    assert_int_equal(host_has(world_host(w, 4), "1before"), 1);
    host_kill(world_host(w, 4));
    assert_true(host_start(world_host(w, 4)));
    assert_true(world_run_until(w, world_is_led, 10000));
    assert_same(w);
}

static void it_gets_a_vote_until_there_are_enough(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= FIRST; id++) {
        world_host(w, id)->engine->options.voters = 4;
    }
    join(w, 4);
    join(w, 5);
    world_run(w, 2000);
    assert_int_equal(member_info_voters(world_leader(w)->engine), 4);
    assert_true(has_role(world_leader(w), 5, "standby"));
    assert_same(w);
}

static void a_machine_that_nobody_added_is_not_let_in(void **state)
{
    struct world *w = *state;
    assert_true(host_start(world_host(w, 4)));
    assert_true(host_start(world_host(w, 5)));
    world_run(w, 5000);
    assert_null(known(world_leader(w), 4));
    assert_false(world_host(w, 4)->engine->running);
    assert_int_equal(host_add(world_follower(w), 4, address_of(w, 4)), ST_OK);
    world_run(w, 2000);
    assert_true(has_role(world_leader(w), 4, "standby"));
    assert_false(world_host(w, 5)->engine->running);
    assert_same(w);
}

/* Though they find each other, and nobody else. */
static void machines_that_join_never_form_a_cluster(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= FIRST; id++) {
        host_kill(world_host(w, id));
    }
    static const struct consensus_member two[] = {{.id = 4, .address = "host-4:9100"},
                                                  {.id = 5, .address = "host-5:9100"}};
    for (uint64_t id = 4; id <= 5; id++) {
        world_host(w, id)->list = two;
        world_host(w, id)->list_count = 2;
        assert_true(host_start(world_host(w, id)));
    }
    world_run(w, 5000);
    assert_false(world_host(w, 4)->engine->running || world_host(w, 5)->engine->running);
    host_kill(world_host(w, 4));
    world_host(w, 4)->joins = false; /* its directory remembers */
    assert_true(host_start(world_host(w, 4)));
    world_run(w, 5000);
    assert_false(world_host(w, 4)->engine->running || world_host(w, 5)->engine->running);
}

static void an_id_is_found_for_one_that_has_none(void **state)
{
    struct world *w = *state;
    assert_int_equal(host_add(world_host(w, 2), 0, "host-4:9100"), ST_OK);
    assert_true(has_role(world_leader(w), 4, "spare"));
    /* Repeated, as when the answer was lost: the same member. */
    assert_int_equal(host_add(world_host(w, 1), 0, "host-4:9100"), ST_OK);
    assert_int_equal(world_leader(w)->engine->members.count, 4);
    /* Ids of first members are not assigned. */
    assert_int_equal(host_change(world_host(w, 1), CONSENSUS_REMOVE, 2, false), ST_OK);
    assert_int_equal(host_add(world_host(w, 1), 0, "host-5:9100"), ST_OK);
    assert_true(has_role(world_leader(w), 5, "spare"));
}

static void nobody_is_added_in_the_way_of_another(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w), *at = world_follower(w);
    assert_int_equal(host_add(at, 4, address_of(w, 1)), ST_CONFLICT);
    assert_int_equal(host_add(at, leader->id, "elsewhere:9100"), ST_CONFLICT);
    assert_int_equal(host_add(at, at->id, "elsewhere:9100"), ST_CONFLICT);
    assert_int_equal(host_add(at, leader->id, address_of(w, leader->id)), ST_OK);
    assert_int_equal(leader->engine->members.count, FIRST);
    char address[32];
    for (uint64_t id = FIRST + 1; id <= CLUSTER_MEMBERS_MAX; id++) {
        (void)snprintf(address, sizeof address, "more-%" PRIu64 ":9100", id);
        /* The fixture has no host of that name. */
        if (id <= WORLD_MEMBERS) {
            assert_int_equal(host_add(at, id, address), ST_OK);
        }
    }
    assert_int_equal(leader->engine->members.count, WORLD_MEMBERS);
}

static void there_are_at_most_so_many_members(void **state UNUSED)
{
    struct consensus_member_info members[MEMBERS_MAX] = {0};
    struct consensus_change change = {.kind = CONSENSUS_ADD, .address = "new:9100"};
    for (size_t i = 0; i < CLUSTER_MEMBERS_MAX; i++) {
        members[i].id = i + 1;
        (void)snprintf(members[i].role, sizeof members[i].role, "voter");
    }
    assert_true(consensus_plan(members, CLUSTER_MEMBERS_MAX - 1, &change).safe);
    assert_false(consensus_plan(members, CLUSTER_MEMBERS_MAX, &change).safe);
    /* Two lives of one member count once. */
    members[CLUSTER_MEMBERS_MAX - 1].id = 1;
    assert_true(consensus_plan(members, CLUSTER_MEMBERS_MAX, &change).safe);
    /* An unreachable one comes back on another machine. */
    members[CLUSTER_MEMBERS_MAX - 1].id = CLUSTER_MEMBERS_MAX;
    change.member = 2;
    assert_true(consensus_plan(members, CLUSTER_MEMBERS_MAX, &change).safe);
    members[1].reachable = true;
    assert_false(consensus_plan(members, CLUSTER_MEMBERS_MAX, &change).safe);
}

static void a_member_that_joined_and_lost_its_directory_is_let_in_again(void **state)
{
    struct world *w = *state;
    join(w, 4);
    host_kill(world_host(w, 4));
    host_empty(world_host(w, 4));
    assert_true(host_start(world_host(w, 4)));
    world_run(w, 3000);
    assert_int_equal(known(world_leader(w), 4)->info.life, world_host(w, 4)->engine->identity.life);
    assert_same(w);
}

/* Member 4 comes back on another machine, with an empty directory. */
static void a_machine_takes_the_place_of_one_that_is_gone(void **state)
{
    struct world *w = *state;
    join(w, 4);
    host_kill(world_host(w, 4));
    host_empty(world_host(w, 4));
    world_host(w, 4)->address = "host-6:9100";
    world_run(w, 1000);
    assert_int_equal(host_add(world_host(w, 1), 4, "host-6:9100"), ST_OK);
    assert_true(host_start(world_host(w, 4)));
    world_run(w, 3000);
    assert_int_equal(known(world_leader(w), 4)->info.life, world_host(w, 4)->engine->identity.life);
    assert_same(w);
}

/* The leader is not in its list. */
static void one_of_the_first_that_lost_its_directory_is_let_in_by_one_that_joined(void **state)
{
    struct world *w = *state;
    struct host *lost = world_host(w, 2);
    join(w, 4);
    assert_int_equal(host_change(world_host(w, 1), CONSENSUS_PROMOTE, 4, false), ST_OK);
    assert_int_equal(host_change(world_host(w, 1), CONSENSUS_TRANSFER, 4, false), ST_OK);
    host_kill(lost);
    host_empty(lost);
    assert_true(host_start(lost));
    world_run(w, 5000);
    assert_int_equal(known(world_host(w, 4), 2)->info.life, lost->engine->identity.life);
    assert_true(has_role(world_host(w, 4), 2, "voter"));
    assert_same(w);
}

/* --- a member that missed the changes --- */

/* Of the present leaders and voters, member 1 knows only 2 when it comes back, which is away. */
static void a_member_that_was_away_while_all_changed_finds_them(void **state)
{
    struct world *w = *state;
    assert_int_equal(host_change(world_host(w, 2), CONSENSUS_TRANSFER, 2, false), ST_OK);
    host_kill(world_host(w, 1));
    for (uint64_t id = 2; id <= FIRST; id++) {
        world_host(w, id)->engine->options.voters = 5;
    }
    world_run(w, 1000);
    join(w, 4);
    world_host(w, 4)->engine->options.voters = 5;
    join(w, 5);
    world_run(w, 2000);
    assert_int_equal(member_info_voters(world_leader(w)->engine), 5);
    assert_int_equal(host_change(world_host(w, 2), CONSENSUS_TRANSFER, 4, false), ST_OK);
    assert_int_equal(host_change(world_host(w, 2), CONSENSUS_REMOVE, 3, false), ST_OK);
    host_kill(world_host(w, 3));
    world_run(w, 1000);
    assert_int_equal(member_info_voters(world_leader(w)->engine), 4);
    host_kill(world_host(w, 2));
    assert_true(host_start(world_host(w, 1)));
    assert_true(world_run_until(w, world_is_led, 10000));
    assert_same(w);
    assert_true(world_leader(w)->id >= 4);
}

/* --- removal --- */

static void a_member_that_joined_is_taken_out_and_told(void **state)
{
    struct world *w = *state;
    join(w, 4);
    assert_int_equal(host_change(world_host(w, 1), CONSENSUS_REMOVE, 4, false), ST_OK);
    for (unsigned i = 0; i < 2000 && host_is_alive(world_host(w, 4)); i++) {
        world_run(w, ENGINE_TICK_MS);
        for (uint64_t id = 1; id <= FIRST && host_is_alive(world_host(w, 4)); id++) {
            struct hello_facts facts = engine_facts(world_host(w, 4)->engine);
            if (engine_admit(world_host(w, id)->engine, &facts) == HELLO_EARLIER_LIFE) {
                (void)host_call(world_host(w, 4),
                                &(const struct call){.kind = CALL_REJECTED, .from = id});
            }
        }
    }
    assert_false(host_is_alive(world_host(w, 4)));
    /* Nobody dials it any more. */
    world_run(w, 6000);
    for (uint64_t id = 1; id <= FIRST; id++) {
        assert_string_equal(world_host(w, id)->dials[4], "");
    }
    assert_non_null(strstr(world_host(w, 4)->last_words, "was taken out"));
    /* With an empty directory it may come back once it is added again. */
    host_empty(world_host(w, 4));
    join(w, 4);
    assert_same(w);
}

/* --- autopilot --- */

static void replace_after(struct world *w, uint32_t ms)
{
    w->replace_after_ms = ms;
    for (uint64_t id = 1; id <= w->count; id++) {
        if (host_is_alive(world_host(w, id))) {
            world_host(w, id)->engine->options.replace_after_ms = ms;
        }
    }
}

static void a_voter_that_is_away_for_too_long_is_replaced_by_a_standby(void **state)
{
    struct world *w = *state;
    join(w, 4);
    replace_after(w, 3000);
    struct host *away = world_follower(w);
    host_kill(away);
    world_run(w, 2500);
    assert_true(has_role(world_leader(w), 4, "standby"));
    world_run(w, 1500);
    assert_true(has_role(world_leader(w), 4, "voter"));
    assert_true(has_role(world_leader(w), away->id, "standby"));
    assert_int_equal(member_info_voters(world_leader(w)->engine), 3);
    /* It comes back, follows, and has no vote. */
    assert_true(host_start(away));
    assert_true(world_run_until(w, world_is_led, 10000));
    world_run(w, 2000);
    assert_true(has_role(world_leader(w), away->id, "standby"));
    assert_same(w);
}

static void the_leader_that_is_gone_is_replaced_too(void **state)
{
    struct world *w = *state;
    join(w, 4);
    replace_after(w, 2000);
    struct host *away = world_leader(w);
    host_kill(away);
    world_run(w, 5000);
    assert_true(has_role(world_leader(w), 4, "voter"));
    assert_true(has_role(world_leader(w), away->id, "standby"));
    assert_same(w);
}

/* It came back and was elected before its vote was removed. */
static void a_leader_that_was_replaced_hands_over_and_loses_its_vote(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct engine *e = leader->engine;
    struct raft_configuration next;
    join(w, 4);
    assert_int_equal(host_change(leader, CONSENSUS_PROMOTE, 4, false), ST_OK);
    configuration_copy(&e->driver.raft.configuration, 0, &next);
    configuration_set(&next, (unsigned)member_info_index(e, known(leader, leader->id)), RAFT_VOTER,
                      MARK_REPLACED);
    driver_change(e, &next);
    raft_configuration_close(&next);
    world_run(w, 3000);
    assert_true(world_leader(w) != leader);
    assert_true(has_role(world_leader(w), leader->id, "standby"));
    assert_int_equal(member_info_voters(world_leader(w)->engine), 3);
    assert_same(w);
}

static void nobody_is_replaced_without_a_standby_that_is_there(void **state)
{
    struct world *w = *state;
    join(w, 4);
    assert_int_equal(host_change(world_host(w, 1), CONSENSUS_DEMOTE, 4, false), ST_OK);
    replace_after(w, 2000);
    struct host *away = world_follower(w);
    host_kill(away);
    world_run(w, 5000);
    /* It was demoted by hand. */
    assert_true(has_role(world_leader(w), 4, "standby"));
    assert_true(has_role(world_leader(w), away->id, "voter"));
}

static void two_that_are_away_are_replaced_one_after_the_other(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= FIRST; id++) {
        world_host(w, id)->engine->options.voters = 3;
    }
    join(w, 4);
    join(w, 5);
    replace_after(w, 2000);
    struct host *first = world_follower(w);
    host_kill(first);
    world_run(w, 4000);
    struct host *second = world_host(w, 6 - world_leader(w)->id - first->id);
    host_kill(second);
    world_run(w, 5000);
    assert_true(has_role(world_leader(w), first->id, "standby"));
    assert_true(has_role(world_leader(w), second->id, "standby"));
    assert_int_equal(member_info_voters(world_leader(w)->engine), 3);
    assert_same(w);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_machine_that_was_added_joins_as_a_standby),
        CASE(it_gets_a_vote_until_there_are_enough),
        CASE(a_machine_that_nobody_added_is_not_let_in),
        CASE(machines_that_join_never_form_a_cluster),
        CASE(an_id_is_found_for_one_that_has_none),
        CASE(nobody_is_added_in_the_way_of_another),
        cmocka_unit_test(there_are_at_most_so_many_members),
        CASE(a_member_that_joined_and_lost_its_directory_is_let_in_again),
        CASE(one_of_the_first_that_lost_its_directory_is_let_in_by_one_that_joined),
        CASE(a_machine_takes_the_place_of_one_that_is_gone),
        CASE(a_member_that_was_away_while_all_changed_finds_them),
        CASE(a_member_that_joined_is_taken_out_and_told),
        CASE(a_voter_that_is_away_for_too_long_is_replaced_by_a_standby),
        CASE(the_leader_that_is_gone_is_replaced_too),
        CASE(a_leader_that_was_replaced_hands_over_and_loses_its_vote),
        CASE(nobody_is_replaced_without_a_standby_that_is_there),
        CASE(two_that_are_away_are_replaced_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
