/* Members are found at the address that they announce, at a new one in the list, or at the
 * configured one; and the configuration follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

static const struct consensus_member elsewhere[3] = {
    {.id = 1, .address = "new1:9200"},
    {.id = 2, .address = "new2:9200"},
    {.id = 3, .address = "new3:9200"},
};

/* Whether all running members have this address in their configuration. */
static bool is_configured_at(struct world *w, uint64_t id, const char *address)
{
    for (uint64_t at = 1; at <= w->count; at++) {
        struct host *h = world_host(w, at);
        const struct member *m = h->engine != NULL ? member_info_find(h->engine, id) : NULL;
        if (h->engine != NULL && (m == NULL || strcmp(m->info.peer_address, address) != 0)) {
            return false;
        }
    }
    return true;
}

static bool all_moved(struct world *w)
{
    return world_is_led(w) && is_configured_at(w, 1, elsewhere[0].address) &&
           is_configured_at(w, 2, elsewhere[1].address) &&
           is_configured_at(w, 3, elsewhere[2].address);
}

static void move(struct host *h)
{
    h->address = h->advertised_address = elsewhere[h->id - 1].address;
}

static void assert_works(struct world *w)
{
    assert_true(world_run_until(w, world_is_led, 10000));
    for (uint64_t id = 1; id <= w->count; id++) {
        assert_int_equal(host_write(world_host(w, id), "1op"), ST_OK);
    }
}

/* The others knew only its earlier address. It may be the leader. */
static void assert_moves(struct world *w, struct host *h)
{
    host_kill(h);
    move(h);
    assert_true(world_run_until(w, world_is_led, 10000));
    assert_true(host_start(h));
    assert_works(w);
    world_run(w, 1000);
    assert_true(is_configured_at(w, h->id, h->address));
    /* They know it after a restart, too, though their lists differ. */
    for (uint64_t id = 1; id <= w->count; id++) {
        host_kill(world_host(w, id));
    }
    h->advertised_address = NULL;
    assert_true(world_start_all(w));
    assert_works(w);
}

static void a_member_that_is_elsewhere_is_found_there(void **state)
{
    assert_moves(*state, world_follower(*state));
}

static void a_leader_that_comes_back_elsewhere_is_found_there(void **state)
{
    assert_moves(*state, world_leader(*state));
}

static void one_after_the_other_moves(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        host_kill(world_host(w, id));
        move(world_host(w, id));
        assert_true(host_start(world_host(w, id)));
        assert_works(w);
        world_run(w, 1000);
    }
    assert_true(world_run_until(w, all_moved, 5000));
}

static void a_leader_that_learns_that_it_is_elsewhere_says_so(void **state)
{
    struct world *w = *state;
    struct host *h = world_leader(w);
    h->engine->options.advertised_address = h->address = elsewhere[h->id - 1].address;
    world_run(w, 1000);
    assert_true(is_configured_at(w, h->id, h->address));
    assert_works(w);
}

/* Nobody is where the others expect it. */
static void a_network_that_moved_works_with_the_new_list(void **state)
{
    struct world *w = *state;
    for (uint64_t id = 1; id <= 3; id++) {
        host_kill(world_host(w, id));
        move(world_host(w, id));
    }
    assert_true(world_start_all(w));
    world_run(w, 5000);
    assert_false(world_is_led(w));
    for (uint64_t id = 1; id <= 3; id++) {
        struct host *h = world_host(w, id);
        host_kill(h);
        h->list = elsewhere;
        h->list_count = 3;
    }
    assert_true(world_start_all(w));
    assert_works(w);
    assert_true(world_run_until(w, all_moved, 5000));
    /* From now on the configuration counts: a later address wins over the list. */
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(world_host(w, id)->engine->links.moved_count, 0);
    }
    /* The directory has the new list: another start with it changes nothing. */
    host_kill(world_host(w, 2));
    assert_true(host_start(world_host(w, 2)));
    assert_int_equal(world_host(w, 2)->engine->links.moved_count, 0);
    assert_works(w);
}

static void a_list_with_a_member_that_the_cluster_does_not_have_is_refused(void **state)
{
    static const struct consensus_member other[] = {{.id = 1, .address = "host1:9100"},
                                                    {.id = 4, .address = "host4:9100"}};
    struct world *w = *state;
    struct host *h = world_host(w, 1);
    host_kill(h);
    h->list = other;
    h->list_count = 2;
    assert_false(host_start(h));
    assert_non_null(strstr(h->last_words, "belongs to another cluster"));
    h->list = NULL;
    assert_true(host_start(h));
    assert_works(w);
}

/* The first list promised nothing to anybody. */
static void a_wrong_list_can_be_corrected_until_the_cluster_is_formed(void **state)
{
    static const struct consensus_member wrong[] = {{.id = 1, .address = "host1:9100"},
                                                    {.id = 4, .address = "host4:9100"}};
    struct world *w = *state;
    struct host *h = world_host(w, 1);
    h->list = wrong;
    h->list_count = 2;
    assert_true(world_start_all(w));
    world_run(w, 3000);
    assert_false(h->engine->running);
    host_kill(h);
    h->list = NULL;
    assert_true(host_start(h));
    assert_works(w);
}

#define FORMED(f) cmocka_unit_test_setup_teardown(f, world_set_up_formed, world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORMED(a_member_that_is_elsewhere_is_found_there),
        FORMED(a_leader_that_comes_back_elsewhere_is_found_there),
        FORMED(one_after_the_other_moves),
        FORMED(a_leader_that_learns_that_it_is_elsewhere_says_so),
        FORMED(a_network_that_moved_works_with_the_new_list),
        FORMED(a_list_with_a_member_that_the_cluster_does_not_have_is_refused),
        cmocka_unit_test_setup_teardown(a_wrong_list_can_be_corrected_until_the_cluster_is_formed,
                                        world_set_up, world_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
