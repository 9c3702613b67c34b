/* Name lookups, each on a thread of its own: a hanging name server delays nothing else, neither
 * snapshots nor other names nor the end of the process.
 *
 * Thread: loop. Owns: its threads, until they exit by themselves. */
#ifndef MUSTER_CONSENSUS_PEER_LOOKUP_H
#define MUSTER_CONSENSUS_PEER_LOOKUP_H

#include <netdb.h>
#include <stdint.h>
#include <uv.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"

/* At a time, including abandoned ones. */
#define LOOKUPS_MAX (2 * LINKS_MAX)
/* A lookup longer than this is logged. */
#define LOOKUP_SLOW_MS 2000

struct lookups;
struct lookup;

struct lookups *lookups_open(uv_loop_t *loop);
/* All must be abandoned. Calls `closed` when no more callbacks will come; threads still waiting for
 * a name server exit later. */
void lookups_close(struct lookups *lookups, void (*closed)(void *ctx), void *ctx);

/* Calls `done` from the loop, later, with `failure` NULL and the addresses, which are the callee's
 * to free (freeaddrinfo), or with static text. NULL: too many lookups, or no thread. */
MUST_USE struct lookup *
lookup_begin(struct lookups *lookups, const char *host, uint16_t port,
             void (*done)(void *owner, const char *failure, struct addrinfo *found), void *owner);
/* Immediate, for numeric hosts; NULL: it is a name. The caller frees it (freeaddrinfo). */
MUST_USE struct addrinfo *lookup_numeric(const char *host, uint16_t port);
/* `done` will not be called. */
void lookup_abandon(struct lookup *lookup);

#endif
