/* Keys of CURVE as text: Z85 (RFC 32), five characters for four bytes.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_Z85_H
#define MUSTER_BASE_Z85_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"

#define Z85_KEY_BYTES 32
#define Z85_KEY_CHARS ZMQ_KEY_TEXT

/* False: it is no key. */
MUST_USE bool z85_key_parse(const char text[Z85_KEY_CHARS], uint8_t ret_key[Z85_KEY_BYTES]);
void z85_key_text(const uint8_t key[Z85_KEY_BYTES], char ret_text[Z85_KEY_CHARS + 1]);

#endif
