/* A cluster is formed once, by all of its first members; a member that comes back empty has no part
 * in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

static struct consensus_status status_of(struct host *h)
{
    struct consensus_status status;
    engine_status(h->engine, &status);
    return status;
}

static bool is_running(struct world *w, uint64_t id)
{
    const struct engine *e = world_host(w, id)->engine;
    return e != NULL && e->running;
}

static bool first_runs(struct world *w)
{
    return is_running(w, 1);
}

static struct cluster_id cluster_of(struct world *w, uint64_t id)
{
    return world_host(w, id)->engine->identity.cluster;
}

/* All in one cluster, and working. */
static void assert_formed(struct world *w)
{
    assert_true(world_run_until(w, world_is_led, 10000));
    struct cluster_id cluster = cluster_of(w, 1);
    for (uint64_t id = 1; id <= w->count; id++) {
        struct cluster_id other = cluster_of(w, id);
        assert_true(is_running(w, id));
        assert_true(cluster_id_equal(&cluster, &other));
        assert_int_equal(world_host(w, id)->engine->members.count, w->count);
    }
    assert_int_equal(host_write(world_host(w, w->count), "1after"), ST_OK);
    world_run(w, 500);
    for (uint64_t id = 1; id <= w->count; id++) {
        assert_int_equal(host_has(world_host(w, id), "1after"), 1);
    }
}

static bool no_form_passes(struct world *w UNUSED, const struct flying *frame)
{
    return frame->type != FRAME_FORM;
}

static bool form_passes_to_the_second(struct world *w UNUSED, const struct flying *frame)
{
    return frame->type != FRAME_FORM || frame->to == 2;
}

/* --- unanimity --- */

static void a_member_alone_forms_at_once(void **state UNUSED)
{
    struct world w;
    world_init(&w, 1);
    assert_true(host_start(world_host(&w, 1)));
    world_run(&w, 500);
    assert_true(is_running(&w, 1));
    assert_int_equal(host_write(world_host(&w, 1), "1a"), ST_OK);
    world_done(&w);
}

static void three_form_when_all_are_there(void **state)
{
    assert_true(world_start_all(*state));
    assert_formed(*state);
}

static void two_of_three_do_not_form(void **state)
{
    struct world *w = *state;
    assert_true(host_start(world_host(w, 1)));
    assert_true(host_start(world_host(w, 2)));
    world_run(w, 20000);
    assert_false(is_running(w, 1) || is_running(w, 2));
    assert_int_equal(status_of(world_host(w, 1)).phase, CONSENSUS_FORMING);
    assert_int_equal(host_write(world_host(w, 1), "1early"), ST_NO_LEADER);
    assert_true(world_start_all(w));
    assert_formed(w);
    assert_int_equal(host_has(world_host(w, 1), "1early"), 0);
}

/* Members without links to each other are not all there. */
static void three_that_do_not_all_meet_do_not_form(void **state)
{
    struct world *w = *state;
    w->cut[1][3] = w->cut[3][1] = true;
    assert_true(world_start_all(w));
    world_run(w, 5000);
    assert_false(is_running(w, 1) || is_running(w, 2) || is_running(w, 3));
    w->cut[1][3] = w->cut[3][1] = false;
    assert_formed(w);
}

static void a_member_that_is_emptied_while_they_meet_is_a_new_one(void **state)
{
    struct world *w = *state;
    assert_true(host_start(world_host(w, 1)));
    assert_true(host_start(world_host(w, 2)));
    world_run(w, 500);
    uint64_t before = world_host(w, 2)->engine->identity.life;
    host_kill(world_host(w, 2));
    host_empty(world_host(w, 2));
    assert_true(world_start_all(w));
    assert_formed(w);
    uint64_t life = world_host(w, 2)->engine->identity.life;
    assert_true(life != before);
    assert_non_null(member_info_of_life(world_host(w, 1)->engine, life));
    assert_null(member_info_of_life(world_host(w, 1)->engine, before));
}

/* --- the founder crashes --- */

static void one_that_dies_before_it_told_anybody_tells_when_it_is_back(void **state)
{
    struct world *w = *state;
    w->passes = no_form_passes;
    assert_true(world_start_all(w));
    assert_true(world_run_until(w, first_runs, 5000));
    struct cluster_id cluster = cluster_of(w, 1);
    host_lose_power(world_host(w, 1));
    w->passes = NULL;
    world_run(w, 5000);
    assert_false(is_running(w, 2) || is_running(w, 3));
    assert_true(world_start_all(w));
    assert_formed(w);
    struct cluster_id now = cluster_of(w, 1);
    assert_true(cluster_id_equal(&now, &cluster));
}

static void one_that_was_told_tells_the_others(void **state)
{
    struct world *w = *state;
    w->passes = form_passes_to_the_second;
    assert_true(world_start_all(w));
    world_run(w, 1000);
    assert_true(is_running(w, 1) && is_running(w, 2));
    assert_false(is_running(w, 3));
    host_lose_power(world_host(w, 1));
    w->passes = NULL;
    world_run(w, 3000);
    assert_true(is_running(w, 3));
    assert_int_equal(host_write(world_host(w, 3), "1without"), ST_OK);
    assert_true(world_start_all(w));
    assert_formed(w);
    assert_int_equal(host_has(world_host(w, 1), "1without"), 1);
}

static void one_that_was_emptied_before_it_told_anybody_forms_another(void **state)
{
    struct world *w = *state;
    w->passes = no_form_passes;
    assert_true(world_start_all(w));
    assert_true(world_run_until(w, first_runs, 5000));
    struct cluster_id cluster = cluster_of(w, 1);
    host_kill(world_host(w, 1));
    host_empty(world_host(w, 1));
    w->passes = NULL;
    assert_true(world_start_all(w));
    assert_formed(w);
    struct cluster_id now = cluster_of(w, 1);
    assert_false(cluster_id_equal(&now, &cluster));
}

static void one_that_was_emptied_when_it_had_told_one_is_let_in(void **state)
{
    struct world *w = *state;
    w->passes = form_passes_to_the_second;
    assert_true(world_start_all(w));
    world_run(w, 1000);
    struct cluster_id cluster = cluster_of(w, 2);
    host_kill(world_host(w, 1));
    host_empty(world_host(w, 1));
    w->passes = NULL;
    assert_true(world_start_all(w));
    world_run(w, 5000);
    assert_formed(w);
    struct cluster_id other = cluster_of(w, 3);
    assert_true(cluster_id_equal(&other, &cluster));
}

/* --- a crash at every call --- */

/* Member `id` crashes at its call number `n` during forming; false: there are fewer calls. */
static bool form_with_death(uint64_t id, uint64_t n, enum files_fate fate, bool power)
{
    struct world w;
    bool died;
    world_init(&w, 3);
    w.chance = n;
    struct host *h = world_host(&w, id);
    /* Each boot forgets the plan, so it is made after that: the identity is written then, which
     * concerns one start only and is tested in test_identity.c. */
    assert_true(world_start_all(&w));
    files_plan(h->disk, &(const struct files_plan){.calls = n, .fate = fate});
    world_run(&w, 1500);
    died = !host_is_alive(h);
    if (died) {
        if (power) {
            files_lose_power(h->disk);
        }
        bool started = host_start(h);
        if (!started) {
            print_error("member %d, call %d: %s\n", (int)id, (int)n, h->last_words);
        }
        assert_true(started);
    }
    files_plan(h->disk, &(const struct files_plan){.calls = UINT64_MAX});
    assert_formed(&w);
    world_done(&w);
    return died;
}

static void death_at_every_call_of_the_formation(uint64_t id)
{
    uint64_t n = 0;
    bool died = true;
    while (died) {
        died = false;
        for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
            died |= form_with_death(id, n, (enum files_fate)fate, false);
            died |= form_with_death(id, n, (enum files_fate)fate, true);
        }
        n++;
    }
    assert_true(n > 10);
}

static void one_that_dies_at_any_call_while_it_forms_is_in_the_cluster(void **state UNUSED)
{
    death_at_every_call_of_the_formation(1);
}

static void one_that_dies_at_any_call_while_it_is_told_is_in_the_cluster(void **state UNUSED)
{
    death_at_every_call_of_the_formation(3);
}

/* --- messages from others --- */

static void assert_not_formed_by(struct world *w, const void *data, size_t len)
{
    struct host *h = world_host(w, 2);
    assert_true(host_receive(h, 1, FRAME_FORM, data, len));
    assert_false(h->engine->running);
}

/* Cluster id, then the lives given for members 1, 2, 3. */
static void make_form(struct world *w, struct buffer *out, uint64_t life, unsigned count)
{
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < count; i++) {
        char address[CONFIGURATION_ADDRESS_SIZE];
        struct consensus_member member = {.id = i + 1, .address = "host:1"};
        configuration_server_address(&member, address);
        (void)raft_configuration_add(&conf, i == 1 ? life : 77 + i, address, RAFT_VOTER);
    }
    buffer_init(out, 4096);
    buffer_append(out, "0123456789abcdef", CLUSTER_ID_BYTES);
    configuration_encode(&conf, out);
    raft_configuration_close(&conf);
    (void)w;
}

static void a_cluster_without_this_life_is_not_taken(void **state)
{
    struct world *w = *state;
    struct buffer b;
    assert_true(host_start(world_host(w, 2)));
    uint64_t life = world_host(w, 2)->engine->identity.life;
    make_form(w, &b, life + 1, 3);
    assert_not_formed_by(w, b.data, b.len);
    buffer_done(&b);
    make_form(w, &b, life, 2); /* two members, where the list has three */
    assert_not_formed_by(w, b.data, b.len);
    buffer_done(&b);
    make_form(w, &b, life, 3);
    for (size_t len = 0; len < b.len; len++) {
        assert_not_formed_by(w, b.data, len);
    }
    memset(b.data, 0, CLUSTER_ID_BYTES);
    assert_not_formed_by(w, b.data, b.len);
    buffer_done(&b);
}

static void a_member_of_a_cluster_takes_no_other(void **state)
{
    struct world *w = *state;
    struct buffer b;
    assert_true(world_start_all(w));
    assert_formed(w);
    struct cluster_id before = cluster_of(w, 2);
    make_form(w, &b, world_host(w, 2)->engine->identity.life, 3);
    assert_true(host_receive(world_host(w, 2), 1, FRAME_FORM, b.data, b.len));
    struct cluster_id after = cluster_of(w, 2);
    assert_true(cluster_id_equal(&before, &after));
    buffer_done(&b);
}

/* --- a member comes back empty --- */

/* W is on the disks of A and B and acknowledged. B's disk is lost, A hangs for a while, and C,
 * which never saw W, comes back: C and an empty B must not form a cluster of their own. */
static void an_acknowledged_write_survives_the_loss_of_one_disk(void **state)
{
    struct world *w = *state;
    assert_true(world_start_all(w));
    assert_formed(w);
    struct host *a = world_leader(w);
    struct host *b = world_host(w, a->id == 1 ? 2 : 1);
    struct host *c = world_host(w, 6 - a->id - b->id);
    host_kill(c);
    world_run(w, 200);
    assert_int_equal(host_write(a, "1W"), ST_OK);
    world_run(w, 200);
    assert_int_equal(host_has(b, "1W"), 1);
    world_isolate(w, a->id, true); /* it hangs */
    host_lose_power(b);
    host_empty(b);
    assert_true(host_start(b));
    assert_true(host_start(c));
    struct op *read = host_submit(c, CONSENSUS_READ, NULL);
    world_run(w, 10000);
    assert_false(b->engine->running);
    assert_int_equal(status_of(b).phase, CONSENSUS_WAITING);
    assert_int_equal(c->engine->known_leader, 0);
    assert_false(c->engine->is_leader);
    assert_true(!read->is_done || read->status == ST_NO_LEADER);
    world_isolate(w, a->id, false); /* it continues */
    world_run(w, 3000);
    assert_true(host_is_alive(a) && host_is_alive(c));
    assert_int_equal(host_has(c, "1W"), 1);
    assert_int_equal(host_has(a, "1W"), 1);
    assert_int_equal(host_read(c), ST_OK);
    assert_int_equal(host_write(c, "1after W"), ST_OK);
    assert_int_equal(host_has(a, "1after W"), 1);
    world_run(w, 3000);
    assert_int_equal(status_of(b).phase, CONSENSUS_MEMBER);
    assert_int_equal(host_has(b, "1W"), 1);
}

/* The same, but the hanging member is gone: the cluster waits, and says so. */
static void without_a_majority_of_old_lives_the_cluster_waits(void **state)
{
    struct world *w = *state;
    assert_true(world_start_all(w));
    assert_formed(w);
    for (uint64_t id = 1; id <= 2; id++) {
        host_kill(world_host(w, id));
        host_empty(world_host(w, id));
        assert_true(host_start(world_host(w, id)));
    }
    world_run(w, 10000);
    assert_int_equal(world_host(w, 3)->engine->known_leader, 0);
    assert_int_equal(host_write(world_host(w, 3), "1more"), ST_NO_LEADER);
    assert_int_equal(host_write(world_host(w, 1), "1more"), ST_NO_LEADER);
    assert_int_equal(status_of(world_host(w, 1)).phase, CONSENSUS_WAITING);
    assert_int_equal(host_has(world_host(w, 3), "1after"), 1);
}

/* The empty member grants no vote, whatever it is asked. */
static void an_empty_member_answers_nothing_of_raft(void **state)
{
    struct world *w = *state;
    struct buffer b;
    struct log log;
    assert_true(world_start_all(w));
    assert_formed(w);
    host_kill(world_host(w, 3));
    host_empty(world_host(w, 3));
    assert_true(host_start(world_host(w, 3)));
    world_run(w, 200);
    world_settle(w);
    w->hold_frames = true;
    log_init(&log);
    const struct raft_message message = {
        .type = RAFT_REQUEST_VOTE,
        .request_vote = {.version = 2, .term = 99, .candidate_id = 1, .disrupt_leader = true}};
    buffer_init(&b, 4096);
    message_encode(&message, &log, &b);
    assert_true(host_receive(world_host(w, 3), 1, FRAME_RAFT, b.data, b.len));
    for (const struct flying *f = w->first; f != NULL; f = f->next) {
        assert_true(f->from != 3);
    }
    buffer_done(&b);
    log_done(&log);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_member_alone_forms_at_once),
        CASE(three_form_when_all_are_there),
        CASE(two_of_three_do_not_form),
        CASE(three_that_do_not_all_meet_do_not_form),
        CASE(a_member_that_is_emptied_while_they_meet_is_a_new_one),
        CASE(one_that_dies_before_it_told_anybody_tells_when_it_is_back),
        CASE(one_that_was_told_tells_the_others),
        CASE(one_that_was_emptied_before_it_told_anybody_forms_another),
        CASE(one_that_was_emptied_when_it_had_told_one_is_let_in),
        CASE(one_that_dies_at_any_call_while_it_forms_is_in_the_cluster),
        CASE(one_that_dies_at_any_call_while_it_is_told_is_in_the_cluster),
        CASE(a_cluster_without_this_life_is_not_taken),
        CASE(a_member_of_a_cluster_takes_no_other),
        CASE(an_acknowledged_write_survives_the_loss_of_one_disk),
        CASE(without_a_majority_of_old_lives_the_cluster_waits),
        CASE(an_empty_member_answers_nothing_of_raft),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
