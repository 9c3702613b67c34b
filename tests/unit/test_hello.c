/* The messages of the handshake keep their content, and are refused if damaged; admission is judged
 * by the facts of both members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/peer/hello.h"
#include "server/base/buffer.h"
#include "server/base/crc32c.h"

static const struct hello_facts alice = {.cluster = {{1, 2, 3}},
                                         .member = 1,
                                         .life = INT64_MAX,
                                         .boot = UINT64_MAX,
                                         .level_min = 3,
                                         .level_max = UINT16_MAX,
                                         .list_hash = 0xfedcba9876543210};

static struct hello_message message_of(enum hello_kind kind)
{
    struct hello_message m = {.kind = kind};
    if (kind == HELLO_KIND_HELLO || kind == HELLO_KIND_FACTS) {
        m.facts = alice;
        m.to = 2;
    }
    if (kind == HELLO_KIND_HELLO || kind == HELLO_KIND_CHALLENGE) {
        memset(m.nonce, 0x5a, sizeof m.nonce);
    } else {
        memset(m.proof, 0xa5, sizeof m.proof);
    }
    if (kind == HELLO_KIND_FACTS || kind == HELLO_KIND_VERDICT) {
        m.verdict = HELLO_WAITS;
    }
    return m;
}

static void reseal(enum hello_kind kind, uint8_t *bytes)
{
    size_t crc_at = hello_bytes(kind) - 4;
    store_u32(bytes + crc_at, crc32c(0, bytes, crc_at));
}

static void assert_same_message(const struct hello_message *a, const struct hello_message *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->verdict, b->verdict);
    assert_true(cluster_id_equal(&a->facts.cluster, &b->facts.cluster));
    assert_int_equal(a->facts.member, b->facts.member);
    assert_int_equal(a->facts.life, b->facts.life);
    assert_int_equal(a->facts.boot, b->facts.boot);
    assert_int_equal(a->facts.level_min, b->facts.level_min);
    assert_int_equal(a->facts.level_max, b->facts.level_max);
    assert_int_equal(a->facts.list_hash, b->facts.list_hash);
    assert_int_equal(a->to, b->to);
    assert_memory_equal(a->nonce, b->nonce, sizeof a->nonce);
    assert_memory_equal(a->proof, b->proof, sizeof a->proof);
}

/* --- encoding --- */

static void each_message_keeps_all_of_its_fields(void **state)
{
    (void)state;
    for (enum hello_kind kind = 0; kind < HELLO_KINDS; kind++) {
        struct hello_message in = message_of(kind), out;
        uint8_t bytes[HELLO_BYTES_MAX];
        assert_int_equal(hello_encode(&in, bytes), hello_bytes(kind));
        assert_int_equal(hello_decode(kind, bytes, &out), HELLO_ACCEPTED);
        assert_same_message(&in, &out);
    }
}

static void lengths_are_those_of_the_protocol(void **state)
{
    (void)state;
    static const size_t lengths[] = {92, 28, 44, 108, 44};
    for (enum hello_kind kind = 0; kind < HELLO_KINDS; kind++) {
        assert_int_equal(hello_bytes(kind), lengths[kind]);
    }
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (enum hello_kind kind = 0; kind < HELLO_KINDS; kind++) {
        struct hello_message m = message_of(kind), out;
        uint8_t bytes[HELLO_BYTES_MAX];
        (void)hello_encode(&m, bytes);
        for (size_t bit = 0; bit < hello_bytes(kind) * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            bool of_version = bit / 8 == 4 || bit / 8 == 5;
            assert_int_equal(hello_decode(kind, bytes, &out),
                             of_version ? HELLO_WRONG_VERSION : HELLO_GARBAGE);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void no_message_is_taken_for_one_of_another_kind(void **state)
{
    (void)state;
    for (enum hello_kind kind = 0; kind < HELLO_KINDS; kind++) {
        struct hello_message m = message_of(kind), out;
        uint8_t bytes[HELLO_BYTES_MAX] = {0};
        (void)hello_encode(&m, bytes);
        for (enum hello_kind other = 0; other < HELLO_KINDS; other++) {
            assert_int_equal(hello_decode(other, bytes, &out),
                             other == kind ? HELLO_ACCEPTED : HELLO_GARBAGE);
        }
    }
}

static void beginning_tells_garbage_and_version(void **state)
{
    (void)state;
    struct hello_message m = message_of(HELLO_KIND_HELLO);
    uint8_t bytes[HELLO_BYTES_MAX];
    (void)hello_encode(&m, bytes);
    for (size_t len = 0; len <= hello_bytes(HELLO_KIND_HELLO); len++) {
        assert_int_equal(hello_look_at(HELLO_KIND_HELLO, bytes, len), HELLO_ACCEPTED);
    }
    assert_int_equal(hello_look_at(HELLO_KIND_HELLO, (const uint8_t *)"GET / HT", 8),
                     HELLO_GARBAGE);
    store_u16(bytes + 4, HELLO_VERSION + 1); /* of another length, and sealed elsewhere */
    assert_int_equal(hello_look_at(HELLO_KIND_HELLO, bytes, 8), HELLO_WRONG_VERSION);
    store_u16(bytes + 4, 1);
    assert_int_equal(hello_look_at(HELLO_KIND_HELLO, bytes, 8), HELLO_WRONG_VERSION);
}

static void facts_that_no_member_has_are_garbage(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t byte;
    } changes[] = {
        {8 + 16, 0},      /* member 0 */
        {8 + 32, 0},      /* life 0 */
        {8 + 39, 0x80},   /* life above 63 bits */
        {8 + 48, 2},      /* lowest level above the highest */
        {8 + 52, 1},      /* reserved */
        {8 + 55, 1},      /* reserved */
        {6, HELLO_WAITS}, /* a verdict where none can be */
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct hello_message m = message_of(HELLO_KIND_HELLO), out;
        m.facts.life = m.facts.level_min = m.facts.level_max = 1;
        uint8_t bytes[HELLO_BYTES_MAX];
        (void)hello_encode(&m, bytes);
        assert_int_equal(hello_decode(HELLO_KIND_HELLO, bytes, &out), HELLO_ACCEPTED);
        bytes[changes[i].at] = changes[i].byte;
        reseal(HELLO_KIND_HELLO, bytes);
        assert_int_equal(hello_decode(HELLO_KIND_HELLO, bytes, &out), HELLO_GARBAGE);
    }
}

static void verdict_of_a_later_version_is_a_refusal(void **state)
{
    (void)state;
    struct hello_message m = message_of(HELLO_KIND_VERDICT), out;
    uint8_t bytes[HELLO_BYTES_MAX];
    (void)hello_encode(&m, bytes);
    for (unsigned verdict = 0; verdict <= UINT16_MAX; verdict += verdict < 40 ? 1 : 4001) {
        store_u16(bytes + 6, (uint16_t)verdict);
        reseal(HELLO_KIND_VERDICT, bytes);
        enum hello_verdict got = hello_decode(HELLO_KIND_VERDICT, bytes, &out);
        if (verdict > HELLO_ACCEPTED && verdict < HELLO_REFUSED) {
            assert_int_equal(got, HELLO_GARBAGE); /* never sent */
        } else {
            assert_int_equal(got, HELLO_ACCEPTED);
            assert_int_equal(out.verdict, verdict < HELLO_VERDICTS ? verdict : HELLO_REFUSED);
        }
    }
}

static void nonces_differ(void **state)
{
    (void)state;
    uint8_t a[HELLO_NONCE_BYTES];
    uint8_t b[HELLO_NONCE_BYTES];
    hello_nonce(a);
    hello_nonce(b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* --- admission --- */

static struct hello_facts member(uint64_t id, uint8_t cluster, uint64_t list)
{
    return (struct hello_facts){.cluster = {{cluster}},
                                .member = id,
                                .life = id,
                                .boot = 1,
                                .level_min = 2,
                                .level_max = 3,
                                .list_hash = list};
}

static void assert_judged(const struct hello_facts *a, const struct hello_facts *b,
                          enum hello_verdict expected)
{
    assert_int_equal(hello_judge(a, b), expected);
    assert_int_equal(hello_judge(b, a), expected);
}

static void clusters_must_be_the_same_unless_one_is_new(void **state)
{
    (void)state;
    struct hello_facts one = member(1, 7, 1), two = member(2, 7, 2), stray = member(3, 8, 1);
    struct hello_facts fresh = member(4, 0, 1), other = member(5, 0, 2), same = member(6, 0, 1);
    assert_judged(&one, &two, HELLO_ACCEPTED);
    assert_judged(&one, &stray, HELLO_WRONG_CLUSTER);
    assert_judged(&one, &fresh, HELLO_ACCEPTED);
    assert_judged(&stray, &fresh, HELLO_ACCEPTED);
    assert_judged(&fresh, &same, HELLO_ACCEPTED);
    assert_judged(&fresh, &other, HELLO_WRONG_LIST);
    for (size_t i = 0; i < CLUSTER_ID_BYTES; i++) {
        two.cluster = one.cluster;
        two.cluster.bytes[i] ^= 1;
        if (!cluster_id_is_none(&two.cluster)) {
            assert_judged(&one, &two, HELLO_WRONG_CLUSTER);
        }
    }
}

static void member_ids_must_differ(void **state)
{
    (void)state;
    struct hello_facts one = member(1, 7, 1), twin = member(1, 7, 1);
    struct hello_facts stray = member(1, 8, 1), fresh = member(1, 0, 2);
    twin.life = 99;
    assert_judged(&one, &twin, HELLO_WRONG_MEMBER);
    assert_judged(&one, &fresh, HELLO_WRONG_MEMBER);
    assert_judged(&one, &stray, HELLO_WRONG_CLUSTER); /* more specific */
}

static void levels_must_overlap(void **state)
{
    (void)state;
    static const struct {
        uint16_t min, max;
        enum hello_verdict expected;
    } cases[] = {
        {0, 1, HELLO_NO_LEVEL}, {1, 2, HELLO_ACCEPTED}, {2, 2, HELLO_ACCEPTED},
        {3, 9, HELLO_ACCEPTED}, {0, 9, HELLO_ACCEPTED}, {4, 4, HELLO_NO_LEVEL},
    };
    struct hello_facts one = member(1, 7, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hello_facts two = member(2, 7, 1);
        two.level_min = cases[i].min;
        two.level_max = cases[i].max;
        assert_judged(&one, &two, cases[i].expected);
    }
}

static void later_boots_and_other_lives_supersede(void **state)
{
    (void)state;
    struct hello_facts known = member(1, 7, 1), other = known;
    assert_false(hello_supersedes(&other, &known));
    other.boot = 2;
    assert_true(hello_supersedes(&other, &known));
    assert_false(hello_supersedes(&known, &other));
    other.life = 99;
    assert_true(hello_supersedes(&other, &known));
    assert_true(hello_supersedes(&known, &other));
}

static void sentences_name_both_and_fit(void **state)
{
    (void)state;
    char sentence[HELLO_SENTENCE_SIZE], id[CLUSTER_ID_TEXT_SIZE];
    struct hello_facts one = member(UINT64_MAX, 255, 1), two = member(UINT64_MAX - 1, 254, 2);
    one.life = two.life = one.boot = two.boot = UINT64_MAX;
    one.level_min = one.level_max = two.level_min = two.level_max = UINT16_MAX;
    for (enum hello_verdict v = 0; v < HELLO_VERDICTS; v++) {
        hello_explain(v, &one, &two, sentence);
        assert_true(strlen(sentence) >= strlen(hello_verdict_text(v)));
        if (v > HELLO_REFUSED) {
            assert_non_null(strstr(sentence, "18446744073709551614"));
        }
    }
    hello_explain(HELLO_WRONG_CLUSTER, &one, &two, sentence);
    cluster_id_text(&one.cluster, id);
    assert_non_null(strstr(sentence, id));
    cluster_id_text(&two.cluster, id);
    assert_non_null(strstr(sentence, id));
    assert_non_null(strstr(sentence, "empty directory and --join")); /* not truncated */
    hello_explain(HELLO_EARLIER_LIFE, &one, &two, sentence);
    assert_non_null(strstr(sentence, "a directory of an earlier life of member"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_keeps_all_of_its_fields),
        cmocka_unit_test(lengths_are_those_of_the_protocol),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(no_message_is_taken_for_one_of_another_kind),
        cmocka_unit_test(beginning_tells_garbage_and_version),
        cmocka_unit_test(facts_that_no_member_has_are_garbage),
        cmocka_unit_test(verdict_of_a_later_version_is_a_refusal),
        cmocka_unit_test(nonces_differ),
        cmocka_unit_test(clusters_must_be_the_same_unless_one_is_new),
        cmocka_unit_test(member_ids_must_differ),
        cmocka_unit_test(levels_must_overlap),
        cmocka_unit_test(later_boots_and_other_lives_supersede),
        cmocka_unit_test(sentences_name_both_and_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
