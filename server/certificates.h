/* The certificate of this replica: opened at the start, and read again while it runs.
 *
 * Thread: main. */
#ifndef MUSTER_SERVER_CERTIFICATES_H
#define MUSTER_SERVER_CERTIFICATES_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"
#include "server/config.h"
#include "server/net/tls.h"

/* *ret_tls is NULL where the options name none. The options are borrowed until tls_free. False with
 * a sentence in `error`. */
MUST_USE bool certificates_open(const struct config *config, struct tls **ret_tls, char *error,
                                size_t error_size);
/* Reads the files again, if they have changed or `forced`, and says in the log what came of it. */
void certificates_refresh(struct tls *tls, bool forced);

#endif
