/* The keys of a handshake with one secret, and without a channel below it. */
#ifndef MUSTER_TESTS_HANDSHAKE_KEYS_H
#define MUSTER_TESTS_HANDSHAKE_KEYS_H

#include "consensus/peer/handshake.h"

#define KEYS(secret) (&(const struct handshake_keys){.secrets = {(secret)}, .count = 1})

#endif
