/* The handshake between members: first bytes from a stranger in the place of each message, as they
 * are and with the checksum put right; then an honest handshake, and the same with one bit of the
 * answer or the proof turned, which must not be accepted.
 *
 * Input: cluster, from, to 8 bytes each; nonces 16 each; place and bit to turn; secret 8; the rest
 * is the stranger's. */
#include "consensus/hello.h"
#include "server/base/crc32c.h"
#include "tests/fuzz/fuzz.h"

#define HELLO_CRC_AT  48
#define ANSWER_CRC_AT 56
#define VERDICT_AT    6

struct situation {
    struct hello hello;
    uint8_t nonce[HELLO_NONCE_BYTES];
    uint8_t place;
    uint8_t bit;
    char secret[8];
};

static void seal(uint8_t *message, size_t crc_at, const char *magic)
{
    memcpy(message, magic, strlen(magic));
    store_u32(message + crc_at, crc32c(0, message, crc_at));
    store_u32(message + crc_at + 4, 0);
}

static bool same_hello(const struct hello *a, const struct hello *b)
{
    return a->cluster_id == b->cluster_id && a->from == b->from && a->to == b->to &&
           memcmp(a->nonce, b->nonce, sizeof a->nonce) == 0;
}

static void try_hello(const uint8_t bytes[HELLO_BYTES])
{
    struct hello hello, again;
    uint8_t out[HELLO_BYTES];
    enum hello_verdict verdict = hello_decode(bytes, &hello);
    CHECK(strlen(hello_verdict_text(verdict)) > 0);
    if (verdict == HELLO_ACCEPTED) {
        hello_encode(&hello, out);
        CHECK(hello_decode(out, &again) == HELLO_ACCEPTED && same_hello(&hello, &again));
    }
}

static void try_answer(const uint8_t bytes[HELLO_ANSWER_BYTES], const struct situation *s)
{
    uint8_t proof[HELLO_PROOF_BYTES];
    enum hello_verdict verdict = hello_answer_decode(bytes, &s->hello, s->secret, proof);
    CHECK(strlen(hello_verdict_text(verdict)) > 0);
    CHECK(verdict != HELLO_ACCEPTED); /* nobody guesses an HMAC */
}

static void meet_stranger(struct input *in, const struct situation *s)
{
    uint8_t hello[HELLO_BYTES], answer[HELLO_ANSWER_BYTES], proof[HELLO_PROOF_BYTES];
    struct input same = *in;
    input_bytes(&same, answer, sizeof answer);
    same = *in;
    input_bytes(&same, proof, sizeof proof);
    input_bytes(in, hello, sizeof hello);
    try_hello(hello);
    seal(hello, HELLO_CRC_AT, "MSTh");
    try_hello(hello);
    try_answer(answer, s);
    seal(answer, ANSWER_CRC_AT, "MSTa");
    try_answer(answer, s);
    CHECK(!hello_proof_is_right(proof, &s->hello, s->nonce, s->secret));
}

static void meet_member(const struct situation *s)
{
    struct hello heard;
    uint8_t hello[HELLO_BYTES], answer[HELLO_ANSWER_BYTES], proof[HELLO_PROOF_BYTES];
    hello_encode(&s->hello, hello);
    CHECK(hello_decode(hello, &heard) == HELLO_ACCEPTED && same_hello(&s->hello, &heard));
    hello_answer_encode(HELLO_ACCEPTED, &heard, s->nonce, s->secret, answer);
    CHECK(hello_answer_decode(answer, &s->hello, s->secret, proof) == HELLO_ACCEPTED);
    CHECK(hello_proof_is_right(proof, &heard, s->nonce, s->secret));

    uint8_t turned = (uint8_t)(1u << s->bit % 8);
    proof[s->place % sizeof proof] ^= turned;
    CHECK(!hello_proof_is_right(proof, &heard, s->nonce, s->secret));
    answer[s->place % sizeof answer] ^= turned;
    CHECK(hello_answer_decode(answer, &s->hello, s->secret, proof) == HELLO_GARBAGE);
    if (s->place % sizeof answer > VERDICT_AT + 1 && s->place % sizeof answer < ANSWER_CRC_AT) {
        seal(answer, ANSWER_CRC_AT, "MSTa");
        CHECK(hello_answer_decode(answer, &s->hello, s->secret, proof) == HELLO_WRONG_SECRET);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    struct situation s;
    s.hello.cluster_id = input_u64(&in);
    s.hello.from = input_u64(&in);
    s.hello.to = input_u64(&in);
    input_bytes(&in, s.hello.nonce, sizeof s.hello.nonce);
    input_bytes(&in, s.nonce, sizeof s.nonce);
    s.place = input_u8(&in);
    s.bit = input_u8(&in);
    input_bytes(&in, s.secret, sizeof s.secret - 1);
    s.secret[sizeof s.secret - 1] = '\0';
    meet_stranger(&in, &s);
    meet_member(&s);
    return 0;
}
