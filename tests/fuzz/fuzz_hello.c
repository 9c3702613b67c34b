/* The handshake between members: a stranger's bytes in place of each message, as they are and
 * corrected in all that needs no secret; then a handshake of two members, and the same with one bit
 * of one message flipped, after which the acceptor must not be open.
 *
 * Input: two members (facts of 64 bytes each, as in a hello); seed of the random bytes 8; message
 * and bit to flip 3; secret 8; the rest is the stranger's. */
#include "consensus/peer/handshake.h"
#include "server/base/crc32c.h"
#include "tests/fake_random.h"
#include "tests/fuzz/fuzz.h"
#include "tests/handshake_keys.h" /* a target is a function of its input alone */

#define MESSAGES 5
#define AT_ZERO  (HELLO_PREFIX_BYTES + 52) /* of facts */

struct situation {
    struct hello_facts facts[2];
    uint64_t seed;
    size_t message;
    unsigned bit;
    char secret[9];
};

/* --- single messages --- */

static void put_right(enum hello_kind kind, uint8_t *bytes)
{
    static const struct hello_facts some = {.member = 1, .life = 1};
    struct hello_message m = {.kind = kind, .facts = some};
    uint8_t model[HELLO_BYTES_MAX];
    size_t crc_at = hello_encode(&m, model) - 4;
    memcpy(bytes, model, HELLO_PREFIX_BYTES - 2); /* the verdict is the stranger's */
    if (kind != HELLO_KIND_FACTS && kind != HELLO_KIND_VERDICT) {
        store_u16(bytes + HELLO_PREFIX_BYTES - 2, 0);
    }
    if (kind == HELLO_KIND_HELLO || kind == HELLO_KIND_FACTS) {
        store_u32(bytes + AT_ZERO, 0);
    }
    store_u32(bytes + crc_at, crc32c(0, bytes, crc_at));
}

static void try_message(enum hello_kind kind, const uint8_t *bytes)
{
    struct hello_message m;
    uint8_t again[HELLO_BYTES_MAX];
    char sentence[HELLO_SENTENCE_SIZE];
    enum hello_verdict verdict = hello_decode(kind, bytes, &m);
    CHECK(verdict <= HELLO_WRONG_VERSION);
    if (verdict == HELLO_ACCEPTED) {
        CHECK(hello_encode(&m, again) == hello_bytes(kind));
        CHECK(m.verdict == HELLO_REFUSED || memcmp(again, bytes, hello_bytes(kind)) == 0);
        hello_explain(m.verdict, &m.facts, &m.facts, sentence);
        CHECK(strlen(sentence) > 0);
    }
}

/* --- handshakes --- */

static bool same_facts(const struct hello_facts *a, const struct hello_facts *b)
{
    struct hello_message one = {.kind = HELLO_KIND_HELLO, .facts = *a};
    struct hello_message two = {.kind = HELLO_KIND_HELLO, .facts = *b};
    uint8_t bytes[2][HELLO_BYTES_MAX];
    size_t len = hello_encode(&one, bytes[0]);
    return hello_encode(&two, bytes[1]) == len && memcmp(bytes[0], bytes[1], len) == 0;
}

/* Runs one up to message number `until`, which is not delivered. `turn`: with the bit flipped. */
static void run(const struct situation *s, size_t until, bool turn, struct handshake h[2])
{
    struct handshake_reply message;
    random_state = s->seed;
    handshake_connect(&h[0], &s->facts[0], s->facts[1].member, KEYS(s->secret), &message);
    handshake_accept(&h[1], &s->facts[1], KEYS(s->secret));
    for (size_t at = 0; at < until && message.len > 0; at++) {
        struct handshake *taker = &h[1 - at % 2];
        struct handshake_reply reply;
        if (turn && at == s->message) {
            message.bytes[s->bit / 8 % message.len] ^= (uint8_t)(1u << s->bit % 8);
        }
        CHECK(handshake_wants(taker) == message.len);
        CHECK(handshake_take(taker, message.bytes, message.len, &reply));
        if (taker->phase == HANDSHAKE_JUDGE) {
            CHECK(taker->proven && reply.len == 0);
            handshake_answer(taker, handshake_judge(taker), &reply);
        }
        CHECK(taker->proven || reply.len <= hello_bytes(HELLO_KIND_PROOF));
        message = reply;
    }
}

static void meet_member(const struct situation *s)
{
    struct handshake h[2];
    char ours[HELLO_SENTENCE_SIZE], theirs[HELLO_SENTENCE_SIZE];
    run(s, MESSAGES, false, h);
    enum hello_verdict expected = hello_judge(&s->facts[0], &s->facts[1]);
    CHECK(expected == hello_judge(&s->facts[1], &s->facts[0]));
    if (expected == HELLO_ACCEPTED) {
        CHECK(h[0].phase == HANDSHAKE_OPEN && h[1].phase == HANDSHAKE_OPEN);
        CHECK(same_facts(&h[0].theirs, &s->facts[1]));
        CHECK(same_facts(&h[1].theirs, &s->facts[0]));
    } else if (h[1].verdict != HELLO_OURSELVES) {
        CHECK(h[0].verdict == expected && h[0].told && h[1].verdict == expected);
        handshake_explain(&h[0], ours);
        handshake_explain(&h[1], theirs);
        CHECK(strcmp(ours, theirs) == 0);
    }
    run(s, MESSAGES, true, h);
    CHECK(h[1].phase != HANDSHAKE_OPEN);
}

/* Delivers the bytes in place of each message in turn, to whoever expects it. */
static void meet_stranger(const struct situation *s, const uint8_t *bytes)
{
    for (size_t at = 0; at < MESSAGES; at++) {
        struct handshake h[2];
        struct handshake_reply reply;
        run(s, at, false, h);
        struct handshake *taker = &h[1 - at % 2];
        size_t len = handshake_wants(taker);
        if (len == 0) {
            return; /* they refused each other before */
        }
        uint8_t *copy = fuzz_copy(bytes, len);
        bool proven = taker->proven;
        CHECK(handshake_take(taker, copy, len, &reply));
        CHECK(taker->phase != HANDSHAKE_OPEN && taker->phase != HANDSHAKE_JUDGE);
        CHECK(taker->proven == proven);
        CHECK(reply.len == 0 || at == 0 || at == 1);
        free(copy);
    }
}

static bool read_facts(struct input *in, struct hello_facts *ret_facts)
{
    struct hello_message m = {.kind = HELLO_KIND_HELLO};
    uint8_t bytes[HELLO_BYTES_MAX] = {0};
    input_bytes(in, bytes + HELLO_PREFIX_BYTES, HELLO_FACTS_BYTES);
    put_right(HELLO_KIND_HELLO, bytes);
    if (hello_decode(HELLO_KIND_HELLO, bytes, &m) != HELLO_ACCEPTED) {
        return false;
    }
    *ret_facts = m.facts;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    struct situation s;
    bool are_members = true;
    memset(&s, 0, sizeof s);
    for (size_t i = 0; i < 2; i++) {
        are_members = read_facts(&in, &s.facts[i]) && are_members;
    }
    s.seed = input_u64(&in);
    s.message = input_u8(&in) % MESSAGES;
    s.bit = input_u8(&in) * 256u;
    s.bit += input_u8(&in);
    input_bytes(&in, s.secret, sizeof s.secret - 1);
    uint8_t bytes[HELLO_BYTES_MAX];
    input_bytes(&in, bytes, sizeof bytes);
    for (int right = 0; right < 2; right++) {
        for (enum hello_kind kind = 0; kind < HELLO_KINDS; kind++) {
            if (right == 1) {
                put_right(kind, bytes);
            }
            try_message(kind, bytes);
            if (are_members && s.facts[0].member != s.facts[1].member) {
                meet_stranger(&s, bytes);
            }
        }
    }
    if (are_members && s.facts[0].member != s.facts[1].member) {
        meet_member(&s);
    }
    return 0;
}
