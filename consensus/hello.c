#include "consensus/hello.h"

#include <string.h>
#include <sys/random.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"

static const uint8_t magic_hello[4] = {'M', 'S', 'T', 'h'};
static const uint8_t magic_answer[4] = {'M', 'S', 'T', 'a'};

/* The two proofs differ by their label, so that neither can be played back as the other. */
static const char label_acceptor[] = "muster acceptor";
static const char label_connector[] = "muster connector";

enum { /* where the fields are */
       AT_VERSION = 4,
       AT_CLUSTER = 8, /* behind two reserved bytes */
       AT_FROM = 16,
       AT_TO = 24,
       AT_NONCE = 32,
       AT_CRC = 48,

       AT_VERDICT = 6,
       AT_ANSWER_NONCE = 8,
       AT_PROOF = 24,
       AT_ANSWER_CRC = 56,
};

const char *hello_verdict_text(enum hello_verdict verdict)
{
    static const char *const texts[] = {
        [HELLO_ACCEPTED] = "accepted",
        [HELLO_GARBAGE] = "garbage instead of a handshake",
        [HELLO_WRONG_VERSION] = "another version of the protocol between members",
        [HELLO_WRONG_CLUSTER] = "wrong cluster id: it belongs to another cluster",
        [HELLO_WRONG_MEMBER] = "wrong member: meant for another one, or from one unknown here",
        [HELLO_WRONG_SECRET] = "wrong secret: the two members were given different ones",
    };
    return texts[verdict];
}

uint32_t hello_salt(void)
{
    uint8_t random[HELLO_NONCE_BYTES];
    hello_nonce(random);
    return load_u32(random);
}

void hello_nonce(uint8_t out[HELLO_NONCE_BYTES])
{
    /* As few bytes as these come whole, once the kernel is up. */
    CHECK(getrandom(out, HELLO_NONCE_BYTES, 0) == HELLO_NONCE_BYTES);
}

/* Writes the checksum of all before it, and the zeros behind. */
static void seal(uint8_t *out, size_t crc_at)
{
    store_u32(out + crc_at, crc32c(0, out, crc_at));
    store_u32(out + crc_at + 4, 0);
}

/* HELLO_ACCEPTED when the frame of a message is right: magic, checksum, version. */
static enum hello_verdict look_at(const uint8_t *in, const uint8_t magic[4], size_t crc_at)
{
    if (memcmp(in, magic, 4) != 0 || load_u32(in + crc_at) != crc32c(0, in, crc_at) ||
        load_u32(in + crc_at + 4) != 0) {
        return HELLO_GARBAGE;
    }
    return load_u16(in + AT_VERSION) == HELLO_VERSION ? HELLO_ACCEPTED : HELLO_WRONG_VERSION;
}

static void make_proof(const char *label, const struct hello *hello,
                       const uint8_t nonce[HELLO_NONCE_BYTES], const char *secret,
                       uint8_t out[HELLO_PROOF_BYTES])
{
    uint8_t text[2 * HELLO_NONCE_BYTES + 24 + sizeof label_connector];
    size_t n = 0;
    memcpy(text, hello->nonce, HELLO_NONCE_BYTES);
    n += HELLO_NONCE_BYTES;
    memcpy(text + n, nonce, HELLO_NONCE_BYTES);
    n += HELLO_NONCE_BYTES;
    store_u64(text + n, hello->cluster_id);
    store_u64(text + n + 8, hello->from);
    store_u64(text + n + 16, hello->to);
    n += 24;
    memcpy(text + n, label, strlen(label));
    n += strlen(label);
    CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, strlen(secret), text, n, out) == 0);
}

void hello_encode(const struct hello *hello, uint8_t out[HELLO_BYTES])
{
    memset(out, 0, HELLO_BYTES);
    memcpy(out, magic_hello, sizeof magic_hello);
    store_u16(out + AT_VERSION, HELLO_VERSION);
    store_u64(out + AT_CLUSTER, hello->cluster_id);
    store_u64(out + AT_FROM, hello->from);
    store_u64(out + AT_TO, hello->to);
    memcpy(out + AT_NONCE, hello->nonce, HELLO_NONCE_BYTES);
    seal(out, AT_CRC);
}

enum hello_verdict hello_decode(const uint8_t in[HELLO_BYTES], struct hello *ret_hello)
{
    enum hello_verdict verdict = look_at(in, magic_hello, AT_CRC);
    if (verdict != HELLO_ACCEPTED) {
        return verdict;
    }
    ret_hello->cluster_id = load_u64(in + AT_CLUSTER);
    ret_hello->from = load_u64(in + AT_FROM);
    ret_hello->to = load_u64(in + AT_TO);
    memcpy(ret_hello->nonce, in + AT_NONCE, HELLO_NONCE_BYTES);
    return HELLO_ACCEPTED;
}

void hello_answer_encode(enum hello_verdict verdict, const struct hello *hello,
                         const uint8_t nonce[HELLO_NONCE_BYTES], const char *secret,
                         uint8_t out[HELLO_ANSWER_BYTES])
{
    memset(out, 0, HELLO_ANSWER_BYTES);
    memcpy(out, magic_answer, sizeof magic_answer);
    store_u16(out + AT_VERSION, HELLO_VERSION);
    store_u16(out + AT_VERDICT, (uint16_t)verdict);
    memcpy(out + AT_ANSWER_NONCE, nonce, HELLO_NONCE_BYTES);
    if (verdict == HELLO_ACCEPTED) {
        make_proof(label_acceptor, hello, nonce, secret, out + AT_PROOF);
    }
    seal(out, AT_ANSWER_CRC);
}

enum hello_verdict hello_answer_decode(const uint8_t in[HELLO_ANSWER_BYTES],
                                       const struct hello *hello, const char *secret,
                                       uint8_t ret_proof[HELLO_PROOF_BYTES])
{
    enum hello_verdict verdict = look_at(in, magic_answer, AT_ANSWER_CRC);
    if (verdict != HELLO_ACCEPTED) {
        return verdict;
    }
    uint16_t told = load_u16(in + AT_VERDICT);
    if (told > HELLO_WRONG_SECRET) {
        return HELLO_GARBAGE;
    }
    if (told != HELLO_ACCEPTED) {
        return (enum hello_verdict)told;
    }
    uint8_t expected[HELLO_PROOF_BYTES];
    make_proof(label_acceptor, hello, in + AT_ANSWER_NONCE, secret, expected);
    if (gnutls_memcmp(expected, in + AT_PROOF, HELLO_PROOF_BYTES) != 0) {
        return HELLO_WRONG_SECRET;
    }
    make_proof(label_connector, hello, in + AT_ANSWER_NONCE, secret, ret_proof);
    return HELLO_ACCEPTED;
}

bool hello_proof_is_right(const uint8_t proof[HELLO_PROOF_BYTES], const struct hello *hello,
                          const uint8_t nonce[HELLO_NONCE_BYTES], const char *secret)
{
    uint8_t expected[HELLO_PROOF_BYTES];
    make_proof(label_connector, hello, nonce, secret, expected);
    return gnutls_memcmp(expected, proof, HELLO_PROOF_BYTES) == 0;
}
