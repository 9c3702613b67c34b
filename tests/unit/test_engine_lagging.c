/* A lagging member gets a snapshot, and then the entries after it, whatever the leader does with
 * its own snapshots meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/lagging_fixture.h"

/* A listing made while one snapshot replaces another: it has neither. */
static struct {
    struct files files;
    const struct files *real;
    void (*each)(void *data, const char *name, uint64_t bytes);
    unsigned misses;
} missing;

static void pass_others(void *data, const char *name, uint64_t bytes)
{
    if (strncmp(name, "snapshot-", strlen("snapshot-")) != 0) {
        missing.each(data, name, bytes);
    }
}

static int list_without(void *ctx, void (*each)(void *data, const char *name, uint64_t bytes),
                        void *data)
{
    missing.each = each;
    if (missing.misses == 0) {
        return missing.real->list(ctx, each, data);
    }
    missing.misses--;
    return missing.real->list(ctx, pass_others, data);
}

static void a_snapshot_that_another_takes_the_place_of_is_looked_for_again(void **state)
{
    struct fixture *f = *state;
    missing.real = f->leader->engine->env.files;
    missing.files = *missing.real;
    missing.files.list = list_without;
    missing.misses = 3;
    f->leader->engine->env.files = &missing.files;
    assert_true(host_start(f->behind));
    assert_caught_up(f);
    assert_true(host_is_alive(f->leader));
    assert_int_equal(missing.misses, 0);
}

static bool entries_to_it_are_lost(struct world *w, const struct flying *frame)
{
    struct message m;
    return frame->to != w->watched || frame->type != FRAME_RAFT ||
           message_decode(frame->data, frame->len, &m) != ST_OK ||
           m.raft.type != RAFT_APPEND_ENTRIES || m.raft.append_entries.n_entries == 0;
}

/* Otherwise a slow member would be sent one snapshot after another, and never catch up. */
static void what_comes_behind_a_snapshot_stays_for_the_member_that_got_it(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    w->passes = entries_to_it_are_lost;
    w->watched = f->behind->id;
    assert_true(host_start(f->behind));
    for (unsigned i = 0; i < 1000 && f->behind->installs == 0; i++) {
        world_run(w, ENGINE_TICK_MS);
    }
    uint64_t taken = f->leader->engine->driver.raft.trail.snapshot.index;
    host_fill(f->leader, "1more", 30, OP_BYTES);
    assert_true(f->leader->engine->driver.raft.trail.snapshot.index > taken + 20);
    w->passes = NULL;
    world_run(w, 3ull * WORLD_ELECTION_MS);
    assert_true(host_equals(f->behind, f->leader));
    assert_int_equal(f->behind->installs, 1);
}

/* It is bounded: more than a snapshot's size is dropped. */
static void what_is_more_than_a_snapshot_does_not_stay_for_a_member_that_lags(void **state)
{
    struct fixture *f = *state;
    struct world *w = &f->world;
    assert_true(host_start(f->behind));
    assert_caught_up(f);
    w->passes = entries_to_it_are_lost;
    w->watched = f->behind->id;
    host_fill(f->leader, "1more", 3 * OPS, OP_BYTES);
    assert_true(engine_is_up(f->leader->engine, member_info_find(f->leader->engine, w->watched)));
    assert_true(f->leader->engine->driver.log.bytes < 2ull * fsm_log_bytes_kept(f->leader->engine));
    w->passes = NULL;
    world_run(w, 3ull * WORLD_ELECTION_MS);
    assert_true(host_equals(f->behind, f->leader));
    assert_true(f->behind->installs > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_snapshot_that_another_takes_the_place_of_is_looked_for_again),
        CASE(what_comes_behind_a_snapshot_stays_for_the_member_that_got_it),
        CASE(what_is_more_than_a_snapshot_does_not_stay_for_a_member_that_lags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
