/* TLS of this replica, for clients and between members: opened at the start; certificates are read
 * again while it runs.
 *
 * Thread: main. */
#ifndef MUSTER_SERVER_CERTIFICATES_H
#define MUSTER_SERVER_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"
#include "server/config.h"
#include "server/net/link_tls.h"
#include "server/net/tls.h"

struct certificates {
    struct tls *clients;      /* NULL: without */
    struct link_tls *members; /* NULL: without */
};

/* The options are borrowed until certificates_close. False with a sentence in `error`. */
MUST_USE bool certificates_open(const struct config *config, struct certificates *ret_certificates,
                                char *error, size_t error_size);
/* Whether there are files that may change. */
bool certificates_have_files(const struct certificates *certificates);
/* Reads the files again, if they have changed or `forced`, and says in the log what came of it. */
void certificates_refresh(const struct certificates *certificates, bool forced);
void certificates_close(struct certificates *certificates);

#endif
