#include "api/webhook/webhook_sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <gnutls/crypto.h>

#define DIGEST_BYTES 32

bool webhook_sign(const char *secret, uint64_t seconds, const void *body, size_t body_len,
                  char out[WEBHOOK_SIGNATURE_SIZE])
{
    uint8_t digest[DIGEST_BYTES];
    gnutls_hmac_hd_t hmac;
    int len = snprintf(out, WEBHOOK_SIGNATURE_SIZE, "%" PRIu64 ".", seconds);
    if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, secret, strlen(secret)) != 0) {
        return false;
    }
    bool good = gnutls_hmac(hmac, out, (size_t)len) == 0 && gnutls_hmac(hmac, body, body_len) == 0;
    gnutls_hmac_deinit(hmac, digest);
    len = snprintf(out, WEBHOOK_SIGNATURE_SIZE, "t=%" PRIu64 ",v1=", seconds);
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        len += snprintf(out + len, WEBHOOK_SIGNATURE_SIZE - (size_t)len, "%02x", digest[i]);
    }
    return good;
}
