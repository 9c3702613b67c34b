/* A replica as a load generator sees it: an address to connect to, and its name for Host.
 *
 * Thread: any, constant once resolved. Owns: nothing. */
#ifndef MUSTER_BENCH_TARGET_H
#define MUSTER_BENCH_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/compiler.h"

#define TARGETS_MAX       32
#define TARGET_NAME_BYTES 320

struct target {
    struct sockaddr_storage address;
    socklen_t address_len;
    char name[TARGET_NAME_BYTES]; /* host:port */
};

/* `url` is http://host[:port]. False with a sentence in `error`. */
MUST_USE bool target_resolve(const char *url, struct target *ret_target, char *error,
                             size_t error_size);
/* Connects to all at once, and sets each of ret_reachable to whether something took the connection
 * within the time. Nothing is sent. */
void target_probe(const struct target *targets, size_t count, uint64_t timeout_ms,
                  bool *ret_reachable);

#endif
