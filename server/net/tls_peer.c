#include "server/net/tls_peer.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "server/base/naming.h"

#define NAMES_MAX 64 /* of a certificate, that are looked at */

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

/* False: it has none, or several. */
static bool find_common_name(gnutls_x509_crt_t crt, char text[TLS_NAME_SIZE], size_t *ret_len)
{
    size_t more = 0;
    *ret_len = TLS_NAME_SIZE;
    return gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, ret_len) ==
               0 &&
           gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 1, 0, NULL, &more) ==
               GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE &&
           text[0] != '#'; /* what is no text is given in hexadecimal */
}

/* Likewise; other kinds of alternative names do not matter. */
static bool find_uri(gnutls_x509_crt_t crt, char text[TLS_NAME_SIZE], size_t *ret_len)
{
    bool found = false;
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        char name[TLS_NAME_SIZE];
        size_t size = sizeof name;
        unsigned kind = 0;
        int result = gnutls_x509_crt_get_subject_alt_name2(crt, i, name, &size, &kind, NULL);
        if (result == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return found;
        }
        bool is_uri = kind == GNUTLS_SAN_URI;
        if ((result < 0 && (is_uri || result != GNUTLS_E_SHORT_MEMORY_BUFFER)) ||
            (is_uri && found)) {
            return false;
        }
        if (is_uri) {
            found = true;
            *ret_len = size;
            memcpy(text, name, size);
        }
    }
    return false;
}

void tls_certificate_name(gnutls_x509_crt_t crt, enum tls_principal principal,
                          char ret_name[TLS_NAME_SIZE])
{
    char text[TLS_NAME_SIZE];
    size_t len = 0;
    bool found = (principal == TLS_PRINCIPAL_CN && find_common_name(crt, text, &len)) ||
                 (principal == TLS_PRINCIPAL_URI && find_uri(crt, text, &len));
    bool good = found && len < TLS_NAME_SIZE && naming_is_certificate(text, len);
    if (good) {
        memcpy(ret_name, text, len);
    }
    ret_name[good ? len : 0] = '\0';
}

void tls_peer_name(gnutls_session_t session, enum tls_principal principal,
                   char ret_name[TLS_NAME_SIZE])
{
    unsigned count = 0;
    gnutls_x509_crt_t crt;
    ret_name[0] = '\0';
    const gnutls_datum_t *raw =
        principal != TLS_PRINCIPAL_NONE ? gnutls_certificate_get_peers(session, &count) : NULL;
    if (raw == NULL || count == 0 || gnutls_x509_crt_init(&crt) != 0) {
        return;
    }
    if (gnutls_x509_crt_import(crt, &raw[0], GNUTLS_X509_FMT_DER) == 0) {
        tls_certificate_name(crt, principal, ret_name);
    }
    gnutls_x509_crt_deinit(crt);
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
