#include "server/net/tls_peer.h"

#include <stdint.h>
#include <stdio.h>

#include <gnutls/x509.h>

bool tls_peer_has_certificate(gnutls_session_t session)
{
    unsigned count = 0;
    return gnutls_certificate_get_peers(session, &count) != NULL && count > 0;
}

bool tls_peer_verify(gnutls_session_t session, const char *purpose, char reason[TLS_REASON_SIZE])
{
    unsigned status = 0;
    gnutls_datum_t text;
    gnutls_typed_vdata_st wanted = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                    /* GnuTLS only reads it. */
                                    .data = (unsigned char *)(uintptr_t)purpose};
    int failed = gnutls_certificate_verify_peers(session, &wanted, 1, &status);
    if (failed == 0 && status == 0) {
        return true;
    }
    (void)gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
    (void)snprintf(reason, TLS_REASON_SIZE, "%s", gnutls_strerror(failed));
    if (failed == 0 &&
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
        (void)snprintf(reason, TLS_REASON_SIZE, "%s", (const char *)text.data);
        gnutls_free(text.data);
    }
    return false;
}

void tls_peer_failed(gnutls_session_t session, int result, const char *who,
                     char reason[TLS_REASON_SIZE])
{
    (void)snprintf(reason, TLS_REASON_SIZE, "%s", gnutls_strerror(result));
    if (result == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        const char *alert = gnutls_alert_get_name(gnutls_alert_get(session));
        (void)snprintf(reason, TLS_REASON_SIZE, "%s says: %s", who, alert != NULL ? alert : "?");
    } else if (gnutls_error_is_fatal(result) != 0) {
        (void)gnutls_alert_send_appropriate(session, result);
    }
}
