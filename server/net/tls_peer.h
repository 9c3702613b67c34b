/* The other side of a TLS session: its certificate, and why a handshake with it failed.
 *
 * Thread: that of the session. */
#ifndef MUSTER_NET_TLS_PEER_H
#define MUSTER_NET_TLS_PEER_H

#include <stdbool.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "server/base/limits.h"

#define TLS_REASON_SIZE 160
#define TLS_NAME_SIZE   (CERTIFICATE_NAME_BYTES_MAX + 1)

/* Which name in a client's certificate is the client's. */
enum tls_principal {
    TLS_PRINCIPAL_NONE, /* none is */
    TLS_PRINCIPAL_CN,   /* the common name of its subject */
    TLS_PRINCIPAL_URI,  /* its URI, such as a SPIFFE id */
};

bool tls_peer_has_certificate(gnutls_session_t session);
/* Whether its certificate is of a CA that counts, has not ended, and is for `purpose`
 * (GNUTLS_KP_...). Otherwise sends an alert; `reason` is a printable sentence. */
bool tls_peer_verify(gnutls_session_t session, const char *purpose, char reason[TLS_REASON_SIZE]);
/* The name of its certificate, which was verified; "" when there is none. */
void tls_peer_name(gnutls_session_t session, enum tls_principal principal,
                   char ret_name[TLS_NAME_SIZE]);
/* The same of a certificate. A name counts only when there is one of its kind, and it is one
 * (naming_is_certificate): who holds two could choose, and a NUL would hide the rest. */
void tls_certificate_name(gnutls_x509_crt_t crt, enum tls_principal principal,
                          char ret_name[TLS_NAME_SIZE]);
/* After gnutls_handshake has returned the error `result`: sends the alert that is due, and sets
 * `reason`, a printable sentence in which the other side is `who`. */
void tls_peer_failed(gnutls_session_t session, int result, const char *who,
                     char reason[TLS_REASON_SIZE]);

#endif
