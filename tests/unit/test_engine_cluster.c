/* A working cluster: elections, restarts, leadership transfer, reads, standbys, and diverged
 * states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

static struct host *other_than(struct world *w, const struct host *a, const struct host *b)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        if (h != a && h != b) {
            return h;
        }
    }
    return NULL;
}

static uint64_t commit_of(const struct host *h)
{
    return raft_commit_index(&h->engine->driver.raft);
}

/* --- writes --- */

static void a_write_is_applied_once_on_all_wherever_it_was_taken(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        char text[32];
        (void)snprintf(text, sizeof text, "1at %d", (int)id);
        assert_int_equal(host_write(world_host(w, id), text), ST_OK);
        assert_int_equal(host_has(world_host(w, id), text), 1); /* when it completes */
    }
    world_run(w, 500);
    assert_int_equal(world_host(w, 1)->state.count, 3);
    assert_true(host_equals(world_host(w, 1), world_host(w, 2)));
    assert_true(host_equals(world_host(w, 1), world_host(w, 3)));
}

/* They share one entry, and each gets its own result. */
static void operations_that_come_together_share_an_entry(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    const struct op *ops[50];
    uint64_t before = commit_of(h);
    for (int i = 0; i < 50; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "1op%d", i);
        ops[i] = host_submit(h, i % 2 == 0 ? CONSENSUS_NORMAL : CONSENSUS_URGENT, text);
    }
    world_run(w, 200);
    for (int i = 0; i < 50; i++) {
        assert_true(ops[i]->is_done && ops[i]->status == ST_OK);
        assert_int_equal(ops[i]->applied, 1);
    }
    assert_true(commit_of(h) - before <= 3);
}

static bool answers_do_not_pass(struct world *w, const struct flying *frame)
{
    return frame->type != FRAME_RAFT || frame->to != w->watched;
}

/* The leader has it in its log and crashes: the next one has it, or gets it again, exactly once. */
static void a_write_whose_leader_dies_is_applied_once(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct host *h = world_follower(w);
    w->watched = leader->id;
    w->passes = answers_do_not_pass;
    const struct op *op = host_submit(h, CONSENSUS_NORMAL, "1once");
    world_run(w, 30);
    assert_false(op->is_done);
    assert_int_equal(h->engine->forwarder.sent_to, leader->id);
    host_kill(leader);
    w->passes = NULL;
    world_run(w, 3000);
    assert_true(op->is_done && op->status == ST_OK);
    assert_true(host_start(leader));
    world_run(w, 2000);
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(host_has(world_host(w, id), "1once"), 1);
    }
}

/* A duplicate frame, as after a broken link. */
static void a_batch_that_is_sent_twice_is_applied_once(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct host *h = world_follower(w);
    struct buffer batch;
    const struct batch_header header = {.origin = h->engine->identity.life,
                                        .boot = h->engine->forwarder.boot,
                                        .serial = h->engine->forwarder.serial + 1,
                                        .count = 1};
    buffer_init(&batch, BATCH_BYTES_MAX);
    batch_begin(&batch, &header);
    batch_append(&batch, (const uint8_t *)"1twice", 6);
    for (int i = 0; i < 3; i++) {
        assert_true(host_receive(leader, h->id, FRAME_BATCH, batch.data, batch.len));
        world_run(w, 100);
    }
    /* ... and by another leader. */
    host_kill(leader);
    world_run(w, 3000);
    leader = world_leader(w);
    assert_non_null(leader);
    if (leader != h) {
        assert_true(host_receive(leader, h->id, FRAME_BATCH, batch.data, batch.len));
    }
    world_run(w, 500);
    assert_int_equal(host_has(leader, "1twice"), 1);
    assert_int_equal(host_has(h, "1twice"), 1);
    buffer_done(&batch);
}

/* The origin must be the life at the other end of the link, whatever the batch says. */
static void a_batch_in_the_name_of_another_is_not_taken(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct host *h = world_follower(w);
    struct buffer batch;
    const struct batch_header header = {
        .origin = leader->engine->identity.life, .boot = 9, .serial = 1, .count = 1};
    buffer_init(&batch, BATCH_BYTES_MAX);
    batch_begin(&batch, &header);
    batch_append(&batch, (const uint8_t *)"1forged", 7);
    assert_true(host_receive(leader, h->id, FRAME_BATCH, batch.data, batch.len));
    world_run(w, 500);
    assert_int_equal(host_has(leader, "1forged"), 0);
    buffer_done(&batch);
}

static void without_a_majority_a_write_is_unknown_or_surely_not_done(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct host *h = world_follower(w);
    world_isolate(w, leader->id, true);
    const struct op *in_log = host_submit(leader, CONSENSUS_NORMAL, "1in the log");
    host_kill(other_than(w, leader, h));
    const struct op *waits = host_submit(h, CONSENSUS_NORMAL, "1waits");
    world_run(w, WORLD_WRITE_MS + 1000);
    assert_true(in_log->is_done && in_log->status == ST_UNKNOWN);
    assert_true(waits->is_done);
    assert_true(waits->status == ST_UNKNOWN || waits->status == ST_NO_LEADER);
}

/* --- restarts --- */

static void what_was_committed_is_applied_before_a_leader_is_heard(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(host_write(h, "1op"), ST_OK);
    }
    world_run(w, 500); /* the commit index is written to disk */
    uint64_t applied = h->engine->fsm.applied_index;
    host_lose_power(h);
    world_isolate(w, h->id, true);
    assert_true(host_start(h));
    assert_int_equal(h->engine->known_leader, 0);
    assert_int_equal(h->engine->fsm.applied_index, applied);
    assert_int_equal(h->state.count, 20);
    assert_false(h->engine->caught_up);
}

static void all_that_lose_power_at_once_keep_all(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < 5; round++) {
        char text[32];
        (void)snprintf(text, sizeof text, "1round%d", round);
        assert_int_equal(host_write(world_host(w, 1 + round % 3), text), ST_OK);
        for (uint64_t id = 1; id <= 3; id++) {
            host_lose_power(world_host(w, id));
        }
        for (uint64_t id = 1; id <= 3; id++) {
            assert_true(host_start(world_host(w, id)));
        }
        assert_true(world_run_until(w, world_is_led, 10000));
    }
    world_run(w, 500);
    assert_int_equal(world_host(w, 1)->state.count, 5);
    assert_true(host_equals(world_host(w, 1), world_host(w, 2)));
    assert_true(host_equals(world_host(w, 1), world_host(w, 3)));
}

static void each_start_numbers_its_batches_behind_the_one_before(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    uint64_t boot = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(host_write(h, "1again"), ST_OK);
        assert_true(BOOT_COUNT(h->engine->forwarder.boot) > boot);
        boot = BOOT_COUNT(h->engine->forwarder.boot);
        host_lose_power(h);
        assert_true(host_start(h));
        assert_true(world_run_until(w, world_is_led, 5000));
    }
    assert_int_equal(host_has(h, "1again"), 4);
}

/* --- leadership --- */

static void a_leader_whose_process_is_gone_is_replaced_without_a_timeout(void **state)
{
    struct world *w = *state;
    host_kill(world_leader(w)); /* its kernel now refuses connections */
    world_run(w, WORLD_ELECTION_MS / 2);
    assert_non_null(world_leader(w));
}

static void a_leader_that_hangs_is_replaced_and_steps_down(void **state)
{
    struct world *w = *state;
    struct host *old = world_leader(w);
    world_isolate(w, old->id, true);
    world_run(w, 4 * WORLD_ELECTION_MS);
    struct host *leader = world_leader(w);
    assert_true(leader != NULL && leader != old);
    assert_int_equal(host_write(leader, "1new"), ST_OK);
    world_isolate(w, old->id, false);
    world_run(w, 1000);
    assert_false(old->engine->is_leader);
    assert_int_equal(host_has(old, "1new"), 1);
}

static void a_leader_that_stops_hands_over_and_fails_nothing(void **state)
{
    struct world *w = *state;
    struct host *old = world_leader(w);
    struct op *ops[3];
    for (uint64_t id = 1; id <= 3; id++) {
        ops[id - 1] = host_submit(world_host(w, id), CONSENSUS_NORMAL, "1meanwhile");
    }
    unsigned ms = 0;
    for (; ms < 2000 && !engine_is_idle(old->engine); ms += ENGINE_TICK_MS) {
        engine_stop(old->engine);
        world_run(w, ENGINE_TICK_MS);
    }
    assert_true(ms < 2000);
    assert_false(old->engine->is_leader);
    host_close(old);
    world_run(w, 500);
    assert_non_null(world_leader(w));
    for (int i = 0; i < 3; i++) {
        assert_true(ops[i]->is_done && ops[i]->status == ST_OK);
    }
    assert_int_equal(host_has(world_leader(w), "1meanwhile"), 3);
}

/* --- reads --- */

static void a_read_sees_every_write_that_was_answered_before(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    struct host *h = world_follower(w);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(host_write(leader, "1op"), ST_OK);
        assert_int_equal(host_read(h), ST_OK);
        assert_int_equal(h->state.count, i + 1);
    }
}

static void a_leader_that_was_deposed_proves_nothing(void **state)
{
    struct world *w = *state;
    struct host *old = world_leader(w);
    world_isolate(w, old->id, true);
    world_run(w, 2 * ENGINE_TICK_MS);
    const struct op *read = host_submit(old, CONSENSUS_READ, NULL);
    world_run(w, 4 * WORLD_ELECTION_MS);
    assert_int_equal(host_write(world_leader(w), "1new"), ST_OK);
    assert_false(read->is_done && read->status == ST_OK);
    world_isolate(w, old->id, false);
    world_run(w, 2000);
    assert_true(read->is_done);
    assert_int_equal(host_has(old, "1new"), 1);
}

static bool raft_does_not_pass(struct world *w, const struct flying *frame)
{
    return frame->type != FRAME_RAFT || (frame->from != w->watched && frame->to != w->watched);
}

/* It hears nothing of the new term, but its requests reach members that know it. */
static void those_who_know_of_a_newer_term_confirm_no_older_leader(void **state)
{
    struct world *w = *state;
    struct host *old = world_leader(w);
    w->watched = old->id;
    w->passes = raft_does_not_pass;
    for (uint64_t id = 1; id <= 3; id++) {
        (void)host_call(world_host(w, id),
                        &(const struct call){.kind = CALL_REFUSED, .from = old->id});
    }
    world_run(w, 150);
    struct host *leader = world_leader(w);
    assert_true(leader != old && old->engine->is_leader);
    assert_int_equal(host_write(leader, "1new"), ST_OK);
    const struct op *read = host_submit(old, CONSENSUS_READ, NULL);
    world_settle(w);
    assert_true(old->engine->is_leader);
    assert_true(w->frames[FRAME_CONFIRM] > 0);
    assert_false(read->is_done);
}

static const struct raft_message *decode(const struct flying *frame)
{
    static struct message decoded;
    bool is_raft =
        frame->type == FRAME_RAFT && message_decode(frame->data, frame->len, &decoded) == ST_OK;
    return is_raft ? &decoded.raft : NULL;
}

static bool no_commit_passes(struct world *w, const struct flying *frame)
{
    const struct raft_message *m = decode(frame);
    return m == NULL || m->type != RAFT_APPEND_ENTRIES ||
           m->append_entries.leader_commit < w->watched;
}

static bool no_confirmation_passes(struct world *w UNUSED, const struct flying *frame)
{
    const struct raft_message *m = decode(frame);
    return m == NULL || m->type != RAFT_APPEND_ENTRIES_RESULT;
}

/* An acknowledged entry is in its log, but it does not know that it is committed. */
static void a_new_leader_proves_nothing_before_it_has_committed(void **state)
{
    struct world *w = *state;
    struct host *old = world_leader(w);
    w->watched = commit_of(old) + 1;
    w->passes = no_commit_passes;
    assert_int_equal(host_write(old, "1W"), ST_OK);
    host_kill(old);
    w->passes = no_confirmation_passes;
    world_run(w, 200);
    struct host *leader = world_leader(w);
    assert_non_null(leader);
    assert_int_equal(host_has(leader, "1W"), 0);
    const struct op *read = host_submit(leader, CONSENSUS_READ, NULL);
    world_run(w, 50);
    assert_false(read->is_done);
    w->passes = NULL;
    world_run(w, 2000);
    assert_true(read->is_done && read->status == ST_OK);
    assert_int_equal(host_has(leader, "1W"), 1);
}

/* --- standbys: 3 voters, and 2 that follow without a vote --- */

static int set_up_standbys(void **state)
{
    struct world *w = malloc(sizeof *w);
    world_init(w, 5);
    world_found(w, 3);
    world_form(w);
    world_run(w, 500);
    *state = w;
    return 0;
}

static void a_standby_follows_forwards_and_reads(void **state)
{
    struct world *w = *state;
    assert_int_equal(host_write(world_host(w, 5), "1from a standby"), ST_OK);
    assert_int_equal(host_read(world_host(w, 4)), ST_OK);
    assert_int_equal(host_has(world_host(w, 4), "1from a standby"), 1);
}

/* The leader with both standbys is three of five, but one of three voters. */
static void standbys_count_for_nothing(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != leader->id) {
            world_isolate(w, id, true);
        }
    }
    world_run(w, ENGINE_TICK_MS);
    const struct op *read = host_submit(leader, CONSENSUS_READ, NULL);
    const struct op *write = host_submit(leader, CONSENSUS_NORMAL, "1not yet");
    uint64_t commit = commit_of(leader);
    world_run(w, 200);
    assert_int_equal(commit_of(leader), commit);
    assert_false(write->is_done);
    assert_false(read->is_done);
    world_isolate(w, leader->id == 1 ? 2 : 1, false);
    world_run(w, 3000);
    assert_true(write->is_done && read->is_done);
    assert_int_equal(read->status, ST_OK);
}

static void two_voters_are_enough_without_any_standby(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    world_isolate(w, 4, true);
    world_isolate(w, 5, true);
    world_isolate(w, leader->id == 1 ? 2 : 1, true);
    world_run(w, ENGINE_TICK_MS);
    assert_int_equal(host_write(leader, "1two of three"), ST_OK);
    assert_int_equal(host_read(leader), ST_OK);
}

static void a_standby_never_stands(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        host_kill(world_host(w, id));
    }
    world_run(w, 10000);
    assert_null(world_leader(w));
    assert_int_equal(world_host(w, 4)->leaderships + world_host(w, 5)->leaderships, 0);
}

/* --- diverged states --- */

static void the_one_whose_state_differs_ends_itself(void **state)
{
    struct world *w = *state;
    for (int round = 0; round < 2; round++) {
        struct host *wrong = round == 0 ? world_follower(w) : world_leader(w);
        wrong->hash_error = 1;
        for (int i = 0; i < 20 && host_is_alive(wrong); i++) {
            (void)host_submit(other_than(w, wrong, NULL), CONSENSUS_NORMAL, "1op");
            world_run(w, 100);
        }
        assert_false(host_is_alive(wrong));
        assert_non_null(strstr(wrong->last_words, "differs from that of 2 others"));
        for (uint64_t id = 1; id <= 3; id++) {
            assert_true(host_is_alive(world_host(w, id)) || world_host(w, id) == wrong);
        }
        wrong->hash_error = 0;
        assert_true(host_start(wrong));
        assert_true(world_run_until(w, world_is_led, 5000));
        world_run(w, 1000);
    }
}

/* Nobody knows which is right: neither goes on with the other, and nothing more is committed. */
static void of_two_that_differ_one_ends_itself(void **state UNUSED)
{
    struct world w;
    world_init(&w, 2);
    world_form(&w);
    world_host(&w, 2)->hash_error = 1;
    (void)host_submit(world_host(&w, 1), CONSENSUS_NORMAL, "1op");
    world_run(&w, 3000);
    assert_false(host_is_alive(world_host(&w, 1)) && host_is_alive(world_host(&w, 2)));
    world_done(&w);
}

#define CASE(f)     cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)
#define STANDBYS(f) cmocka_unit_test_setup_teardown(f, set_up_standbys, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_write_is_applied_once_on_all_wherever_it_was_taken),
        CASE(operations_that_come_together_share_an_entry),
        CASE(a_write_whose_leader_dies_is_applied_once),
        CASE(a_batch_that_is_sent_twice_is_applied_once),
        CASE(a_batch_in_the_name_of_another_is_not_taken),
        CASE(without_a_majority_a_write_is_unknown_or_surely_not_done),
        CASE(what_was_committed_is_applied_before_a_leader_is_heard),
        CASE(all_that_lose_power_at_once_keep_all),
        CASE(each_start_numbers_its_batches_behind_the_one_before),
        CASE(a_leader_whose_process_is_gone_is_replaced_without_a_timeout),
        CASE(a_leader_that_hangs_is_replaced_and_steps_down),
        CASE(a_leader_that_stops_hands_over_and_fails_nothing),
        CASE(a_read_sees_every_write_that_was_answered_before),
        CASE(a_leader_that_was_deposed_proves_nothing),
        CASE(those_who_know_of_a_newer_term_confirm_no_older_leader),
        CASE(a_new_leader_proves_nothing_before_it_has_committed),
        STANDBYS(a_standby_follows_forwards_and_reads),
        STANDBYS(standbys_count_for_nothing),
        STANDBYS(two_voters_are_enough_without_any_standby),
        STANDBYS(a_standby_never_stands),
        CASE(the_one_whose_state_differs_ends_itself),
        cmocka_unit_test(of_two_that_differ_one_ends_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
