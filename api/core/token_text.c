#include "api/core/token_text.h"

#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <sys/random.h>

#include "server/base/check.h"

#define PREFIX     "mst_"
#define PREFIX_LEN 4
#define RANDOM_MAX 20 /* bytes: 5 bits a character */

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

static void random_text(char *out, size_t chars)
{
    uint8_t random[RANDOM_MAX + 1] = {0}; /* one more, to be read over the end of the last bits */
    size_t bytes = (chars * 5 + 7) / 8;
    CHECK(bytes <= RANDOM_MAX);
    CHECK(getrandom(random, bytes, 0) == (ssize_t)bytes);
    for (size_t i = 0; i < chars; i++) {
        size_t bit = i * 5;
        unsigned two = (unsigned)random[bit / 8] << 8 | random[bit / 8 + 1];
        out[i] = alphabet[two >> (11 - bit % 8) & 31u];
    }
    token_text_wipe(random, sizeof random);
}

void token_text_make(char out[TOKEN_TEXT_SIZE])
{
    memcpy(out, PREFIX, PREFIX_LEN);
    random_text(out + PREFIX_LEN, TOKEN_ID_CHARS);
    out[PREFIX_LEN + TOKEN_ID_CHARS] = '_';
    random_text(out + PREFIX_LEN + TOKEN_ID_CHARS + 1, TOKEN_SECRET_CHARS);
    out[TOKEN_TEXT_SIZE - 1] = '\0';
}

/* Without a branch that depends on a letter: those of a secret are random, and none is to be told
 * by the time that this takes. */
static bool is_base32(const char *text, size_t len)
{
    unsigned bad = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned c = (unsigned char)text[i];
        bad |= (c - 'a' > 'z' - 'a') & (c - '2' > '7' - '2');
    }
    return bad == 0;
}

bool token_text_parse(const char *text, size_t len, char ret_id[TOKEN_ID_SIZE])
{
    const char *id = text + PREFIX_LEN;
    if (len != TOKEN_TEXT_SIZE - 1 || memcmp(text, PREFIX, PREFIX_LEN) != 0 ||
        !is_base32(id, TOKEN_ID_CHARS) || id[TOKEN_ID_CHARS] != '_' ||
        !is_base32(id + TOKEN_ID_CHARS + 1, TOKEN_SECRET_CHARS)) {
        return false;
    }
    memcpy(ret_id, id, TOKEN_ID_CHARS);
    ret_id[TOKEN_ID_CHARS] = '\0';
    return true;
}

/* What functions that have returned have left below: the hash function keeps the text that it works
 * on there. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t left[2048];
    explicit_bzero(left, sizeof left);
}

void token_text_hash(const char *text, size_t len, uint8_t out[TOKEN_HASH_BYTES])
{
    CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, out) == 0);
    wipe_stack();
}

bool token_text_hash_equal(const uint8_t a[TOKEN_HASH_BYTES], const uint8_t b[TOKEN_HASH_BYTES])
{
    return gnutls_memcmp(a, b, TOKEN_HASH_BYTES) == 0;
}

void token_text_wipe(void *memory, size_t len)
{
    gnutls_memset(memory, 0, len);
}
