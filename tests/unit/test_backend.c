/* What the guard relies on in libraft's disk backend, and its documentation does not say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <raft.h>
#include <raft/uv.h>
#include <uv.h>

#include "consensus/bootstrap.h"
#include "tests/unit/remove_tree.h"

#define ENTRY_BYTES 64
#define ENTRIES     8

struct fixture {
    char dir[64];
    struct uv_loop_s loop;
    struct raft_uv_transport transport;
    struct raft_io io;
    unsigned waiting; /* callbacks to come */
    struct raft_io_append appends[2];
    uint64_t content[ENTRIES][ENTRY_BYTES / 8];
    /* as loaded */
    struct raft_snapshot *snapshot;
    raft_index start_index;
    struct raft_entry *entries;
    size_t count;
};

static struct fixture f;

static void on_tick(struct raft_io *io)
{
    (void)io;
}

static void on_receive(struct raft_io *io, struct raft_message *message)
{
    (void)io, (void)message;
}

static void on_closed(struct raft_io *io)
{
    (void)io;
    f.waiting--;
}

static void on_appended(struct raft_io_append *req, int status)
{
    (void)req, (void)status;
    f.waiting--;
}

static void on_put(struct raft_io_snapshot_put *req, int status)
{
    (void)req;
    assert_int_equal(status, 0);
    f.waiting--;
}

static void run(void)
{
    while (f.waiting > 0) {
        (void)uv_run(&f.loop, UV_RUN_ONCE);
    }
}

static void configure(struct raft_configuration *configuration)
{
    raft_configuration_init(configuration);
    assert_int_equal(raft_configuration_add(configuration, 1, "a:1", RAFT_VOTER), 0);
}

static void load(void)
{
    raft_term term;
    raft_id vote;
    assert_int_equal(uv_loop_init(&f.loop), 0);
    bootstrap_transport(&f.transport);
    f.io = (struct raft_io){0};
    assert_int_equal(raft_uv_init(&f.io, &f.loop, f.dir, &f.transport), 0);
    raft_uv_set_auto_recovery(&f.io, false);
    assert_int_equal(f.io.init(&f.io, 1, "a:1"), 0);
    int rv = f.io.load(&f.io, &term, &vote, &f.snapshot, &f.start_index, &f.entries, &f.count);
    assert_int_equal(rv, 0);
}

static void forget_loaded(void)
{
    for (size_t i = 0; i < f.count; i++) {
        if (i == 0 || f.entries[i].batch != f.entries[i - 1].batch) {
            raft_free(f.entries[i].batch);
        }
    }
    raft_free(f.entries);
    if (f.snapshot != NULL) {
        raft_free(f.snapshot->bufs[0].base);
        raft_free(f.snapshot->bufs);
        raft_configuration_close(&f.snapshot->configuration);
        raft_free(f.snapshot);
    }
}

static void end(void)
{
    forget_loaded();
    f.waiting = 1;
    f.io.close(&f.io, on_closed);
    run();
    raft_uv_close(&f.io);
    while (uv_loop_close(&f.loop) != 0) {
        (void)uv_run(&f.loop, UV_RUN_ONCE);
    }
}

static void append(unsigned request, unsigned count, raft_term term)
{
    struct raft_entry entries[ENTRIES] = {0};
    for (unsigned i = 0; i < count; i++) {
        entries[i] = (struct raft_entry){
            .term = term, .type = RAFT_COMMAND, .buf = {f.content[i], ENTRY_BYTES}};
    }
    f.waiting++;
    assert_int_equal(f.io.append(&f.io, &f.appends[request], entries, count, on_appended), 0);
}

static int set_up(void **state)
{
    (void)state;
    struct raft_configuration configuration;
    f = (struct fixture){0};
    (void)snprintf(f.dir, sizeof f.dir, "/tmp/muster-backend-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    load();
    configure(&configuration);
    assert_int_equal(f.io.bootstrap(&f.io, &configuration), 0);
    raft_configuration_close(&configuration);
    end();
    load();
    assert_int_equal(f.start_index + f.count, 2); /* the configuration is the first entry */
    assert_int_equal(f.io.start(&f.io, 1000, on_tick, on_receive), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_tree(f.dir);
    return 0;
}

/* Entry 2 to 8 are there, of term 1, the last three perhaps on their way. A leader's snapshot of
 * entry 5 has term 2. */
static void replace_from_5(void)
{
    struct raft_io_snapshot_put put;
    struct raft_configuration configuration;
    uint64_t state = 7;
    struct raft_buffer buf = {&state, sizeof state};
    configure(&configuration);
    const struct raft_snapshot snapshot = {.index = 5,
                                           .term = 2,
                                           .configuration = configuration,
                                           .configuration_index = 1,
                                           .bufs = &buf,
                                           .n_bufs = 1};
    assert_int_equal(f.io.truncate(&f.io, 5), 0);
    f.waiting++;
    assert_int_equal(f.io.snapshot_put(&f.io, 0, &put, &snapshot, on_put), 0);
    run();
    raft_configuration_close(&configuration);
    append(0, 2, 2);
    run();
    end();
    load();
    assert_non_null(f.snapshot);
    assert_int_equal(f.snapshot->index, 5);
    assert_int_equal(f.snapshot->term, 2);
    assert_int_equal(f.start_index, 6);
    assert_int_equal(f.count, 2);
    assert_int_equal(f.entries[0].term, 2);
    end();
}

static void a_log_is_cut_and_replaced_by_a_snapshot_in_one_go(void **state)
{
    (void)state;
    append(0, 7, 1);
    run();
    replace_from_5();
}

static void so_it_is_while_the_end_of_the_log_is_being_written(void **state)
{
    (void)state;
    append(0, 4, 1);
    run();
    append(1, 3, 1);
    replace_from_5();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_is_cut_and_replaced_by_a_snapshot_in_one_go, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(so_it_is_while_the_end_of_the_log_is_being_written, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
