/* TLS for sockets that do not block, whoever listens on them: the certificate of this replica, read
 * again when its files change, and sessions of connections.
 *
 * TLS 1.2 and 1.3 with the algorithms that GnuTLS holds to be secure (RFC 8446, RFC 5246, RFC
 * 9325). Sessions are resumed by tickets (RFC 8446, 4.6.1; RFC 5077), whose key is forgotten when
 * the files change. Nothing is renegotiated, and there is no early data, which could be replayed.
 *
 * Thread: tls_open, tls_refresh, tls_free: main. tls_expires_s, tls_begin: any. A session: one
 * thread at a time. */
#ifndef MUSTER_NET_TLS_H
#define MUSTER_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "server/base/compiler.h"
#include "server/net/credentials.h"
#include "server/net/tls_peer.h"

/* Texts are borrowed until tls_free. */
struct tls_options {
    const char *cert; /* PEM file: the certificate, then those up to its CA */
    const char *key;  /* PEM file: its private key, not encrypted */
    const char
        *client_ca; /* PEM file: CAs of clients' certificates; NULL or "": none is asked for */
    bool client_required; /* a client without one is refused */
    enum tls_principal principal;
    /* Of ALPN (RFC 7301), for clients that offer some: those that we like best first, NULL at the
     * end. NULL: none. */
    const char *const *protocols;
};

struct tls;
struct tls_session;

/* Reads the files. NULL with a sentence in `error`. */
struct tls *tls_open(const struct tls_options *options, char *error, size_t error_size);

/* Reads the files again, if they have changed or `forced`. After a failure they count as changed.
 */
enum tls_refreshed tls_refresh(struct tls *tls, bool forced, char *error, size_t error_size);

/* When the first certificate of the chain ends, in seconds since 1970. */
int64_t tls_expires_s(struct tls *tls);
/* Sessions keep what they need of it. NULL is allowed. */
void tls_free(struct tls *tls);

/* A session of a server on an accepted socket, which stays the caller's. NULL: no memory. */
struct tls_session *tls_begin(struct tls *tls, int fd);
/* Frees it and closes nothing. NULL is allowed. */
void tls_end(struct tls_session *session);

/* As of the calls of sockets: -1 with errno EAGAIN (the kernel has or takes nothing: call again
 * when it does), EINTR (call again), or another one: the session is of no use any more. */

/* 0: done. -1 with an errno other than these two: refused, and the client has been told, if it
 * could be; the reason, printable, is in `reason`. */
int tls_handshake(struct tls_session *session, char reason[TLS_REASON_SIZE]);
/* After the handshake: the name of the client's certificate; "" when there is none. */
const char *tls_client_name(const struct tls_session *session);
/* Likewise: whether this is the protocol that was agreed on by ALPN. */
bool tls_speaks(const struct tls_session *session, const char *protocol);
/* 0: the client has said that it sends no more. */
ssize_t tls_recv(struct tls_session *session, void *to, size_t size);
/* Whether there may be more to receive, as of the last tls_recv: false only when the kernel had no
 * more, and nothing that it gave is left. */
bool tls_has_more(const struct tls_session *session);
/* How much of the pieces, in one record (16 KiB), has gone to the kernel. After EAGAIN the same
 * bytes, at least, must be given again. */
ssize_t tls_send(struct tls_session *session, const struct iovec *pieces, size_t count);
/* Says that no more is sent, if the kernel takes it. */
void tls_bye(struct tls_session *session);

#endif
