/* A listening socket for a "host:port" that people write.
 *
 * Thread: any. */
#ifndef MUSTER_NET_LISTEN_H
#define MUSTER_NET_LISTEN_H

#include <stddef.h>

#include "server/base/compiler.h"

/* Binds and listens, not blocking, with the system's longest backlog. Without a host: on all
 * addresses of both families; a name is bound on the first of its addresses that can be, IPv4
 * before IPv6. One socket, without SO_REUSEPORT: a second process on the port fails at once.
 * `option` is the one to change when that fails. Returns the descriptor; -1 with a sentence in
 * `error`. */
MUST_USE int listen_open(const char *address, const char *option, char *error, size_t error_size);
/* The same for UDP: bound, and not blocking. */
MUST_USE int listen_open_datagrams(const char *address, const char *option, char *error,
                                   size_t error_size);

#endif
