/* The list of first members as users write it, and Raft's configuration: encoding, decoding, and
 * full validation of what others send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/configuration.h"
#include "consensus/disk/identity.h"
#include "consensus/disk/snapshot_file.h"

static const struct consensus_member three[] = {{.id = 1, .address = "a:9100"},
                                                {.id = 2, .address = "[::1]:9100"},
                                                {.id = 7, .address = "c:1"}};

/* The longest that fits. */
static struct consensus_member long_member(uint64_t id)
{
    struct consensus_member member = {.id = id};
    memset(member.address, 'a', sizeof member.address - 1);
    return member;
}

/* --- the list --- */

static void a_list_of_members_comes_back(void **state)
{
    char text[256];
    struct consensus_member members[MEMBERS_MAX];
    size_t count = 0;
    (void)state;
    configuration_members_text(three, 3, text, sizeof text);
    assert_string_equal(text, "1=a:9100,2=[::1]:9100,7=c:1");
    assert_true(configuration_parse_members(text, members, &count));
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(members[i].id, three[i].id);
        assert_string_equal(members[i].address, three[i].address);
    }
}

static void the_largest_list_fits_where_it_is_kept(void **state)
{
    struct consensus_member members[CLUSTER_MEMBERS_MAX];
    struct consensus_member back[CLUSTER_MEMBERS_MAX];
    struct identity identity;
    size_t count;
    (void)state;
    for (size_t i = 0; i < CLUSTER_MEMBERS_MAX; i++) {
        members[i] = long_member(INT64_MAX - i);
    }
    configuration_members_text(members, CLUSTER_MEMBERS_MAX, identity.members,
                               sizeof identity.members);
    assert_true(configuration_parse_members(identity.members, back, &count));
    assert_int_equal(count, CLUSTER_MEMBERS_MAX);
    for (size_t i = 0; i < CLUSTER_MEMBERS_MAX; i++) {
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
        assert_false(configuration_parse_members(lists[i], members, &count));
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
    assert_false(configuration_parse_members(text, members, &count));
    text[2 + sizeof members[0].address - 1] = '\0';
    assert_true(configuration_parse_members(text, members, &count));
}

static void the_hash_of_a_list_tells_it_from_others(void **state)
{
    (void)state;
    uint64_t hash = configuration_members_hash("1=a:9100,2=b:9100");
    assert_true(hash == configuration_members_hash("1=a:9100,2=b:9100"));
    assert_true(hash != configuration_members_hash("1=a:9100,2=b:9101"));
    assert_true(hash != configuration_members_hash("2=b:9100,1=a:9100"));
    /* Published test vectors of FNV-1a: members of different versions compare it. */
    assert_true(configuration_members_hash("") == 0xcbf29ce484222325u);
    assert_true(configuration_members_hash("foobar") == 0x85944171f73967e8u);
}

/* --- addresses of servers --- */

static void the_address_of_a_server_carries_the_member(void **state)
{
    char text[CONFIGURATION_ADDRESS_SIZE];
    struct consensus_member back;
    (void)state;
    configuration_server_address(&three[1], text);
    assert_string_equal(text, "2@[::1]:9100");
    assert_true(configuration_parse_server(text, &back));
    assert_int_equal(back.id, 2);
    assert_string_equal(back.address, "[::1]:9100");
}

static void the_longest_address_of_a_server_comes_back(void **state)
{
    char text[CONFIGURATION_ADDRESS_SIZE];
    struct consensus_member back;
    const struct consensus_member member = long_member(INT64_MAX);
    (void)state;
    configuration_server_address(&member, text);
    assert_true(configuration_parse_server(text, &back));
    assert_true(back.id == INT64_MAX);
    assert_string_equal(back.address, member.address);
}

static void malformed_addresses_of_servers_are_refused(void **state)
{
    static const char *const addresses[] = {
        "",
        "1",
        "@",
        "1@",
        "@a:1",
        "x@a:1",
        "-1@a",
        "+1@a",
        " 1@a:1",
        "0@a:1",
        "1 @a",
        "9223372036854775808@a:1",
        "123456789012345678901234567890@a:1",
    };
    struct consensus_member member;
    char text[400] = "1@";
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
        assert_false(configuration_parse_server(addresses[i], &member));
    }
    memset(text + 2, 'a', sizeof member.address);
    assert_false(configuration_parse_server(text, &member));
}

/* --- Raft's configuration --- */

/* `count` servers: life 100 + i, member 1 + i, roles in turn. */
static void make(struct raft_configuration *conf, size_t count, bool long_addresses)
{
    raft_configuration_init(conf);
    for (size_t i = 0; i < count; i++) {
        char address[CONFIGURATION_ADDRESS_SIZE];
        struct consensus_member member = {.id = 1 + i, .address = "host.example:9100"};
        if (long_addresses) {
            member = long_member(INT64_MAX - i);
        }
        configuration_server_address(&member, address);
        assert_int_equal(raft_configuration_add(conf, long_addresses ? INT64_MAX - i : 100 + i,
                                                address, (int)(i % 3)),
                         0);
    }
}

static void encode(struct buffer *out, size_t count, bool long_addresses)
{
    struct raft_configuration conf;
    make(&conf, count, long_addresses);
    buffer_init(out, 64 * 1024);
    configuration_encode(&conf, out);
    assert_false(out->overflowed);
    raft_configuration_close(&conf);
}

/* From memory of exact size. A refused one needs no closing. */
static bool decodes(const uint8_t *data, size_t len)
{
    struct raft_configuration conf;
    uint8_t *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, data, len);
    bool sound = configuration_decode(exact, len, &conf);
    assert_true(sound || (conf.n == 0 && conf.servers == NULL));
    raft_configuration_close(&conf);
    free(exact);
    return sound;
}

static void a_configuration_comes_back(void **state)
{
    (void)state;
    for (size_t count = 1; count <= MEMBERS_MAX; count++) {
        struct raft_configuration conf;
        struct raft_configuration back;
        struct buffer b;
        make(&conf, count, false);
        encode(&b, count, false);
        assert_true(configuration_decode(b.data, b.len, &back));
        assert_int_equal(back.n, count);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(back.servers[i].id, conf.servers[i].id);
            assert_int_equal(back.servers[i].role, conf.servers[i].role);
            assert_string_equal(back.servers[i].address, conf.servers[i].address);
        }
        raft_configuration_close(&back);
        raft_configuration_close(&conf);
        buffer_done(&b);
    }
}

/* Otherwise libraft would refuse ours, or we libraft's. */
static void it_is_written_as_libraft_writes_it(void **state)
{
    struct raft_configuration conf;
    struct raft_buffer theirs;
    struct buffer ours;
    (void)state;
    make(&conf, 5, false);
    encode(&ours, 5, false);
    assert_int_equal(raft_configuration_encode(&conf, &theirs), 0);
    assert_int_equal(ours.len, theirs.len);
    assert_memory_equal(ours.data, theirs.base, ours.len);
    raft_free(theirs.base);
    raft_configuration_close(&conf);
    buffer_done(&ours);
}

static void the_largest_configuration_fits_into_a_snapshot(void **state)
{
    struct buffer b;
    (void)state;
    encode(&b, MEMBERS_MAX, true);
    assert_true(b.len <= SNAPSHOT_CONFIGURATION_MAX);
    assert_true(decodes(b.data, b.len));
    buffer_done(&b);
}

static void every_truncation_is_refused(void **state)
{
    struct buffer b;
    (void)state;
    encode(&b, 3, false);
    for (size_t len = 0; len < b.len; len++) {
        assert_false(decodes(b.data, len));
    }
    for (int i = 0; i < 16; i++) {
        buffer_append_byte(&b, 0);
        assert_false(decodes(b.data, b.len));
    }
    buffer_done(&b);
}

static void no_flipped_bit_does_harm(void **state)
{
    struct buffer b;
    (void)state;
    encode(&b, 3, false);
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)decodes(b.data, b.len);
        b.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_done(&b);
}

static void more_members_than_there_may_be_are_refused(void **state)
{
    struct buffer b;
    (void)state;
    encode(&b, MEMBERS_MAX + 1, false);
    assert_false(decodes(b.data, b.len));
    buffer_done(&b);
    encode(&b, 0, false);
    assert_false(decodes(b.data, b.len));
    buffer_done(&b);
}

/* Encoded bytes, for two servers. */
static bool decodes_two(uint64_t life, const char *address, uint8_t role)
{
    struct buffer b;
    buffer_init(&b, 4096);
    buffer_append_byte(&b, 1);
    buffer_append_u64(&b, 2);
    buffer_append_u64(&b, 100);
    buffer_append(&b, "1@a:1", 6);
    buffer_append_byte(&b, RAFT_VOTER);
    buffer_append_u64(&b, life);
    buffer_append(&b, address, strlen(address) + 1);
    buffer_append_byte(&b, role);
    while (b.len % 8 != 0) {
        buffer_append_byte(&b, 0);
    }
    bool sound = decodes(b.data, b.len);
    buffer_done(&b);
    return sound;
}

static void a_life_or_an_address_twice_is_refused(void **state)
{
    (void)state;
    assert_true(decodes_two(101, "2@b:1", RAFT_VOTER));
    assert_false(decodes_two(100, "2@b:1", RAFT_VOTER));
    assert_false(decodes_two(101, "1@a:1", RAFT_VOTER));
}

/* The later one replaces the earlier. */
static void two_lives_of_a_member_are_taken_and_a_third_is_refused(void **state)
{
    struct raft_configuration conf;
    char address[CONFIGURATION_ADDRESS_SIZE];
    (void)state;
    assert_true(decodes_two(101, "1@b:1", RAFT_VOTER));
    assert_true(decodes_two(101, "1@a:1#65", RAFT_STANDBY));
    raft_configuration_init(&conf);
    configuration_add(&conf, 100, "1@a:1", RAFT_VOTER);
    for (uint64_t life = 101; life <= 102; life++) {
        struct raft_configuration back;
        struct buffer b;
        configuration_mark_address(conf.servers[life - 101].address, life, MARK_NONE, address);
        configuration_add(&conf, life, address, RAFT_STANDBY);
        buffer_init(&b, 4096);
        configuration_encode(&conf, &b);
        bool sound = configuration_decode(b.data, b.len, &back);
        assert_int_equal(sound, life == 101);
        if (sound) {
            assert_string_equal(back.servers[1].address, "1@a:1#65");
            assert_int_equal(configuration_member_of(&back.servers[1]), 1);
        }
        raft_configuration_close(&back);
        buffer_done(&b);
    }
    raft_configuration_close(&conf);
}

static void a_server_that_is_no_member_of_ours_is_refused(void **state)
{
    (void)state;
    assert_false(decodes_two(0, "2@b:1", RAFT_VOTER));
    assert_false(decodes_two(1ull << 63, "2@b:1", RAFT_VOTER));
    assert_false(decodes_two(101, "b:1", RAFT_VOTER));
    assert_false(decodes_two(101, "", RAFT_VOTER));
    assert_false(decodes_two(101, "2@b:1", RAFT_SPARE + 1));
    assert_false(decodes_two(101, "2@b:1", 255));
}

/* They go into JSON and log lines unescaped. */
static void an_address_that_cannot_be_shown_is_refused(void **state)
{
    (void)state;
    assert_false(decodes_two(101, "2@b\n:1", RAFT_VOTER));
    assert_false(decodes_two(101, "2@\xff:1", RAFT_VOTER));
}

static void an_unknown_format_is_refused(void **state)
{
    struct buffer b;
    (void)state;
    encode(&b, 3, false);
    for (unsigned format = 0; format < 256; format++) {
        b.data[0] = (uint8_t)format;
        assert_int_equal(decodes(b.data, b.len), format == 1);
    }
    buffer_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_members_comes_back),
        cmocka_unit_test(the_largest_list_fits_where_it_is_kept),
        cmocka_unit_test(malformed_lists_are_refused),
        cmocka_unit_test(an_address_that_does_not_fit_is_refused),
        cmocka_unit_test(the_hash_of_a_list_tells_it_from_others),
        cmocka_unit_test(the_address_of_a_server_carries_the_member),
        cmocka_unit_test(the_longest_address_of_a_server_comes_back),
        cmocka_unit_test(malformed_addresses_of_servers_are_refused),
        cmocka_unit_test(a_configuration_comes_back),
        cmocka_unit_test(it_is_written_as_libraft_writes_it),
        cmocka_unit_test(the_largest_configuration_fits_into_a_snapshot),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(no_flipped_bit_does_harm),
        cmocka_unit_test(more_members_than_there_may_be_are_refused),
        cmocka_unit_test(a_life_or_an_address_twice_is_refused),
        cmocka_unit_test(two_lives_of_a_member_are_taken_and_a_third_is_refused),
        cmocka_unit_test(a_server_that_is_no_member_of_ours_is_refused),
        cmocka_unit_test(an_address_that_cannot_be_shown_is_refused),
        cmocka_unit_test(an_unknown_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
