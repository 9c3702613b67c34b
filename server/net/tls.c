#include "server/net/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/net/credentials.h"
#include "server/net/tls_peer.h"

#define RECORD_BYTES        16384
#define PROTOCOLS_MAX       4
#define HANDSHAKE_BYTES_MAX 32768 /* of one message: chains of certificates have a few thousand */

struct tls {
    struct tls_options options;
    gnutls_priority_t priority;
    struct credential_store *store;
};

/* GnuTLS asks for a record's head, then for its body: what one recv() has brought is kept for it.
 * Between calls of ours almost always nothing is left, so sessions share one buffer a thread. */
struct ahead {
    char *at;
    size_t len;
    bool drained; /* the kernel had no more */
    char bytes[RECORD_BYTES + 512];
};
static _Thread_local struct ahead ahead;

struct tls_session {
    gnutls_session_t session;
    int fd;
    char *rest; /* read ahead and left by the last call; NULL: nothing */
    size_t rest_len;
    struct credentials *credentials;
    bool has_more;  /* as of the last tls_recv */
    bool asks;      /* for a certificate of the client */
    size_t pending; /* bytes of a record that the kernel has not taken whole */
    enum tls_principal principal;
    char *name; /* of the client's certificate; NULL: none */
};

/* --- open and refresh --- */

struct tls *tls_open(const struct tls_options *options, char *error, size_t error_size)
{
    const struct credential_files files = {
        .cert = options->cert, .key = options->key, .ca = options->client_ca};
    struct credential_store *store = credential_store_open(&files, error, error_size);
    if (store == NULL) {
        return NULL;
    }
    struct tls *tls = mem_zalloc(1, sizeof *tls);
    tls->options = *options;
    tls->store = store;
    int failed = gnutls_priority_init2(&tls->priority, "-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL,
                                       GNUTLS_PRIORITY_INIT_DEF_APPEND);
    if (failed != 0) {
        (void)snprintf(error, error_size, "TLS: %s", gnutls_strerror(failed));
        tls_free(tls);
        return NULL;
    }
    return tls;
}

enum tls_refreshed tls_refresh(struct tls *tls, bool forced, char *error, size_t error_size)
{
    return credential_store_refresh(tls->store, forced, error, error_size);
}

int64_t tls_expires_s(struct tls *tls)
{
    return credential_store_expires_s(tls->store);
}

void tls_free(struct tls *tls)
{
    if (tls != NULL) {
        if (tls->priority != NULL) {
            gnutls_priority_deinit(tls->priority);
        }
        credential_store_free(tls->store);
        free(tls);
    }
}

/* --- bytes --- */

/* Before each call of GnuTLS that may read. */
static void ahead_take(struct tls_session *s)
{
    ahead.at = ahead.bytes;
    ahead.len = s->rest_len;
    ahead.drained = false;
    if (s->rest != NULL) {
        memcpy(ahead.bytes, s->rest, s->rest_len);
        free(s->rest);
        s->rest = NULL;
        s->rest_len = 0;
    }
}

/* And after it. */
static void ahead_keep(struct tls_session *s)
{
    if (ahead.len > 0) {
        s->rest = mem_alloc(ahead.len);
        s->rest_len = ahead.len;
        memcpy(s->rest, ahead.at, ahead.len);
    }
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *to, size_t size)
{
    struct tls_session *s = ctx;
    if (ahead.len == 0) {
        ssize_t got = recv(s->fd, ahead.bytes, sizeof ahead.bytes, 0);
        if (got <= 0) {
            ahead.drained = true;
            gnutls_transport_set_errno(s->session, errno);
            return got;
        }
        ahead.at = ahead.bytes;
        ahead.len = (size_t)got;
        ahead.drained = (size_t)got < sizeof ahead.bytes;
    }
    size_t part = size < ahead.len ? size : ahead.len;
    memcpy(to, ahead.at, part);
    ahead.at += part;
    ahead.len -= part;
    return (ssize_t)part;
}

/* --- sessions --- */

static bool offer_protocols(const struct tls *tls, gnutls_session_t session)
{
    const char *const *protocols = tls->options.protocols;
    gnutls_datum_t names[PROTOCOLS_MAX];
    unsigned count = 0;
    for (; protocols != NULL && protocols[count] != NULL; count++) {
        CHECK(count < PROTOCOLS_MAX);
        names[count].data = (unsigned char *)(uintptr_t)protocols[count];
        names[count].size = (unsigned)strlen(protocols[count]);
    }
    return count == 0 ||
           gnutls_alpn_set_protocols(session, names, count, GNUTLS_ALPN_SERVER_PRECEDENCE) == 0;
}

static bool set_up(struct tls *tls, struct tls_session *s, int fd)
{
    gnutls_session_t session = s->session;
    if (gnutls_priority_set(session, tls->priority) != 0 ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, s->credentials->certificates) !=
            0 ||
        (!s->asks &&
         gnutls_session_ticket_enable_server(session, &s->credentials->ticket_key) != 0)) {
        return false;
    }
    if (!offer_protocols(tls, session)) {
        return false;
    }
    gnutls_certificate_server_set_request(session, !s->asks ? GNUTLS_CERT_IGNORE
                                                   : tls->options.client_required
                                                       ? GNUTLS_CERT_REQUIRE
                                                       : GNUTLS_CERT_REQUEST);
    gnutls_handshake_set_max_packet_length(session, HANDSHAKE_BYTES_MAX);
    /* The caller has a time for it. */
    gnutls_handshake_set_timeout(session, GNUTLS_INDEFINITE_TIMEOUT);
    gnutls_transport_set_ptr2(session, s, (gnutls_transport_ptr_t)(intptr_t)fd);
    gnutls_transport_set_pull_function(session, pull);
    return true;
}

struct tls_session *tls_begin(struct tls *tls, int fd)
{
    struct tls_session *s = mem_zalloc(1, sizeof *s);
    s->fd = fd;
    s->principal = tls->options.principal;
    s->credentials = credential_store_take(tls->store);
    s->asks = tls->options.client_ca != NULL && tls->options.client_ca[0] != '\0';
    /* A ticket would stand for a certificate that nobody looks at again. */
    unsigned flags =
        GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | (s->asks ? GNUTLS_NO_TICKETS : 0);
    if (gnutls_init(&s->session, flags) != 0) {
        credentials_release(s->credentials);
        free(s);
        return NULL;
    }
    if (!set_up(tls, s, fd)) {
        tls_end(s);
        return NULL;
    }
    return s;
}

void tls_end(struct tls_session *s)
{
    if (s != NULL) {
        gnutls_deinit(s->session);
        free(s->rest);
        free(s->name);
        credentials_release(s->credentials);
        free(s);
    }
}

/* -1 with errno for what GnuTLS has returned. */
static int failed_with(int result)
{
    switch (result) {
    case GNUTLS_E_AGAIN:
        errno = EAGAIN;
        break;
    case GNUTLS_E_INTERRUPTED:
    case GNUTLS_E_WARNING_ALERT_RECEIVED:
        errno = EINTR;
        break;
    case GNUTLS_E_PREMATURE_TERMINATION:
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR:
        errno = ECONNRESET;
        break;
    default:
        errno = EPROTO;
        break;
    }
    return -1;
}

static void keep_name(struct tls_session *s)
{
    char name[TLS_NAME_SIZE];
    tls_peer_name(s->session, s->principal, name);
    if (name[0] != '\0' && s->name == NULL) {
        s->name = mem_alloc(strlen(name) + 1);
        memcpy(s->name, name, strlen(name) + 1);
    }
}

bool tls_speaks(const struct tls_session *s, const char *protocol)
{
    gnutls_datum_t agreed;
    return gnutls_alpn_get_selected_protocol(s->session, &agreed) == 0 &&
           agreed.size == strlen(protocol) && memcmp(agreed.data, protocol, agreed.size) == 0;
}

const char *tls_client_name(const struct tls_session *s)
{
    return s->name != NULL ? s->name : "";
}

/* A certificate that came must be of a CA that counts, for clients, and must not have ended. */
static int verify_client(struct tls_session *s, char reason[TLS_REASON_SIZE])
{
    if (!s->asks || !tls_peer_has_certificate(s->session)) {
        return 0; /* one that is required was required by the handshake */
    }
    if (tls_peer_verify(s->session, GNUTLS_KP_TLS_WWW_CLIENT, reason)) {
        keep_name(s);
        return 0;
    }
    errno = EPROTO;
    return -1;
}

int tls_handshake(struct tls_session *s, char reason[TLS_REASON_SIZE])
{
    ahead_take(s);
    int result = gnutls_handshake(s->session);
    ahead_keep(s);
    if (result == 0) {
        return verify_client(s, reason);
    }
    tls_peer_failed(s->session, result, "the client", reason);
    return failed_with(result);
}

ssize_t tls_recv(struct tls_session *s, void *to, size_t size)
{
    ahead_take(s);
    ssize_t got = gnutls_record_recv(s->session, to, size);
    ahead_keep(s);
    s->has_more = !ahead.drained || s->rest != NULL || gnutls_record_check_pending(s->session) > 0;
    return got >= 0 ? got : failed_with((int)got);
}

bool tls_has_more(const struct tls_session *s)
{
    return s->has_more;
}

/* The pieces, as far as one record holds them, in one. */
static size_t gather(const struct iovec *pieces, size_t count, char to[RECORD_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < count && len < RECORD_BYTES; i++) {
        size_t room = RECORD_BYTES - len;
        size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        if (part > 0) {
            memcpy(to + len, pieces[i].iov_base, part);
            len += part;
        }
    }
    return len;
}

ssize_t tls_send(struct tls_session *s, const struct iovec *pieces, size_t count)
{
    char record[RECORD_BYTES];
    const void *data = NULL; /* of a record that is half sent GnuTLS has the rest */
    size_t len = 0;
    if (s->pending == 0) {
        bool is_one = count == 1 || pieces[0].iov_len >= RECORD_BYTES;
        data = is_one ? pieces[0].iov_base : record;
        len = is_one ? pieces[0].iov_len : gather(pieces, count, record);
        len = len < RECORD_BYTES ? len : RECORD_BYTES;
    }
    ssize_t sent = gnutls_record_send(s->session, data, len);
    if (sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED) {
        s->pending = s->pending == 0 ? len : s->pending;
    } else {
        s->pending = 0;
    }
    return sent >= 0 ? sent : failed_with((int)sent);
}

void tls_bye(struct tls_session *s)
{
    (void)gnutls_bye(s->session, GNUTLS_SHUT_WR);
}
