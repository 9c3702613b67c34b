/* Staged reads: the order of the stages, what each waits for, and the result of a timeout. */
#include "tests/unit/node_fixture.h"

#include "server/node/read.h"

struct reader {
    struct node_read read;
    bool passed;
    unsigned done;
    enum status status;
};

static void done(struct node_read *read, enum status status)
{
    struct reader *r = CONTAINER_OF(read, struct reader, read);
    r->done++;
    r->status = status;
}

static enum status ask(struct reader *r)
{
    r->read.done = done;
    return node_read(&n.node, &r->read, &r->passed);
}

/* It does not pass at once, and goes to the loop. */
static void ask_and_wait(struct reader *r)
{
    assert_int_equal(ask(r), ST_OK);
    assert_false(r->passed);
    assert_int_equal(r->done, 0);
}

static void arrive(enum status status)
{
    struct consensus_op *op = node_take();
    op->done(op, status);
}

static void ask_and_arrive(struct reader *r)
{
    ask_and_wait(r);
    arrive(ST_OK);
    assert_int_equal(r->done, 0);
}

static struct reader watching(enum node_watch watch, const char *name)
{
    return (struct reader){
        .read = {
            .watch = watch, .name = name, .after_index = n.index, .deadline_ms = n.now_ms + 30000}};
}

static void assert_done(const struct reader *r, enum status status)
{
    assert_int_equal(r->done, 1);
    assert_int_equal(r->status, status);
    assert_int_equal(atomic_load(&n.node.blocking.count), 0);
}

static void assert_changed(const struct reader *r)
{
    assert_done(r, ST_OK);
    assert_true(r->read.changed);
}

/* --- immediate --- */

static void read_of_what_is_here_passes_at_once(void **state)
{
    (void)state;
    struct reader r = {0};
    assert_int_equal(ask(&r), ST_OK);
    assert_true(r.passed);
    assert_int_equal(n.queued, 0);
}

static void index_that_is_applied_passes_at_once(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader r = {.read = {.min_index = 1}};
    assert_int_equal(ask(&r), ST_OK);
    assert_true(r.passed);
}

static void change_that_has_happened_passes_at_once(void **state)
{
    (void)state;
    struct reader r = watching(NODE_WATCH_SERVICE, "web");
    node_register("web-1", "web");
    assert_int_equal(ask(&r), ST_OK);
    assert_true(r.passed && r.read.changed);
}

static void change_whose_time_is_over_passes_at_once(void **state)
{
    (void)state;
    struct reader r = watching(NODE_WATCH_SERVICE, "web");
    r.read.deadline_ms = n.now_ms;
    assert_int_equal(ask(&r), ST_OK);
    assert_true(r.passed && !r.read.changed);
}

static void instance_that_is_not_there_has_changed(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader r = watching(NODE_WATCH_INSTANCE, "web-2");
    assert_int_equal(ask(&r), ST_OK);
    assert_true(r.passed);
}

/* --- stages --- */

static void linearizable_read_always_waits_for_the_proof(void **state)
{
    (void)state;
    struct reader r = {.read = {.linearizable = true}};
    ask_and_wait(&r);
    assert_int_equal(n.queue[0]->lane, CONSENSUS_READ);
    arrive(ST_OK);
    assert_done(&r, ST_OK);
}

static void proof_index_and_change_are_waited_for_in_this_order(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader r = watching(NODE_WATCH_SERVICE, "web");
    r.read.linearizable = true;
    r.read.min_index = 3;
    ask_and_wait(&r);
    assert_int_equal(node_read_late(&r.read), ST_STALLED);
    arrive(ST_OK);
    assert_int_equal(node_read_late(&r.read), ST_TIMEOUT);
    node_register("sql-1", "sql");
    node_register("sql-2", "sql");
    assert_int_equal(r.done, 0);
    assert_int_equal(node_read_late(&r.read), ST_OK);
    node_register("web-2", "web");
    assert_changed(&r);
}

static void change_that_came_while_the_index_was_waited_for_counts(void **state)
{
    (void)state;
    struct reader r = watching(NODE_WATCH_SERVICE, "web");
    r.read.min_index = 2;
    ask_and_arrive(&r);
    node_register("web-1", "web");
    assert_int_equal(r.done, 0);
    node_register("sql-1", "sql");
    assert_changed(&r);
}

/* An entry without operations is in no view. */
static void index_of_an_entry_without_operations_is_reached_by_a_tick(void **state)
{
    (void)state;
    struct reader r = {.read = {.min_index = 7}};
    ask_and_arrive(&r);
    n.applied = 7;
    node_pass_ms(1);
    assert_done(&r, ST_OK);
}

/* --- watching --- */

static void service_that_changes_ends_the_wait_and_others_do_not(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader r = watching(NODE_WATCH_SERVICE, "web");
    ask_and_arrive(&r);
    node_register("sql-1", "sql");
    assert_int_equal(r.done, 0);
    node_deregister("web-1");
    assert_changed(&r);
}

static void list_of_services_and_any_instance_are_watched(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader list = watching(NODE_WATCH_SERVICES, NULL);
    struct reader any = watching(NODE_WATCH_CHANGED, NULL);
    ask_and_arrive(&list);
    ask_and_arrive(&any);
    const struct command command = command_maintenance("web-1", true, "");
    node_apply(&command);
    assert_int_equal(any.done, 1);
    node_register("sql-1", "sql");
    assert_int_equal(list.done, 1);
}

static void instance_is_waited_for_through_changes_of_others_of_its_service(void **state)
{
    (void)state;
    node_register("web-1", "web");
    node_register("web-2", "web");
    struct reader r = watching(NODE_WATCH_INSTANCE, "web-1");
    ask_and_arrive(&r);
    for (unsigned i = 0; i < 3; i++) {
        node_deregister("web-2");
        node_register("web-2", "web");
    }
    assert_int_equal(r.done, 0);
    const struct command command = command_maintenance("web-1", true, "");
    node_apply(&command);
    assert_changed(&r);
}

static void instance_that_goes_ends_the_wait(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader r = watching(NODE_WATCH_INSTANCE, "web-1");
    ask_and_arrive(&r);
    node_deregister("web-1");
    assert_changed(&r);
}

static void instance_that_moves_to_another_service_ends_the_wait(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader r = watching(NODE_WATCH_INSTANCE, "web-1");
    ask_and_arrive(&r);
    node_register("web-1", "sql");
    assert_changed(&r);
}

static void many_who_wait_for_one_service_all_hear_of_it_once(void **state)
{
    (void)state;
    static struct reader readers[FIXTURE_QUEUE];
    node_register("web-1", "web");
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++) {
        readers[i] = i % 2 == 0 ? watching(NODE_WATCH_SERVICE, "web")
                                : watching(NODE_WATCH_INSTANCE, "web-1");
        ask_and_arrive(&readers[i]);
    }
    node_deregister("web-1");
    for (size_t i = 0; i < ARRAY_LENGTH(readers); i++) {
        assert_changed(&readers[i]);
    }
}

/* --- cancelled --- */

static void read_that_is_cancelled_ends_with_the_next_turn_of_the_loop(void **state)
{
    (void)state;
    struct reader change = watching(NODE_WATCH_CHANGED, NULL), kept = change;
    struct reader index = {.read = {.min_index = 9}};
    ask_and_arrive(&change);
    ask_and_arrive(&index);
    ask_and_arrive(&kept);
    node_read_cancel(&change.read);
    node_read_cancel(&index.read);
    assert_int_equal(change.done + index.done, 0);
    node_pass_ms(1);
    assert_int_equal(change.done, 1);
    assert_int_equal(index.done, 1);
    assert_int_equal(kept.done, 0);
    node_pass_ms(30000);
    assert_done(&kept, ST_OK);
}

static void read_that_is_cancelled_on_its_way_waits_for_nothing_more(void **state)
{
    (void)state;
    struct reader queued = watching(NODE_WATCH_CHANGED, NULL), proof = queued;
    proof.read.linearizable = true;
    ask_and_wait(&queued);
    ask_and_wait(&proof);
    node_read_cancel(&queued.read);
    node_read_cancel(&proof.read);
    arrive(ST_OK);
    arrive(ST_OK);
    assert_int_equal(queued.done, 1);
    assert_int_equal(proof.done, 1);
}

static void cancelling_what_is_over_changes_nothing(void **state)
{
    (void)state;
    struct reader r = watching(NODE_WATCH_CHANGED, NULL);
    ask_and_arrive(&r);
    node_register("web-1", "web");
    node_read_cancel(&r.read);
    node_pass_ms(1);
    assert_changed(&r);
}

/* --- timeouts --- */

static void wait_for_a_change_is_over_in_time_and_says_that_there_was_none(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader r = watching(NODE_WATCH_INSTANCE, "web-1");
    ask_and_arrive(&r);
    node_pass_ms(29999);
    assert_int_equal(r.done, 0);
    assert_int_equal(node_read_due_ms(&r.read), n.now_ms + 1);
    node_pass_ms(1);
    assert_done(&r, ST_OK);
    assert_false(r.read.changed);
}

static void time_for_a_change_runs_while_the_index_is_waited_for(void **state)
{
    (void)state;
    struct reader r = watching(NODE_WATCH_CHANGED, NULL);
    r.read.min_index = 1;
    r.read.after_index = 100;
    r.read.deadline_ms = n.now_ms + 100;
    ask_and_arrive(&r);
    node_pass_ms(200);
    assert_int_equal(r.done, 0);
    node_register("web-1", "web");
    assert_done(&r, ST_OK);
    assert_false(r.read.changed);
}

static void index_that_does_not_come_is_a_timeout(void **state)
{
    (void)state;
    struct reader r = {.read = {.min_index = 9}};
    ask_and_arrive(&r);
    node_pass_ms(FIXTURE_WRITE_MS);
    assert_done(&r, ST_TIMEOUT);
}

static void proof_that_does_not_come_means_no_leader(void **state)
{
    (void)state;
    struct reader r = {.read = {.linearizable = true, .min_index = 9}};
    ask_and_wait(&r);
    arrive(ST_TIMEOUT);
    assert_done(&r, ST_NO_LEADER);
}

static void refusals_come_from_the_call_and_leave_nothing_behind(void **state)
{
    (void)state;
    const enum status refusals[] = {ST_BUSY, ST_STALLED, ST_STOPPING};
    node_register("web-1", "web");
    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        struct reader r = watching(NODE_WATCH_INSTANCE, "web-1");
        n.refusal = refusals[i];
        assert_int_equal(ask(&r), refusals[i]);
        assert_int_equal(r.done, 0);
        assert_int_equal(atomic_load(&n.node.blocking.count), 0);
    }
}

static void above_the_bound_of_waiting_reads_it_is_busy(void **state)
{
    (void)state;
    struct reader r = watching(NODE_WATCH_CHANGED, NULL);
    atomic_store(&n.node.blocking.count, WAITERS_MAX);
    assert_int_equal(ask(&r), ST_BUSY);
    assert_int_equal(atomic_load(&n.node.blocking.count), WAITERS_MAX);
}

static void stopping_ends_all_that_wait(void **state)
{
    (void)state;
    node_register("web-1", "web");
    struct reader index = {.read = {.min_index = 9}};
    struct reader change = watching(NODE_WATCH_INSTANCE, "web-1");
    struct reader late = watching(NODE_WATCH_CHANGED, NULL);
    ask_and_arrive(&index);
    ask_and_arrive(&change);
    ask_and_wait(&late);
    blocking_fail_all(&n.node, ST_STOPPING);
    arrive(ST_OK);
    assert_done(&index, ST_STOPPING);
    assert_done(&change, ST_STOPPING);
    assert_done(&late, ST_STOPPING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, node_set_up, node_tear_down)
        TEST(read_of_what_is_here_passes_at_once),
        TEST(index_that_is_applied_passes_at_once),
        TEST(change_that_has_happened_passes_at_once),
        TEST(change_whose_time_is_over_passes_at_once),
        TEST(instance_that_is_not_there_has_changed),
        TEST(linearizable_read_always_waits_for_the_proof),
        TEST(proof_index_and_change_are_waited_for_in_this_order),
        TEST(change_that_came_while_the_index_was_waited_for_counts),
        TEST(index_of_an_entry_without_operations_is_reached_by_a_tick),
        TEST(service_that_changes_ends_the_wait_and_others_do_not),
        TEST(list_of_services_and_any_instance_are_watched),
        TEST(instance_is_waited_for_through_changes_of_others_of_its_service),
        TEST(instance_that_goes_ends_the_wait),
        TEST(instance_that_moves_to_another_service_ends_the_wait),
        TEST(many_who_wait_for_one_service_all_hear_of_it_once),
        TEST(read_that_is_cancelled_ends_with_the_next_turn_of_the_loop),
        TEST(read_that_is_cancelled_on_its_way_waits_for_nothing_more),
        TEST(cancelling_what_is_over_changes_nothing),
        TEST(wait_for_a_change_is_over_in_time_and_says_that_there_was_none),
        TEST(time_for_a_change_runs_while_the_index_is_waited_for),
        TEST(index_that_does_not_come_is_a_timeout),
        TEST(proof_that_does_not_come_means_no_leader),
        TEST(refusals_come_from_the_call_and_leave_nothing_behind),
        TEST(above_the_bound_of_waiting_reads_it_is_busy),
        TEST(stopping_ends_all_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
