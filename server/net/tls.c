#include "server/net/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "server/base/check.h"
#include "server/base/mem.h"

#define FILES               3 /* certificate, key, CAs of clients */
#define RECORD_BYTES        16384
#define HANDSHAKE_BYTES_MAX 32768 /* of one message: chains of certificates have a few thousand */
#define CHAIN_MAX           16

/* What tells one state of a file from another. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* What was read at one time. Counted: by its struct tls and by each session. */
struct credentials {
    atomic_uint references;
    gnutls_certificate_credentials_t certificates;
    gnutls_datum_t ticket_key;
    int64_t expires_s;
};

struct tls {
    struct tls_options options;
    gnutls_priority_t priority;
    struct stamp stamps[FILES]; /* as of the files that were read; main thread */
    pthread_mutex_t lock;       /* of: */
    struct credentials *current;
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
};

/* --- files --- */

static const char *file_of(const struct tls_options *options, size_t i)
{
    const char *const files[FILES] = {options->cert, options->key, options->client_ca};
    return files[i] != NULL ? files[i] : "";
}

static bool look_at(const char *path, struct stamp *ret_stamp, char *error, size_t error_size)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        (void)snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > (off_t)TLS_FILE_BYTES_MAX) {
        (void)snprintf(error, error_size, "%s: not a file of PEM", path);
        return false;
    }
    memset(ret_stamp, 0, sizeof *ret_stamp);
    ret_stamp->device = st.st_dev;
    ret_stamp->inode = st.st_ino;
    ret_stamp->size = st.st_size;
    ret_stamp->changed = st.st_mtim;
    return true;
}

static bool look_at_all(const struct tls_options *options, struct stamp stamps[FILES], char *error,
                        size_t error_size)
{
    for (size_t i = 0; i < FILES; i++) {
        const char *path = file_of(options, i);
        memset(&stamps[i], 0, sizeof stamps[i]);
        if (path[0] != '\0' && !look_at(path, &stamps[i], error, error_size)) {
            return false;
        }
    }
    return true;
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* --- credentials --- */

static void release(struct credentials *credentials)
{
    if (atomic_fetch_sub(&credentials->references, 1) == 1) {
        gnutls_certificate_free_credentials(credentials->certificates);
        if (credentials->ticket_key.data != NULL) {
            gnutls_memset(credentials->ticket_key.data, 0, credentials->ticket_key.size);
            gnutls_free(credentials->ticket_key.data);
        }
        free(credentials);
    }
}

/* When the first of the chain ends. */
static bool find_end(struct credentials *credentials, char *error, size_t error_size)
{
    credentials->expires_s = INT64_MAX;
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        gnutls_datum_t raw;
        gnutls_x509_crt_t crt;
        if (gnutls_certificate_get_crt_raw(credentials->certificates, 0, i, &raw) != 0) {
            break;
        }
        int failed = gnutls_x509_crt_init(&crt);
        if (failed == 0) {
            failed = gnutls_x509_crt_import(crt, &raw, GNUTLS_X509_FMT_DER);
            int64_t ends = failed == 0 ? (int64_t)gnutls_x509_crt_get_expiration_time(crt) : 0;
            gnutls_x509_crt_deinit(crt);
            credentials->expires_s = ends < credentials->expires_s ? ends : credentials->expires_s;
        }
        if (failed != 0) {
            (void)snprintf(error, error_size, "%s", gnutls_strerror(failed));
            return false;
        }
    }
    return true;
}

static bool read_files(const struct tls_options *options, struct credentials *credentials,
                       char *error, size_t error_size)
{
    gnutls_certificate_credentials_t certificates = credentials->certificates;
    int result = gnutls_certificate_set_x509_key_file2(certificates, options->cert, options->key,
                                                       GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result < 0) {
        (void)snprintf(error, error_size, "the certificate %s and its key %s: %s", options->cert,
                       options->key, gnutls_strerror(result));
        return false;
    }
    const char *client_ca = file_of(options, 2);
    if (client_ca[0] != '\0') {
        result =
            gnutls_certificate_set_x509_trust_file(certificates, client_ca, GNUTLS_X509_FMT_PEM);
        if (result <= 0) {
            (void)snprintf(error, error_size, "%s: %s", client_ca,
                           result == 0 ? "no certificate is in it" : gnutls_strerror(result));
            return false;
        }
    }
    return find_end(credentials, error, error_size);
}

static struct credentials *load(const struct tls_options *options, char *error, size_t error_size)
{
    struct credentials *credentials = mem_zalloc(1, sizeof *credentials);
    atomic_init(&credentials->references, 1);
    int failed = gnutls_certificate_allocate_credentials(&credentials->certificates);
    if (failed == 0) {
        failed = gnutls_session_ticket_key_generate(&credentials->ticket_key);
        if (failed == 0 && read_files(options, credentials, error, error_size)) {
            return credentials;
        }
        release(credentials);
    } else {
        free(credentials);
    }
    if (failed != 0) {
        (void)snprintf(error, error_size, "TLS: %s", gnutls_strerror(failed));
    }
    return NULL;
}

static struct credentials *take_current(struct tls *tls)
{
    CHECK(pthread_mutex_lock(&tls->lock) == 0);
    struct credentials *credentials = tls->current;
    (void)atomic_fetch_add(&credentials->references, 1);
    CHECK(pthread_mutex_unlock(&tls->lock) == 0);
    return credentials;
}

/* --- open and refresh --- */

struct tls *tls_open(const struct tls_options *options, char *error, size_t error_size)
{
    struct stamp stamps[FILES];
    struct credentials *credentials;
    if (!look_at_all(options, stamps, error, error_size) ||
        (credentials = load(options, error, error_size)) == NULL) {
        return NULL;
    }
    struct tls *tls = mem_zalloc(1, sizeof *tls);
    tls->options = *options;
    tls->current = credentials;
    memcpy(tls->stamps, stamps, sizeof tls->stamps);
    CHECK(pthread_mutex_init(&tls->lock, NULL) == 0);
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
    struct stamp stamps[FILES];
    bool changed = forced;
    if (!look_at_all(&tls->options, stamps, error, error_size)) {
        return TLS_FAILED;
    }
    for (size_t i = 0; i < FILES; i++) {
        changed = changed || !is_same(&stamps[i], &tls->stamps[i]);
    }
    if (!changed) {
        return TLS_UNCHANGED;
    }
    struct credentials *fresh = load(&tls->options, error, error_size);
    if (fresh == NULL) {
        return TLS_FAILED;
    }
    memcpy(tls->stamps, stamps, sizeof tls->stamps);
    CHECK(pthread_mutex_lock(&tls->lock) == 0);
    struct credentials *before = tls->current;
    tls->current = fresh;
    CHECK(pthread_mutex_unlock(&tls->lock) == 0);
    release(before);
    return TLS_RELOADED;
}

int64_t tls_expires_s(struct tls *tls)
{
    struct credentials *credentials = take_current(tls);
    int64_t expires_s = credentials->expires_s;
    release(credentials);
    return expires_s;
}

void tls_free(struct tls *tls)
{
    if (tls != NULL) {
        if (tls->priority != NULL) {
            gnutls_priority_deinit(tls->priority);
        }
        release(tls->current);
        (void)pthread_mutex_destroy(&tls->lock);
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

static bool set_up(struct tls *tls, struct tls_session *s, int fd)
{
    gnutls_session_t session = s->session;
    const char *protocol = tls->options.protocol;
    if (gnutls_priority_set(session, tls->priority) != 0 ||
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, s->credentials->certificates) !=
            0 ||
        (!s->asks &&
         gnutls_session_ticket_enable_server(session, &s->credentials->ticket_key) != 0)) {
        return false;
    }
    if (protocol != NULL) {
        const gnutls_datum_t name = {(unsigned char *)(uintptr_t)protocol,
                                     (unsigned)strlen(protocol)};
        if (gnutls_alpn_set_protocols(session, &name, 1, 0) != 0) {
            return false;
        }
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
    s->credentials = take_current(tls);
    s->asks = file_of(&tls->options, 2)[0] != '\0';
    /* A ticket would stand for a certificate that nobody looks at again. */
    unsigned flags =
        GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | (s->asks ? GNUTLS_NO_TICKETS : 0);
    if (gnutls_init(&s->session, flags) != 0) {
        release(s->credentials);
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
        release(s->credentials);
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

/* A certificate that came must be of a CA that counts, for clients, and must not have ended. */
static int verify_client(struct tls_session *s, char reason[TLS_REASON_SIZE])
{
    unsigned count = 0, status = 0;
    gnutls_datum_t text;
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    if (!s->asks || gnutls_certificate_get_peers(s->session, &count) == NULL || count == 0) {
        return 0; /* one that is required was required by the handshake */
    }
    int failed = gnutls_certificate_verify_peers(s->session, &purpose, 1, &status);
    if (failed == 0 && status == 0) {
        return 0;
    }
    (void)gnutls_alert_send(s->session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
    (void)snprintf(reason, TLS_REASON_SIZE, "%s", gnutls_strerror(failed));
    if (failed == 0 &&
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0) {
        (void)snprintf(reason, TLS_REASON_SIZE, "%s", (const char *)text.data);
        gnutls_free(text.data);
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
    (void)snprintf(reason, TLS_REASON_SIZE, "%s", gnutls_strerror(result));
    if (result == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        const char *alert = gnutls_alert_get_name(gnutls_alert_get(s->session));
        (void)snprintf(reason, TLS_REASON_SIZE, "the client says: %s", alert != NULL ? alert : "?");
    } else if (gnutls_error_is_fatal(result) != 0) {
        (void)gnutls_alert_send_appropriate(s->session, result);
    }
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
