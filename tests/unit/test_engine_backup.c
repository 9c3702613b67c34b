/* Backups: the state at one index, complete and verified, up to the limit; a slow reader or a bad
 * disk affects nothing else. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/base/snapshot_scan.h"
#include "tests/unit/engine_fixture.h"

#define OP_BYTES (20u * 1024)
#define OPS      30

struct reader {
    struct consensus_op op; /* first */
    struct consensus_backup backup;
    uint8_t piece[SNAPSHOT_BLOCK_MAX];
    bool is_done;
    enum status status;
};

static void step_done(struct consensus_op *op, enum status status)
{
    struct reader *r = (struct reader *)op;
    assert_false(r->is_done);
    r->is_done = true;
    r->status = status;
}

static void begin(struct host *h, struct reader *r, enum consensus_backup_step step)
{
    r->op =
        (struct consensus_op){.lane = CONSENSUS_BACKUP, .done = step_done, .backup = &r->backup};
    r->backup.step = step;
    r->backup.piece = r->piece;
    r->is_done = false;
    (void)host_call(h, &(const struct call){.kind = CALL_TAKE, .op = &r->op});
}

static enum status step(struct host *h, struct reader *r, enum consensus_backup_step what)
{
    begin(h, r, what);
    world_settle(h->world);
    assert_true(r->is_done);
    return r->status;
}

static unsigned backup_files(const struct host *h)
{
    unsigned count = 0;
    for (size_t i = 0; i < files_name_count(h->disk); i++) {
        count += strncmp(files_name(h->disk, i), SNAPSHOT_BACKUP_TEMPORARY,
                         strlen(SNAPSHOT_BACKUP_TEMPORARY)) == 0;
    }
    return count;
}

/* Reads all of it into the scanner. */
static void read_all(struct host *h, struct reader *r, struct snapshot_scan *scan)
{
    uint64_t bytes = 0;
    snapshot_scan_init(scan);
    do {
        assert_int_equal(step(h, r, CONSENSUS_BACKUP_READ), ST_OK);
        assert_null(snapshot_scan_add(scan, r->backup.piece, r->backup.len));
        bytes += r->backup.len;
    } while (r->backup.len > 0);
    assert_null(snapshot_scan_end(scan));
    assert_int_equal(bytes, r->backup.bytes);
}

static struct snapshot_scan scan;

static void a_backup_has_the_state_at_its_index(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    struct reader r = {0};
    host_fill(h, "1op", OPS, OP_BYTES);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_TAKE), ST_OK);
    uint64_t index = h->engine->fsm.applied_index;
    assert_int_equal(host_write(h, "1later"), ST_OK);
    assert_int_equal(r.backup.index, index);
    assert_int_equal(r.backup.level, 1);
    read_all(h, &r, &scan);
    assert_int_equal(scan.meta.index, index);
    assert_int_equal(scan.info.items, OPS);
    assert_int_equal(scan.info.member, h->id);
    assert_int_equal(scan.info.hash, r.backup.hash);
    assert_int_equal(scan.info.hash, h->engine->fsm.hashes[index % FSM_HASHES_KEPT].hash);
    assert_true(cluster_id_equal(&scan.chain.cluster, &h->engine->identity.cluster));
    assert_int_equal(backup_files(h), 1);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_END), ST_OK);
    assert_int_equal(backup_files(h), 0);
}

static void more_backups_than_there_is_room_for_are_refused_until_one_ends(void **state)
{
    struct world *w = *state;
    struct host *h = world_leader(w);
    struct reader r[BACKUPS_MAX + 1] = {0};
    for (size_t i = 0; i < BACKUPS_MAX; i++) {
        assert_int_equal(step(h, &r[i], CONSENSUS_BACKUP_TAKE), ST_OK);
    }
    assert_int_equal(step(h, &r[BACKUPS_MAX], CONSENSUS_BACKUP_TAKE), ST_BUSY);
    assert_int_equal(step(h, &r[0], CONSENSUS_BACKUP_END), ST_OK);
    assert_int_equal(step(h, &r[BACKUPS_MAX], CONSENSUS_BACKUP_TAKE), ST_OK);
    read_all(h, &r[1], &scan);
    read_all(h, &r[BACKUPS_MAX], &scan);
}

static void a_member_without_a_cluster_has_nothing_to_back_up(void **state)
{
    struct world *w = *state;
    struct reader r = {0};
    assert_true(host_start(world_host(w, 1)));
    assert_int_equal(step(world_host(w, 1), &r, CONSENSUS_BACKUP_TAKE), ST_NO_LEADER);
}

static void a_backup_that_is_never_read_holds_no_log_and_no_snapshot(void **state)
{
    struct world *w = *state;
    struct host *h = world_leader(w);
    struct reader r = {0};
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_TAKE), ST_OK);
    host_fill(h, "1op", 3 * OPS, OP_BYTES);
    world_run(w, 500);
    assert_true(log_first_index(&h->engine->driver.log) > r.backup.index);
    read_all(h, &r, &scan);
    assert_int_equal(scan.info.items, 0);
}

/* Otherwise the file would stay forever. */
static void what_a_process_left_of_a_backup_is_removed_by_the_next(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    struct reader r = {0};
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_TAKE), ST_OK);
    host_lose_power(h);
    assert_true(host_start(h));
    assert_int_equal(backup_files(h), 0);
    host_kill(h);
    assert_true(host_start(h));
    assert_true(world_run_until(w, world_is_led, 5000));
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_TAKE), ST_OK);
    host_close(h);
    assert_int_equal(backup_files(h), 0);
}

static void a_stop_answers_a_backup_that_is_being_taken(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    struct reader r = {0};
    h->hold_work = true;
    begin(h, &r, CONSENSUS_BACKUP_TAKE);
    engine_fail_all(h->engine);
    assert_false(engine_may_close(h->engine));
    assert_false(r.is_done);
    while (host_work(h)) {
    }
    assert_true(r.is_done);
    assert_int_equal(r.status, ST_STOPPING);
    assert_true(engine_may_close(h->engine));
    begin(h, &r, CONSENSUS_BACKUP_TAKE);
    assert_int_equal(r.status, ST_STOPPING);
}

static void what_the_disk_changed_is_not_handed_out(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    struct reader r = {0};
    host_fill(h, "1op", OPS, OP_BYTES);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_TAKE), ST_OK);
    files_flip_bit(h->disk, SNAPSHOT_BACKUP_TEMPORARY "0", 8ull * 400 * 1024);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_READ), ST_OK); /* head, info, chunk */
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_READ), ST_OK);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_READ), ST_OK);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_READ), ST_IO);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_END), ST_OK);
    assert_true(host_is_alive(h));
    assert_int_equal(host_write(h, "1more"), ST_OK);
}

static void a_backup_leaves_space_to_the_log(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    struct reader r = {0};
    host_fill(h, "1op", OPS, OP_BYTES);
    world_run(w, 500);
    files_set_capacity(h->disk, files_used(h->disk) + BACKUP_SPACE_KEPT / 2);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_TAKE), ST_NO_SPACE);
    assert_int_equal(backup_files(h), 0);
    files_set_capacity(h->disk, 0);
    assert_int_equal(step(h, &r, CONSENSUS_BACKUP_TAKE), ST_OK);
    assert_int_equal(host_write(h, "1more"), ST_OK);
}

/* It concerns the backup only: whether the disk is sound is for the log to decide. */
static void an_error_at_any_call_of_a_backup_ends_that_alone(void **state)
{
    struct world *w = *state;
    struct host *h = world_follower(w);
    struct files_plan left, plan = {.fate = FILES_ERROR};
    bool hit = true;
    host_fill(h, "1op", OPS, OP_BYTES);
    world_run(w, 500);
    for (plan.calls = 0; hit; plan.calls++) {
        struct reader r = {0};
        plan.error = plan.calls % 2 == 0 ? EIO : EMFILE;
        files_plan(h->disk, &plan);
        if (step(h, &r, CONSENSUS_BACKUP_TAKE) == ST_OK) {
            do {
                (void)step(h, &r, CONSENSUS_BACKUP_READ);
            } while (r.status == ST_OK && r.backup.len > 0);
            assert_int_equal(step(h, &r, CONSENSUS_BACKUP_END), ST_OK);
        }
        assert_true(host_is_alive(h));
        hit = !files_take_plan(h->disk, &left);
        assert_true(hit || r.status == ST_OK);
    }
    assert_true(plan.calls > 10);
    print_message("%d calls\n", (int)plan.calls);
    assert_int_equal(host_write(h, "1more"), ST_OK);
}

#define FORMED(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORMED(a_backup_has_the_state_at_its_index),
        FORMED(more_backups_than_there_is_room_for_are_refused_until_one_ends),
        cmocka_unit_test_setup_teardown(a_member_without_a_cluster_has_nothing_to_back_up,
                                        world_set_up, world_tear_down),
        FORMED(a_backup_that_is_never_read_holds_no_log_and_no_snapshot),
        FORMED(what_a_process_left_of_a_backup_is_removed_by_the_next),
        FORMED(a_stop_answers_a_backup_that_is_being_taken),
        FORMED(what_the_disk_changed_is_not_handed_out),
        FORMED(a_backup_leaves_space_to_the_log),
        FORMED(an_error_at_any_call_of_a_backup_ends_that_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
