#include "server/net/link_tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define RECORD_BYTES        16384
#define RECORD_EXTRA        64    /* what TLS adds to a record, at most */
#define HANDSHAKE_BYTES_MAX 32768 /* of one message: chains of certificates have a few thousand */
/* AES-GCM is good for 2^24.5 records under one key (RFC 8446, 5.5). */
#define RECORDS_A_KEY ((uint64_t)1 << 20)
#define RECORD_TYPE   22 /* of a handshake; the first byte of a session */
#define KEY_BYTES     32
#define NAME_BYTES    4
#define NAME_SIZE     32
#define MEMBER_URI    "muster:member:"
#define NAMES_MAX     64 /* alternative names of a certificate that are looked at */

static const char protocol[] = "muster-member";

#define VERSIONS "NORMAL:-VERS-ALL:+VERS-TLS1.3"
static const char with_certificates[] = VERSIONS;
static const char with_keys[] = VERSIONS ":-KX-ALL:+ECDHE-PSK";
static const char with_both[] = VERSIONS ":+ECDHE-PSK";

/* The pre-shared key of a secret, and the name by which it is asked for. */
struct key {
    bool known;
    char name[NAME_SIZE];
    uint8_t bytes[KEY_BYTES];
};

struct link_tls {
    struct credential_store *store; /* NULL: no certificate */
    struct key keys[LINK_SECRETS_MAX];
    bool mixed;
    uint64_t records_a_key;
    gnutls_psk_server_credentials_t accepts; /* NULL: no keys are accepted */
    gnutls_psk_client_credentials_t connects[LINK_SECRETS_MAX];
};

struct link_session {
    struct link_tls *tls;
    gnutls_session_t session;
    struct credentials *credentials; /* NULL: none */
    bool connects;
    bool keyed;     /* keys of secrets may be used */
    bool certified; /* the other side's certificate was verified */
    uint64_t records;
    char trouble[TLS_REASON_SIZE];
    struct buffer in; /* bytes from `at` on are not used up */
    size_t at;
    struct buffer out;
};

/* --- keys --- */

static void derive(const char *secret, const char *purpose, void *out, size_t len)
{
    static const char salt[] = "muster: links between members";
    uint8_t extracted[KEY_BYTES];
    /* GnuTLS only reads them. */
    gnutls_datum_t secret_datum = {(unsigned char *)(uintptr_t)secret, (unsigned)strlen(secret)};
    gnutls_datum_t salt_datum = {(unsigned char *)(uintptr_t)salt, sizeof salt - 1};
    gnutls_datum_t info = {(unsigned char *)(uintptr_t)purpose, (unsigned)strlen(purpose)};
    gnutls_datum_t prk = {extracted, sizeof extracted};
    CHECK(gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &secret_datum, &salt_datum, extracted) == 0);
    CHECK(gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &prk, &info, out, len) == 0);
    gnutls_memset(extracted, 0, sizeof extracted);
}

static void make_key(struct key *key, const char *secret)
{
    uint8_t name[NAME_BYTES];
    key->known = true;
    derive(secret, "key", key->bytes, sizeof key->bytes);
    derive(secret, "name", name, sizeof name);
    (void)snprintf(key->name, sizeof key->name, "muster-%02x%02x%02x%02x", name[0], name[1],
                   name[2], name[3]);
}

/* GnuTLS asks for the key of a name; the memory becomes its own. A name that nobody has gets a key
 * that nobody has: who guesses names learns nothing. */
static int find_key(gnutls_session_t session, const char *name, gnutls_datum_t *ret_key)
{
    const struct link_session *s = gnutls_session_get_ptr(session);
    ret_key->data = gnutls_malloc(KEY_BYTES);
    if (ret_key->data == NULL || gnutls_rnd(GNUTLS_RND_KEY, ret_key->data, KEY_BYTES) != 0) {
        return -1;
    }
    ret_key->size = KEY_BYTES;
    for (size_t i = 0; i < LINK_SECRETS_MAX; i++) {
        const struct key *key = &s->tls->keys[i];
        if (key->known && strcmp(key->name, name) == 0) {
            memcpy(ret_key->data, key->bytes, KEY_BYTES);
        }
    }
    return 0;
}

static bool open_keys(struct link_tls *tls)
{
    bool any = false;
    for (size_t i = 0; i < LINK_SECRETS_MAX; i++) {
        struct key *key = &tls->keys[i];
        gnutls_datum_t datum = {key->bytes, KEY_BYTES};
        if (!key->known) {
            continue;
        }
        any = true;
        if (gnutls_psk_allocate_client_credentials(&tls->connects[i]) != 0 ||
            gnutls_psk_set_client_credentials(tls->connects[i], key->name, &datum,
                                              GNUTLS_PSK_KEY_RAW) != 0) {
            return false;
        }
    }
    if (!any || (tls->store != NULL && !tls->mixed)) {
        return true;
    }
    if (gnutls_psk_allocate_server_credentials(&tls->accepts) != 0) {
        return false;
    }
    gnutls_psk_set_server_credentials_function(tls->accepts, find_key);
    return true;
}

/* --- open and refresh --- */

struct link_tls *link_tls_open(const struct link_tls_options *options, char *error,
                               size_t error_size)
{
    struct link_tls *tls = mem_zalloc(1, sizeof *tls);
    tls->mixed = options->mixed;
    tls->records_a_key = options->records_a_key > 0 ? options->records_a_key : RECORDS_A_KEY;
    for (size_t i = 0; i < LINK_SECRETS_MAX; i++) {
        if (options->secrets[i] != NULL && options->secrets[i][0] != '\0') {
            make_key(&tls->keys[i], options->secrets[i]);
        }
    }
    if (options->files.cert != NULL && options->files.cert[0] != '\0') {
        tls->store = credential_store_open(&options->files, error, error_size);
        if (tls->store == NULL) {
            link_tls_free(tls);
            return NULL;
        }
    }
    CHECK(tls->store != NULL || tls->keys[0].known || tls->keys[1].known);
    if (!open_keys(tls)) {
        (void)snprintf(error, error_size, "TLS between members: no memory");
        link_tls_free(tls);
        return NULL;
    }
    return tls;
}

bool link_tls_has_certificate(const struct link_tls *tls)
{
    return tls->store != NULL;
}

bool link_tls_has_secret(const struct link_tls *tls, size_t secret)
{
    CHECK(secret < LINK_SECRETS_MAX);
    return tls->keys[secret].known;
}

enum tls_refreshed link_tls_refresh(struct link_tls *tls, bool forced, char *error,
                                    size_t error_size)
{
    return tls->store != NULL ? credential_store_refresh(tls->store, forced, error, error_size)
                              : TLS_UNCHANGED;
}

int64_t link_tls_expires_s(struct link_tls *tls)
{
    return tls->store != NULL ? credential_store_expires_s(tls->store) : INT64_MAX;
}

void link_tls_free(struct link_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    for (size_t i = 0; i < LINK_SECRETS_MAX; i++) {
        if (tls->connects[i] != NULL) {
            gnutls_psk_free_client_credentials(tls->connects[i]);
        }
    }
    if (tls->accepts != NULL) {
        gnutls_psk_free_server_credentials(tls->accepts);
    }
    credential_store_free(tls->store);
    gnutls_memset(tls->keys, 0, sizeof tls->keys);
    free(tls);
}

/* --- bytes --- */

static ssize_t pull(gnutls_transport_ptr_t ctx, void *to, size_t size)
{
    struct link_session *s = ctx;
    size_t left = s->in.len - s->at;
    if (left == 0) {
        gnutls_transport_set_errno(s->session, EAGAIN);
        return -1;
    }
    size_t part = size < left ? size : left;
    memcpy(to, s->in.data + s->at, part);
    s->at += part;
    if (s->at == s->in.len) {
        buffer_clear(&s->in);
        s->at = 0;
    }
    return (ssize_t)part;
}

static ssize_t push(gnutls_transport_ptr_t ctx, const void *data, size_t size)
{
    struct link_session *s = ctx;
    buffer_append(&s->out, data, size);
    if (s->out.overflowed) {
        gnutls_transport_set_errno(s->session, ECONNRESET);
        return -1;
    }
    return (ssize_t)size;
}

bool link_session_is_first(uint8_t byte)
{
    return byte == RECORD_TYPE;
}

bool link_session_put(struct link_session *s, const void *data, size_t len)
{
    buffer_append(&s->in, data, len);
    return !s->in.overflowed;
}

uint8_t *link_session_take(struct link_session *s, size_t *ret_len)
{
    *ret_len = 0;
    return s->out.len > 0 ? buffer_take(&s->out, ret_len) : NULL;
}

/* --- sessions --- */

static int set_certificate(struct link_tls *tls, struct link_session *s)
{
    s->credentials = credential_store_take(tls->store);
    gnutls_certificate_server_set_request(s->session, GNUTLS_CERT_REQUIRE);
    return gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE, s->credentials->certificates);
}

static bool set_up(struct link_tls *tls, struct link_session *s, enum link_side side, size_t secret)
{
    const gnutls_datum_t name = {(unsigned char *)(uintptr_t)protocol, sizeof protocol - 1};
    bool certificate = side == LINK_ACCEPT ? tls->store != NULL : side == LINK_CONNECT_CERT;
    bool key = side == LINK_ACCEPT ? tls->accepts != NULL : side == LINK_CONNECT_KEY;
    const char *priority = !key ? with_certificates : certificate ? with_both : with_keys;
    s->keyed = key;
    int failed = gnutls_priority_set_direct(s->session, priority, NULL);
    if (failed == 0 && certificate) {
        failed = set_certificate(tls, s);
    }
    if (failed == 0 && key) {
        failed = gnutls_credentials_set(s->session, GNUTLS_CRD_PSK,
                                        side == LINK_ACCEPT ? (void *)tls->accepts
                                                            : (void *)tls->connects[secret]);
    }
    if (failed == 0) {
        failed = gnutls_alpn_set_protocols(s->session, &name, 1, GNUTLS_ALPN_MANDATORY);
    }
    gnutls_session_set_ptr(s->session, s);
    gnutls_handshake_set_max_packet_length(s->session, HANDSHAKE_BYTES_MAX);
    /* The caller has a time for it. */
    gnutls_handshake_set_timeout(s->session, GNUTLS_INDEFINITE_TIMEOUT);
    gnutls_transport_set_ptr(s->session, s);
    gnutls_transport_set_pull_function(s->session, pull);
    gnutls_transport_set_push_function(s->session, push);
    return failed == 0;
}

struct link_session *link_session_begin(struct link_tls *tls, enum link_side side, size_t secret)
{
    CHECK(side != LINK_CONNECT_CERT || tls->store != NULL);
    CHECK(side != LINK_CONNECT_KEY || (secret < LINK_SECRETS_MAX && tls->keys[secret].known));
    struct link_session *s = mem_zalloc(1, sizeof *s);
    s->tls = tls;
    s->connects = side != LINK_ACCEPT;
    buffer_init(&s->in, LINK_INPUT_BYTES);
    buffer_init(&s->out, SIZE_MAX);
    unsigned flags = GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS |
                     (s->connects ? GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT : GNUTLS_SERVER);
    if (gnutls_init(&s->session, flags) != 0) {
        free(s);
        return NULL;
    }
    if (!set_up(tls, s, side, secret)) {
        link_session_end(s);
        return NULL;
    }
    return s;
}

void link_session_end(struct link_session *s)
{
    if (s != NULL) {
        gnutls_deinit(s->session);
        if (s->credentials != NULL) {
            credentials_release(s->credentials);
        }
        buffer_done(&s->in);
        buffer_done(&s->out);
        free(s);
    }
}

static bool is_for_later(int result)
{
    return result == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED;
}

/* It speaks our protocol; and whoever has no certificate has proved by the handshake that it has a
 * key. */
static bool verify(struct link_session *s, char reason[TLS_REASON_SIZE])
{
    gnutls_datum_t spoken;
    /* GnuTLS lets those pass who offer none at all. */
    if (gnutls_alpn_get_selected_protocol(s->session, &spoken) != 0) {
        (void)gnutls_alert_send(s->session, GNUTLS_AL_FATAL, GNUTLS_A_NO_APPLICATION_PROTOCOL);
        (void)snprintf(reason, TLS_REASON_SIZE, "it does not offer the protocol of members");
        return false;
    }
    s->certified = tls_peer_has_certificate(s->session);
    if (s->certified) {
        return tls_peer_verify(
            s->session, s->connects ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, reason);
    }
    if (gnutls_auth_get_type(s->session) == GNUTLS_CRD_PSK) {
        return true;
    }
    (void)snprintf(reason, TLS_REASON_SIZE, "it has shown no certificate");
    return false;
}

/* Another key is no error of its own in TLS 1.3: the proof that comes with its name is wrong. */
static void append_hint(char reason[TLS_REASON_SIZE])
{
    static const char hint[] = " (do both have the same secret?)";
    size_t len = strnlen(reason, TLS_REASON_SIZE - sizeof hint);
    memcpy(reason + len, hint, sizeof hint);
}

enum link_shake link_session_shake(struct link_session *s, char reason[TLS_REASON_SIZE])
{
    int result;
    do {
        result = gnutls_handshake(s->session);
    } while (result < 0 && gnutls_error_is_fatal(result) == 0 && !is_for_later(result));
    if (result == 0) {
        return verify(s, reason) ? LINK_SHAKE_DONE : LINK_SHAKE_FAILED;
    }
    if (is_for_later(result)) {
        return LINK_SHAKE_MORE;
    }
    tls_peer_failed(s->session, result, "the other side", reason);
    if (s->keyed && (result == GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER ||
                     result == GNUTLS_E_FATAL_ALERT_RECEIVED)) {
        append_hint(reason);
    }
    return LINK_SHAKE_FAILED;
}

enum link_read link_session_read(struct link_session *s, void *to, size_t size, size_t *ret_len)
{
    ssize_t got;
    do {
        got = gnutls_record_recv(s->session, to, size);
        /* A change of keys is no error, and more may follow it. */
    } while (got < 0 && gnutls_error_is_fatal((int)got) == 0 &&
             (!is_for_later((int)got) || s->in.len > s->at));
    *ret_len = got > 0 ? (size_t)got : 0;
    if (got > 0) {
        return LINK_READ_SOME;
    }
    if (got == 0 || is_for_later((int)got)) {
        return got == 0 ? LINK_READ_CLOSED : LINK_READ_NONE;
    }
    if (got == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        tls_peer_failed(s->session, (int)got, "the other side", s->trouble);
    } else {
        (void)snprintf(s->trouble, sizeof s->trouble,
                       "what came was altered on its way, or is no TLS");
    }
    return LINK_READ_BROKEN;
}

const char *link_session_trouble(const struct link_session *s)
{
    return s->trouble;
}

/* Of the next record: borrowed from one piece, or gathered from several. Moves the pieces on. */
static const void *next_record(const struct iovec **at, size_t *count, size_t *offset,
                               uint8_t gathered[RECORD_BYTES], size_t *ret_len)
{
    const struct iovec *first = *at;
    size_t left = first->iov_len - *offset;
    if (left >= RECORD_BYTES || *count == 1) {
        const void *data = (const uint8_t *)first->iov_base + *offset;
        *ret_len = left < RECORD_BYTES ? left : RECORD_BYTES;
        *offset += *ret_len;
        return data;
    }
    size_t len = 0;
    while (*count > 0 && len < RECORD_BYTES) {
        size_t room = RECORD_BYTES - len;
        left = (*at)->iov_len - *offset;
        size_t part = left < room ? left : room;
        if (part > 0) {
            memcpy(gathered + len, (const uint8_t *)(*at)->iov_base + *offset, part);
        }
        len += part;
        *offset += part;
        if (part == left) {
            (*at)++;
            (*count)--;
            *offset = 0;
        }
    }
    *ret_len = len;
    return gathered;
}

bool link_session_write(struct link_session *s, const struct iovec *pieces, size_t count)
{
    uint8_t gathered[RECORD_BYTES];
    size_t total = 0, done = 0, offset = 0;
    for (size_t i = 0; i < count; i++) {
        total += pieces[i].iov_len;
    }
    if (!buffer_reserve(&s->out, total + (total / RECORD_BYTES + 1) * RECORD_EXTRA)) {
        return false;
    }
    while (done < total) {
        size_t len;
        const void *data = next_record(&pieces, &count, &offset, gathered, &len);
        s->records++;
        if (s->records % s->tls->records_a_key == 0 &&
            gnutls_session_key_update(s->session, 0) != 0) {
            return false;
        }
        if (gnutls_record_send(s->session, data, len) != (ssize_t)len) {
            return false;
        }
        done += len;
    }
    return true;
}

void link_session_binding(const struct link_session *s, uint8_t out[LINK_BINDING_BYTES])
{
    gnutls_datum_t binding;
    CHECK(gnutls_session_channel_binding(s->session, GNUTLS_CB_TLS_EXPORTER, &binding) == 0);
    CHECK(binding.size == LINK_BINDING_BYTES);
    memcpy(out, binding.data, LINK_BINDING_BYTES);
    gnutls_free(binding.data);
}

/* --- who the other side is --- */

/* Whether the certificate names members, and this one among them. */
static void look_for_member(gnutls_x509_crt_t crt, uint64_t member, bool *ret_names,
                            bool *ret_names_it)
{
    char wanted[sizeof MEMBER_URI + 24];
    (void)snprintf(wanted, sizeof wanted, MEMBER_URI "%" PRIu64, member);
    *ret_names = *ret_names_it = false;
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        char name[256];
        size_t size = sizeof name;
        int type = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &size, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return;
        }
        bool is_text =
            type == GNUTLS_SAN_URI && size < sizeof name && memchr(name, '\0', size) == NULL;
        if (!is_text) {
            continue;
        }
        name[size] = '\0';
        if (strncmp(name, MEMBER_URI, sizeof MEMBER_URI - 1) == 0) {
            *ret_names = true;
            *ret_names_it = *ret_names_it || strcmp(name, wanted) == 0;
        }
    }
}

bool link_session_is_member(const struct link_session *s, uint64_t member, const char *host)
{
    unsigned count = 0;
    gnutls_x509_crt_t crt;
    bool names, names_it;
    if (!s->certified) {
        return true;
    }
    const gnutls_datum_t *raw = gnutls_certificate_get_peers(s->session, &count);
    if (raw == NULL || count == 0 || gnutls_x509_crt_init(&crt) != 0) {
        return false;
    }
    bool is_it = false;
    if (gnutls_x509_crt_import(crt, &raw[0], GNUTLS_X509_FMT_DER) == 0) {
        look_for_member(crt, member, &names, &names_it);
        is_it = names
                    ? names_it
                    : host[0] != '\0' && gnutls_x509_crt_check_hostname2(
                                             crt, host, GNUTLS_VERIFY_DO_NOT_ALLOW_WILDCARDS) != 0;
    }
    gnutls_x509_crt_deinit(crt);
    return is_it;
}
