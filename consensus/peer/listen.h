/* A listening socket for a "host:port" that people write.
 *
 * Thread: any. */
#ifndef MUSTER_PEER_LISTEN_H
#define MUSTER_PEER_LISTEN_H

#include <stddef.h>

#include "server/base/compiler.h"

#define LISTEN_BACKLOG 128

/* The descriptor, listening and not blocking, on the first address of the host that can be bound;
 * without a host: on all addresses of both families. -1, with a sentence, on failure. */
MUST_USE int listen_open(const char *address, char *error, size_t error_size);

#endif
