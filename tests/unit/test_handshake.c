/* What the handshake guarantees: only two that know the same secret succeed, both learn the other's
 * true facts, nothing recorded from one handshake helps in another, and a stranger receives nothing
 * derived from the secret. The kernel's random bytes are replaced (--wrap=getrandom), so that
 * handshakes can be compared byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/peer/handshake.h"
#include "server/base/buffer.h"
#include "server/base/crc32c.h"
#include "tests/fake_random.h"
#include "tests/handshake_keys.h"

#define SECRET "a secret for the tests"

static struct hello_facts facts_of(uint64_t member)
{
    return (struct hello_facts){.cluster = {{7}},
                                .member = member,
                                .life = 1000 + member,
                                .boot = 1,
                                .level_min = 1,
                                .level_max = 2,
                                .list_hash = 5};
}

/* Every message of a handshake, in order. */
enum { HELLO, CHALLENGE, PROOF, FACTS, VERDICT, MESSAGES };
struct exchange {
    struct handshake connector, acceptor;
    struct handshake_reply messages[MESSAGES];
    size_t sent;
};

/* Changes message number `at` in transit. */
struct damage {
    size_t at;
    void (*change)(struct handshake_reply *message, unsigned how);
    unsigned how;
};

static void judge(struct handshake *h, struct handshake_reply *reply)
{
    if (h->phase == HANDSHAKE_JUDGE) {
        handshake_answer(h, handshake_judge(h), reply);
    }
}

static void run(struct exchange *x, const struct hello_facts facts[2], const char *const secrets[2],
                const struct damage *damage)
{
    memset(x, 0, sizeof *x);
    handshake_connect(&x->connector, &facts[0], 2, KEYS(secrets[0]), &x->messages[0]);
    handshake_accept(&x->acceptor, &facts[1], KEYS(secrets[1]));
    for (x->sent = 1; x->sent <= MESSAGES; x->sent++) {
        size_t at = x->sent - 1;
        struct handshake *taker = at % 2 == 0 ? &x->acceptor : &x->connector;
        struct handshake_reply *message = &x->messages[at], reply;
        if (damage != NULL && damage->at == at) {
            damage->change(message, damage->how);
        }
        size_t wanted = handshake_wants(taker);
        assert_true(message->len <= wanted);
        if (!handshake_take(taker, message->bytes, message->len, &reply)) {
            return; /* waits for the rest */
        }
        judge(taker, &reply);
        if (reply.len == 0) {
            return;
        }
        assert_true(x->sent < MESSAGES);
        x->messages[x->sent] = reply;
    }
}

static void run_members(struct exchange *x, const struct damage *damage)
{
    struct hello_facts facts[2] = {facts_of(1), facts_of(2)};
    run(x, facts, (const char *const[2]){SECRET, SECRET}, damage);
}

static void assert_same_facts(const struct hello_facts *a, const struct hello_facts *b)
{
    struct hello_message one = {.kind = HELLO_KIND_HELLO, .facts = *a};
    struct hello_message two = {.kind = HELLO_KIND_HELLO, .facts = *b};
    uint8_t bytes[2][HELLO_BYTES_MAX];
    size_t len = hello_encode(&one, bytes[0]);
    assert_int_equal(hello_encode(&two, bytes[1]), len);
    assert_memory_equal(bytes[0], bytes[1], len);
}

static void assert_open(const struct exchange *x)
{
    assert_int_equal(x->connector.phase, HANDSHAKE_OPEN);
    assert_int_equal(x->acceptor.phase, HANDSHAKE_OPEN);
    assert_int_equal(x->sent, MESSAGES);
}

/* --- members --- */

static void same_secret_opens_on_both_sides(void **state)
{
    (void)state;
    static const char *const secrets[] = {"", SECRET};
    for (size_t i = 0; i < 2; i++) {
        struct exchange x;
        struct hello_facts facts[2] = {facts_of(1), facts_of(2)};
        run(&x, facts, (const char *const[2]){secrets[i], secrets[i]}, NULL);
        assert_open(&x);
        assert_same_facts(&x.connector.theirs, &facts[1]);
        assert_same_facts(&x.acceptor.theirs, &facts[0]);
        assert_int_equal(handshake_wants(&x.connector) + handshake_wants(&x.acceptor), 0);
    }
}

static void another_secret_ends_at_the_acceptor(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {SECRET, "a secret for the testz"}, {SECRET, ""}, {"", SECRET}};
    for (size_t i = 0; i < 3; i++) {
        struct exchange x;
        struct hello_facts facts[2] = {facts_of(1), facts_of(2)};
        run(&x, facts, pairs[i], NULL);
        assert_int_equal(x.acceptor.phase, HANDSHAKE_ENDED);
        assert_int_equal(x.acceptor.verdict, HELLO_WRONG_SECRET);
        assert_false(x.acceptor.proven);
        assert_int_equal(x.connector.phase, HANDSHAKE_FACTS);
        assert_int_equal(x.sent, 3); /* it has sent no more than a challenge */
    }
}

static void refusal_of_the_acceptor_reaches_the_connector(void **state)
{
    (void)state;
    struct exchange x;
    char ours[HELLO_SENTENCE_SIZE], theirs[HELLO_SENTENCE_SIZE];
    struct hello_facts facts[2] = {facts_of(1), facts_of(2)};
    facts[1].cluster.bytes[0]++;
    run(&x, facts, (const char *const[2]){SECRET, SECRET}, NULL);
    assert_int_equal(x.acceptor.phase, HANDSHAKE_ENDED);
    assert_int_equal(x.acceptor.verdict, HELLO_WRONG_CLUSTER);
    assert_false(x.acceptor.told);
    assert_int_equal(x.connector.phase, HANDSHAKE_ENDED);
    assert_int_equal(x.connector.verdict, HELLO_WRONG_CLUSTER);
    assert_true(x.connector.told);
    handshake_explain(&x.acceptor, ours);
    handshake_explain(&x.connector, theirs);
    assert_string_equal(ours, theirs);
    assert_non_null(strstr(ours, "member 1"));
    assert_non_null(strstr(ours, "07000000000000000000000000000000"));
}

/* Up to the acceptor's facts, which accept anybody: in `reply`, taken by the connector. */
static void run_to_connectors_judgement(struct handshake *connector, struct handshake *acceptor,
                                        uint64_t acceptor_id, struct handshake_reply *reply)
{
    struct hello_facts one = facts_of(1), other = facts_of(acceptor_id);
    handshake_connect(connector, &one, 2, KEYS(SECRET), reply);
    handshake_accept(acceptor, &other, KEYS(SECRET));
    assert_true(handshake_take(acceptor, reply->bytes, reply->len, reply));
    assert_true(handshake_take(connector, reply->bytes, reply->len, reply));
    assert_true(handshake_take(acceptor, reply->bytes, reply->len, reply));
    handshake_answer(acceptor, HELLO_ACCEPTED, reply);
    assert_true(handshake_take(connector, reply->bytes, reply->len, reply));
    assert_int_equal(connector->phase, HANDSHAKE_JUDGE);
    assert_int_equal(reply->len, 0);
}

static void acceptor_refuses_what_is_meant_for_another(void **state)
{
    (void)state;
    struct exchange x;
    struct hello_facts facts[2] = {facts_of(1), facts_of(3)}; /* run() dials member 2 */
    run(&x, facts, (const char *const[2]){SECRET, SECRET}, NULL);
    assert_int_equal(x.acceptor.verdict, HELLO_WRONG_MEMBER);
    assert_int_equal(x.connector.verdict, HELLO_WRONG_MEMBER);
    assert_true(x.connector.told);
}

static void refusal_of_the_connector_reaches_the_acceptor(void **state)
{
    (void)state;
    struct handshake connector, acceptor;
    struct handshake_reply reply;
    char ours[HELLO_SENTENCE_SIZE], theirs[HELLO_SENTENCE_SIZE];
    run_to_connectors_judgement(&connector, &acceptor, 2, &reply);
    assert_int_equal(handshake_judge(&connector), HELLO_ACCEPTED);
    handshake_answer(&connector, HELLO_EARLIER_LIFE, &reply);
    assert_true(handshake_take(&acceptor, reply.bytes, reply.len, &reply));
    assert_int_equal(acceptor.phase, HANDSHAKE_ENDED);
    assert_int_equal(acceptor.verdict, HELLO_EARLIER_LIFE);
    assert_true(acceptor.told);
    handshake_explain(&acceptor, ours);
    handshake_explain(&connector, theirs);
    assert_string_equal(ours, theirs);
    assert_non_null(strstr(ours, "an earlier life of member 2"));
}

static void connector_wants_the_member_that_it_dialled(void **state)
{
    (void)state;
    struct handshake connector, acceptor;
    struct handshake_reply reply;
    run_to_connectors_judgement(&connector, &acceptor, 3, &reply);
    assert_int_equal(handshake_judge(&connector), HELLO_WRONG_MEMBER);
}

/* --- damage, and forgery --- */

static void flip(struct handshake_reply *message, unsigned bit)
{
    message->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
}

static void flip_and_seal(struct handshake_reply *message, unsigned bit)
{
    size_t crc_at = message->len - 4;
    flip(message, bit);
    store_u32(message->bytes + crc_at, crc32c(0, message->bytes, crc_at));
}

static void cut(struct handshake_reply *message, unsigned len)
{
    message->len = len;
}

static void no_altered_bit_gets_through(void **state)
{
    (void)state;
    struct exchange honest, x;
    random_state = 1;
    run_members(&honest, NULL);
    assert_open(&honest);
    for (size_t at = 0; at < MESSAGES; at++) {
        for (unsigned bit = 0; bit < honest.messages[at].len * 8; bit++) {
            struct damage damage = {.at = at, .change = flip, .how = bit};
            random_state = 1;
            run_members(&x, &damage);
            assert_int_not_equal(x.acceptor.phase, HANDSHAKE_OPEN);
            damage.change = flip_and_seal;
            if (bit < (honest.messages[at].len - 4) * 8) {
                random_state = 1;
                run_members(&x, &damage);
                assert_int_not_equal(x.acceptor.phase, HANDSHAKE_OPEN);
                /* The connector is open only if nothing but its own last message was altered. */
                assert_true(at == VERDICT || x.connector.phase != HANDSHAKE_OPEN);
            }
        }
    }
}

static void half_a_message_is_waited_for(void **state)
{
    (void)state;
    struct exchange honest, x;
    run_members(&honest, NULL);
    for (size_t at = 0; at < MESSAGES; at++) {
        for (unsigned len = 0; len < honest.messages[at].len; len++) {
            struct damage damage = {.at = at, .change = cut, .how = len};
            run_members(&x, &damage);
            assert_int_equal(x.sent, at + 1);
            const struct handshake *taker = at % 2 == 0 ? &x.acceptor : &x.connector;
            assert_int_equal(handshake_wants(taker), honest.messages[at].len);
        }
    }
}

/* Any message of one handshake at any step of another that differs only in the nonces. */
static void nothing_recorded_is_of_use(void **state)
{
    (void)state;
    struct exchange recorded;
    random_state = 1;
    run_members(&recorded, NULL);
    assert_open(&recorded);
    for (size_t place = 0; place < MESSAGES; place++) {
        for (size_t from = 0; from < MESSAGES; from++) {
            struct exchange x;
            struct handshake_reply reply = {.len = 0};
            random_state = 2;
            run_members(&x, NULL);
            assert_open(&x);
            /* To the same point once more, then the recorded message. */
            random_state = 2;
            struct damage stop = {.at = place, .change = cut, .how = 0};
            run_members(&x, &stop);
            struct handshake *taker = place % 2 == 0 ? &x.acceptor : &x.connector;
            const struct handshake_reply *message = &recorded.messages[from];
            size_t wanted = handshake_wants(taker);
            size_t len = message->len < wanted ? message->len : wanted;
            bool taken = handshake_take(taker, message->bytes, len, &reply);
            assert_true(taken);
            bool no_proof = from == place && (from == HELLO || from == CHALLENGE);
            if (no_proof) { /* these prove nothing; what follows must be from their true sender */
                assert_int_not_equal(taker->phase, HANDSHAKE_ENDED);
                assert_false(taker->proven);
            } else {
                assert_int_equal(taker->phase, HANDSHAKE_ENDED);
                assert_int_equal(reply.len, 0);
            }
        }
    }
}

/* A complete recorded handshake, replayed to a new acceptor and to a new connector. */
static void recorded_exchange_opens_nothing(void **state)
{
    (void)state;
    struct exchange recorded;
    struct handshake_reply reply;
    struct handshake acceptor, connector;
    struct hello_facts one = facts_of(1), two = facts_of(2);
    random_state = 1;
    run_members(&recorded, NULL);
    random_state = 99;
    handshake_accept(&acceptor, &two, KEYS(SECRET));
    assert_true(handshake_take(&acceptor, recorded.messages[HELLO].bytes,
                               recorded.messages[HELLO].len, &reply));
    assert_memory_not_equal(reply.bytes, recorded.messages[CHALLENGE].bytes, reply.len);
    assert_true(handshake_take(&acceptor, recorded.messages[PROOF].bytes,
                               recorded.messages[PROOF].len, &reply));
    assert_int_equal(acceptor.verdict, HELLO_WRONG_SECRET);
    assert_int_equal(reply.len, 0);

    handshake_connect(&connector, &one, 2, KEYS(SECRET), &reply);
    assert_true(handshake_take(&connector, recorded.messages[CHALLENGE].bytes,
                               recorded.messages[CHALLENGE].len, &reply));
    assert_true(handshake_take(&connector, recorded.messages[FACTS].bytes,
                               recorded.messages[FACTS].len, &reply));
    assert_int_equal(connector.verdict, HELLO_WRONG_SECRET);
    assert_false(connector.proven);
}

/* The stranger relays between both sides of one member. */
static void own_voice_is_recognized(void **state)
{
    (void)state;
    struct handshake connector, acceptor;
    struct handshake_reply reply;
    struct hello_facts one = facts_of(1);
    handshake_connect(&connector, &one, 2, KEYS(SECRET), &reply);
    handshake_accept(&acceptor, &one, KEYS(SECRET));
    assert_true(handshake_take(&acceptor, reply.bytes, reply.len, &reply));
    assert_int_equal(acceptor.phase, HANDSHAKE_ENDED);
    assert_int_equal(acceptor.verdict, HELLO_OURSELVES);
    assert_int_equal(reply.len, 0);
    /* Another life with our id is for the verdict to judge. */
    struct exchange x;
    struct hello_facts facts[2] = {one, one};
    facts[1].life++;
    run(&x, facts, (const char *const[2]){SECRET, SECRET}, NULL);
    assert_int_equal(x.acceptor.verdict, HELLO_WRONG_MEMBER);
    assert_int_equal(x.connector.verdict, HELLO_WRONG_MEMBER);
}

/* The acceptor's proofs sent back to it in place of the connector's, and vice versa. */
static void proof_of_one_role_is_none_of_the_other(void **state)
{
    (void)state;
    struct exchange x;
    struct hello_message facts, proof = {.kind = HELLO_KIND_PROOF};
    struct handshake_reply reply;
    random_state = 1;
    run_members(&x, NULL);
    assert_int_equal(hello_decode(HELLO_KIND_FACTS, x.messages[FACTS].bytes, &facts),
                     HELLO_ACCEPTED);
    memcpy(proof.proof, facts.proof, sizeof proof.proof);
    reply.len = hello_encode(&proof, reply.bytes);
    struct damage stop = {.at = PROOF, .change = cut, .how = 0};
    random_state = 1;
    run_members(&x, &stop);
    assert_true(handshake_take(&x.acceptor, reply.bytes, reply.len, &reply));
    assert_int_equal(x.acceptor.verdict, HELLO_WRONG_SECRET);

    random_state = 1;
    run_members(&x, NULL);
    struct hello_message said;
    assert_int_equal(hello_decode(HELLO_KIND_PROOF, x.messages[PROOF].bytes, &said),
                     HELLO_ACCEPTED);
    memcpy(facts.proof, said.proof, sizeof facts.proof);
    reply.len = hello_encode(&facts, reply.bytes);
    stop.at = FACTS;
    random_state = 1;
    run_members(&x, &stop);
    assert_true(handshake_take(&x.connector, reply.bytes, reply.len, &reply));
    assert_int_equal(x.connector.verdict, HELLO_WRONG_SECRET);
}

/* --- strangers --- */

#define SHAPES 8

/* All bytes that a stranger of this kind receives from an acceptor, appended. */
static size_t listen_as_stranger(unsigned shape, const struct hello_facts *ours, const char *secret,
                                 uint8_t out[512])
{
    static const char *const guess = "a guess at that secret";
    struct handshake acceptor, stranger;
    struct handshake_reply said, heard = {.len = 0};
    struct hello_facts one = facts_of(1);
    size_t len = 0;
    random_state = 7;
    handshake_accept(&acceptor, ours, KEYS(secret));
    handshake_connect(&stranger, &one, shape == 1 ? 77 : 2, KEYS(guess), &said);
    if (shape == 2) { /* half a hello */
        said.len /= 2;
    } else if (shape == 3) { /* garbage */
        memset(said.bytes, 0x55, said.len);
    }
    if (handshake_take(&acceptor, said.bytes, said.len, &heard)) {
        memcpy(out + len, heard.bytes, heard.len);
        len += heard.len;
    }
    if (handshake_wants(&acceptor) != hello_bytes(HELLO_KIND_PROOF)) {
        return len;
    }
    uint8_t next[HELLO_BYTES_MAX];
    memcpy(next, said.bytes, sizeof next); /* a second hello */
    if (shape >= 5) {                      /* proves with a guessed secret */
        (void)handshake_take(&stranger, heard.bytes, heard.len, &said);
        memcpy(next, said.bytes, sizeof next);
    }
    if (shape == 6) { /* proves nothing */
        (void)hello_encode(&(struct hello_message){.kind = HELLO_KIND_PROOF}, next);
    } else if (shape == 7) { /* a verdict before anything else */
        (void)hello_encode(&(struct hello_message){.kind = HELLO_KIND_VERDICT}, next);
    }
    assert_true(handshake_take(&acceptor, next, handshake_wants(&acceptor), &heard));
    memcpy(out + len, heard.bytes, heard.len);
    len += heard.len;
    assert_int_equal(acceptor.phase, HANDSHAKE_ENDED);
    assert_false(acceptor.proven);
    return len;
}

/* The same bytes, whatever the secret, cluster, life and level. */
static void stranger_hears_nothing_that_depends_on_the_secret(void **state)
{
    (void)state;
    for (unsigned shape = 0; shape < SHAPES; shape++) {
        uint8_t one[512], two[512];
        struct hello_facts ours = facts_of(2), others = facts_of(5);
        others.cluster.bytes[3] = 9;
        others.level_max = 8;
        others.boot = 700;
        size_t len = listen_as_stranger(shape, &ours, SECRET, one);
        assert_int_equal(listen_as_stranger(shape, &others, "quite another secret", two), len);
        assert_memory_equal(one, two, len);
        assert_true(len == 0 || len == hello_bytes(HELLO_KIND_CHALLENGE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_secret_opens_on_both_sides),
        cmocka_unit_test(another_secret_ends_at_the_acceptor),
        cmocka_unit_test(refusal_of_the_acceptor_reaches_the_connector),
        cmocka_unit_test(acceptor_refuses_what_is_meant_for_another),
        cmocka_unit_test(refusal_of_the_connector_reaches_the_acceptor),
        cmocka_unit_test(connector_wants_the_member_that_it_dialled),
        cmocka_unit_test(no_altered_bit_gets_through),
        cmocka_unit_test(half_a_message_is_waited_for),
        cmocka_unit_test(nothing_recorded_is_of_use),
        cmocka_unit_test(recorded_exchange_opens_nothing),
        cmocka_unit_test(own_voice_is_recognized),
        cmocka_unit_test(proof_of_one_role_is_none_of_the_other),
        cmocka_unit_test(stranger_hears_nothing_that_depends_on_the_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
