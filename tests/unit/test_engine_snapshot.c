/* Snapshots: taken, sent in pieces, installed atomically; damage does not spread. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/snapshot_block.h"
#include "tests/unit/lagging_fixture.h"

/* The name of its newest snapshot; false: there is none. */
static bool find_snapshot(const struct host *h, char name[FILES_NAME_SIZE])
{
    uint64_t newest = 0;
    for (size_t i = 0; i < files_name_count(h->disk); i++) {
        uint64_t index;
        uint64_t term;
        if (snapshot_name_parse(files_name(h->disk, i), &index, &term) && index > newest) {
            newest = index;
            (void)snprintf(name, FILES_NAME_SIZE, "%s", files_name(h->disk, i));
        }
    }
    return newest > 0;
}

/* --- a single member --- */

static void a_snapshot_takes_the_place_of_the_log(void **state UNUSED)
{
    struct world w;
    char name[FILES_NAME_SIZE];
    world_init(&w, 1);
    world_form(&w);
    struct host *h = world_host(&w, 1);
    assert_false(find_snapshot(h, name));
    host_fill(h, "1op", OPS, OP_BYTES);
    world_run(&w, 500);
    assert_true(find_snapshot(h, name));
    assert_true(log_first_index(&h->engine->driver.log) > 1);
    assert_true(files_used(h->disk) < 4ull * OPS * OP_BYTES);
    host_lose_power(h);
    assert_true(host_start(h));
    assert_int_equal(h->installs, 1); /* restored at the start */
    assert_true(world_run_until(&w, world_is_led, 5000));
    for (unsigned i = 0; i < OPS; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "1op%u", i);
        assert_int_equal(host_has(h, text), 1);
    }
    assert_int_equal(host_write(h, "1more"), ST_OK);
    world_done(&w);
}

/* The numbers of applied batches are part of it. */
static void what_was_applied_before_a_snapshot_is_not_applied_again(void **state UNUSED)
{
    struct world w;
    world_init(&w, 1);
    world_form(&w);
    struct host *h = world_host(&w, 1);
    host_fill(h, "1op", OPS, OP_BYTES);
    world_run(&w, 500);
    struct sessions before = h->engine->fsm.sessions;
    assert_int_equal(before.count, 1);
    host_lose_power(h);
    assert_true(host_start(h));
    assert_true(sessions_has(&h->engine->fsm.sessions, before.list[0].origin, before.list[0].boot,
                             before.list[0].serial));
    assert_true(world_run_until(&w, world_is_led, 5000));
    assert_int_equal(host_write(h, "1more"), ST_OK);
    world_done(&w);
}

/* Others may have written entries that our own disk lacks: that would leave a hole at the next
 * start. */
static void a_snapshot_is_in_place_when_the_log_on_disk_got_as_far(void **state UNUSED)
{
    struct world w;
    char name[FILES_NAME_SIZE];
    world_init(&w, 3);
    world_form(&w);
    struct host *leader = world_leader(&w);
    struct host *slow = world_follower(&w);
    slow->hold_work = true; /* its disk stalls, and the others go on */
    host_fill(leader, "1op", 5, OP_BYTES);
    world_run(&w, 200);
    assert_true(find_snapshot(leader, name));
    while (slow->work_count > 0) {
        assert_true(host_work(slow));
        struct on_disk disk;
        char error[512] = "";
        bool readable = host_read_disk(slow, true, &disk, error, sizeof error);
        if (!readable) {
            print_error("%s\n", error);
        }
        assert_true(readable);
        assert_true(disk.snapshot_index <= log_last_index(&disk.log));
        log_done(&disk.log);
    }
    world_done(&w);
}

/* --- a lagging member --- */

static void a_member_that_lags_gets_the_snapshot_in_pieces(void **state)
{
    struct fixture *f = *state;
    assert_true(host_start(f->behind));
    assert_caught_up(f);
    assert_int_equal(f->behind->installs, 1);
    assert_true(f->world.frames[FRAME_SNAPSHOT] > 4);
    host_lose_power(f->behind);
    assert_true(host_start(f->behind));
    assert_true(world_run_until(&f->world, world_is_led, 5000));
    assert_true(host_equals(f->behind, f->good));
}

/* Writes continue while it is sent. */
static void what_is_written_meanwhile_follows(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    f->behind->hold_work = true;
    assert_true(host_start(f->behind));
    for (unsigned i = 0; i < 30; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "1meanwhile%u", i);
        assert_int_equal(host_write(f->leader, text), ST_OK);
        (void)host_work(f->behind);
        world_run(w, ENGINE_TICK_MS);
    }
    f->behind->hold_work = false;
    assert_true(world_run_until(w, world_is_led, 30000));
    world_run(w, 1000);
    assert_true(host_equals(f->behind, f->leader));
    assert_true(f->behind->installs >= 1);
}

static void a_leader_with_a_damaged_snapshot_sends_none_and_ends_itself(void **state)
{
    struct fixture *f = *state;
    char name[FILES_NAME_SIZE];
    assert_true(find_snapshot(f->leader, name));
    files_flip_bit(f->leader->disk, name, 8ull * (files_size(f->leader->disk, name) - 5000) + 3);
    assert_true(host_start(f->behind));
    for (unsigned i = 0; i < 300 && host_is_alive(f->leader); i++) {
        world_run(&f->world, ENGINE_TICK_MS);
    }
    assert_false(host_is_alive(f->leader));
    assert_non_null(strstr(f->leader->last_words, "cannot be sent"));
    assert_int_equal(f->behind->installs, 0);
    /* It cannot start with that either; another member leads, and sends its own. */
    assert_false(host_start(f->leader));
    assert_non_null(strstr(f->leader->last_words, name));
    assert_true(world_run_until(&f->world, world_is_led, 10000));
    assert_int_equal(host_write(f->behind, "1late"), ST_OK);
    assert_int_equal(f->behind->installs, 1);
    assert_true(host_equals(f->behind, f->good));
}

/* Flips a bit of one piece, anywhere. */
static bool flip_in_a_piece(struct world *w, const struct flying *frame)
{
    if (frame->type == FRAME_SNAPSHOT && frame->len > 100) {
        uint64_t n = w->watched++;
        if (n % 7 == 2) { /* the following transfer succeeds */
            size_t at = 32 + (size_t)(world_draw(&w->chance) % (frame->len - 32));
            ((struct flying *)(uintptr_t)frame)->data[at] ^= 4;
        }
    }
    return true;
}

static void a_piece_that_was_changed_on_its_way_is_never_installed(void **state)
{
    struct fixture *f = *state;
    f->world.passes = flip_in_a_piece;
    assert_true(host_start(f->behind));
    world_run(&f->world, 2000);
    assert_true(host_is_alive(f->behind));
    assert_int_equal(host_has(f->behind, "1early"), 1);
    f->world.passes = NULL;
    assert_caught_up(f);
}

static void a_received_file_that_the_disk_changed_is_never_installed(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    assert_true(host_start(f->behind));
    bool flipped = false;
    f->behind->hold_work = true;
    for (unsigned i = 0; i < 500 && f->behind->engine->snapshot_receive.phase != RECEIVE_VERIFYING;
         i++) {
        world_run(w, ENGINE_TICK_MS);
        /* All but the last step: what it must verify has not been read yet. */
        while (f->behind->engine->snapshot_receive.phase != RECEIVE_VERIFYING &&
               host_work(f->behind)) {
        }
    }
    assert_int_equal(f->behind->engine->snapshot_receive.phase, RECEIVE_VERIFYING);
    files_flip_bit(f->behind->disk, SNAPSHOT_RECEIVED_TEMPORARY, 8ull * 100000);
    flipped = true;
    while (host_work(f->behind)) {
    }
    assert_true(flipped && host_is_alive(f->behind));
    assert_int_equal(f->behind->installs, 0);
    assert_int_equal(f->behind->engine->snapshot_receive.phase, RECEIVE_IDLE);
    f->behind->hold_work = false;
    assert_caught_up(f);
}

static void a_leader_that_dies_in_the_middle_is_followed_by_another(void **state)
{
    struct fixture *f = *state;
    assert_true(host_start(f->behind));
    f->behind->hold_work = true;
    for (unsigned i = 0; i < 200 && f->behind->engine->snapshot_receive.offset == 0; i++) {
        world_run(&f->world, ENGINE_TICK_MS);
        (void)host_work(f->behind);
    }
    assert_true(f->behind->engine->snapshot_receive.offset > 0);
    host_kill(f->leader);
    f->behind->hold_work = false;
    world_run(&f->world, 3000);
    assert_int_equal(f->behind->installs, 1);
    assert_caught_up(f);
}

/* No leader can have such a term: there is no next one. */
static void a_snapshot_of_the_last_term_is_not_taken(void **state)
{
    struct fixture *f = *state;
    char name[FILES_NAME_SIZE];
    assert_true(find_snapshot(f->good, name));
    size_t len = files_size(f->good->disk, name);
    world_isolate(&f->world, f->behind->id, true);
    assert_true(host_start(f->behind));
    for (size_t at = 0; at < len;) {
        size_t part = len - at < SNAPSHOT_CHUNK_BYTES ? len - at : SNAPSHOT_CHUNK_BYTES;
        uint8_t *bytes = malloc(32 + part);
        store_u64(bytes, 1);
        store_u64(bytes + 8, UINT64_MAX);
        store_u64(bytes + 16, at);
        store_u64(bytes + 24, len);
        memcpy(bytes + 32, files_content(f->good->disk, name) + at, part);
        assert_true(host_receive(f->behind, f->leader->id, FRAME_SNAPSHOT, bytes, 32 + part));
        free(bytes);
        at += part;
        world_run(&f->world, ENGINE_TICK_MS);
    }
    world_run(&f->world, 3000);
    assert_true(host_is_alive(f->behind));
    assert_int_equal(f->behind->installs, 0);
    world_isolate(&f->world, f->behind->id, false);
    assert_caught_up(f);
}

static bool half_of_the_pieces_pass(struct world *w, const struct flying *frame)
{
    return frame->type != FRAME_SNAPSHOT || w->watched++ % 2 == 0;
}

static void a_transfer_that_loses_pieces_begins_again(void **state)
{
    struct fixture *f = *state;
    f->world.passes = half_of_the_pieces_pass;
    assert_true(host_start(f->behind));
    world_run(&f->world, 5000);
    assert_int_equal(f->behind->installs, 0);
    f->world.passes = NULL;
    assert_caught_up(f);
}

static bool answers_to_pieces_are_lost(struct world *w UNUSED, const struct flying *frame)
{
    return frame->type != FRAME_SNAPSHOT_RESULT;
}

/* Loses both messages that would tell the leader: our result for the last piece, and libraft's
 * reply. `watched` is the member. */
static bool word_that_it_is_in_place_is_lost(struct world *w, const struct flying *frame)
{
    struct message m;
    if (frame->from != w->watched) {
        return true;
    }
    if (frame->type == FRAME_SNAPSHOT_RESULT) {
        return load_u64(frame->data + 8) != SNAPSHOT_IN_PLACE;
    }
    return frame->type != FRAME_RAFT || message_decode(frame->data, frame->len, &m) != ST_OK ||
           m.raft.type != RAFT_APPEND_ENTRIES_RESULT || m.raft.append_entries_result.rejected != 0;
}

/* The leader must not wait until it abandons the transfer: it has a newer snapshot by then, and the
 * member rejects all its heartbeats. */
static void a_leader_that_missed_that_its_snapshot_is_in_place_asks_for_it(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    f->behind->hold_work = true;
    assert_true(host_start(f->behind));
    for (unsigned i = 0; i < 200 && f->behind->engine->snapshot_receive.offset == 0; i++) {
        world_run(w, ENGINE_TICK_MS);
        (void)host_work(f->behind);
    }
    uint64_t before = log_first_index(&f->leader->engine->driver.log);
    host_fill(f->leader, "1more", 10, OP_BYTES);
    world_run(w, WORLD_ELECTION_MS);
    assert_true(log_first_index(&f->leader->engine->driver.log) > before);
    w->passes = word_that_it_is_in_place_is_lost;
    w->watched = f->behind->id;
    f->behind->hold_work = false;
    world_run(w, 2ull * WORLD_ELECTION_MS);
    assert_int_equal(f->behind->installs, 1);
    w->passes = NULL;
    world_run(w, 3ull * WORLD_ELECTION_MS);
    assert_true(host_equals(f->behind, f->leader));
}

static void a_leader_that_missed_a_refusal_of_its_snapshot_hears_it_when_it_asks(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    files_set_capacity(f->behind->disk, files_used(f->behind->disk) + 100000);
    w->passes = answers_to_pieces_are_lost;
    assert_true(host_start(f->behind));
    world_run(w, 1000);
    assert_false(snapshot_send_is_idle(f->leader->engine));
    files_set_capacity(f->behind->disk, 0);
    w->passes = NULL;
    assert_true(world_run_until(w, world_is_led, 3ull * WORLD_ELECTION_MS));
}

static bool no_pieces_pass(struct world *w UNUSED, const struct flying *frame)
{
    return frame->type != FRAME_SNAPSHOT;
}

/* libraft ignores it, so it must still wait for the snapshot. */
static void an_answer_of_an_earlier_term_does_not_end_the_wait_for_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    struct engine *e = f->leader->engine;
    struct buffer b;
    w->passes = no_pieces_pass;
    assert_true(host_start(f->behind));
    while (snapshot_send_is_idle(e)) {
        world_run(w, ENGINE_TICK_MS);
    }
    world_isolate(w, f->behind->id, true);
    world_run(w, ENGINE_TICK_MS);
    snapshot_send_end_to(e, f->behind->id); /* as on a new link */
    const struct raft_message late = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.version = 0,
                                  .term = raft_current_term(&e->driver.raft) - 1,
                                  .rejected = log_last_index(&e->driver.log),
                                  .last_log_index = 1}};
    buffer_init(&b, 1024);
    message_encode(&late, &e->driver.log, &b);
    assert_true(host_receive(f->leader, f->behind->id, FRAME_RAFT, b.data, b.len));
    buffer_done(&b);
    host_fill(f->leader, "1more", 10, OP_BYTES); /* it has a newer one */
    w->passes = NULL;
    world_isolate(w, f->behind->id, false);
    world_run(w, 5ull * WORLD_ELECTION_MS);
    assert_true(host_equals(f->behind, f->leader));
}

static void a_member_without_room_says_so_and_takes_it_later(void **state)
{
    struct fixture *f = *state;
    files_set_capacity(f->behind->disk, files_used(f->behind->disk) + 100000);
    assert_true(host_start(f->behind));
    world_run(&f->world, 3000);
    assert_true(host_is_alive(f->behind));
    assert_int_equal(f->behind->installs, 0);
    files_set_capacity(f->behind->disk, 0);
    assert_caught_up(f);
}

/* --- a crash at every call --- */

/* Reads of the received file, while it is verified, fail as if it were damaged. */
static unsigned reads_survived;

static bool install_with(struct fixture *from, uint64_t n, const struct files_plan *plan,
                         bool power)
{
    static struct fixture f;
    struct files_plan left;
    world_init_from(&f.world, &from->world);
    f.world.chance = n;
    f.leader = world_host(&f.world, from->leader->id);
    f.good = world_host(&f.world, from->good->id);
    f.behind = world_host(&f.world, from->behind->id);
    assert_true(host_start(f.leader) && host_start(f.good));
    assert_true(world_run_until(&f.world, world_is_led, 5000));
    assert_true(host_start(f.behind));
    files_plan(f.behind->disk, plan);
    world_run(&f.world, 500);
    bool hit = !host_is_alive(f.behind) || !files_take_plan(f.behind->disk, &left);
    if (hit && plan->fate == FILES_ERROR && plan->error == EIO) {
        reads_survived += host_is_alive(f.behind);
        assert_true(host_is_alive(f.behind) || f.behind->last_words[0] != '\0');
    }
    if (!host_is_alive(f.behind)) {
        if (power) {
            files_lose_power(f.behind->disk);
        }
        bool started = host_start(f.behind);
        if (!started) {
            print_error("call %d: %s\n", (int)n, f.behind->last_words);
        }
        assert_true(started);
    }
    assert_caught_up(&f);
    world_done(&f.world);
    return hit;
}

static void install_at_every_call(enum files_fate fate, int error, bool power)
{
    static struct fixture from;
    struct files_plan plan = {.fate = fate, .error = error};
    begin(&from);
    host_kill(from.leader);
    host_kill(from.good);
    while (install_with(&from, plan.calls, &plan, power)) {
        plan.calls++;
    }
    print_message("%d calls\n", (int)plan.calls);
    assert_true(plan.calls > 15);
    world_done(&from.world);
}

static void a_member_killed_at_any_call_of_an_install_starts_and_catches_up(void **state UNUSED)
{
    for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
        install_at_every_call((enum files_fate)fate, EIO, false);
    }
}

static void a_member_without_power_at_any_call_of_an_install_catches_up(void **state UNUSED)
{
    for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
        install_at_every_call((enum files_fate)fate, EIO, true);
    }
}

static void an_error_at_any_call_of_an_install_ends_the_process(void **state UNUSED)
{
    install_at_every_call(FILES_ERROR, EIO, true);
    assert_true(reads_survived <= 20);
}

static void no_space_at_any_call_of_an_install_only_delays_it(void **state UNUSED)
{
    install_at_every_call(FILES_ERROR, ENOSPC, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_takes_the_place_of_the_log),
        cmocka_unit_test(what_was_applied_before_a_snapshot_is_not_applied_again),
        cmocka_unit_test(a_snapshot_is_in_place_when_the_log_on_disk_got_as_far),
        CASE(a_member_that_lags_gets_the_snapshot_in_pieces),
        CASE(what_is_written_meanwhile_follows),
        CASE(a_leader_with_a_damaged_snapshot_sends_none_and_ends_itself),
        CASE(a_piece_that_was_changed_on_its_way_is_never_installed),
        CASE(a_received_file_that_the_disk_changed_is_never_installed),
        CASE(a_leader_that_dies_in_the_middle_is_followed_by_another),
        CASE(a_snapshot_of_the_last_term_is_not_taken),
        CASE(a_transfer_that_loses_pieces_begins_again),
        CASE(a_leader_that_missed_that_its_snapshot_is_in_place_asks_for_it),
        CASE(a_leader_that_missed_a_refusal_of_its_snapshot_hears_it_when_it_asks),
        CASE(an_answer_of_an_earlier_term_does_not_end_the_wait_for_a_snapshot),
        CASE(a_member_without_room_says_so_and_takes_it_later),
        cmocka_unit_test(a_member_killed_at_any_call_of_an_install_starts_and_catches_up),
        cmocka_unit_test(a_member_without_power_at_any_call_of_an_install_catches_up),
        cmocka_unit_test(an_error_at_any_call_of_an_install_ends_the_process),
        cmocka_unit_test(no_space_at_any_call_of_an_install_only_delays_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
