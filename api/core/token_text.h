/* A token as its holder has it: "mst_" id "_" secret, both in base32 (a-z, 2-7). The id is public
 * and says which token is meant; the secret has 160 random bits. The registry keeps the SHA-256 of
 * the whole text.
 *
 * Thread: any. */
#ifndef MUSTER_API_TOKEN_TEXT_H
#define MUSTER_API_TOKEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/token.h"

#define TOKEN_ID_CHARS     10 /* of the text; 50 random bits */
#define TOKEN_SECRET_CHARS 32
#define TOKEN_TEXT_SIZE    (4 + TOKEN_ID_CHARS + 1 + TOKEN_SECRET_CHARS + 1)
#define TOKEN_ID_SIZE      (TOKEN_ID_CHARS + 1)

/* Of the system's randomness. */
void token_text_make(char out[TOKEN_TEXT_SIZE]);
/* False for any other text; `len` bytes of it count. Tells nothing of whether there is such a
 * token. */
MUST_USE bool token_text_parse(const char *text, size_t len, char ret_id[TOKEN_ID_SIZE]);
void token_text_hash(const char *text, size_t len, uint8_t out[TOKEN_HASH_BYTES]);
/* In a time that does not depend on where they differ. */
MUST_USE bool token_text_hash_equal(const uint8_t a[TOKEN_HASH_BYTES],
                                    const uint8_t b[TOKEN_HASH_BYTES]);
/* Forgets a secret for good. */
void token_text_wipe(void *memory, size_t len);

#endif
