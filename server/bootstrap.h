/* The token of --bootstrap-token-file.
 *
 * Thread: main. Owns: nothing. */
#ifndef MUSTER_SERVER_BOOTSTRAP_H
#define MUSTER_SERVER_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "api/core/token_text.h"
#include "server/base/compiler.h"

struct bootstrap {
    char id[TOKEN_ID_SIZE];
    uint8_t hash[TOKEN_HASH_BYTES];
    struct token_spec spec; /* borrows from these */
};

/* False with a sentence in `error`. */
MUST_USE bool bootstrap_read(struct bootstrap *bootstrap, const char *path, char *error,
                             size_t error_size);

#endif
