/* TLS on one connection between members: its handshake, which runs on the pool's threads, since it
 * costs milliseconds, then sealing and opening on the loop.
 *
 * Until secure_begin a connection is plain. While the handshake is computed nothing is read.
 *
 * Thread: loop. Callbacks may close the connection. Owns: its session. */
#ifndef MUSTER_PEER_SECURE_H
#define MUSTER_PEER_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "server/net/link_tls.h"

struct peers;
struct shake;

struct secure {
    struct peers *p;
    uv_tcp_t *tcp;
    uv_alloc_cb alloc; /* with which the owner reads */
    uv_read_cb read;
    /* The handshake of TLS is over. 0: bytes may be read and written. UV_EPROTO: refused, with a
     * reason; another error of libuv: the connection is gone. */
    void (*done)(void *owner, int error, const char *reason);
    void *owner;
    struct link_session *session; /* NULL: plain */
    struct shake *shake;          /* the step being computed; NULL: none */
    bool open;                    /* the handshake is done */
};

/* From now on the connection speaks TLS. `first`: bytes that have been read already. The owner
 * reads, or has not begun to: then it must not. Takes over `session`. */
void secure_begin(struct secure *s, struct link_session *session, const void *first, size_t len);
/* The connection is being closed: no more callbacks. May be repeated. */
void secure_end(struct secure *s);
/* Bytes that the owner's read has brought, not none. False if the connection is of no use. Once it
 * is open, the owner then reads until there is nothing more. */
MUST_USE bool secure_take(struct secure *s, const void *data, size_t len);
/* Writes a few bytes at once, sealed unless plain. A new socket has room for so few. Returns false
 * with *ret_error, of libuv, otherwise. */
MUST_USE bool secure_write(struct secure *s, const void *data, size_t len, int *ret_error);

#endif
