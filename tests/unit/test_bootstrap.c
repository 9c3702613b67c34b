/* The first start: all members read the same list, derive the same cluster id, and begin with the
 * same first entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "consensus/bootstrap.h"
#include "tests/unit/remove_tree.h"

struct fixture {
    char parent[64];
    char dir[96];
    char error[1024];
    struct storage *storage;
};

static const struct consensus_member three[] = {{.id = 1, .address = "a:9100"},
                                                {.id = 2, .address = "[::1]:9100"},
                                                {.id = 7, .address = "c:1"}};

static int set_up(void **state)
{
    const struct storage_identity identity = {
        .member_id = 1, .cluster_id = 5, .members = "1=a:9100,2=[::1]:9100,7=c:1"};
    struct storage_identity found;
    struct fixture *f = calloc(1, sizeof *f);
    (void)snprintf(f->parent, sizeof f->parent, "/tmp/muster-bootstrap-XXXXXX");
    assert_non_null(mkdtemp(f->parent));
    (void)snprintf(f->dir, sizeof f->dir, "%s/data", f->parent);
    f->storage = storage_open(f->dir, &identity, true, &found, f->error, sizeof f->error);
    assert_non_null(f->storage);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    storage_close(f->storage);
    remove_tree(f->parent);
    free(f);
    return 0;
}

/* --- the list --- */

static void a_list_of_members_comes_back(void **state)
{
    char text[256];
    struct consensus_member members[MEMBERS_MAX];
    size_t count = 0;
    (void)state;
    bootstrap_members_text(three, 3, text, sizeof text);
    assert_string_equal(text, "1=a:9100,2=[::1]:9100,7=c:1");
    assert_true(bootstrap_parse_members(text, members, &count));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(members[i].id, three[i].id);
        assert_string_equal(members[i].address, three[i].address);
    }
}

static void the_largest_list_fits_where_it_is_kept(void **state)
{
    struct consensus_member members[MEMBERS_MAX];
    struct consensus_member back[MEMBERS_MAX];
    struct storage_identity identity;
    size_t count;
    (void)state;
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        members[i].id = INT64_MAX - i;
        memset(members[i].address, 'a', sizeof members[i].address - 1);
        members[i].address[sizeof members[i].address - 1] = '\0';
    }
    bootstrap_members_text(members, MEMBERS_MAX, identity.members, sizeof identity.members);
    assert_true(bootstrap_parse_members(identity.members, back, &count));
    assert_int_equal(count, MEMBERS_MAX);
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        assert_true(back[i].id == members[i].id);
        assert_string_equal(back[i].address, members[i].address);
    }
}

static void malformed_lists_are_refused(void **state)
{
    static const char *const lists[] = {
        "",
        ",",
        "1",
        "1=",
        "=a:1",
        "x=a:1",
        "1=a:1,",
        ",1=a:1",
        "1=a:1,,2=b:1",
        "-1=a:1",
        "+1=a:1",
        " 1=a:1",
        "9223372036854775808=a:1",
        "123456789012345678901234567890=a:1",
        "1=a,2=b,3=c,4=d,5=e,6=f,7=g,8=h,9=i,10=j",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        struct consensus_member members[MEMBERS_MAX];
        size_t count = 99;
        assert_false(bootstrap_parse_members(lists[i], members, &count));
        assert_int_equal(count, 99);
    }
}

static void an_address_that_does_not_fit_is_refused(void **state)
{
    struct consensus_member members[MEMBERS_MAX];
    char text[400] = "1=";
    size_t count;
    (void)state;
    memset(text + 2, 'a', sizeof members[0].address);
    assert_false(bootstrap_parse_members(text, members, &count));
    text[2 + sizeof members[0].address - 1] = '\0';
    assert_true(bootstrap_parse_members(text, members, &count));
}

static void the_cluster_id_follows_from_the_list_alone(void **state)
{
    (void)state;
    uint64_t id = bootstrap_cluster_id("1=a:9100,2=b:9100");
    assert_true(id == bootstrap_cluster_id("1=a:9100,2=b:9100"));
    assert_true(id != bootstrap_cluster_id("1=a:9100,2=b:9101"));
    assert_true(id != bootstrap_cluster_id("2=b:9100,1=a:9100"));
    /* FNV-1a of published test vectors: it is in the identity files of running clusters. */
    assert_true(bootstrap_cluster_id("") == 0xcbf29ce484222325u);
    assert_true(bootstrap_cluster_id("foobar") == 0x85944171f73967e8u);
}

/* --- the log --- */

static int nothing_to_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    (void)fsm;
    (void)buf;
    *result = NULL;
    return 0;
}

static void ignore_closed(struct raft *raft)
{
    (void)raft;
}

static void a_new_log_begins_with_the_members_as_voters(void **state)
{
    struct fixture *f = *state;
    uv_loop_t loop;
    struct raft_uv_transport transport;
    struct raft raft = {0};
    struct raft_io io = {0};
    struct raft_fsm fsm = {.version = 1, .apply = nothing_to_apply};
    assert_true(storage_is_new(f->storage));
    assert_true(bootstrap_log(f->storage, 2, three, 3, f->error, sizeof f->error));
    assert_false(storage_is_new(f->storage));
    assert_int_equal(access(storage_staging_dir(f->storage), F_OK), -1);
    /* As libraft itself reads it. */
    assert_int_equal(uv_loop_init(&loop), 0);
    bootstrap_transport(&transport);
    assert_int_equal(raft_uv_init(&io, &loop, storage_raft_dir(f->storage), &transport), 0);
    assert_int_equal(raft_init(&raft, &io, &fsm, 2, "[::1]:9100"), 0);
    raft.tracer = NULL;
    assert_int_equal(raft_start(&raft), 0);
    assert_int_equal(raft_last_index(&raft), 1);
    assert_int_equal(raft_current_term(&raft), 1);
    assert_int_equal(raft.configuration.n, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(raft.configuration.servers[i].id, three[i].id);
        assert_string_equal(raft.configuration.servers[i].address, three[i].address);
        assert_int_equal(raft.configuration.servers[i].role, RAFT_VOTER);
    }
    raft_close(&raft, ignore_closed);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    raft_uv_close(&io);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_log_that_cannot_be_written_is_said_and_not_published(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(rmdir(storage_staging_dir(f->storage)), 0);
    assert_false(bootstrap_log(f->storage, 1, three, 3, f->error, sizeof f->error));
    assert_non_null(strstr(f->error, storage_staging_dir(f->storage)));
    assert_true(storage_is_new(f->storage));
    assert_int_equal(access(storage_raft_dir(f->storage), F_OK), -1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_members_comes_back),
        cmocka_unit_test(the_largest_list_fits_where_it_is_kept),
        cmocka_unit_test(malformed_lists_are_refused),
        cmocka_unit_test(an_address_that_does_not_fit_is_refused),
        cmocka_unit_test(the_cluster_id_follows_from_the_list_alone),
        CASE(a_new_log_begins_with_the_members_as_voters),
        CASE(a_log_that_cannot_be_written_is_said_and_not_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
