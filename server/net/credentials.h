/* A certificate with its key, and the CAs that count, read from files, and read again when these
 * change. Whoever has taken what was read at one time keeps it, by a count of references.
 *
 * Thread: credential_store_open, _refresh, _free: main; the others: any. */
#ifndef MUSTER_NET_CREDENTIALS_H
#define MUSTER_NET_CREDENTIALS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gnutls/gnutls.h>

#define TLS_FILE_BYTES_MAX ((size_t)1024 * 1024)

/* Paths of PEM files, borrowed until credential_store_free. */
struct credential_files {
    const char *cert; /* the certificate, then those up to its CA */
    const char *key;  /* its private key, not encrypted */
    const char *ca;   /* CAs of the other side's certificates; NULL or "": none is asked for */
};

/* What was read at one time. */
struct credentials {
    atomic_uint references;
    gnutls_certificate_credentials_t certificates;
    gnutls_datum_t ticket_key;
    int64_t expires_s; /* when the first of the chain ends, in seconds since 1970 */
};

struct credential_store;

/* Reads the files. NULL with a sentence in `error`. */
struct credential_store *credential_store_open(const struct credential_files *files, char *error,
                                               size_t error_size);

enum tls_refreshed {
    TLS_UNCHANGED,
    TLS_RELOADED, /* counts for sessions that begin from now on */
    TLS_FAILED,   /* a sentence in `error`; those of before go on to count */
};
/* Reads the files again, if they have changed or `forced`. After a failure they count as changed.
 */
enum tls_refreshed credential_store_refresh(struct credential_store *store, bool forced,
                                            char *error, size_t error_size);
/* The present ones; give them back to credentials_release. */
struct credentials *credential_store_take(struct credential_store *store);
void credentials_release(struct credentials *credentials);
/* When the first certificate of the chain ends, in seconds since 1970. */
int64_t credential_store_expires_s(struct credential_store *store);
/* NULL is allowed. */
void credential_store_free(struct credential_store *store);

#endif
