/* Addresses of names, looked up by threads of their own: a name server that hangs delays neither
 * other checks nor anything else of the replica. What was found is kept for a while.
 *
 * Thread: one, but for the look-ups. Owns: its threads and what it has found. */
#ifndef MUSTER_API_PROBER_RESOLVE_H
#define MUSTER_API_PROBER_RESOLVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "server/base/compiler.h"

#define RESOLVE_ADDRESSES_MAX 8
#define RESOLVE_THREADS       2

struct resolve_addresses {
    size_t count;
    struct sockaddr_storage list[RESOLVE_ADDRESSES_MAX]; /* without a port */
};

enum resolve_state {
    RESOLVE_FOUND,
    RESOLVE_WAIT,   /* `wake` is called when there is something new: ask again */
    RESOLVE_FAILED, /* a static sentence */
};

struct resolver;

/* `wake`: any thread; must not block. */
struct resolver *resolver_new(void (*wake)(void *ctx), void *ctx);
/* Waits for the threads a little; what still hangs in a name server is left alone. */
void resolver_free(struct resolver *r);
/* Does not block. A host that is an address is found at once. */
enum resolve_state resolver_find(struct resolver *r, const char *host, uint64_t now_ms,
                                 struct resolve_addresses *ret_addresses, const char **ret_failure);
/* Takes what was looked up. After `wake`. */
void resolver_take(struct resolver *r, uint64_t now_ms);
/* Forgets names that nobody has asked for lately. Now and then. */
void resolver_sweep(struct resolver *r, uint64_t now_ms);

/* An address as text, with its port: "10.0.0.5:80", "[::1]:80". */
#define RESOLVE_TEXT_SIZE 64
void resolve_format(const struct sockaddr *address, char out[RESOLVE_TEXT_SIZE]);
void resolve_set_port(struct sockaddr_storage *address, uint16_t port);
socklen_t resolve_length(const struct sockaddr_storage *address);

#endif
