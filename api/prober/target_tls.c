#include "api/prober/target_tls.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "server/base/mem.h"

#define HANDSHAKE_BYTES_MAX 32768 /* of one message */

struct target_tls {
    const char *ca;
    gnutls_certificate_credentials_t credentials; /* NULL: not read yet */
    gnutls_priority_t priority;
};

struct target_session {
    gnutls_session_t session;
    int fd;
    bool is_open;
    bool is_drained; /* the kernel had no more */
};

static ssize_t pull(gnutls_transport_ptr_t ctx, void *to, size_t size)
{
    struct target_session *s = ctx;
    ssize_t got = recv(s->fd, to, size, 0);
    s->is_drained = got < 0 && errno == EAGAIN;
    return got;
}

struct target_tls *target_tls_new(const char *ca)
{
    struct target_tls *tls = mem_zalloc(1, sizeof *tls);
    tls->ca = ca != NULL && ca[0] != '\0' ? ca : NULL;
    return tls;
}

void target_tls_free(struct target_tls *tls)
{
    if (tls->credentials != NULL) {
        gnutls_certificate_free_credentials(tls->credentials);
    }
    if (tls->priority != NULL) {
        gnutls_priority_deinit(tls->priority);
    }
    free(tls);
}

static bool load(struct target_tls *tls, char reason[TLS_REASON_SIZE])
{
    if (tls->credentials != NULL) {
        return true;
    }
    gnutls_certificate_credentials_t credentials = NULL;
    int rv = gnutls_certificate_allocate_credentials(&credentials);
    if (rv >= 0 && tls->priority == NULL) {
        rv = gnutls_priority_init2(&tls->priority, "-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL,
                                   GNUTLS_PRIORITY_INIT_DEF_APPEND);
    }
    if (rv >= 0) {
        rv = tls->ca != NULL
                 ? gnutls_certificate_set_x509_trust_file(credentials, tls->ca, GNUTLS_X509_FMT_PEM)
                 : gnutls_certificate_set_x509_system_trust(credentials);
    }
    /* A system without CAs trusts nobody, which shows where certificates are verified. */
    if (rv < 0 && (credentials == NULL || tls->priority == NULL || tls->ca != NULL)) {
        (void)snprintf(reason, TLS_REASON_SIZE, "the CAs cannot be read: %s", gnutls_strerror(rv));
        if (credentials != NULL) {
            gnutls_certificate_free_credentials(credentials);
        }
        return false;
    }
    tls->credentials = credentials;
    return true;
}

static bool is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static int set_up(struct target_tls *tls, gnutls_session_t session, const char *name, bool verifies,
                  const char *protocol)
{
    const gnutls_datum_t offered = {(unsigned char *)(uintptr_t)protocol,
                                    (unsigned)strlen(protocol)};
    int rv = gnutls_priority_set(session, tls->priority);
    if (rv >= 0) {
        rv = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    }
    if (rv >= 0) {
        rv = gnutls_alpn_set_protocols(session, &offered, 1, 0);
    }
    if (rv >= 0 && !is_address(name)) {
        rv = gnutls_server_name_set(session, GNUTLS_NAME_DNS, name, strlen(name));
    }
    if (rv >= 0 && verifies) {
        gnutls_session_set_verify_cert(session, name, 0);
    }
    gnutls_handshake_set_max_packet_length(session, HANDSHAKE_BYTES_MAX);
    gnutls_handshake_set_timeout(session, GNUTLS_INDEFINITE_TIMEOUT); /* the caller has one */
    return rv;
}

struct target_session *target_tls_begin(struct target_tls *tls, int fd, const char *name,
                                        bool verifies, const char *protocol,
                                        char reason[TLS_REASON_SIZE])
{
    gnutls_session_t session = NULL;
    if (!load(tls, reason)) {
        return NULL;
    }
    int rv = gnutls_init(&session,
                         GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);
    if (rv >= 0) {
        rv = set_up(tls, session, name, verifies, protocol);
    }
    if (rv < 0) {
        (void)snprintf(reason, TLS_REASON_SIZE, "%s", gnutls_strerror(rv));
        if (session != NULL) {
            gnutls_deinit(session);
        }
        return NULL;
    }
    struct target_session *s = mem_zalloc(1, sizeof *s);
    s->session = session;
    s->fd = fd;
    gnutls_transport_set_ptr2(session, s, (gnutls_transport_ptr_t)(intptr_t)fd);
    gnutls_transport_set_pull_function(session, pull);
    return s;
}

void target_tls_end(struct target_session *s)
{
    if (s != NULL) {
        if (s->is_open) {
            (void)gnutls_bye(s->session, GNUTLS_SHUT_WR);
        }
        gnutls_deinit(s->session);
        free(s);
    }
}

static void describe(gnutls_session_t session, int rv, char reason[TLS_REASON_SIZE])
{
    gnutls_datum_t text = {NULL, 0};
    if (rv == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
        gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(session),
                                                     GNUTLS_CRT_X509, &text, 0) == 0) {
        (void)snprintf(reason, TLS_REASON_SIZE, "%s", (const char *)text.data);
        gnutls_free(text.data);
        return;
    }
    tls_peer_failed(session, rv, "the target", reason);
}

int target_tls_handshake(struct target_session *s, char reason[TLS_REASON_SIZE])
{
    int rv;
    do {
        rv = gnutls_handshake(s->session);
    } while (rv == GNUTLS_E_INTERRUPTED ||
             (rv < 0 && rv != GNUTLS_E_AGAIN && gnutls_error_is_fatal(rv) == 0));
    if (rv == 0) {
        s->is_open = true;
        return 0;
    }
    if (rv == GNUTLS_E_AGAIN) {
        errno = EAGAIN;
        return -1;
    }
    describe(s->session, rv, reason);
    errno = EPROTO;
    return -1;
}

bool target_tls_speaks(const struct target_session *s, const char *protocol)
{
    gnutls_datum_t agreed;
    return gnutls_alpn_get_selected_protocol(s->session, &agreed) == 0 &&
           agreed.size == strlen(protocol) && memcmp(agreed.data, protocol, agreed.size) == 0;
}

/* What is not fatal, such as a ticket that comes, asks to be called again. */
static ssize_t translate(struct target_session *s, ssize_t rv)
{
    if (rv >= 0) {
        return rv;
    }
    s->is_open = s->is_open && (rv == GNUTLS_E_AGAIN || rv == GNUTLS_E_INTERRUPTED);
    errno = rv == GNUTLS_E_AGAIN ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t target_tls_recv(struct target_session *s, void *to, size_t size)
{
    ssize_t got;
    /* After a record that is not for us, such as a ticket, GnuTLS says GNUTLS_E_AGAIN although
     * there may be more, of which epoll says nothing a second time. */
    do {
        s->is_drained = false;
        got = gnutls_record_recv(s->session, to, size);
    } while (got == GNUTLS_E_INTERRUPTED || (got == GNUTLS_E_AGAIN && !s->is_drained));
    return translate(s, got);
}

ssize_t target_tls_send(struct target_session *s, const void *data, size_t len)
{
    ssize_t sent;
    do {
        sent = gnutls_record_send(s->session, data, len);
    } while (sent == GNUTLS_E_INTERRUPTED);
    return translate(s, sent);
}
