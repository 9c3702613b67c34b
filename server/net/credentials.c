#include "server/net/credentials.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gnutls/x509.h>

#include "server/base/check.h"
#include "server/base/mem.h"

#define FILES     3 /* certificate, key, CAs */
#define CHAIN_MAX 16

/* What tells one state of a file from another. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct credential_store {
    struct credential_files files;
    struct stamp stamps[FILES]; /* as of the files that were read; main thread */
    pthread_mutex_t lock;       /* of: */
    struct credentials *current;
};

/* --- files --- */

static const char *file_of(const struct credential_files *files, size_t i)
{
    const char *const paths[FILES] = {files->cert, files->key, files->ca};
    return paths[i] != NULL ? paths[i] : "";
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

static bool look_at_all(const struct credential_files *files, struct stamp stamps[FILES],
                        char *error, size_t error_size)
{
    for (size_t i = 0; i < FILES; i++) {
        const char *path = file_of(files, i);
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

void credentials_release(struct credentials *credentials)
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

static bool read_files(const struct credential_files *files, struct credentials *credentials,
                       char *error, size_t error_size)
{
    gnutls_certificate_credentials_t certificates = credentials->certificates;
    int result = gnutls_certificate_set_x509_key_file2(certificates, files->cert, files->key,
                                                       GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result < 0) {
        (void)snprintf(error, error_size, "the certificate %s and its key %s: %s", files->cert,
                       files->key, gnutls_strerror(result));
        return false;
    }
    const char *ca = file_of(files, 2);
    if (ca[0] != '\0') {
        result = gnutls_certificate_set_x509_trust_file(certificates, ca, GNUTLS_X509_FMT_PEM);
        if (result <= 0) {
            (void)snprintf(error, error_size, "%s: %s", ca,
                           result == 0 ? "no certificate is in it" : gnutls_strerror(result));
            return false;
        }
    }
    return find_end(credentials, error, error_size);
}

static struct credentials *load(const struct credential_files *files, char *error,
                                size_t error_size)
{
    struct credentials *credentials = mem_zalloc(1, sizeof *credentials);
    atomic_init(&credentials->references, 1);
    int failed = gnutls_certificate_allocate_credentials(&credentials->certificates);
    if (failed == 0) {
        failed = gnutls_session_ticket_key_generate(&credentials->ticket_key);
        if (failed == 0 && read_files(files, credentials, error, error_size)) {
            return credentials;
        }
        credentials_release(credentials);
    } else {
        free(credentials);
    }
    if (failed != 0) {
        (void)snprintf(error, error_size, "TLS: %s", gnutls_strerror(failed));
    }
    return NULL;
}

struct credentials *credential_store_take(struct credential_store *store)
{
    CHECK(pthread_mutex_lock(&store->lock) == 0);
    struct credentials *credentials = store->current;
    (void)atomic_fetch_add(&credentials->references, 1);
    CHECK(pthread_mutex_unlock(&store->lock) == 0);
    return credentials;
}

/* --- open and refresh --- */

struct credential_store *credential_store_open(const struct credential_files *files, char *error,
                                               size_t error_size)
{
    struct stamp stamps[FILES];
    struct credentials *credentials;
    if (!look_at_all(files, stamps, error, error_size) ||
        (credentials = load(files, error, error_size)) == NULL) {
        return NULL;
    }
    struct credential_store *store = mem_zalloc(1, sizeof *store);
    store->files = *files;
    store->current = credentials;
    memcpy(store->stamps, stamps, sizeof store->stamps);
    CHECK(pthread_mutex_init(&store->lock, NULL) == 0);
    return store;
}

enum tls_refreshed credential_store_refresh(struct credential_store *store, bool forced,
                                            char *error, size_t error_size)
{
    struct stamp stamps[FILES];
    bool changed = forced;
    if (!look_at_all(&store->files, stamps, error, error_size)) {
        return TLS_FAILED;
    }
    for (size_t i = 0; i < FILES; i++) {
        changed = changed || !is_same(&stamps[i], &store->stamps[i]);
    }
    if (!changed) {
        return TLS_UNCHANGED;
    }
    struct credentials *fresh = load(&store->files, error, error_size);
    if (fresh == NULL) {
        return TLS_FAILED;
    }
    memcpy(store->stamps, stamps, sizeof store->stamps);
    CHECK(pthread_mutex_lock(&store->lock) == 0);
    struct credentials *before = store->current;
    store->current = fresh;
    CHECK(pthread_mutex_unlock(&store->lock) == 0);
    credentials_release(before);
    return TLS_RELOADED;
}

int64_t credential_store_expires_s(struct credential_store *store)
{
    struct credentials *credentials = credential_store_take(store);
    int64_t expires_s = credentials->expires_s;
    credentials_release(credentials);
    return expires_s;
}

void credential_store_free(struct credential_store *store)
{
    if (store != NULL) {
        credentials_release(store->current);
        (void)pthread_mutex_destroy(&store->lock);
        free(store);
    }
}
