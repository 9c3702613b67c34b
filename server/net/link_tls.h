/* TLS 1.3 (RFC 8446) between members, without sockets: bytes of the network are put in, and bytes
 * for it are taken out.
 *
 * Two kinds: with certificates on both sides, or with a pre-shared key (RFC 8446, 2.2, with an
 * ephemeral Diffie-Hellman exchange) that is made from the secret of the cluster by HKDF-SHA-256
 * (RFC 5869), so that recorded traffic stays closed when the secret becomes known later. No
 * tickets, no early data, no renegotiation. ALPN (RFC 7301) names the protocol, so that a session
 * with another port of the same certificate is not taken for one.
 *
 * Thread: link_tls_open, _refresh, _free: main; _expires_s, link_session_begin: any. A session: one
 * thread at a time. */
#ifndef MUSTER_NET_LINK_TLS_H
#define MUSTER_NET_LINK_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "server/base/compiler.h"
#include "server/net/credentials.h"
#include "server/net/tls_peer.h"

#define LINK_SECRETS_MAX   2 /* the present one, and an older one while they are replaced */
#define LINK_BINDING_BYTES 32
#define LINK_INPUT_BYTES   (256 * 1024) /* of one put, at most */

struct link_tls_options {
    struct credential_files files;         /* of this member; .cert NULL or "": none */
    const char *secrets[LINK_SECRETS_MAX]; /* NULL or "": none; copied as keys */
    bool mixed;             /* accept keys of secrets although there is a certificate */
    uint64_t records_a_key; /* sent under one key of a session; 0: as many as are surely safe */
};

struct link_tls;
struct link_session;

/* Reads the files. At least a certificate or a secret is required. NULL with a sentence in `error`.
 */
struct link_tls *link_tls_open(const struct link_tls_options *options, char *error,
                               size_t error_size);
bool link_tls_has_certificate(const struct link_tls *tls);
bool link_tls_has_secret(const struct link_tls *tls, size_t secret);
/* Of the certificate; TLS_UNCHANGED if there is none. */
enum tls_refreshed link_tls_refresh(struct link_tls *tls, bool forced, char *error,
                                    size_t error_size);
/* As tls_expires_s; INT64_MAX if there is no certificate. */
int64_t link_tls_expires_s(struct link_tls *tls);
/* Wipes the keys. Sessions must have ended. NULL is allowed. */
void link_tls_free(struct link_tls *tls);

enum link_side {
    LINK_ACCEPT,       /* with the certificate, or whichever key the other side names */
    LINK_CONNECT_CERT, /* with the certificate */
    LINK_CONNECT_KEY,  /* with the key of a secret */
};
/* `secret`: for LINK_CONNECT_KEY. NULL: no memory. */
struct link_session *link_session_begin(struct link_tls *tls, enum link_side side, size_t secret);
/* NULL is allowed. */
void link_session_end(struct link_session *s);

/* Whether bytes may be the first of a session of TLS rather than of the plain handshake. */
bool link_session_is_first(uint8_t byte);
/* Copies what has come from the network, at most LINK_INPUT_BYTES before it is used up. False if
 * that is too much. */
MUST_USE bool link_session_put(struct link_session *s, const void *data, size_t len);
/* What is to be sent: free() it; NULL and 0 if nothing. */
uint8_t *link_session_take(struct link_session *s, size_t *ret_len);

enum link_shake {
    LINK_SHAKE_MORE, /* send what there is, and call again with more input */
    LINK_SHAKE_DONE,
    LINK_SHAKE_FAILED, /* `reason` says why; send what there is: it may be an alert */
};
/* The handshake, as far as the input goes. Costs milliseconds: not for the loop. */
enum link_shake link_session_shake(struct link_session *s, char reason[TLS_REASON_SIZE]);

/* After LINK_SHAKE_DONE: */

enum link_read { LINK_READ_SOME, LINK_READ_NONE, LINK_READ_CLOSED, LINK_READ_BROKEN };
/* Up to `size` bytes; *ret_len is their number, positive with LINK_READ_SOME. LINK_READ_BROKEN:
 * what came was not sent by the other side like this, or it refuses to go on. */
enum link_read link_session_read(struct link_session *s, void *to, size_t size, size_t *ret_len);
/* After LINK_READ_BROKEN: a printable sentence. */
const char *link_session_trouble(const struct link_session *s);
/* Seals the pieces in order. False if the session is of no use any more. */
MUST_USE bool link_session_write(struct link_session *s, const struct iovec *pieces, size_t count);
/* Secret bytes that only the two ends of this session have (RFC 9266). */
void link_session_binding(const struct link_session *s, uint8_t out[LINK_BINDING_BYTES]);
/* Whether the other side may speak for a member: its certificate names the member
 * ("muster:member:3" among the URIs of its alternative names), or, naming none, `host`, at which
 * the member is reached; "": not known. True if it has shown no certificate: then it knows the
 * secret, as all members do. */
bool link_session_is_member(const struct link_session *s, uint64_t member, const char *host);

#endif
