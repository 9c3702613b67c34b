/* The keys of CurveZMQ: this server's pair, and those of the clients that may connect, with names
 * that policies are for. Keys are written in Z85 (RFC 32), 40 characters.
 *
 * Thread: main, until they are given away; then the door's. */
#ifndef MUSTER_API_ZMQ_CURVE_KEYS_H
#define MUSTER_API_ZMQ_CURVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/z85.h"

#define CURVE_KEY_BYTES   Z85_KEY_BYTES
#define CURVE_CLIENTS_MAX 4096

struct curve_client {
    uint8_t key[CURVE_KEY_BYTES];
    char name[CERTIFICATE_NAME_BYTES_MAX + 1];
};

struct curve_keys {
    uint8_t public[CURVE_KEY_BYTES];
    uint8_t secret[CURVE_KEY_BYTES];
    bool any; /* whoever knows the public key may connect, and is nobody */
    size_t count;
    struct curve_client *clients; /* sorted by key */
};

/* `secret`: the server's, in Z85. `clients`: a file with a name and a public key in each line, and
 * comments behind '#'; NULL or "": any. False with a sentence; curve_keys_done in any case. */
MUST_USE bool curve_keys_load(struct curve_keys *ret_keys, const char *secret, const char *clients,
                              char *error, size_t error_size);
/* The name of a client by its key. NULL: it may not connect. */
const char *curve_keys_find(const struct curve_keys *keys, const uint8_t key[CURVE_KEY_BYTES]);
/* Wipes them. */
void curve_keys_done(struct curve_keys *keys);

#endif
