/* What the handshake promises: only two that know the same secret get through, and nothing that
 * was heard in one handshake is of use in another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/hello.h"
#include "server/base/buffer.h"
#include "server/base/crc32c.h"

struct handshake {
    struct hello hello;
    uint8_t acceptor_nonce[HELLO_NONCE_BYTES];
    uint8_t answer[HELLO_ANSWER_BYTES];
    uint8_t proof[HELLO_PROOF_BYTES];
};

static struct handshake begin(const char *secret)
{
    struct handshake h = {.hello = {.cluster_id = 77, .from = 1, .to = 2}};
    hello_nonce(h.hello.nonce);
    hello_nonce(h.acceptor_nonce);
    hello_answer_encode(HELLO_ACCEPTED, &h.hello, h.acceptor_nonce, secret, h.answer);
    return h;
}

static void hello_round_trip_keeps_all_fields(void **state)
{
    (void)state;
    struct hello in = {.cluster_id = UINT64_MAX - 1, .from = 3, .to = 1ull << 60};
    struct hello out = {0};
    uint8_t bytes[HELLO_BYTES];
    hello_nonce(in.nonce);
    hello_encode(&in, bytes);
    assert_int_equal(hello_decode(bytes, &out), HELLO_ACCEPTED);
    assert_memory_equal(&in, &out, sizeof in);
}

static void every_flipped_bit_of_a_hello_is_noticed(void **state)
{
    (void)state;
    struct hello in = {.cluster_id = 5, .from = 1, .to = 2};
    struct hello out;
    uint8_t bytes[HELLO_BYTES];
    hello_encode(&in, bytes);
    for (size_t bit = 0; bit < HELLO_BYTES * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(hello_decode(bytes, &out), HELLO_GARBAGE);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void another_version_is_told_apart_from_garbage(void **state)
{
    (void)state;
    struct hello in = {.cluster_id = 5, .from = 1, .to = 2};
    struct hello out;
    uint8_t bytes[HELLO_BYTES];
    hello_encode(&in, bytes);
    store_u16(bytes + 4, HELLO_VERSION + 1);
    store_u32(bytes + 48, crc32c(0, bytes, 48));
    assert_int_equal(hello_decode(bytes, &out), HELLO_WRONG_VERSION);
}

static void same_secret_is_accepted_on_both_sides(void **state)
{
    (void)state;
    static const char *const secrets[] = {"", "swordfish"};
    for (size_t i = 0; i < 2; i++) {
        struct handshake h = begin(secrets[i]);
        assert_int_equal(hello_answer_decode(h.answer, &h.hello, secrets[i], h.proof),
                         HELLO_ACCEPTED);
        assert_true(hello_proof_is_right(h.proof, &h.hello, h.acceptor_nonce, secrets[i]));
    }
}

static void another_secret_is_refused_on_both_sides(void **state)
{
    (void)state;
    struct handshake h = begin("swordfish");
    assert_int_equal(hello_answer_decode(h.answer, &h.hello, "swordfisj", h.proof),
                     HELLO_WRONG_SECRET);
    assert_int_equal(hello_answer_decode(h.answer, &h.hello, "", h.proof), HELLO_WRONG_SECRET);
    assert_int_equal(hello_answer_decode(h.answer, &h.hello, "swordfish", h.proof), HELLO_ACCEPTED);
    assert_false(hello_proof_is_right(h.proof, &h.hello, h.acceptor_nonce, "swordfisj"));
}

static void proof_of_one_side_is_not_one_of_the_other(void **state)
{
    (void)state;
    struct handshake h = begin("s");
    /* The acceptor's own proof, sent back. */
    assert_false(hello_proof_is_right(h.answer + 24, &h.hello, h.acceptor_nonce, "s"));
}

static void proof_is_bound_to_nonces_members_and_cluster(void **state)
{
    (void)state;
    struct handshake h = begin("s");
    assert_int_equal(hello_answer_decode(h.answer, &h.hello, "s", h.proof), HELLO_ACCEPTED);
    struct hello variants[4] = {h.hello, h.hello, h.hello, h.hello};
    variants[0].cluster_id++;
    variants[1].from++;
    variants[2].to++;
    variants[3].nonce[7] ^= 1;
    for (size_t i = 0; i < 4; i++) {
        uint8_t proof[HELLO_PROOF_BYTES];
        assert_false(hello_proof_is_right(h.proof, &variants[i], h.acceptor_nonce, "s"));
        assert_int_equal(hello_answer_decode(h.answer, &variants[i], "s", proof),
                         HELLO_WRONG_SECRET);
    }
    h.acceptor_nonce[0] ^= 1;
    assert_false(hello_proof_is_right(h.proof, &h.hello, h.acceptor_nonce, "s"));
}

static void refusal_reaches_the_connector_without_a_proof(void **state)
{
    (void)state;
    static const uint8_t zeros[HELLO_PROOF_BYTES];
    struct handshake h = begin("s");
    for (int v = HELLO_GARBAGE; v <= HELLO_WRONG_SECRET; v++) {
        hello_answer_encode((enum hello_verdict)v, &h.hello, h.acceptor_nonce, "s", h.answer);
        assert_memory_equal(h.answer + 24, zeros, sizeof zeros);
        assert_int_equal(hello_answer_decode(h.answer, &h.hello, "s", h.proof), v);
        assert_true(strlen(hello_verdict_text((enum hello_verdict)v)) > 0);
    }
    hello_answer_encode((enum hello_verdict)99, &h.hello, h.acceptor_nonce, "s", h.answer);
    assert_int_equal(hello_answer_decode(h.answer, &h.hello, "s", h.proof), HELLO_GARBAGE);
}

static void every_flipped_bit_of_an_answer_is_noticed(void **state)
{
    (void)state;
    struct handshake h = begin("s");
    for (size_t bit = 0; bit < HELLO_ANSWER_BYTES * 8; bit++) {
        h.answer[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(hello_answer_decode(h.answer, &h.hello, "s", h.proof), HELLO_GARBAGE);
        h.answer[bit / 8] ^= (uint8_t)(1 << bit % 8);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_round_trip_keeps_all_fields),
        cmocka_unit_test(every_flipped_bit_of_a_hello_is_noticed),
        cmocka_unit_test(another_version_is_told_apart_from_garbage),
        cmocka_unit_test(same_secret_is_accepted_on_both_sides),
        cmocka_unit_test(another_secret_is_refused_on_both_sides),
        cmocka_unit_test(proof_of_one_side_is_not_one_of_the_other),
        cmocka_unit_test(proof_is_bound_to_nonces_members_and_cluster),
        cmocka_unit_test(refusal_reaches_the_connector_without_a_proof),
        cmocka_unit_test(every_flipped_bit_of_an_answer_is_noticed),
        cmocka_unit_test(nonces_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
