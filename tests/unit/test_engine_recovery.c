/* A new one-member cluster from a backup or a survivor: everything is there, or nothing was
 * changed, whenever the process or the machine crashes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/recovery.h"
#include "server/base/snapshot_block.h"
#include "tests/unit/engine_fixture.h"

#define OP_BYTES (20u * 1024)
#define OPS      20
#define DIR      "/virtual"

/* --- backups --- */

struct reader {
    struct consensus_op op; /* first */
    struct consensus_backup backup;
    uint8_t piece[SNAPSHOT_BLOCK_MAX];
    bool is_done;
};

static void step_done(struct consensus_op *op, enum status status)
{
    CHECK(status == ST_OK);
    ((struct reader *)op)->is_done = true;
}

static void step(struct host *h, struct reader *r, enum consensus_backup_step what)
{
    r->op =
        (struct consensus_op){.lane = CONSENSUS_BACKUP, .done = step_done, .backup = &r->backup};
    r->backup.step = what;
    r->backup.piece = r->piece;
    r->is_done = false;
    (void)host_call(h, &(const struct call){.kind = CALL_TAKE, .op = &r->op});
    world_settle(h->world);
    CHECK(r->is_done);
}

static void take_backup(struct host *h, struct reader *r, struct buffer *out)
{
    step(h, r, CONSENSUS_BACKUP_TAKE);
    do {
        step(h, r, CONSENSUS_BACKUP_READ);
        buffer_append(out, r->backup.piece, r->backup.len);
    } while (r->backup.len > 0);
    step(h, r, CONSENSUS_BACKUP_END);
}

struct source {
    const uint8_t *data;
    size_t len, at;
};

static int read_source(void *ctx, void *data, size_t len, size_t *ret_len)
{
    struct source *s = ctx;
    *ret_len = s->len - s->at < len ? s->len - s->at : len;
    memcpy(data, s->data + s->at, *ret_len);
    s->at += *ret_len;
    return 0;
}

/* --- a single member, of which only the disk is used at first --- */

struct alone {
    struct world w;
    struct host *h;
    char error[1024];
    struct consensus_restored restored;
    struct consensus_recovered recovered;
};

static void be_alone(struct alone *a, const struct files_disk *disk, uint64_t chance)
{
    world_init(&a->w, 1);
    a->w.chance = chance;
    a->h = world_host(&a->w, 1);
    a->error[0] = '\0';
    if (disk != NULL) {
        files_destroy(a->h->disk);
        a->h->disk = files_clone(
            disk, &(const struct files_options){.random = world_draw, .data = &a->w.chance});
    }
}

static struct consensus_fsm app_of(struct alone *a)
{
    struct consensus_fsm app = engine_app;
    buffer_done(&a->h->state.ops);
    a->h->state.count = 0;
    app.ctx = a->h;
    app.level_min = app.level_max = 1;
    return app;
}

/* In a process of its own; `plan` NULL: no fault. */
static bool restore(struct alone *a, const uint8_t *data, size_t len, const struct files_plan *plan)
{
    struct source s = {.data = data, .len = len};
    const struct recovery_source source = {.read = read_source, .ctx = &s, .name = "the backup"};
    const struct consensus_fsm app = app_of(a);
    const struct files *files = files_boot(a->h->disk);
    if (plan != NULL) {
        files_plan(a->h->disk, plan);
    }
    return recovery_restore(files, DIR, &a->w.list[0], &app, &source, &a->restored, a->error,
                            sizeof a->error);
}

static bool recover(struct alone *a, bool confirmed, const struct files_plan *plan)
{
    const struct consensus_fsm app = app_of(a);
    const struct files *files = files_boot(a->h->disk);
    if (plan != NULL) {
        files_plan(a->h->disk, plan);
    }
    return recovery_recover(files, DIR, 1, &app, confirmed, &a->recovered, a->error,
                            sizeof a->error);
}

/* It starts as a one-member cluster, has `count` operations and takes more. */
static void assert_leads(struct alone *a, uint64_t count)
{
    bool started = host_start(a->h);
    if (!started) {
        print_error("%s\n", a->h->last_words);
    }
    assert_true(started);
    assert_true(world_run_until(&a->w, world_is_led, 5000));
    assert_int_equal(a->h->state.count, count);
    assert_int_equal(host_write(a->h, "1more"), ST_OK);
    host_lose_power(a->h);
    assert_true(host_start(a->h));
    assert_true(world_run_until(&a->w, world_is_led, 5000));
    assert_int_equal(a->h->state.count, count + 1);
}

static bool has_file(const struct host *h, const char *prefix)
{
    for (size_t i = 0; i < files_name_count(h->disk); i++) {
        if (strncmp(files_name(h->disk, i), prefix, strlen(prefix)) == 0) {
            return true;
        }
    }
    return false;
}

/* --- restore --- */

struct fixture {
    struct world world;
    struct host *leader;
    struct buffer backup;
    struct reader reader;
    struct alone alone;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    world_init(&f->world, 3);
    world_form(&f->world);
    f->leader = world_leader(&f->world);
    host_fill(f->leader, "1op", OPS, OP_BYTES);
    world_run(&f->world, 500);
    buffer_init(&f->backup, 1u << 24);
    take_backup(world_follower(&f->world), &f->reader, &f->backup);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    world_done(&f->world);
    buffer_done(&f->backup);
    free(f);
    return 0;
}

static void a_restored_backup_has_the_state_and_goes_on_in_a_new_cluster(void **state)
{
    struct fixture *f = *state;
    struct alone *a = &f->alone;
    be_alone(a, NULL, 1);
    assert_true(restore(a, f->backup.data, f->backup.len, NULL));
    assert_int_equal(a->restored.index, f->reader.backup.index);
    assert_int_equal(a->restored.hash, f->reader.backup.hash);
    assert_int_equal(a->restored.items, OPS);
    assert_string_equal(a->restored.cluster_before, f->reader.backup.cluster);
    assert_string_not_equal(a->restored.cluster, f->reader.backup.cluster);
    assert_true(host_start(a->h));
    assert_int_equal(a->h->engine->fsm.applied_index, a->restored.index);
    assert_int_equal(fsm_newest_hash(a->h->engine).hash, a->restored.hash);
    assert_int_equal(a->h->engine->fsm.sessions.count, 0);
    assert_true(world_run_until(&a->w, world_is_led, 5000));
    assert_true(raft_current_term(&a->h->engine->driver.raft) >
                raft_current_term(&f->leader->engine->driver.raft));
    host_close(a->h);
    assert_leads(a, OPS);
    assert_true(host_equals(a->h, f->leader) == false); /* one more */
    world_done(&a->w);
}

static void a_restore_needs_an_empty_directory(void **state)
{
    struct fixture *f = *state;
    struct alone *a = &f->alone;
    be_alone(a, NULL, 1);
    files_put(a->h->disk, "lock", "7\n", 2);
    assert_true(restore(a, f->backup.data, f->backup.len, NULL));
    assert_false(restore(a, f->backup.data, f->backup.len, NULL));
    assert_non_null(strstr(a->error, "start without --restore"));
    assert_leads(a, OPS);
    world_done(&a->w);
    be_alone(a, NULL, 1);
    files_put(a->h->disk, "precious", "x", 1);
    assert_false(restore(a, f->backup.data, f->backup.len, NULL));
    assert_non_null(strstr(a->error, "precious"));
    assert_int_equal(files_name_count(a->h->disk), 1);
    world_done(&a->w);
}

static void a_backup_that_is_damaged_anywhere_is_refused_and_nothing_is_written(void **state)
{
    struct fixture *f = *state;
    struct alone *a = &f->alone;
    be_alone(a, NULL, 1);
    for (size_t at = 0; at < f->backup.len; at += at < 400 ? 1 : 9973) {
        f->backup.data[at] ^= 0x20;
        assert_false(restore(a, f->backup.data, f->backup.len, NULL));
        assert_non_null(strstr(a->error, "cannot be restored"));
        f->backup.data[at] ^= 0x20;
        assert_false(restore(a, f->backup.data, at, NULL));
        assert_int_equal(files_name_count(a->h->disk), 0);
    }
    buffer_append(&f->backup, "x", 1);
    assert_false(restore(a, f->backup.data, f->backup.len, NULL));
    assert_true(restore(a, f->backup.data, f->backup.len - 1, NULL));
    world_done(&a->w);
}

/* All checksums valid, as a faulty writer would make them. */
static void seal(uint8_t *block, struct snapshot_chain *chain)
{
    size_t len = load_u32(block + 8);
    enum snapshot_block kind = (enum snapshot_block)block[3];
    snapshot_block_seal(chain, block, kind, len);
}

static void reseal(struct buffer *b)
{
    struct snapshot_chain chain = {.cluster = snapshot_block_cluster(b->data)};
    for (size_t at = 0; at < b->len;) {
        size_t len = load_u32(b->data + at + 8);
        seal(b->data + at, &chain);
        at += SNAPSHOT_BLOCK_HEADER + len;
    }
}

static void a_state_that_does_not_have_its_hash_or_level_is_refused(void **state)
{
    struct fixture *f = *state;
    struct alone *a = &f->alone;
    be_alone(a, NULL, 1);
    size_t head = SNAPSHOT_BLOCK_HEADER + load_u32(f->backup.data + 8);
    uint8_t *hash = f->backup.data + head + SNAPSHOT_BLOCK_HEADER;
    uint8_t *level = f->backup.data + SNAPSHOT_BLOCK_HEADER + 20;
    hash[3] ^= 1;
    reseal(&f->backup);
    assert_false(restore(a, f->backup.data, f->backup.len, NULL));
    assert_non_null(strstr(a->error, "hash"));
    hash[3] ^= 1;
    level[0] = 9;
    reseal(&f->backup);
    assert_false(restore(a, f->backup.data, f->backup.len, NULL));
    assert_non_null(strstr(a->error, "level 9"));
    level[0] = 1;
    /* The state: the length of the sessions, then the number of operations. */
    uint8_t *chunk = hash + SNAPSHOT_INFO_BYTES + SNAPSHOT_BLOCK_HEADER;
    chunk[3] = 0x7f;
    reseal(&f->backup);
    assert_false(restore(a, f->backup.data, f->backup.len, NULL));
    assert_non_null(strstr(a->error, "malformed"));
    chunk[3] = 0;
    chunk[4 + load_u32(chunk)]++;
    reseal(&f->backup);
    assert_false(restore(a, f->backup.data, f->backup.len, NULL));
    assert_non_null(strstr(a->error, "malformed"));
    assert_int_equal(files_name_count(a->h->disk), 0);
    world_done(&a->w);
}

/* True while the plan is reached. */
static bool restore_with(struct fixture *f, const struct files_plan *plan, bool power)
{
    struct alone *a = &f->alone;
    struct files_plan left;
    be_alone(a, NULL, plan->calls * 3 + power);
    bool fine = restore(a, f->backup.data, f->backup.len, plan);
    bool hit = !files_is_alive(a->h->disk) || !files_take_plan(a->h->disk, &left);
    assert_true(hit || fine);
    if (power) {
        files_lose_power(a->h->disk);
    }
    if (!restore(a, f->backup.data, f->backup.len, NULL)) {
        if (strstr(a->error, "start without --restore") == NULL) {
            print_error("call %d: %s\n", (int)plan->calls, a->error);
            assert_true(false);
        }
    }
    assert_leads(a, OPS);
    assert_false(has_file(a->h, "founding"));
    world_done(&a->w);
    return hit;
}

/* `once` runs it with the plan, and returns whether it was reached; there must be at least
 * `calls_least` calls. */
static void at_every_call(struct fixture *f,
                          bool (*once)(struct fixture *f, const struct files_plan *plan,
                                       bool power),
                          unsigned calls_least, enum files_fate fate, int error, bool power)
{
    struct files_plan plan = {.fate = fate, .error = error};
    while (once(f, &plan, power)) {
        plan.calls++;
    }
    print_message("%d calls\n", (int)plan.calls);
    assert_true(plan.calls > calls_least);
}

static void a_restore_killed_at_any_call_is_nothing_or_complete(void **state)
{
    for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
        at_every_call(*state, restore_with, 20, (enum files_fate)fate, EIO, false);
    }
}

static void a_restore_without_power_at_any_call_is_nothing_or_complete(void **state)
{
    for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
        at_every_call(*state, restore_with, 20, (enum files_fate)fate, EIO, true);
    }
}

static void an_error_at_any_call_of_a_restore_is_told_and_it_can_be_repeated(void **state)
{
    at_every_call(*state, restore_with, 20, FILES_ERROR, EIO, false);
    at_every_call(*state, restore_with, 20, FILES_ERROR, ENOSPC, false);
}

/* --- recovery --- */

/* The disk of member 1 after the others are gone; it has one more entry than they had. */
static void lose_majority(struct fixture *f)
{
    struct world *w = &f->world;
    struct host *one = world_host(w, 1);
    if (!one->engine->is_leader) {
        world_isolate(w, f->leader->id, true);
        one->engine->election.campaign_at_ms = w->now_ms;
        world_run(w, 5000);
        world_isolate(w, f->leader->id, false);
        world_run(w, 5000);
    }
    assert_int_equal(host_write(one, "1acknowledged"), ST_OK);
    world_run(w, 500);
    world_isolate(w, 1, true);
    (void)host_submit(one, CONSENSUS_NORMAL, "1proposed");
    world_run(w, 100);
    for (uint64_t id = 1; id <= 3; id++) {
        host_kill(world_host(w, id));
    }
}

static int set_up_lost(void **state)
{
    (void)set_up(state);
    lose_majority(*state);
    return 0;
}

static uint64_t changes(const struct files_disk *disk)
{
    static const enum files_call calls[] = {FILES_PREALLOCATE, FILES_WRITE,  FILES_SYNC,
                                            FILES_RENAME,      FILES_UNLINK, FILES_SYNC_DIR};
    uint64_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++) {
        count += files_count(disk, calls[i]);
    }
    return count;
}

static void looking_at_a_survivor_changes_nothing_and_says_what_there_is(void **state)
{
    struct fixture *f = *state;
    struct alone *a = &f->alone;
    be_alone(a, world_host(&f->world, 1)->disk, 1);
    uint64_t before = changes(a->h->disk);
    assert_true(recover(a, false, NULL));
    assert_int_equal(changes(a->h->disk), before);
    assert_int_equal(a->recovered.member, 1);
    assert_true(a->recovered.is_voter);
    assert_int_equal(a->recovered.items, OPS + 2);
    assert_true(a->recovered.commit_index < a->recovered.last_index);
    assert_int_equal(a->recovered.lost_count, 2);
    assert_int_equal(a->recovered.lost[0].id, 2);
    assert_string_equal(a->recovered.lost[1].address, "host-3:9100");
    assert_true(a->recovered.lost_voters[0] && a->recovered.lost_voters[1]);
    assert_string_equal(a->recovered.cluster_before, f->reader.backup.cluster);
    assert_string_equal(a->recovered.cluster, "");
    world_done(&a->w);
}

static void a_recovered_survivor_has_all_of_its_log_in_a_new_cluster(void **state)
{
    struct fixture *f = *state;
    struct alone *a = &f->alone;
    be_alone(a, world_host(&f->world, 1)->disk, 1);
    assert_true(recover(a, true, NULL));
    assert_string_not_equal(a->recovered.cluster, a->recovered.cluster_before);
    char aside[64];
    (void)snprintf(aside, sizeof aside, "before-%.8s-identity", a->recovered.cluster);
    assert_true(has_file(a->h, aside));
    assert_leads(a, OPS + 2);
    assert_int_equal(host_has(a->h, "1acknowledged"), 1);
    assert_int_equal(host_has(a->h, "1proposed"), 1);
    /* A member of the old cluster is refused. */
    struct hello_facts ours = engine_facts(a->h->engine);
    assert_true(host_start(world_host(&f->world, 2)));
    struct hello_facts theirs = engine_facts(world_host(&f->world, 2)->engine);
    assert_int_equal(hello_judge(&ours, &theirs), HELLO_WRONG_CLUSTER);
    host_close(a->h);
    assert_false(recover(a, true, NULL));
    assert_non_null(strstr(a->error, "the only vote"));
    world_done(&a->w);
}

static void what_cannot_be_recovered_is_refused_with_a_sentence(void **state)
{
    struct fixture *f = *state;
    struct alone *a = &f->alone;
    be_alone(a, NULL, 1);
    assert_false(recover(a, true, NULL));
    assert_non_null(strstr(a->error, "empty"));
    assert_int_equal(files_name_count(a->h->disk), 0);
    world_done(&a->w);
    be_alone(a, world_host(&f->world, 2)->disk, 1);
    assert_false(recover(a, true, NULL));
    assert_non_null(strstr(a->error, "belongs to member 2"));
    world_done(&a->w);
    be_alone(a, world_host(&f->world, 1)->disk, 1);
    files_flip_bit(a->h->disk, "identity", 100);
    assert_false(recover(a, true, NULL));
    assert_non_null(strstr(a->error, "damaged"));
    assert_false(has_file(a->h, "before-"));
    world_done(&a->w);
}

static void a_standby_can_be_recovered_and_is_said_to_be_one(void **state UNUSED)
{
    static struct alone a;
    struct world w;
    world_init(&w, 3);
    world_found(&w, 2); /* the third has no vote */
    assert_true(world_start_all(&w));
    assert_true(world_run_until(&w, world_is_led, 10000));
    assert_int_equal(host_write(world_host(&w, 1), "1one"), ST_OK);
    world_run(&w, 500);
    for (uint64_t id = 1; id <= 3; id++) {
        host_kill(world_host(&w, id));
    }
    be_alone(&a, world_host(&w, 3)->disk, 1);
    const struct consensus_fsm app = app_of(&a);
    const struct files *files = files_boot(a.h->disk);
    assert_true(
        recovery_recover(files, DIR, 0, &app, false, &a.recovered, a.error, sizeof a.error));
    assert_false(a.recovered.is_voter);
    assert_int_equal(a.recovered.member, 3);
    assert_int_equal(a.recovered.lost_count, 2);
    assert_int_equal(a.recovered.items, 1);
    world_done(&a.w);
    world_done(&w);
}

static void one_that_was_taken_out_or_has_nothing_yet_is_not_recovered(void **state UNUSED)
{
    static struct alone a;
    struct world w;
    struct identity identity;
    char error[256];
    world_init(&w, 3);
    world_form(&w);
    assert_int_equal(host_write(world_host(&w, 1), "1one"), ST_OK);
    world_run(&w, 500);
    for (uint64_t id = 1; id <= 3; id++) {
        host_kill(world_host(&w, id));
    }
    /* Its identity has another life than the configuration. */
    be_alone(&a, world_host(&w, 1)->disk, 1);
    const struct files *files = files_boot(a.h->disk);
    assert_int_equal(identity_read(files, &identity, error, sizeof error), IDENTITY_FINE);
    identity.life++;
    assert_int_equal(identity_write(files, &identity), 0);
    assert_false(recover(&a, true, NULL));
    assert_non_null(strstr(a.error, "was taken out"));
    world_done(&a.w);
    /* Admitted, with an empty log. */
    be_alone(&a, NULL, 1);
    files = files_boot(a.h->disk);
    const struct wal_state empty = {.term = 1};
    identity.joining = true;
    assert_int_equal(wal_create(files, &identity.cluster, &empty), 0);
    assert_int_equal(identity_write(files, &identity), 0);
    assert_false(recover(&a, true, NULL));
    assert_non_null(strstr(a.error, "nothing of the log yet"));
    world_done(&a.w);
    world_done(&w);
}

static bool recover_with(struct fixture *f, const struct files_plan *plan, bool power)
{
    struct alone *a = &f->alone;
    struct files_plan left;
    be_alone(a, world_host(&f->world, 1)->disk, plan->calls * 3 + power);
    bool fine = recover(a, true, plan);
    bool hit = !files_is_alive(a->h->disk) || !files_take_plan(a->h->disk, &left);
    assert_true(hit || fine);
    if (power) {
        files_lose_power(a->h->disk);
    }
    if (!recover(a, true, NULL) && strstr(a->error, "complete with the next start") == NULL &&
        strstr(a->error, "the only vote") == NULL) {
        print_error("call %d: %s\n", (int)plan->calls, a->error);
        assert_true(false);
    }
    assert_leads(a, OPS + 2);
    assert_int_equal(host_has(a->h, "1acknowledged"), 1);
    assert_false(has_file(a->h, "founding"));
    world_done(&a->w);
    return hit;
}

static void a_recovery_killed_at_any_call_is_nothing_or_complete(void **state)
{
    for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
        at_every_call(*state, recover_with, 40, (enum files_fate)fate, EIO, false);
    }
}

static void a_recovery_without_power_at_any_call_is_nothing_or_complete(void **state)
{
    for (int fate = FILES_DIE_BEFORE; fate <= FILES_DIE_AFTER; fate++) {
        at_every_call(*state, recover_with, 40, (enum files_fate)fate, EIO, true);
    }
}

static void an_error_at_any_call_of_a_recovery_is_told_and_it_can_be_repeated(void **state)
{
    at_every_call(*state, recover_with, 40, FILES_ERROR, EIO, false);
    at_every_call(*state, recover_with, 40, FILES_ERROR, ENOSPC, false);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define LOST(f) cmocka_unit_test_setup_teardown(f, set_up_lost, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_restored_backup_has_the_state_and_goes_on_in_a_new_cluster),
        CASE(a_restore_needs_an_empty_directory),
        CASE(a_backup_that_is_damaged_anywhere_is_refused_and_nothing_is_written),
        CASE(a_state_that_does_not_have_its_hash_or_level_is_refused),
        CASE(a_restore_killed_at_any_call_is_nothing_or_complete),
        CASE(a_restore_without_power_at_any_call_is_nothing_or_complete),
        CASE(an_error_at_any_call_of_a_restore_is_told_and_it_can_be_repeated),
        LOST(looking_at_a_survivor_changes_nothing_and_says_what_there_is),
        LOST(a_recovered_survivor_has_all_of_its_log_in_a_new_cluster),
        LOST(what_cannot_be_recovered_is_refused_with_a_sentence),
        cmocka_unit_test(a_standby_can_be_recovered_and_is_said_to_be_one),
        cmocka_unit_test(one_that_was_taken_out_or_has_nothing_yet_is_not_recovered),
        LOST(a_recovery_killed_at_any_call_is_nothing_or_complete),
        LOST(a_recovery_without_power_at_any_call_is_nothing_or_complete),
        LOST(an_error_at_any_call_of_a_recovery_is_told_and_it_can_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
