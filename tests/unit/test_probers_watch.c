/* Whom the leader makes a prober, and when it lets go of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/compiler.h"
#include "server/node/probers.h"

#define TICK_MS 50
#define START   1000000

/* A leader's world: what it hears, its clock, and the set as it is in the state. */
struct leader {
    struct probers_watch watch;
    struct consensus_presence members[MEMBERS_MAX];
    size_t count;
    struct probers set;
    uint64_t now_ms;
    unsigned changes;
};

static struct leader led(size_t count)
{
    struct leader l = {.count = count, .now_ms = START};
    for (size_t i = 0; i < count; i++) {
        l.members[i] = (struct consensus_presence){.id = i + 1, .available = true};
    }
    probers_watch_begin(&l.watch);
    return l;
}

static struct consensus_presence *member(struct leader *l, uint64_t id)
{
    return &l->members[id - 1];
}

/* Those that are silent are so for longer with each tick. */
static void tick(struct leader *l)
{
    struct command command;
    l->now_ms += TICK_MS;
    for (size_t i = 0; i < l->count; i++) {
        uint64_t silent_ms = l->members[i].silent_ms;
        l->members[i].silent_ms += silent_ms > 0 && silent_ms != UINT64_MAX ? TICK_MS : 0;
    }
    probers_watch_tick(&l->watch, l->now_ms, l->members, l->count);
    if (!probers_wanted(&l->watch, &l->set, &command)) {
        return;
    }
    l->changes++;
    l->set = (struct probers){.epoch = l->now_ms};
    for (uint32_t i = 0; i < command.probers.count; i++) {
        assert_true(i == 0 || command.probers.members[i] > command.probers.members[i - 1]);
        l->set.rows[l->set.count++] =
            (struct prober){.member = command.probers.members[i], .since = l->now_ms};
    }
}

static void run(struct leader *l, uint64_t ms)
{
    for (uint64_t end_ms = l->now_ms + ms; l->now_ms < end_ms;) {
        tick(l);
    }
}

/* The members as a number: 13 are 1 and 3. */
static unsigned set_of(const struct leader *l)
{
    unsigned number = 0;
    for (uint32_t i = 0; i < l->set.count; i++) {
        number = number * 10 + (unsigned)l->set.rows[i].member;
    }
    return number;
}

static void nothing_is_wanted_before_the_first_tick(void **state)
{
    struct leader l = led(3);
    struct command command;
    (void)state;
    assert_false(probers_wanted(&l.watch, &l.set, &command));
}

static void the_first_set_has_all_that_are_able_and_then_nothing_is_written(void **state)
{
    struct leader l = led(4);
    (void)state;
    member(&l, 3)->available = false;
    member(&l, 4)->silent_ms = UINT64_MAX;
    tick(&l);
    assert_int_equal(set_of(&l), 12);
    run(&l, 60000);
    assert_int_equal(l.changes, 1);
}

static void one_that_is_silent_leaves_in_time(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    member(&l, 2)->silent_ms = 1;
    run(&l, PROBERS_SILENT_MS - TICK_MS);
    assert_int_equal(set_of(&l), 123);
    run(&l, 2 * TICK_MS);
    assert_int_equal(set_of(&l), 13);
    assert_int_equal(l.changes, 2);
}

static void one_that_is_not_able_leaves_likewise(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    member(&l, 1)->available = false; /* this one is the leader, which is never silent */
    run(&l, PROBERS_SILENT_MS - TICK_MS);
    member(&l, 1)->available = true; /* a moment is nothing */
    run(&l, PROBERS_SILENT_MS);
    assert_int_equal(l.changes, 1);
    member(&l, 1)->available = false;
    run(&l, PROBERS_SILENT_MS + TICK_MS);
    assert_int_equal(set_of(&l), 23);
}

static void one_that_comes_back_must_be_steady(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    member(&l, 3)->silent_ms = 1;
    run(&l, 2000);
    assert_int_equal(set_of(&l), 12);
    for (int i = 0; i < 5; i++) {
        member(&l, 3)->silent_ms = 0;
        run(&l, PROBERS_STEADY_MS - TICK_MS);
        member(&l, 3)->silent_ms = PROBERS_SILENT_MS;
        run(&l, TICK_MS);
    }
    assert_int_equal(l.changes, 2);
    member(&l, 3)->silent_ms = 0;
    run(&l, PROBERS_STEADY_MS + TICK_MS);
    assert_int_equal(set_of(&l), 123);
}

static void one_that_says_that_it_leaves_does_at_once(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    member(&l, 2)->leaves = true;
    tick(&l);
    assert_int_equal(set_of(&l), 13);
    member(&l, 2)->leaves = false; /* started again */
    run(&l, PROBERS_STEADY_MS + TICK_MS);
    assert_int_equal(set_of(&l), 123);
}

static void one_that_is_no_member_any_more_leaves(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    l.count = 2;
    tick(&l);
    assert_int_equal(set_of(&l), 12);
}

/* A new leader has heard nobody yet: whoever was a prober has time to be heard. */
static void a_new_leader_gives_all_their_time(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    probers_watch_begin(&l.watch);
    member(&l, 1)->silent_ms = 5000;
    member(&l, 2)->silent_ms = UINT64_MAX;
    run(&l, PROBERS_SILENT_MS);
    assert_int_equal(set_of(&l), 123);
    run(&l, TICK_MS);
    assert_int_equal(set_of(&l), 3);
}

static void a_leader_that_stood_still_removes_nobody_for_it(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    l.now_ms += 5000;
    member(&l, 2)->silent_ms = member(&l, 3)->silent_ms = 5000;
    tick(&l);
    member(&l, 2)->silent_ms = 0; /* what had come is read now */
    run(&l, PROBERS_SILENT_MS - TICK_MS);
    assert_int_equal(set_of(&l), 123);
    run(&l, 2 * TICK_MS);
    assert_int_equal(set_of(&l), 12);
}

/* A member that lost its directory: the life that is there counts. */
static void of_two_lives_one_is_enough(void **state)
{
    struct leader l = led(3);
    (void)state;
    tick(&l);
    l.members[3] = l.members[1];
    l.count = 4;
    member(&l, 2)->silent_ms = 1;
    run(&l, 3000);
    assert_int_equal(set_of(&l), 123);
    assert_int_equal(l.changes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wanted_before_the_first_tick),
        cmocka_unit_test(the_first_set_has_all_that_are_able_and_then_nothing_is_written),
        cmocka_unit_test(one_that_is_silent_leaves_in_time),
        cmocka_unit_test(one_that_is_not_able_leaves_likewise),
        cmocka_unit_test(one_that_comes_back_must_be_steady),
        cmocka_unit_test(one_that_says_that_it_leaves_does_at_once),
        cmocka_unit_test(one_that_is_no_member_any_more_leaves),
        cmocka_unit_test(a_new_leader_gives_all_their_time),
        cmocka_unit_test(a_leader_that_stood_still_removes_nobody_for_it),
        cmocka_unit_test(of_two_lives_one_is_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
