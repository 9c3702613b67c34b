/* Admission, and what either side learns of the other: facts, verdicts, earlier processes. */
#include "tests/unit/peer_fixture.h"

/* Like start(), but with the facts that `change` modifies. */
static struct node *start_changed(struct fixture *f, uint64_t slot,
                                  void (*change)(struct hello_facts *facts))
{
    struct hello_facts facts = facts_of(slot);
    change(&facts);
    return start_as(f, slot, &facts, SECRET);
}

static void in_another_cluster(struct hello_facts *facts)
{
    facts->cluster.bytes[15]++;
}

static void as_new(struct hello_facts *facts)
{
    facts->cluster = (struct cluster_id){{0}};
}

static void as_new_with_another_list(struct hello_facts *facts)
{
    as_new(facts);
    facts->list_hash++;
}

static void of_later_levels(struct hello_facts *facts)
{
    facts->level_min = 2;
    facts->level_max = 3;
}

static void assert_never_up(struct fixture *f, struct node *a, struct node *b)
{
    RUN_UNTIL(f, refused(f) >= 6);
    assert_false(peers_is_up(a->p, 2));
    assert_false(peers_is_up(b->p, 1));
    assert_int_equal(a->state_count[2], 0);
    assert_int_equal(a->joined_count[2] + b->joined_count[1], 0);
}

static void assert_same_facts(const struct hello_facts *a, const struct hello_facts *b)
{
    assert_true(cluster_id_equal(&a->cluster, &b->cluster));
    assert_int_equal(a->member, b->member);
    assert_int_equal(a->life, b->life);
    assert_int_equal(a->boot, b->boot);
    assert_int_equal(a->level_min, b->level_min);
    assert_int_equal(a->level_max, b->level_max);
    assert_int_equal(a->list_hash, b->list_hash);
}

/* --- refusals --- */

static void wrong_secret_is_refused(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct hello_facts facts = facts_of(2);
    struct node *b = start_as(f, 2, &facts, "another secret for tests");
    introduce(a, b);
    assert_never_up(f, a, b);
}

static void empty_secret_is_one_like_others(void **state)
{
    struct fixture *f = *state;
    struct hello_facts one = facts_of(1), two = facts_of(2), three = facts_of(3);
    struct node *a = start_as(f, 1, &one, "");
    struct node *b = start_as(f, 2, &two, "");
    struct node *c = start_as(f, 3, &three, SECRET);
    introduce(a, c);
    link_up(f, a, b);
    RUN_UNTIL(f, refused(f) >= 2);
    assert_false(peers_is_up(a->p, 3));
    assert_false(peers_is_up(c->p, 1));
}

static void wrong_cluster_is_refused(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start_changed(f, 2, in_another_cluster);
    introduce(a, b);
    assert_never_up(f, a, b);
}

static void new_ones_with_other_lists_are_refused(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_changed(f, 1, as_new);
    struct node *b = start_changed(f, 2, as_new_with_another_list);
    introduce(a, b);
    assert_never_up(f, a, b);
}

static void members_without_a_level_in_common_are_refused(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start_changed(f, 2, of_later_levels);
    introduce(a, b);
    assert_never_up(f, a, b);
}

static void wrong_member_is_refused(void **state)
{
    struct fixture *f = *state;
    struct hello_facts facts = facts_of(3);
    struct node *a = start(f, 1);
    struct node *b = start_as(f, 2, &facts, SECRET); /* at member 2's address */
    know(a, 2, b->address);
    know(a, 3, f->nodes[3].address);
    know(b, 1, f->nodes[3].address);
    RUN_UNTIL(f, refused(f) >= 3);
    assert_false(peers_is_up(a->p, 2));
    assert_int_equal(b->joined_count[1], 0);
}

static void same_member_id_is_refused(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct hello_facts twin = facts_of(1);
    twin.life++;
    struct node *b = start_as(f, 2, &twin, SECRET);
    know(a, 2, b->address);
    know(b, 2, a->address);
    a->known[1] = b->known[1] = true;
    RUN_UNTIL(f, refused(f) >= 4);
    assert_int_equal(a->joined_count[1] + b->joined_count[1], 0);
    assert_false(peers_is_up(a->p, 2));
}

static void address_that_leads_to_ourselves_is_refused(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    know(a, 2, a->address);
    a->known[1] = true;
    RUN_UNTIL(f, refused(f) >= 3);
    assert_false(peers_is_up(a->p, 2));
    assert_int_equal(a->joined_count[1], 0);
}

static void admit_refuses_on_either_side(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    a->admits[2] = HELLO_EARLIER_LIFE;
    introduce(a, b);
    assert_never_up(f, a, b);
    /* And admits it once it may. */
    a->admits[2] = HELLO_ACCEPTED;
    RUN_UNTIL(f, peers_is_up(a->p, 2) && peers_is_up(b->p, 1));
}

static void unknown_member_may_be_let_in(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    know(b, 1, a->address);
    RUN_UNTIL(f, refused(f) >= 2);
    assert_false(peers_is_up(b->p, 1));
    a->known[2] = true; /* though we keep no link to it */
    RUN_UNTIL(f, peers_is_up(b->p, 1));
    assert_int_equal(send_plain(f, b, 1, 1, false, "x", 1), ST_OK);
    RUN_UNTIL(f, a->received_count == 1);
    a->known[2] = false;
    peers_remove(a->p, 2);
    RUN_UNTIL(f, !peers_is_up(b->p, 1));
}

static void take_part_in_closing(struct node *n)
{
    n->on_admit = NULL;
    peers_close(n->p, on_closed);
}

static void closing_inside_admit_is_fine(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    a->on_admit = b->on_admit = take_part_in_closing;
    introduce(a, b);
    RUN_UNTIL(f, a->closed || b->closed);
    struct node *other = a->closed ? b : a;
    if (other->on_admit != NULL) {
        other->on_admit = NULL;
        peers_close(other->p, on_closed);
    }
    RUN_UNTIL(f, a->closed && b->closed);
    forget(a);
    forget(b);
}

/* --- facts --- */

static void both_sides_learn_the_facts_of_the_other(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_changed(f, 1, as_new);
    struct node *b = start(f, 2); /* new with formed: admission is for the layer above */
    link_up(f, a, b);
    RUN_UNTIL(f, a->joined_count[2] == 1 && b->joined_count[1] == 1);
    assert_same_facts(&a->linked[2], &b->self);
    assert_same_facts(&a->joined[2], &b->self);
    assert_same_facts(&b->linked[1], &a->self);
    assert_same_facts(&b->joined[1], &a->self);
    assert_int_equal(send_plain(f, a, 2, 1, false, "x", 1), ST_OK);
    RUN_UNTIL(f, b->received_count == 1);
    assert_int_equal(b->received[0].from, 1);
    assert_int_equal(b->received[0].life, a->self.life);
}

static void links_are_made_again_with_other_facts(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_changed(f, 1, as_new);
    struct node *b = start_changed(f, 2, as_new);
    link_up(f, a, b);
    RUN_UNTIL(f, a->joined_count[2] == 1 && b->joined_count[1] == 1);
    a->self.cluster.bytes[0] = 9;
    peers_set_self(a->p, &a->self);
    assert_int_equal(a->state_count[2], 1); /* not from inside the call */
    RUN_UNTIL(f, a->joined_count[2] == 2 && b->joined_count[1] == 2);
    RUN_UNTIL(f, peers_is_up(a->p, 2) && peers_is_up(b->p, 1));
    assert_same_facts(&b->linked[1], &a->self);
    assert_same_facts(&b->joined[1], &a->self);
    assert_int_equal(a->states[2][1], PEER_DOWN);
    assert_int_equal(refused(f), 0);
    /* And if both connect at the same time. */
    b->self.cluster.bytes[0] = 9;
    peers_set_self(a->p, &a->self);
    peers_set_self(b->p, &b->self);
    RUN_UNTIL(f, a->joined_count[2] >= 3 && b->joined_count[1] >= 3);
    RUN_UNTIL(f, peers_is_up(a->p, 2) && peers_is_up(b->p, 1));
    assert_same_facts(&a->linked[2], &b->self);
}

/* --- successive processes --- */

/* A second process as member 2, in slot 3, while the first continues. */
static struct node *start_after(struct fixture *f, uint64_t life, uint64_t boot)
{
    struct hello_facts facts = facts_of(2);
    facts.life = life;
    facts.boot = boot;
    struct node *c = start_as(f, 3, &facts, SECRET);
    know(c, 1, f->nodes[1].address);
    return c;
}

static void later_boot_closes_links_of_the_earlier(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    RUN_UNTIL(f, a->joined_count[2] == 1);
    struct node *c = start_after(f, b->self.life, 2);
    /* The earlier one is disconnected, and our link re-established, which leads to it again. */
    RUN_UNTIL(f, peers_is_up(c->p, 1) && a->joined[2].boot == 2 && a->state_count[2] >= 2);
    assert_int_equal(a->states[2][1], PEER_DOWN);
    /* Now it can neither come back nor be taken for the member. */
    RUN_UNTIL(f, refused(f) >= 2);
    run_for(f, 4 * RETRY_MS);
    assert_false(peers_is_up(a->p, 2));
    assert_false(peers_is_up(b->p, 1));
    assert_true(peers_is_up(c->p, 1));
    know(a, 2, c->address);
    RUN_UNTIL(f, peers_is_up(a->p, 2));
    assert_int_equal(a->linked[2].boot, 2);
}

static void other_life_closes_links_of_the_former(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    link_up(f, a, b);
    RUN_UNTIL(f, a->joined_count[2] == 1);
    stop(f, b);
    RUN_UNTIL(f, a->states[2][a->state_count[2] - 1] == PEER_REFUSED);
    struct node *c = start_after(f, 77, 1);
    RUN_UNTIL(f, a->joined_count[2] == 2);
    assert_int_equal(a->joined[2].life, 77);
    know(a, 2, c->address);
    RUN_UNTIL(f, peers_is_up(a->p, 2));
    assert_int_equal(a->linked[2].life, 77);
}

static void link_to_a_later_process_closes_the_earlier_one_from_it(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 2);
    know(b, 1, a->address);
    a->known[2] = true;
    RUN_UNTIL(f, a->joined_count[2] == 1);
    struct hello_facts facts = facts_of(2);
    facts.boot = 2;
    struct node *c = start_as(f, 3, &facts, SECRET);
    c->known[1] = true; /* does not dial */
    know(a, 2, c->address);
    RUN_UNTIL(f, peers_is_up(a->p, 2));
    RUN_UNTIL(f, !peers_is_up(b->p, 1));
    run_for(f, 4 * RETRY_MS);
    assert_int_equal(a->joined_count[2], 1);
    assert_false(peers_is_up(b->p, 1));
}

/* Everything twice: plain, and over TLS. */
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down),                                      \
        cmocka_unit_test_setup_teardown(name, set_up_tls, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_secret_is_refused),
        TEST(empty_secret_is_one_like_others),
        TEST(wrong_cluster_is_refused),
        TEST(new_ones_with_other_lists_are_refused),
        TEST(members_without_a_level_in_common_are_refused),
        TEST(wrong_member_is_refused),
        TEST(same_member_id_is_refused),
        TEST(address_that_leads_to_ourselves_is_refused),
        TEST(admit_refuses_on_either_side),
        TEST(unknown_member_may_be_let_in),
        TEST(closing_inside_admit_is_fine),
        TEST(both_sides_learn_the_facts_of_the_other),
        TEST(links_are_made_again_with_other_facts),
        TEST(later_boot_closes_links_of_the_earlier),
        TEST(other_life_closes_links_of_the_former),
        TEST(link_to_a_later_process_closes_the_earlier_one_from_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
