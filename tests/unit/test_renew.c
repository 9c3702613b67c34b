/* Renewals: by reference and by id, unknown ones, and the result if only a part was done. */
#include "tests/unit/node_fixture.h"

#include "server/node/renew.h"

struct renewer {
    struct node_renewal renewal;
    struct slice ids[8];
    unsigned done;
    enum status status;
};

static void done(struct node_renewal *renewal, enum status status)
{
    struct renewer *r = CONTAINER_OF(renewal, struct renewer, renewal);
    r->done++;
    r->status = status;
}

static struct renewer r;

static int set_up(void **state)
{
    memset(&r, 0, sizeof r);
    r.renewal.done = done;
    r.renewal.ids = r.ids;
    return node_set_up(state);
}

static int tear_down(void **state)
{
    free(r.renewal.missed);
    return node_tear_down(state);
}

static void add(const char *id)
{
    r.ids[r.renewal.count++] = slice_of(id);
}

static void renew(void)
{
    assert_int_equal(node_renew(&n.node, &r.renewal), ST_OK);
    assert_int_equal(r.done, 0);
}

/* The kind of the next command to commit. */
static void assert_next(enum command_kind kind)
{
    assert_true(n.queued > 0);
    assert_int_equal(n.queue[0]->data[0], kind);
    assert_int_equal(n.queue[0]->lane, CONSENSUS_URGENT);
}

static void assert_over(enum status status, uint64_t renewed)
{
    assert_int_equal(n.queued, 0);
    assert_int_equal(r.done, 1);
    assert_int_equal(r.status, status);
    assert_int_equal(r.renewal.renewed, renewed);
}

static void ids_that_are_known_here_go_by_reference_alone(void **state)
{
    (void)state;
    node_register("a", "web");
    node_register("b", "web");
    add("a");
    add("b");
    renew();
    assert_next(COMMAND_RENEW);
    node_commit();
    assert_over(ST_OK, 2);
    assert_int_equal(r.renewal.missed_count, 0);
    assert_int_equal(r.renewal.index, 3);
}

static void ids_that_are_not_known_here_go_by_id_and_may_be_known_by_then(void **state)
{
    (void)state;
    add("a");
    add("b");
    renew();
    node_register("b", "web");
    assert_next(COMMAND_HEARTBEAT);
    node_commit();
    assert_over(ST_OK, 1);
    assert_int_equal(r.renewal.missed_count, 1);
    assert_int_equal(r.renewal.missed[0], 0);
}

static void both_kinds_are_two_commands_and_one_answer(void **state)
{
    (void)state;
    node_register("b", "web");
    node_register("d", "web");
    const char *const ids[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        add(ids[i]);
    }
    renew();
    assert_next(COMMAND_RENEW);
    node_commit();
    assert_int_equal(r.done, 0);
    node_register("c", "web");
    assert_next(COMMAND_HEARTBEAT);
    node_commit();
    assert_over(ST_OK, 3);
    assert_int_equal(r.renewal.missed_count, 1);
    assert_int_equal(r.renewal.missed[0], 0);
    assert_int_equal(r.renewal.index, 5);
}

static void reference_that_has_become_stale_is_tried_by_id(void **state)
{
    (void)state;
    node_register("a", "web");
    node_register("b", "web");
    add("a");
    add("b");
    renew();
    node_deregister("b");
    node_register("b", "web");
    node_commit();
    assert_next(COMMAND_HEARTBEAT);
    node_commit();
    assert_over(ST_OK, 2);
    assert_int_equal(r.renewal.missed_count, 0);
}

static void id_that_goes_meanwhile_is_unknown(void **state)
{
    (void)state;
    node_register("a", "web");
    node_register("b", "web");
    add("a");
    add("b");
    renew();
    node_deregister("b");
    node_commit();
    node_commit();
    assert_over(ST_OK, 1);
    assert_int_equal(r.renewal.missed_count, 1);
    assert_int_equal(r.renewal.missed[0], 1);
}

static void single_id_that_is_unknown_is_a_result_not_a_refusal(void **state)
{
    (void)state;
    add("a");
    renew();
    node_commit();
    assert_over(ST_OK, 0);
    assert_int_equal(r.renewal.missed_count, 1);
}

static void single_id_with_details_goes_by_id(void **state)
{
    (void)state;
    node_register("a", "web");
    add("a");
    r.renewal.health_given = true;
    r.renewal.health = HEALTH_WARNING;
    r.renewal.note_given = true;
    r.renewal.note = slice_of("slow");
    renew();
    assert_next(COMMAND_HEARTBEAT);
    node_commit();
    assert_over(ST_OK, 1);
    const struct view *view = node_view_lock(&n.node);
    assert_int_equal(record_health(view_instance(view, "a")), HEALTH_WARNING);
    assert_string_equal(record_note(view_instance(view, "a")), "slow");
    view_unlock(&view);
}

static void other_incarnation_is_a_conflict(void **state)
{
    (void)state;
    node_register("a", "web");
    add("a");
    r.renewal.incarnation = 7;
    renew();
    node_commit();
    assert_over(ST_CONFLICT, 0);
}

/* --- refusals --- */

static void refusal_of_the_first_command_says_that_nothing_was_done(void **state)
{
    (void)state;
    node_register("a", "web");
    add("a");
    n.refusal = ST_BUSY;
    assert_int_equal(node_renew(&n.node, &r.renewal), ST_BUSY);
    assert_int_equal(r.done, 0);
    n.refusal = ST_OK;
    add("b");
    renew();
    node_fail(ST_NO_LEADER);
    assert_over(ST_NO_LEADER, 0);
}

static void part_that_was_done_makes_a_refusal_of_the_rest_unknown(void **state)
{
    (void)state;
    node_register("a", "web");
    add("a");
    add("b");
    renew();
    node_commit();
    assert_next(COMMAND_HEARTBEAT);
    node_fail(ST_NO_LEADER);
    assert_over(ST_UNKNOWN, 1);
}

static void part_that_was_done_makes_a_rest_that_is_not_taken_unknown(void **state)
{
    (void)state;
    node_register("a", "web");
    add("a");
    add("b");
    renew();
    n.refusal = ST_STOPPING;
    node_commit();
    assert_over(ST_UNKNOWN, 1);
}

static void rest_that_is_refused_after_nothing_was_done_stays_refused(void **state)
{
    (void)state;
    node_register("a", "web");
    add("a");
    renew();
    node_deregister("a");
    n.refusal = ST_BUSY;
    node_commit();
    assert_over(ST_BUSY, 0);
}

static void first_command_whose_outcome_is_unknown_is_not_followed_by_another(void **state)
{
    (void)state;
    node_register("a", "web");
    add("a");
    add("b");
    renew();
    node_fail(ST_UNKNOWN);
    assert_over(ST_UNKNOWN, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(ids_that_are_known_here_go_by_reference_alone),
        TEST(ids_that_are_not_known_here_go_by_id_and_may_be_known_by_then),
        TEST(both_kinds_are_two_commands_and_one_answer),
        TEST(reference_that_has_become_stale_is_tried_by_id),
        TEST(id_that_goes_meanwhile_is_unknown),
        TEST(single_id_that_is_unknown_is_a_result_not_a_refusal),
        TEST(single_id_with_details_goes_by_id),
        TEST(other_incarnation_is_a_conflict),
        TEST(refusal_of_the_first_command_says_that_nothing_was_done),
        TEST(part_that_was_done_makes_a_refusal_of_the_rest_unknown),
        TEST(part_that_was_done_makes_a_rest_that_is_not_taken_unknown),
        TEST(rest_that_is_refused_after_nothing_was_done_stays_refused),
        TEST(first_command_whose_outcome_is_unknown_is_not_followed_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
