/* Looking up names, each on a thread of its own: a name server that hangs holds up nothing else,
 * not snapshots, not the names of others, and not the end of the process.
 *
 * Thread: loop. Owns: its threads, until they end by themselves. */
#ifndef MUSTER_CONSENSUS_PEER_LOOKUP_H
#define MUSTER_CONSENSUS_PEER_LOOKUP_H

#include <netdb.h>
#include <stdint.h>
#include <uv.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"

/* At a time, those that nobody waits for any more included. */
#define LOOKUPS_MAX (2 * LINKS_MAX)
/* Longer than this is worth a word. */
#define LOOKUP_SLOW_MS 2000

struct lookups;
struct lookup;

struct lookups *lookups_open(uv_loop_t *loop);
/* All were abandoned. Calls `closed` once no callback comes any more; threads that still wait for a
 * name server end behind it. */
void lookups_close(struct lookups *lookups, void (*closed)(void *ctx), void *ctx);

/* Calls `done` from the loop, later: `failure` is NULL, and the addresses the callee's
 * (freeaddrinfo), or it is static text. NULL: there are too many, or no thread could be made. */
MUST_USE struct lookup *
lookup_begin(struct lookups *lookups, const char *host, uint16_t port,
             void (*done)(void *owner, const char *failure, struct addrinfo *found), void *owner);
/* At once, for a host that is an address; NULL: it is a name. The caller's (freeaddrinfo). */
MUST_USE struct addrinfo *lookup_numeric(const char *host, uint16_t port);
/* Nobody waits for it any more: `done` will not be called. */
void lookup_abandon(struct lookup *lookup);

#endif
