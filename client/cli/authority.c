#include "client/cli/authority.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "server/base/mem.h"

#define FILE_BYTES_MAX 65536
/* Clocks of machines differ. */
#define BEFORE_S (3600)

struct authority {
    char folder[PATH_MAX / 2];
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
};

/* False, with what GnuTLS says, when `result` is an error. */
static bool is_good(int result, const char *what, char *error, size_t error_size)
{
    if (result < 0) {
        (void)snprintf(error, error_size, "%s: %s", what, gnutls_strerror(result));
    }
    return result >= 0;
}

static void path_of(const struct authority *a, const char *name, const char *end,
                    char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/%s%s", a->folder, name, end);
}

/* --- files --- */

static bool write_all(int fd, const gnutls_datum_t *text)
{
    size_t done = 0;
    while (done < text->size) {
        ssize_t wrote = write(fd, text->data + done, text->size - done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return false;
        }
        done += (size_t)wrote;
    }
    return fsync(fd) == 0;
}

/* Under another name first; link() never replaces. */
static bool write_file(const char *path, const gnutls_datum_t *text, mode_t mode, char *error,
                       size_t error_size)
{
    char other[PATH_MAX + 8];
    (void)snprintf(other, sizeof other, "%s.XXXXXX", path);
    int fd = mkostemp(other, O_CLOEXEC);
    bool good = fd >= 0 && fchmod(fd, mode) == 0 && write_all(fd, text) && link(other, path) == 0;
    if (!good) {
        (void)snprintf(error, error_size, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(other);
    }
    return good;
}

static bool write_pair(const struct authority *a, const char *name, gnutls_x509_crt_t crt,
                       gnutls_x509_privkey_t key, char *error, size_t error_size)
{
    char path[PATH_MAX], key_path[PATH_MAX];
    gnutls_datum_t text = {NULL, 0}, key_text = {NULL, 0};
    path_of(a, name, ".pem", path);
    path_of(a, name, "-key.pem", key_path);
    bool good = is_good(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &text), path, error,
                        error_size) &&
                is_good(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_text), key_path,
                        error, error_size) &&
                write_file(key_path, &key_text, 0600, error, error_size);
    if (good && !write_file(path, &text, 0644, error, error_size)) {
        (void)unlink(key_path);
        good = false;
    }
    if (key_text.data != NULL) {
        gnutls_memset(key_text.data, 0, key_text.size);
    }
    gnutls_free(key_text.data);
    gnutls_free(text.data);
    return good;
}

/* A whole file of at most FILE_BYTES_MAX; its memory is the caller's. */
static bool read_file(const char *path, gnutls_datum_t *ret_text, char *error, size_t error_size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        (void)snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    ret_text->data = mem_alloc(FILE_BYTES_MAX);
    ret_text->size = (unsigned)fread(ret_text->data, 1, FILE_BYTES_MAX, file);
    bool good = ferror(file) == 0 && ret_text->size < FILE_BYTES_MAX;
    (void)fclose(file);
    if (!good) {
        (void)snprintf(error, error_size, "%s: cannot be read, or is too long", path);
        free(ret_text->data);
    }
    return good;
}

/* --- certificates --- */

static bool make_key(gnutls_x509_privkey_t key, char *error, size_t error_size)
{
    return is_good(gnutls_x509_privkey_generate(
                       key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                   "a key cannot be made", error, error_size);
}

/* What certificates of all kinds have. */
static int fill_in(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *name, time_t ends)
{
    unsigned char serial[16], id[20];
    size_t id_size = sizeof id;
    int result = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] &= 0x7f; /* positive */
    serial[0] |= 0x01; /* and not shorter */
    result = result < 0 ? result : gnutls_x509_crt_set_version(crt, 3);
    result = result < 0 ? result : gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    result = result < 0 ? result : gnutls_x509_crt_set_key(crt, key);
    result = result < 0 ? result : gnutls_x509_crt_set_activation_time(crt, time(NULL) - BEFORE_S);
    result = result < 0 ? result : gnutls_x509_crt_set_expiration_time(crt, ends);
    result = result < 0 ? result
                        : gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                                        (unsigned)strlen(name));
    result = result < 0 ? result : gnutls_x509_crt_get_key_id(crt, 0, id, &id_size);
    return result < 0 ? result : gnutls_x509_crt_set_subject_key_id(crt, id, id_size);
}

static time_t end_after(unsigned days)
{
    return time(NULL) + (time_t)days * 86400;
}

static bool make(struct authority *a, unsigned days, char *error, size_t error_size)
{
    char name[64];
    unsigned char mark[4] = {0};
    (void)gnutls_rnd(GNUTLS_RND_NONCE, mark, sizeof mark);
    /* Two authorities must not have the same name: clients find the CA of a certificate by it. */
    (void)snprintf(name, sizeof name, "Muster CA %02x%02x%02x%02x", mark[0], mark[1], mark[2],
                   mark[3]);
    if (!make_key(a->key, error, error_size)) {
        return false;
    }
    int result = fill_in(a->crt, a->key, name, end_after(days));
    result = result < 0 ? result : gnutls_x509_crt_set_basic_constraints(a->crt, 1, 0);
    result =
        result < 0
            ? result
            : gnutls_x509_crt_set_key_usage(a->crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    result =
        result < 0 ? result : gnutls_x509_crt_sign2(a->crt, a->crt, a->key, GNUTLS_DIG_SHA256, 0);
    return is_good(result, "the CA cannot be made", error, error_size) &&
           write_pair(a, "ca", a->crt, a->key, error, error_size);
}

static bool take(struct authority *a, const char *path, const char *key_path, char *error,
                 size_t error_size)
{
    gnutls_datum_t text, key_text;
    if (!read_file(path, &text, error, error_size)) {
        return false;
    }
    bool good = is_good(gnutls_x509_crt_import(a->crt, &text, GNUTLS_X509_FMT_PEM), path, error,
                        error_size);
    free(text.data);
    if (!good || !read_file(key_path, &key_text, error, error_size)) {
        return false;
    }
    good = is_good(gnutls_x509_privkey_import(a->key, &key_text, GNUTLS_X509_FMT_PEM), key_path,
                   error, error_size);
    gnutls_memset(key_text.data, 0, key_text.size);
    free(key_text.data);
    return good;
}

struct authority *authority_open(const char *folder, unsigned days, bool *ret_made, char *error,
                                 size_t error_size)
{
    char path[PATH_MAX], key_path[PATH_MAX];
    struct authority *a = mem_zalloc(1, sizeof *a);
    if (strlen(folder) >= sizeof a->folder) {
        (void)snprintf(error, error_size, "the name of the folder is too long");
        free(a);
        return NULL;
    }
    memcpy(a->folder, folder, strlen(folder) + 1);
    path_of(a, "ca", ".pem", path);
    path_of(a, "ca", "-key.pem", key_path);
    *ret_made = access(path, F_OK) != 0 && access(key_path, F_OK) != 0;
    bool good = is_good(gnutls_x509_privkey_init(&a->key), "TLS", error, error_size) &&
                is_good(gnutls_x509_crt_init(&a->crt), "TLS", error, error_size);
    if (good && *ret_made && mkdir(folder, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(error, error_size, "%s: %s", folder, strerror(errno));
        good = false;
    }
    good = good && (*ret_made ? make(a, days, error, error_size)
                              : take(a, path, key_path, error, error_size));
    if (!good) {
        authority_close(a);
        return NULL;
    }
    return a;
}

void authority_close(struct authority *a)
{
    gnutls_x509_privkey_deinit(a->key);
    gnutls_x509_crt_deinit(a->crt);
    free(a);
}

static int add_host(gnutls_x509_crt_t crt, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1) {
        return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 4,
                                                    GNUTLS_FSAN_APPEND);
    }
    if (inet_pton(AF_INET6, host, address) == 1) {
        return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, 16,
                                                    GNUTLS_FSAN_APPEND);
    }
    return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
                                                (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
}

static int add_uri(gnutls_x509_crt_t crt, const char *uri)
{
    return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, uri, (unsigned)strlen(uri),
                                                GNUTLS_FSAN_APPEND);
}

static int add_member(gnutls_x509_crt_t crt, uint64_t member)
{
    char uri[64];
    (void)snprintf(uri, sizeof uri, MEMBER_URI "%" PRIu64, member);
    return add_uri(crt, uri);
}

static int sign(const struct authority *a, const struct authority_subject *subject, time_t ends,
                gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
    unsigned char id[64];
    size_t id_size = sizeof id;
    int result = fill_in(crt, key, subject->name, ends);
    result = result < 0 ? result : gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    result = result < 0 ? result : gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    result =
        result < 0 ? result : gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (result >= 0 && subject->hosts_count > 0) {
        result = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    }
    for (size_t i = 0; result >= 0 && i < subject->hosts_count; i++) {
        result = add_host(crt, subject->hosts[i]);
    }
    if (result >= 0 && subject->member != 0) {
        result = add_member(crt, subject->member);
    }
    if (result >= 0 && subject->uri != NULL) {
        result = add_uri(crt, subject->uri);
    }
    result = result < 0 ? result : gnutls_x509_crt_get_subject_key_id(a->crt, id, &id_size, NULL);
    result = result < 0 ? result : gnutls_x509_crt_set_authority_key_id(crt, id, id_size);
    return result < 0 ? result : gnutls_x509_crt_sign2(crt, a->crt, a->key, GNUTLS_DIG_SHA256, 0);
}

bool authority_sign(const struct authority *a, const struct authority_subject *subject,
                    unsigned days, char *error, size_t error_size)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    time_t ends = end_after(days), last = gnutls_x509_crt_get_expiration_time(a->crt);
    bool good = is_good(gnutls_x509_privkey_init(&key), "TLS", error, error_size) &&
                is_good(gnutls_x509_crt_init(&crt), "TLS", error, error_size) &&
                make_key(key, error, error_size) &&
                is_good(sign(a, subject, ends < last ? ends : last, crt, key), subject->name, error,
                        error_size) &&
                write_pair(a, subject->name, crt, key, error, error_size);
    if (key != NULL) {
        gnutls_x509_privkey_deinit(key);
    }
    if (crt != NULL) {
        gnutls_x509_crt_deinit(crt);
    }
    return good;
}

/* "sha256//" and the SHA-256 of the public key in base64. False with what GnuTLS says. */
static bool format_pin(gnutls_x509_crt_t crt, gnutls_pubkey_t key, gnutls_datum_t *ret_pin,
                       char *error, size_t error_size)
{
    static const char prefix[] = "sha256//";
    unsigned char hash[32];
    gnutls_datum_t der = {NULL, 0}, base64 = {NULL, 0};
    int result = gnutls_pubkey_import_x509(key, crt, 0);
    result = result < 0 ? result : gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);
    result = result < 0 ? result : gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, hash);
    const gnutls_datum_t raw = {hash, sizeof hash};
    result = result < 0 ? result : gnutls_base64_encode2(&raw, &base64);
    if (result >= 0) {
        ret_pin->size = (unsigned)(sizeof prefix + base64.size);
        ret_pin->data = mem_zalloc(1, ret_pin->size);
        memcpy(ret_pin->data, prefix, sizeof prefix - 1);
        memcpy(ret_pin->data + sizeof prefix - 1, base64.data, base64.size);
    }
    gnutls_free(der.data);
    gnutls_free(base64.data);
    return is_good(result, "its key cannot be read", error, error_size);
}

char *authority_pin(const char *path, char *error, size_t error_size)
{
    gnutls_datum_t text, pin = {NULL, 0};
    gnutls_x509_crt_t crt = NULL;
    gnutls_pubkey_t key = NULL;
    if (!read_file(path, &text, error, error_size)) {
        return NULL;
    }
    bool good =
        is_good(gnutls_x509_crt_init(&crt), "TLS", error, error_size) &&
        is_good(gnutls_pubkey_init(&key), "TLS", error, error_size) &&
        is_good(gnutls_x509_crt_import(crt, &text, GNUTLS_X509_FMT_PEM), path, error, error_size) &&
        format_pin(crt, key, &pin, error, error_size);
    free(text.data);
    if (key != NULL) {
        gnutls_pubkey_deinit(key);
    }
    if (crt != NULL) {
        gnutls_x509_crt_deinit(crt);
    }
    return good ? (char *)pin.data : NULL;
}
