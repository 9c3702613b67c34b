/* Answers of the DNS door, read by another implementation (ldns), and questions of every kind of
 * damage. */
#include "tests/unit/registry_fixture.h"

#include <ldns/ldns.h>

#include "api/dns/answer.h"
#include "server/base/clock.h"
#include "server/base/random.h"

#define SEED 20261130

static uint8_t out[DNS_ANSWER_BYTES_MAX];

struct dns_fixture {
    struct fixture registry;
    struct dns_names *names;
    struct dns_answerer answerer;
    struct dns_asker asker;
};

static int set_up(void **state)
{
    void *registry = NULL;
    struct dns_fixture *f = calloc(1, sizeof *f);
    assert_int_equal(fixture_set_up_newest(&registry), 0);
    f->registry = *(struct fixture *)registry;
    free(registry);
    struct dns_settings settings = {.datacenter = "dc1", .udp_size = 4096};
    assert_true(dns_name_parse("consul.", &settings.domain));
    assert_true(near_parse("no", &settings.near));
    assert_true(ip_address_parse("10.0.0.9", &f->asker.address));
    f->names = dns_names_new();
    dns_answerer_init(&f->answerer, &settings, f->names);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct dns_fixture *f = *state;
    dns_answerer_done(&f->answerer);
    dns_names_free(f->names);
    struct fixture *registry = malloc(sizeof *registry);
    *registry = f->registry;
    free(f);
    void *of_registry = registry;
    return fixture_tear_down(&of_registry);
}

static void add(struct dns_fixture *f, const char *id, const char *name, const char *host)
{
    struct command command = command_register(id, name);
    struct result result;
    command.register_.registration.host = slice_of(host);
    fixture_begin(&f->registry);
    registry_apply(f->registry.registry, 0, &command, &result);
    registry_end(f->registry.registry);
    registry_publish(f->registry.registry);
    assert_int_equal(result.status, ST_OK);
    free(result.missed);
}

static void add_many(struct dns_fixture *f, const char *name, unsigned count)
{
    char id[64], host[64];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(id, sizeof id, "%s-%u", name, i);
        (void)snprintf(host, sizeof host, "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        add(f, id, name, host);
    }
}

static size_t answer(struct dns_fixture *f, const uint8_t *wire, size_t len)
{
    rcu_read_lock();
    size_t got = dns_answer(&f->answerer, fixture_view(&f->registry), &f->asker, wire, len,
                            clock_monotonic_ns(), out);
    rcu_read_unlock();
    return got;
}

/* The question as ldns writes it. */
static size_t question(const char *name, ldns_rr_type type, uint16_t udp_size, uint8_t **ret_wire)
{
    size_t len;
    ldns_pkt *q = ldns_pkt_query_new(ldns_dname_new_frm_str(name), type, LDNS_RR_CLASS_IN, 0);
    ldns_pkt_set_id(q, 4711);
    if (udp_size > 0) {
        ldns_pkt_set_edns_udp_size(q, udp_size);
    }
    assert_int_equal(ldns_pkt2wire(ret_wire, q, &len), LDNS_STATUS_OK);
    ldns_pkt_free(q);
    return len;
}

/* The answer as ldns reads it. */
static ldns_pkt *ask(struct dns_fixture *f, const char *name, ldns_rr_type type, uint16_t udp_size)
{
    uint8_t *wire;
    ldns_pkt *packet;
    size_t len = question(name, type, udp_size, &wire);
    size_t got = answer(f, wire, len);
    assert_true(got > 0 && (f->asker.is_tcp || got <= (udp_size > 512 ? udp_size : 512)));
    assert_int_equal(ldns_wire2pkt(&packet, out, got), LDNS_STATUS_OK);
    assert_true(ldns_pkt_qr(packet) && !ldns_pkt_ra(packet));
    assert_int_equal(ldns_pkt_id(packet), 4711);
    free(wire);
    return packet;
}

/* The records of an answer's section. */
static size_t count(const ldns_pkt *packet, ldns_rr_type type)
{
    size_t found = 0;
    const ldns_rr_list *all = ldns_pkt_answer(packet);
    for (size_t i = 0; i < ldns_rr_list_rr_count(all); i++) {
        found += ldns_rr_get_type(ldns_rr_list_rr(all, i)) == type;
    }
    return found;
}

/* --- what is answered --- */

static void addresses_of_both_families_are_told(void **state)
{
    struct dns_fixture *f = *state;
    add(f, "a", "web", "10.0.0.1");
    add(f, "b", "web", "2001:db8::1");
    add(f, "c", "web", "10.0.0.1");
    static const struct {
        ldns_rr_type type;
        size_t ipv4, ipv6;
    } cases[] = {{LDNS_RR_TYPE_A, 1, 0}, {LDNS_RR_TYPE_AAAA, 0, 1}, {LDNS_RR_TYPE_ANY, 1, 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        ldns_pkt *packet = ask(f, "web.service.consul.", cases[i].type, 1232);
        assert_int_equal(count(packet, LDNS_RR_TYPE_A), cases[i].ipv4);
        assert_int_equal(count(packet, LDNS_RR_TYPE_AAAA), cases[i].ipv6);
        ldns_pkt_free(packet);
    }
}

static void addresses_that_srv_points_to_are_those_of_the_instances(void **state)
{
    struct dns_fixture *f = *state;
    add_many(f, "web", 40);
    ldns_pkt *packet = ask(f, "web.service.consul.", LDNS_RR_TYPE_SRV, 4096);
    const ldns_rr_list *pointers = ldns_pkt_answer(packet), *more = ldns_pkt_additional(packet);
    assert_int_equal(ldns_rr_list_rr_count(pointers), 40);
    assert_int_equal(ldns_rr_list_rr_count(more), 40);
    for (size_t i = 0; i < 40; i++) {
        const ldns_rdf *target = ldns_rr_rdf(ldns_rr_list_rr(pointers, i), 3);
        assert_int_equal(ldns_dname_compare(target, ldns_rr_owner(ldns_rr_list_rr(more, i))), 0);
    }
    ldns_pkt_free(packet);
}

static void answers_beyond_the_reach_of_pointers_are_whole(void **state)
{
    struct dns_fixture *f = *state;
    f->asker.is_tcp = true;
    add_many(f, "web", 5000);
    ldns_pkt *packet = ask(f, "web.service.consul.", LDNS_RR_TYPE_SRV, 0);
    assert_in_range(count(packet, LDNS_RR_TYPE_SRV), 1200, 1500);
    assert_false(ldns_pkt_tc(packet));
    ldns_pkt_free(packet);
    packet = ask(f, "web.service.consul.", LDNS_RR_TYPE_A, 0);
    assert_in_range(count(packet, LDNS_RR_TYPE_A), 4000, 4096);
    ldns_pkt_free(packet);
    add_many(f, "most", 600);
    packet = ask(f, "most.service.consul.", LDNS_RR_TYPE_SRV, 0);
    assert_int_equal(count(packet, LDNS_RR_TYPE_SRV), 600);
    assert_int_equal(ldns_rr_list_rr_count(ldns_pkt_additional(packet)), 600);
    ldns_pkt_free(packet);
}

static void answer_that_is_cut_says_so_and_has_what_fits(void **state)
{
    struct dns_fixture *f = *state;
    static const uint16_t sizes[] = {0, 512, 600, 1232, 4096, 65535};
    add_many(f, "web", 400);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        ldns_pkt *packet = ask(f, "web.service.consul.", LDNS_RR_TYPE_A, sizes[i]);
        assert_true(ldns_pkt_tc(packet));
        assert_in_range(count(packet, LDNS_RR_TYPE_A), 28, 254);
        assert_int_equal(ldns_pkt_edns(packet), sizes[i] > 0);
        ldns_pkt_free(packet);
    }
}

static void replica_that_has_not_caught_up_says_that_it_cannot(void **state)
{
    struct dns_fixture *f = *state;
    uint8_t *wire;
    size_t len = question("web.service.consul.", LDNS_RR_TYPE_A, 0, &wire);
    assert_true(dns_answer(&f->answerer, NULL, &f->asker, wire, len, 0, out) > 0);
    assert_int_equal(out[3] & 15, DNS_SERVFAIL);
    free(wire);
}

static void slip_is_no_larger_than_its_question(void **state)
{
    uint8_t *wire;
    (void)state;
    size_t len = question("web.service.consul.", LDNS_RR_TYPE_A, 4096, &wire);
    size_t got = dns_answer_slip(wire, len, out);
    assert_in_range(got, DNS_HEADER_BYTES, len);
    assert_int_equal(out[2] & 2, 2);
    assert_int_equal(dns_answer_slip(wire, 5, out), 0);
    free(wire);
}

/* --- the index --- */

static void index_of_many_is_made_in_slices(void **state)
{
    struct dns_fixture *f = *state;
    add_many(f, "web", 5000);
    ldns_pkt *packet = ask(f, "1.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, 0);
    ldns_pkt_free(packet);
    unsigned slices = 1;
    rcu_read_lock();
    while (dns_names_step(f->names, fixture_view(&f->registry), clock_monotonic_ns())) {
        slices++;
    }
    rcu_read_unlock();
    assert_in_range(slices, 2, 10);
    packet = ask(f, "1.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, 0);
    assert_int_equal(count(packet, LDNS_RR_TYPE_PTR), 1);
    ldns_pkt_free(packet);
}

static void index_knows_no_instance_that_is_gone(void **state)
{
    struct dns_fixture *f = *state;
    add(f, "a", "web", "10.0.0.1");
    ldns_pkt *packet = ask(f, "1.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, 0);
    assert_int_equal(count(packet, LDNS_RR_TYPE_PTR), 1);
    ldns_pkt_free(packet);
    add(f, "a", "web", "10.0.0.2");
    packet = ask(f, "1.0.0.10.in-addr.arpa.", LDNS_RR_TYPE_PTR, 0);
    assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_REFUSED);
    ldns_pkt_free(packet);
}

/* --- damage --- */

/* Either nothing, or what ldns can read. */
static void assert_readable(struct dns_fixture *f, const uint8_t *wire, size_t len)
{
    ldns_pkt *packet;
    size_t got = answer(f, wire, len);
    if (got > 0) {
        assert_int_equal(ldns_wire2pkt(&packet, out, got), LDNS_STATUS_OK);
        ldns_pkt_free(packet);
    }
}

static void damaged_questions_are_dropped_or_answered_readably(void **state)
{
    struct dns_fixture *f = *state;
    uint8_t *wire, copy[512];
    uint64_t random = SEED;
    add(f, "a", "web", "10.0.0.1");
    size_t len = question("blue.web.service.dc1.consul.", LDNS_RR_TYPE_SRV, 1232, &wire);
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(copy, wire, cut);
        assert_readable(f, copy, cut);
    }
    for (unsigned i = 0; i < 20000; i++) {
        memcpy(copy, wire, len);
        for (unsigned k = 0; k <= i % 4; k++) {
            copy[random_next(&random) % len] = (uint8_t)random_next(&random);
        }
        assert_readable(f, copy, len);
    }
    free(wire);
}

static void longest_names_are_answered(void **state)
{
    struct dns_fixture *f = *state;
    char name[512] = "";
    for (unsigned i = 0; i < 3; i++) {
        memset(name + strlen(name), 'a', 60);
        name[61 * (i + 1) - 1] = '.';
    }
    (void)snprintf(name + strlen(name), 200, "%.50s.service.consul.",
                   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    ldns_pkt *packet = ask(f, name, LDNS_RR_TYPE_SRV, 0);
    assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_NXDOMAIN);
    ldns_pkt_free(packet);
}

/* --- nearness --- */

static void near_rules_are_parsed_or_refused(void **state)
{
    (void)state;
    struct near near;
    static const char *const good[] = {"no", "subnet", "10.0.0.0/8=a", "::/0=x,10.1.0.0/16=y"};
    static const char *const bad[] = {
        "",         "10.0.0.0/8",  "10.0.0.0/33=a", "10.0.0/8=a", "10.0.0.0/8=a,",
        "::/129=a", "10.0.0.0/8=", "10.0.0.256/8=a"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(near_parse(good[i], &near));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert_false(near_parse(bad[i], &near));
    }
}

static void longest_subnet_says_the_zone(void **state)
{
    (void)state;
    struct near near;
    struct ip_address asker;
    assert_true(near_parse("10.0.0.0/8=a,10.1.0.0/16=b,2001:db8::/33=c", &near));
    assert_true(ip_address_parse("10.1.2.3", &asker));
    assert_string_equal(near_zone_of(&near, &asker), "b");
    assert_true(ip_address_parse("10.2.2.3", &asker));
    assert_string_equal(near_zone_of(&near, &asker), "a");
    assert_true(ip_address_parse("2001:db8:7fff::1", &asker));
    assert_string_equal(near_zone_of(&near, &asker), "c");
    assert_true(ip_address_parse("2001:db8:8000::1", &asker));
    assert_null(near_zone_of(&near, &asker));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addresses_of_both_families_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_that_srv_points_to_are_those_of_the_instances,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_beyond_the_reach_of_pointers_are_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(answer_that_is_cut_says_so_and_has_what_fits, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(replica_that_has_not_caught_up_says_that_it_cannot, set_up,
                                        tear_down),
        cmocka_unit_test(slip_is_no_larger_than_its_question),
        cmocka_unit_test_setup_teardown(index_of_many_is_made_in_slices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(index_knows_no_instance_that_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_questions_are_dropped_or_answered_readably, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(longest_names_are_answered, set_up, tear_down),
        cmocka_unit_test(near_rules_are_parsed_or_refused),
        cmocka_unit_test(longest_subnet_says_the_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
