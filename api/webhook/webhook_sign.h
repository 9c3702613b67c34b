/* The signature of a batch: a receiver that knows the secret can tell that it is Muster's, and not
 * an old one that somebody sends again.
 *
 * Thread: any. */
#ifndef MUSTER_API_WEBHOOK_WEBHOOK_SIGN_H
#define MUSTER_API_WEBHOOK_WEBHOOK_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

#define WEBHOOK_SIGNATURE_SIZE 96

/* "t=<seconds>,v1=<hex>": HMAC-SHA-256, by the secret, of "<seconds>.<body>". False if the library
 * refuses. */
MUST_USE bool webhook_sign(const char *secret, uint64_t seconds, const void *body, size_t body_len,
                           char out[WEBHOOK_SIGNATURE_SIZE]);

#endif
