/* What a member reveals is durable first; what it acknowledged survives any crash, error or lack of
 * space. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

/* --- durable before revealed --- */

static void check_vote(const struct host *h, const struct on_disk *disk, uint64_t term,
                       uint64_t vote)
{
    (void)h;
    assert_int_equal(disk->state.term, term);
    assert_int_equal(disk->state.vote, vote);
}

/* The log on disk equals the one in memory, up to the confirmed index. */
static void check_confirmed(const struct host *h, const struct on_disk *disk, uint64_t index)
{
    uint64_t term;
    uint64_t disk_term;
    uint32_t checksum;
    uint32_t disk_checksum;
    if (index < log_first_index(&h->engine->driver.log) - 1 ||
        index < log_first_index(&disk->log) - 1) {
        return; /* a snapshot contains it */
    }
    assert_true(log_position(&h->engine->driver.log, index, &term, &checksum));
    assert_true(log_position(&disk->log, index, &disk_term, &disk_checksum));
    assert_int_equal(disk_term, term);
    assert_int_equal(disk_checksum, checksum);
}

static uint64_t term_of(const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        return m->append_entries.term;
    case RAFT_APPEND_ENTRIES_RESULT:
        return m->append_entries_result.term;
    case RAFT_REQUEST_VOTE:
        return m->request_vote.pre_vote ? 0 : m->request_vote.term;
    case RAFT_REQUEST_VOTE_RESULT:
        return m->request_vote_result.pre_vote ? 0 : m->request_vote_result.term;
    case RAFT_TIMEOUT_NOW:
        return m->timeout_now.term;
    case RAFT_INSTALL_SNAPSHOT:
        break;
    }
    return 0;
}

/* The power fails as a message is sent: what would the next start know? */
static void check_that_it_is_durable(struct world *w, const struct flying *frame)
{
    static struct message m;
    struct host *h = world_host(w, frame->from);
    struct on_disk disk;
    char error[512] = "";
    if (frame->type != FRAME_RAFT || !files_is_alive(h->disk)) {
        return;
    }
    assert_int_equal(message_decode(frame->data, frame->len, &m), ST_OK);
    bool readable = host_read_disk(h, true, &disk, error, sizeof error);
    if (!readable) {
        print_error("%s\n", error);
    }
    assert_true(readable);
    assert_true(disk.state.term >= term_of(&m.raft));
    const struct raft_request_vote_result *vote = &m.raft.request_vote_result;
    if (m.raft.type == RAFT_REQUEST_VOTE_RESULT && vote->vote_granted && !vote->pre_vote) {
        check_vote(h, &disk, vote->term, world_host(w, frame->to)->engine->identity.life);
    } else if (m.raft.type == RAFT_REQUEST_VOTE && !m.raft.request_vote.pre_vote) {
        check_vote(h, &disk, m.raft.request_vote.term, h->engine->identity.life);
    } else if (m.raft.type == RAFT_APPEND_ENTRIES_RESULT &&
               m.raft.append_entries_result.rejected == 0) {
        check_confirmed(h, &disk, m.raft.append_entries_result.last_log_index);
    }
    log_done(&disk.log);
    w->watched++;
}

static void change_something(struct world *w, unsigned step)
{
    char text[32];
    struct host *h = world_host(w, 1 + world_draw(&w->chance) % w->count);
    switch (world_draw(&w->chance) % 12) {
    case 0:
        world_isolate(w, h->id, true);
        break;
    case 1:
        world_isolate(w, h->id, false);
        break;
    case 2:
        h->hold_work = true;
        break;
    case 3:
    case 4:
        h->hold_work = false;
        break;
    case 5:
        host_kill(h);
        break;
    case 6:
        host_lose_power(h);
        break;
    default:
        if (!host_is_alive(h)) {
            assert_true(host_start(h));
        }
        (void)snprintf(text, sizeof text, "1op%u", step);
        (void)host_submit(h, CONSENSUS_NORMAL, text);
        break;
    }
    (void)host_work(h);
}

static void mend(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        world_isolate(w, id, false);
        h->hold_work = false;
        if (!host_is_alive(h)) {
            bool started = host_start(h);
            if (!started) {
                print_error("member %d: %s\n", (int)id, h->last_words);
            }
            assert_true(started);
        }
    }
    assert_true(world_run_until(w, world_is_led, 20000));
    world_run(w, 3000);
}

/* Each acknowledged operation is in each state exactly once; nothing is there twice. */
static void assert_kept(struct world *w)
{
    for (const struct op *op = w->ops; op != NULL; op = op->next) {
        for (uint64_t id = 1; id <= w->count && op->op.lane == CONSENSUS_NORMAL; id++) {
            unsigned times = host_has(world_host(w, id), op->text);
            assert_true(times <= 1);
            if (op->is_done && op->status == ST_OK) {
                assert_int_equal(times, 1);
            } else if (op->is_done && op->status != ST_UNKNOWN) {
                assert_int_equal(times, 0); /* surely not done */
            }
        }
    }
}

static void whatever_is_told_is_durable(void **state UNUSED)
{
    uint64_t watched = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct world w;
        world_init(&w, 3);
        w.chance = seed;
        print_message("seed %d\n", (int)seed);
        w.sends = check_that_it_is_durable;
        world_form(&w);
        for (unsigned step = 0; step < 150; step++) {
            change_something(&w, step);
            world_run(&w, ENGINE_TICK_MS * (1 + world_draw(&w.chance) % 10));
        }
        w.sends = NULL;
        mend(&w);
        assert_kept(&w);
        watched += w.watched;
        world_done(&w);
    }
    assert_true(watched > 1000);
}

/* --- one call at a time --- */

static unsigned answers_of(const struct world *w, uint64_t id, uint16_t type)
{
    static struct message m;
    unsigned count = 0;
    for (const struct flying *f = w->first; f != NULL; f = f->next) {
        count += f->from == id && f->type == FRAME_RAFT &&
                 message_decode(f->data, f->len, &m) == ST_OK && m.raft.type == type;
    }
    return count;
}

static void a_vote_is_told_when_it_is_on_disk(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    const struct host *candidate = world_leader(w);
    struct on_disk disk;
    struct buffer b;
    char error[512];
    uint64_t term = raft_current_term(&h->engine->driver.raft) + 5;
    const struct raft_message message = {
        .type = RAFT_REQUEST_VOTE,
        .request_vote = {.version = 2,
                         .term = term,
                         .candidate_id = candidate->engine->identity.life,
                         .last_log_index = 1000,
                         .last_log_term = term - 1,
                         .disrupt_leader = true}};
    h->hold_work = w->hold_frames = true;
    world_settle(w);
    buffer_init(&b, 4096);
    message_encode(&message, &h->engine->driver.log, &b);
    assert_true(host_receive(h, candidate->id, FRAME_RAFT, b.data, b.len));
    buffer_done(&b);
    assert_int_equal(raft_voted_for(&h->engine->driver.raft), candidate->engine->identity.life);
    assert_int_equal(answers_of(w, h->id, RAFT_REQUEST_VOTE_RESULT), 0);
    assert_true(host_work(h));
    assert_int_equal(answers_of(w, h->id, RAFT_REQUEST_VOTE_RESULT), 1);
    host_lose_power(h);
    assert_true(host_read_disk(h, false, &disk, error, sizeof error));
    assert_int_equal(disk.state.term, term);
    assert_int_equal(disk.state.vote, candidate->engine->identity.life);
    log_done(&disk.log);
}

static void an_entry_is_confirmed_when_it_is_on_disk(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    const struct host *leader = world_leader(w);
    struct forger f;
    uint64_t last = log_last_index(&h->engine->driver.log);
    h->hold_work = w->hold_frames = true;
    world_settle(w);
    forger_init(&f, leader, last);
    forger_command(&f, raft_current_term(&h->engine->driver.raft), 1, "1new");
    unsigned before = answers_of(w, h->id, RAFT_APPEND_ENTRIES_RESULT);
    assert_true(
        forger_send(&f, h, leader->id, raft_current_term(&h->engine->driver.raft), last, 1, last));
    assert_int_equal(log_last_index(&h->engine->driver.log), last + 1);
    assert_int_equal(answers_of(w, h->id, RAFT_APPEND_ENTRIES_RESULT), before);
    assert_true(host_work(h));
    assert_int_equal(answers_of(w, h->id, RAFT_APPEND_ENTRIES_RESULT), before + 1);
    forger_done(&f);
}

/* Three entries of a follower, replaced by three of a newer term. `written`: the old ones are on
 * disk before; otherwise they are being written. */
static void replace_entries(struct world *w, bool written)
{
    struct host *h = world_follower(w);
    const struct host *leader = world_leader(w);
    const struct host *next = world_host(w, 6 - h->id - leader->id);
    uint64_t term = raft_current_term(&h->engine->driver.raft);
    uint64_t last = log_last_index(&h->engine->driver.log);
    struct forger f;
    forger_init(&f, leader, last);
    w->hold_frames = true;
    h->hold_work = !written;
    w->sends = check_that_it_is_durable;
    for (int i = 0; i < 3; i++) {
        forger_command(&f, term, 1, "1old");
    }
    assert_true(forger_send(&f, h, leader->id, term, last, 3, last));
    world_settle(w);
    h->hold_work = true;
    log_truncate(&f.log, last + 1);
    for (int i = 0; i < 4; i++) {
        forger_command(&f, term + 1, 1, "1new");
    }
    /* A frame with the term is being written when the entries arrive. */
    assert_true(forger_send(&f, h, next->id, term + 1, last, 0, last));
    assert_true(forger_send(&f, h, next->id, term + 1, last, 4, last));
    unsigned before = answers_of(w, h->id, RAFT_APPEND_ENTRIES_RESULT);
    while (host_work(h)) {
    }
    assert_true(answers_of(w, h->id, RAFT_APPEND_ENTRIES_RESULT) > before);
    assert_int_equal(h->engine->persist.durable_index, last + 4);
    host_lose_power(h);
    assert_true(host_start(h));
    assert_int_equal(log_last_checksum(&h->engine->driver.log), log_last_checksum(&f.log));
    forger_done(&f);
}

static void what_replaces_entries_is_confirmed_when_it_is_on_disk(void **state)
{
    replace_entries(*state, true);
}

static void what_replaces_entries_on_their_way_is_confirmed_when_it_is_on_disk(void **state)
{
    replace_entries(*state, false);
}

/* A leader counts itself once the entry is on its own disk; two followers suffice without it. */
static void a_leader_counts_itself_when_its_disk_has_the_entry(void **state)
{
    struct world *w = *state;
    struct host *leader = world_leader(w);
    const struct host *away = world_follower(w);
    world_isolate(w, away->id, true);
    world_run(w, ENGINE_TICK_MS);
    leader->hold_work = true;
    const struct op *op = host_submit(leader, CONSENSUS_NORMAL, "1mine");
    world_run(w, 200);
    assert_false(op->is_done);
    leader->hold_work = false;
    world_run(w, 200);
    assert_true(op->is_done && op->status == ST_OK);
}

/* --- no space --- */

static void a_full_disk_delays_and_loses_nothing(void **state UNUSED)
{
    struct world w;
    struct op *late = NULL;
    unsigned written = 0;
    world_init(&w, 1);
    world_form(&w);
    struct host *h = world_host(&w, 1);
    files_set_capacity(h->disk, files_used(h->disk) + 1000);
    /* Until the segment is full, and there is no room for another. */
    while (late == NULL && written < 100) {
        char text[32];
        (void)snprintf(text, sizeof text, "1op%u", written);
        struct op *op = host_submit_sized(h, text, 4000);
        world_settle(&w);
        if (!op->is_done) {
            late = op;
        }
        written += op->is_done;
    }
    assert_non_null(late);
    assert_true(host_is_alive(h));
    world_run(&w, 1000);
    assert_false(late->is_done);
    assert_false(engine_has_space(h->engine));
    files_set_capacity(h->disk, 0);
    world_run(&w, 1000);
    assert_true(late->is_done && late->status == ST_OK);
    assert_int_equal(host_write(h, "1again"), ST_OK);
    host_lose_power(h);
    assert_true(host_start(h));
    assert_true(world_run_until(&w, world_is_led, 5000));
    assert_kept(&w);
    world_done(&w);
}

static void what_a_full_disk_refuses_is_surely_not_done(void **state UNUSED)
{
    struct world w;
    world_init(&w, 1);
    world_form(&w);
    struct host *h = world_host(&w, 1);
    files_set_capacity(h->disk, files_used(h->disk) + 1000);
    world_run(&w, 500);
    assert_int_equal(host_write(h, "1refused"), ST_NO_SPACE);
    assert_int_equal(host_read(h), ST_OK);
    files_set_capacity(h->disk, 0);
    world_run(&w, 500);
    assert_int_equal(host_write(h, "1again"), ST_OK);
    assert_kept(&w);
    world_done(&w);
}

/* The leader transfers leadership to a member with space, and waits for followers without. */
static void a_leader_without_room_hands_over(void **state)
{
    struct world *w = *state;
    struct host *full = world_leader(w);
    files_set_capacity(full->disk, files_used(full->disk) + 1000);
    world_run(w, 3000);
    assert_true(world_leader(w) != full);
    assert_int_equal(host_write(full, "1elsewhere"), ST_OK);
    files_set_capacity(full->disk, 0);
    mend(w);
    assert_kept(w);
}

/* --- at every call --- */

/* Writes while the plan is active on one member; returns whether it was reached. */
static bool write_under(struct world *w, struct host *h, const struct files_plan *plan)
{
    struct files_plan left;
    files_plan(h->disk, plan);
    for (unsigned i = 0; i < 30; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "1op%u", i);
        struct host *at = world_host(w, 1 + i % 3);
        if (host_is_alive(at)) {
            (void)host_submit_sized(at, text, 5000);
        }
        world_run(w, 50);
    }
    world_run(w, 500);
    bool hit = !host_is_alive(h) || !files_take_plan(h->disk, &left);
    return hit;
}

/* The calls include a snapshot of its own, another segment and a compaction. */
static void try_at_every_call(bool leader, enum files_fate fate, int error, bool power)
{
    uint64_t n = 0;
    for (bool hit = true; hit; n++) {
        struct world w;
        world_init(&w, 3);
        world_form(&w);
        w.chance = n;
        struct host *h = leader ? world_leader(&w) : world_follower(&w);
        hit = write_under(&w, h,
                          &(const struct files_plan){.calls = n, .fate = fate, .error = error});
        if (hit && error == EIO && fate == FILES_ERROR) {
            if (host_is_alive(h)) {
                print_error("call %d failed, and it goes on\n", (int)n);
            }
            assert_false(host_is_alive(h));
            assert_string_not_equal(h->last_words, "");
        }
        if (power && !host_is_alive(h)) {
            files_lose_power(h->disk);
        }
        mend(&w);
        assert_kept(&w);
        world_done(&w);
    }
    print_message("%d calls\n", (int)n);
    assert_true(n > 40);
}

static void an_error_of_any_call_ends_a_follower_and_loses_nothing(void **state UNUSED)
{
    try_at_every_call(false, FILES_ERROR, EIO, false);
}

static void an_error_of_any_call_ends_a_leader_and_loses_nothing(void **state UNUSED)
{
    try_at_every_call(true, FILES_ERROR, EIO, true);
}

static void a_lack_of_space_at_any_call_loses_nothing(void **state UNUSED)
{
    try_at_every_call(false, FILES_ERROR, ENOSPC, false);
    try_at_every_call(true, FILES_ERROR, ENOSPC, false);
}

static void death_at_any_call_loses_nothing(void **state UNUSED)
{
    for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
        try_at_every_call(fate == FILES_DIE_AMID, (enum files_fate)fate, EIO, true);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_told_is_durable),
        CASE(a_vote_is_told_when_it_is_on_disk),
        CASE(an_entry_is_confirmed_when_it_is_on_disk),
        CASE(what_replaces_entries_is_confirmed_when_it_is_on_disk),
        CASE(what_replaces_entries_on_their_way_is_confirmed_when_it_is_on_disk),
        CASE(a_leader_counts_itself_when_its_disk_has_the_entry),
        cmocka_unit_test(a_full_disk_delays_and_loses_nothing),
        cmocka_unit_test(what_a_full_disk_refuses_is_surely_not_done),
        CASE(a_leader_without_room_hands_over),
        cmocka_unit_test(an_error_of_any_call_ends_a_follower_and_loses_nothing),
        cmocka_unit_test(an_error_of_any_call_ends_a_leader_and_loses_nothing),
        cmocka_unit_test(a_lack_of_space_at_any_call_loses_nothing),
        cmocka_unit_test(death_at_any_call_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
