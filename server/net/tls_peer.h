/* The other side of a TLS session: its certificate, and why a handshake with it failed.
 *
 * Thread: that of the session. */
#ifndef MUSTER_NET_TLS_PEER_H
#define MUSTER_NET_TLS_PEER_H

#include <stdbool.h>

#include <gnutls/gnutls.h>

#define TLS_REASON_SIZE 160

bool tls_peer_has_certificate(gnutls_session_t session);
/* Whether its certificate is of a CA that counts, has not ended, and is for `purpose`
 * (GNUTLS_KP_...). Otherwise sends an alert; `reason` is a printable sentence. */
bool tls_peer_verify(gnutls_session_t session, const char *purpose, char reason[TLS_REASON_SIZE]);
/* After gnutls_handshake has returned the error `result`: sends the alert that is due, and sets
 * `reason`, a printable sentence in which the other side is `who`. */
void tls_peer_failed(gnutls_session_t session, int result, const char *who,
                     char reason[TLS_REASON_SIZE]);

#endif
