/* CurveZMQ: keys in Z85, and a client made of libsodium alone against the server's side: whatever
 * is changed on the way is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "api/zmq/curve.h"
#include "server/base/compiler.h"

/* From RFC 32. */
static const char test_text[] = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
static const uint8_t test_key[] = {0x8E, 0x0B, 0xDD, 0x69, 0x76, 0x28, 0xB9, 0x1D, 0x8F, 0x24, 0x55,
                                   0x87, 0xEE, 0x95, 0xC5, 0xB0, 0x4D, 0x48, 0x96, 0x3F, 0x79, 0x25,
                                   0x98, 0x77, 0xB4, 0x9C, 0xD9, 0x06, 0x3A, 0xEA, 0xD3, 0xB7};

struct client {
    struct curve_keys server;
    struct curve_client known[1];
    uint8_t public[32], secret[32];         /* for good */
    uint8_t own_public[32], own_secret[32]; /* of this connection */
    uint8_t their_public[32];
    uint8_t welcome[CURVE_ANSWER_BYTES_MAX], answer[CURVE_ANSWER_BYTES_MAX];
    uint8_t body[512];
    size_t len, answer_len;
    struct slice type;
    struct curve *curve;
};

static void nonce_of(uint8_t nonce[24], const char *prefix, const uint8_t *rest)
{
    memcpy(nonce, prefix, strlen(prefix));
    memcpy(nonce + strlen(prefix), rest, 24 - strlen(prefix));
}

static int set_up(void **state)
{
    struct client *c = calloc(1, sizeof *c);
    assert_true(sodium_init() >= 0);
    crypto_box_keypair(c->server.public, c->server.secret);
    crypto_box_keypair(c->public, c->secret);
    crypto_box_keypair(c->own_public, c->own_secret);
    memcpy(c->known[0].key, c->public, 32);
    (void)snprintf(c->known[0].name, sizeof c->known[0].name, "store");
    c->server.clients = c->known;
    c->server.count = 1;
    c->curve = curve_new(&c->server);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    struct client *c = *state;
    curve_free(c->curve);
    free(c);
    return 0;
}

static void write_hello(struct client *c)
{
    uint8_t nonce[24], zeros[64] = {0};
    memset(c->body, 0, sizeof c->body);
    memcpy(c->body, "\5HELLO\1\0", 8);
    memcpy(c->body + 80, c->own_public, 32);
    c->body[119] = 1;
    nonce_of(nonce, "CurveZMQHELLO---", c->body + 112);
    assert_int_equal(
        crypto_box_easy(c->body + 120, zeros, 64, nonce, c->server.public, c->own_secret), 0);
    c->len = 200;
}

static void write_initiate(struct client *c)
{
    uint8_t nonce[24], plain[128], vouch[64], all[32 + 16 + 80 + ZMTP_METADATA_BYTES_MAX];
    nonce_of(nonce, "WELCOME-", c->welcome + 8);
    assert_int_equal(
        crypto_box_open_easy(plain, c->welcome + 24, 144, nonce, c->server.public, c->own_secret),
        0);
    memcpy(c->their_public, plain, 32);
    memcpy(vouch, c->own_public, 32);
    memcpy(vouch + 32, c->server.public, 32);
    memcpy(all, c->public, 32);
    randombytes_buf(all + 32, 16);
    nonce_of(nonce, "VOUCH---", all + 32);
    assert_int_equal(crypto_box_easy(all + 48, vouch, 64, nonce, c->their_public, c->secret), 0);
    size_t len = 128 + zmtp_metadata_write("DEALER", all + 128);
    memcpy(c->body, "\10INITIATE", 9);
    memcpy(c->body + 9, plain + 32, 96);
    memset(c->body + 105, 0, 8);
    c->body[112] = 2;
    nonce_of(nonce, "CurveZMQINITIATE", c->body + 105);
    assert_int_equal(
        crypto_box_easy(c->body + 113, all, len, nonce, c->their_public, c->own_secret), 0);
    c->len = 113 + 16 + len;
}

static size_t write_message(struct client *c, uint8_t count, uint8_t flags, const char *text)
{
    uint8_t nonce[24], plain[100];
    size_t len = strlen(text);
    memcpy(c->body, "\7MESSAGE\0\0\0\0\0\0\0", 15);
    c->body[15] = count;
    plain[0] = flags;
    memcpy(plain + 1, text, len);
    nonce_of(nonce, "CurveZMQMESSAGEC", c->body + 8);
    assert_int_equal(
        crypto_box_easy(c->body + 16, plain, len + 1, nonce, c->their_public, c->own_secret), 0);
    return CURVE_OVERHEAD_BYTES + len;
}

static enum curve_step give(struct client *c)
{
    return curve_take(c->curve, "ROUTER", c->body, c->len, c->answer, &c->answer_len, &c->type);
}

static void hello(struct client *c)
{
    write_hello(c);
    assert_int_equal(give(c), CURVE_MORE);
    assert_int_equal(c->answer_len, 168);
    memcpy(c->welcome, c->answer, c->answer_len);
}

static void shake_hands(struct client *c)
{
    hello(c);
    write_initiate(c);
    assert_int_equal(give(c), CURVE_DONE);
}

static void keys_are_written_in_z85(void **state)
{
    (void)state;
    uint8_t key[CURVE_KEY_BYTES];
    char text[Z85_KEY_CHARS + 1];
    assert_true(z85_key_parse(test_text, key));
    assert_memory_equal(key, test_key, sizeof key);
    z85_key_text(key, text);
    assert_string_equal(text, test_text);
    assert_false(z85_key_parse("~TKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6", key));
    assert_false(z85_key_parse("#####%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6#", key)); /* over 2^32 */
}

static void a_client_that_is_known_gets_in_with_its_name(void **state)
{
    struct client *c = *state;
    shake_hands(c);
    assert_string_equal(curve_name(c->curve), "store");
    assert_true(zmtp_types_match("ROUTER", c->type));
}

static void one_that_is_not_known_does_not(void **state)
{
    struct client *c = *state;
    c->known[0].key[0] ^= 1;
    hello(c);
    write_initiate(c);
    assert_int_equal(give(c), CURVE_UNKNOWN);
}

static void one_whose_key_is_removed_or_renamed_is_not_known_any_more(void **state)
{
    struct client *c = *state;
    shake_hands(c);
    assert_true(curve_is_known(c->curve));
    (void)snprintf(c->known[0].name, sizeof c->known[0].name, "other");
    assert_false(curve_is_known(c->curve));
    assert_string_equal(curve_name(c->curve), "store");
    (void)snprintf(c->known[0].name, sizeof c->known[0].name, "store");
    assert_true(curve_is_known(c->curve));
    c->server.count = 0;
    assert_false(curve_is_known(c->curve));
    c->server.any = true; /* nobody has a name there */
    assert_false(curve_is_known(c->curve));
}

static void every_bit_of_a_handshake_counts(void **state)
{
    struct client *c = *state;
    write_hello(c);
    for (size_t at = 0; at < 200; at++) {
        if (at >= 8 && at < 80) {
            continue; /* padding */
        }
        write_hello(c);
        c->body[at] ^= 0x40;
        assert_int_equal(give(c), CURVE_BAD);
        curve_free(c->curve);
        c->curve = curve_new(&c->server);
    }
    for (size_t at = 0; at < 300; at++) {
        curve_free(c->curve);
        c->curve = curve_new(&c->server);
        hello(c);
        write_initiate(c);
        if (at < c->len) {
            c->body[at] ^= 0x40;
            assert_int_equal(give(c), CURVE_BAD);
        }
    }
    for (size_t len = 0; len < 200; len++) {
        write_hello(c);
        c->len = len;
        curve_free(c->curve);
        c->curve = curve_new(&c->server);
        assert_int_equal(give(c), CURVE_BAD);
    }
}

static void whoever_has_not_the_secret_of_a_known_key_does_not_get_in(void **state)
{
    struct client *c = *state;
    crypto_box_keypair(c->their_public, c->secret); /* another one */
    hello(c);
    write_initiate(c);
    assert_int_equal(give(c), CURVE_BAD);
}

static void messages_come_once_and_unchanged(void **state)
{
    struct client *c = *state;
    unsigned flags;
    struct slice content;
    uint8_t again[512];
    shake_hands(c);
    size_t len = write_message(c, 3, 1, "hello");
    memcpy(again, c->body, len);
    assert_true(curve_open(c->curve, c->body, len, &flags, &content));
    assert_int_equal(flags, ZMTP_MORE);
    assert_int_equal(content.len, 5);
    assert_memory_equal(content.data, "hello", 5);
    assert_false(curve_open(c->curve, again, len, &flags, &content)); /* the same nonce */
    len = write_message(c, 4, 2, "");
    assert_true(curve_open(c->curve, c->body, len, &flags, &content));
    assert_int_equal(flags, ZMTP_COMMAND);
    len = write_message(c, 5, 4, "no such flag");
    assert_false(curve_open(c->curve, c->body, len, &flags, &content));
    static const size_t changed[] = {0, 7, 16, 31, 32, 36};
    for (size_t i = 0; i < ARRAY_LENGTH(changed); i++) {
        len = write_message(c, (uint8_t)(6 + i), 0, "text");
        c->body[changed[i]] ^= 0x80;
        assert_false(curve_open(c->curve, c->body, len, &flags, &content));
    }
    for (len = 0; len < CURVE_OVERHEAD_BYTES; len++) {
        assert_false(curve_open(c->curve, c->body, len, &flags, &content));
    }
}

static void what_is_sealed_can_be_read_by_the_client_alone(void **state)
{
    struct client *c = *state;
    struct buffer out;
    struct zmtp_frame frame;
    uint8_t nonce[24], plain[100];
    shake_hands(c);
    buffer_init(&out, 1000);
    curve_seal(c->curve, ZMTP_MORE, "answer", 6, &out);
    assert_int_equal(zmtp_frame_parse(out.data, out.len, 1000, &frame), ZMTP_WHOLE);
    assert_int_equal(frame.flags, 0);
    assert_int_equal(frame.body.len, CURVE_OVERHEAD_BYTES + 6);
    const uint8_t *body = (const uint8_t *)frame.body.data;
    nonce_of(nonce, "CurveZMQMESSAGES", body + 8);
    assert_int_equal(crypto_box_open_easy(plain, body + 16, frame.body.len - 16, nonce,
                                          c->their_public, c->own_secret),
                     0);
    assert_memory_equal(plain, "\1answer", 7);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_written_in_z85),
        cmocka_unit_test_setup_teardown(a_client_that_is_known_gets_in_with_its_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_not_known_does_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_whose_key_is_removed_or_renamed_is_not_known_any_more,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_bit_of_a_handshake_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_has_not_the_secret_of_a_known_key_does_not_get_in,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_come_once_and_unchanged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_sealed_can_be_read_by_the_client_alone, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
