#include "api/zmq/curve.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "server/base/check.h"
#include "server/base/mem.h"

#define KEY_BYTES    crypto_box_PUBLICKEYBYTES
#define NONCE_BYTES  crypto_box_NONCEBYTES
#define MAC_BYTES    crypto_box_MACBYTES
#define SHORT_NONCE  8
#define LONG_NONCE   16
#define COOKIE_BYTES 96

#define HELLO_BYTES    200
#define HELLO_AT_KEY   80
#define HELLO_AT_NONCE 112
#define HELLO_AT_BOX   120
#define HELLO_BOX      80

#define INITIATE_AT_COOKIE 9
#define INITIATE_AT_NONCE  105
#define INITIATE_AT_BOX    113
#define VOUCH_BYTES        (2 * KEY_BYTES)
/* The client's key and its vouch, before the metadata. */
#define INITIATE_LEAST (KEY_BYTES + LONG_NONCE + MAC_BYTES + VOUCH_BYTES)

#define MESSAGE         "\7MESSAGE"
#define MESSAGE_AT_BOX  16
#define MESSAGE_AT_TEXT (MESSAGE_AT_BOX + MAC_BYTES)
#define INNER_MORE      1u
#define INNER_COMMAND   2u

static_assert(CURVE_OVERHEAD_BYTES == MESSAGE_AT_TEXT + 1, "what stands before the content");

enum stage { STAGE_HELLO, STAGE_INITIATE, STAGE_OPEN };

struct curve {
    const struct curve_keys *keys;
    enum stage stage;
    char name[CERTIFICATE_NAME_BYTES_MAX + 1];
    uint8_t holder[KEY_BYTES];                    /* the client's public key for good */
    uint64_t sent, received;                      /* the last nonces */
    uint8_t client[KEY_BYTES];                    /* its public key of this connection */
    uint8_t public[KEY_BYTES], secret[KEY_BYTES]; /* this side's, likewise */
    uint8_t shared[crypto_box_BEFORENMBYTES];     /* of these two */
    uint8_t cookie[COOKIE_BYTES];
};

struct curve *curve_new(const struct curve_keys *keys)
{
    struct curve *curve = mem_zalloc(1, sizeof *curve);
    curve->keys = keys;
    return curve;
}

void curve_free(struct curve *curve)
{
    mem_wipe_free(curve, sizeof *curve);
}

const char *curve_name(const struct curve *curve)
{
    return curve->name;
}

bool curve_is_known(const struct curve *curve)
{
    CHECK(curve->stage == STAGE_OPEN);
    const char *name = curve_keys_find(curve->keys, curve->holder);
    return name != NULL && strcmp(name, curve->name) == 0;
}

static void make_nonce(uint8_t nonce[NONCE_BYTES], const char *prefix, const uint8_t *rest)
{
    size_t len = strlen(prefix);
    memcpy(nonce, prefix, len);
    memcpy(nonce + len, rest, NONCE_BYTES - len);
}

/* Takes the eight bytes of a nonce; false if it does not rise. */
static bool take_nonce(struct curve *c, const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    value = be64toh(value);
    if (value <= c->received) {
        return false;
    }
    c->received = value;
    return true;
}

static void next_nonce(struct curve *c, uint8_t *at)
{
    uint64_t value = htobe64(++c->sent);
    CHECK(c->sent != 0);
    memcpy(at, &value, sizeof value);
}

/* --- HELLO -> WELCOME --- */

static size_t write_welcome(struct curve *c, uint8_t *answer)
{
    uint8_t nonce[NONCE_BYTES], plain[KEY_BYTES + COOKIE_BYTES];
    size_t at = 8;
    memcpy(answer, "\7WELCOME", at);
    randombytes_buf(answer + at, LONG_NONCE);
    make_nonce(nonce, "WELCOME-", answer + at);
    at += LONG_NONCE;
    (void)crypto_box_keypair(c->public, c->secret);
    /* The state is here and not with the client, so the cookie only has to come back. */
    randombytes_buf(c->cookie, sizeof c->cookie);
    memcpy(plain, c->public, KEY_BYTES);
    memcpy(plain + KEY_BYTES, c->cookie, COOKIE_BYTES);
    if (crypto_box_easy(answer + at, plain, sizeof plain, nonce, c->client, c->keys->secret) != 0 ||
        crypto_box_beforenm(c->shared, c->client, c->secret) != 0) {
        return 0;
    }
    return at + MAC_BYTES + sizeof plain;
}

static enum curve_step take_hello(struct curve *c, const uint8_t *body, size_t len, uint8_t *answer,
                                  size_t *ret_answer_len)
{
    uint8_t nonce[NONCE_BYTES], zeros[HELLO_BOX - MAC_BYTES];
    if (len != HELLO_BYTES || memcmp(body, "\5HELLO\1\0", 8) != 0 ||
        !take_nonce(c, body + HELLO_AT_NONCE)) {
        return CURVE_BAD;
    }
    memcpy(c->client, body + HELLO_AT_KEY, KEY_BYTES);
    make_nonce(nonce, "CurveZMQHELLO---", body + HELLO_AT_NONCE);
    if (crypto_box_open_easy(zeros, body + HELLO_AT_BOX, HELLO_BOX, nonce, c->client,
                             c->keys->secret) != 0) {
        return CURVE_BAD;
    }
    *ret_answer_len = write_welcome(c, answer);
    c->stage = STAGE_INITIATE;
    return *ret_answer_len > 0 ? CURVE_MORE : CURVE_BAD;
}

/* --- INITIATE -> READY --- */

/* The client has the secret of this key: it vouches for its key of this connection. */
static bool has_vouched(const struct curve *c, const uint8_t *key, const uint8_t *vouch)
{
    uint8_t nonce[NONCE_BYTES], plain[VOUCH_BYTES];
    make_nonce(nonce, "VOUCH---", vouch);
    return crypto_box_open_easy(plain, vouch + LONG_NONCE, MAC_BYTES + sizeof plain, nonce, key,
                                c->secret) == 0 &&
           sodium_memcmp(plain, c->client, KEY_BYTES) == 0 &&
           sodium_memcmp(plain + KEY_BYTES, c->keys->public, KEY_BYTES) == 0;
}

static size_t write_ready(struct curve *c, const char *type, uint8_t *answer)
{
    uint8_t nonce[NONCE_BYTES], metadata[ZMTP_METADATA_BYTES_MAX];
    size_t len = zmtp_metadata_write(type, metadata), at = 6;
    memcpy(answer, "\5READY", at);
    next_nonce(c, answer + at);
    make_nonce(nonce, "CurveZMQREADY---", answer + at);
    at += SHORT_NONCE;
    CHECK(at + MAC_BYTES + len <= CURVE_ANSWER_BYTES_MAX);
    CHECK(crypto_box_easy_afternm(answer + at, metadata, len, nonce, c->shared) == 0);
    return at + MAC_BYTES + len;
}

static enum curve_step take_initiate(struct curve *c, const char *type, uint8_t *body, size_t len,
                                     uint8_t *answer, size_t *ret_answer_len,
                                     struct slice *ret_type)
{
    uint8_t nonce[NONCE_BYTES];
    uint8_t *plain = body + INITIATE_AT_BOX + MAC_BYTES;
    if (len < INITIATE_AT_BOX + MAC_BYTES + INITIATE_LEAST ||
        memcmp(body, "\10INITIATE", INITIATE_AT_COOKIE) != 0 ||
        sodium_memcmp(body + INITIATE_AT_COOKIE, c->cookie, COOKIE_BYTES) != 0 ||
        !take_nonce(c, body + INITIATE_AT_NONCE)) {
        return CURVE_BAD;
    }
    make_nonce(nonce, "CurveZMQINITIATE", body + INITIATE_AT_NONCE);
    size_t plain_len = len - INITIATE_AT_BOX - MAC_BYTES;
    if (crypto_box_open_detached_afternm(plain, plain, body + INITIATE_AT_BOX, plain_len, nonce,
                                         c->shared) != 0 ||
        !has_vouched(c, plain, plain + KEY_BYTES) ||
        !zmtp_metadata_parse(
            (struct slice){(const char *)plain + INITIATE_LEAST, plain_len - INITIATE_LEAST},
            ret_type)) {
        return CURVE_BAD;
    }
    const char *name = curve_keys_find(c->keys, plain);
    if (name == NULL) {
        return CURVE_UNKNOWN;
    }
    memcpy(c->name, name, strlen(name) + 1);
    memcpy(c->holder, plain, KEY_BYTES);
    *ret_answer_len = write_ready(c, type, answer);
    c->stage = STAGE_OPEN;
    return CURVE_DONE;
}

enum curve_step curve_take(struct curve *curve, const char *type, uint8_t *body, size_t len,
                           uint8_t ret_answer[CURVE_ANSWER_BYTES_MAX], size_t *ret_answer_len,
                           struct slice *ret_type)
{
    CHECK(curve->stage != STAGE_OPEN);
    return curve->stage == STAGE_HELLO
               ? take_hello(curve, body, len, ret_answer, ret_answer_len)
               : take_initiate(curve, type, body, len, ret_answer, ret_answer_len, ret_type);
}

/* --- messages --- */

bool curve_open(struct curve *curve, uint8_t *body, size_t len, unsigned *ret_flags,
                struct slice *ret_content)
{
    uint8_t nonce[NONCE_BYTES];
    uint8_t *text = body + MESSAGE_AT_TEXT;
    CHECK(curve->stage == STAGE_OPEN);
    if (len < CURVE_OVERHEAD_BYTES || memcmp(body, MESSAGE, 8) != 0 ||
        !take_nonce(curve, body + 8)) {
        return false;
    }
    make_nonce(nonce, "CurveZMQMESSAGEC", body + 8);
    if (crypto_box_open_detached_afternm(text, text, body + MESSAGE_AT_BOX, len - MESSAGE_AT_TEXT,
                                         nonce, curve->shared) != 0 ||
        (text[0] & ~(INNER_MORE | INNER_COMMAND)) != 0) {
        return false;
    }
    *ret_flags = ((text[0] & INNER_MORE) != 0 ? ZMTP_MORE : 0) |
                 ((text[0] & INNER_COMMAND) != 0 ? ZMTP_COMMAND : 0);
    *ret_content = (struct slice){(const char *)text + 1, len - CURVE_OVERHEAD_BYTES};
    return true;
}

void curve_seal(struct curve *curve, unsigned flags, const void *content, size_t len,
                struct buffer *out)
{
    uint8_t head[ZMTP_FRAME_HEAD_BYTES], nonce[NONCE_BYTES];
    CHECK(curve->stage == STAGE_OPEN);
    size_t head_len = zmtp_frame_head(0, CURVE_OVERHEAD_BYTES + len, head);
    if (!buffer_reserve(out, head_len + CURVE_OVERHEAD_BYTES + len)) {
        return;
    }
    buffer_append(out, head, head_len);
    uint8_t *body = out->data + out->len;
    uint8_t *text = body + MESSAGE_AT_TEXT;
    memcpy(body, MESSAGE, 8);
    next_nonce(curve, body + 8);
    make_nonce(nonce, "CurveZMQMESSAGES", body + 8);
    text[0] = (uint8_t)(((flags & ZMTP_MORE) != 0 ? INNER_MORE : 0) |
                        ((flags & ZMTP_COMMAND) != 0 ? INNER_COMMAND : 0));
    if (len > 0) {
        memcpy(text + 1, content, len);
    }
    CHECK(crypto_box_detached_afternm(text, body + MESSAGE_AT_BOX, text, len + 1, nonce,
                                      curve->shared) == 0);
    out->len += CURVE_OVERHEAD_BYTES + len;
}
