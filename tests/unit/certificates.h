/* Certificates for tests: a CA, and what it signs, as PEM. */
#ifndef MUSTER_TESTS_CERTIFICATES_H
#define MUSTER_TESTS_CERTIFICATES_H

#include <time.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "server/base/check.h"

struct certificate {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
};

/* Signed by `ca`, or by itself when that is NULL; then it is one. */
static struct certificate certificate_make(const struct certificate *ca, const char *name,
                                           time_t ends)
{
    static unsigned char serial;
    struct certificate made;
    serial++;
    CHECK(gnutls_x509_privkey_init(&made.key) == 0 && gnutls_x509_crt_init(&made.crt) == 0);
    CHECK(gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
    CHECK(gnutls_x509_crt_set_version(made.crt, 3) == 0);
    CHECK(gnutls_x509_crt_set_serial(made.crt, &serial, sizeof serial) == 0);
    CHECK(gnutls_x509_crt_set_activation_time(made.crt, time(NULL) - 3600) == 0);
    CHECK(gnutls_x509_crt_set_expiration_time(made.crt, ends) == 0);
    CHECK(gnutls_x509_crt_set_dn_by_oid(made.crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                        (unsigned)strlen(name)) == 0);
    CHECK(gnutls_x509_crt_set_key(made.crt, made.key) == 0);
    if (ca == NULL) {
        CHECK(gnutls_x509_crt_set_basic_constraints(made.crt, 1, -1) == 0);
        CHECK(gnutls_x509_crt_set_key_usage(made.crt, GNUTLS_KEY_KEY_CERT_SIGN) == 0);
    } else {
        CHECK(gnutls_x509_crt_set_subject_alt_name(made.crt, GNUTLS_SAN_DNSNAME, name,
                                                   (unsigned)strlen(name), GNUTLS_FSAN_SET) == 0);
    }
    const struct certificate *signer = ca != NULL ? ca : &made;
    CHECK(gnutls_x509_crt_sign2(made.crt, signer->crt, signer->key, GNUTLS_DIG_SHA256, 0) == 0);
    return made;
}

static void certificate_done(struct certificate *c)
{
    gnutls_x509_privkey_deinit(c->key);
    gnutls_x509_crt_deinit(c->crt);
}

static inline void certificate_write_pem(const char *path, gnutls_datum_t *text)
{
    FILE *file = fopen(path, "we");
    CHECK(file != NULL && fwrite(text->data, 1, text->size, file) == text->size);
    CHECK(fclose(file) == 0);
    gnutls_free(text->data);
}

static inline void certificate_write(const struct certificate *c, const char *path)
{
    gnutls_datum_t text;
    CHECK(gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_PEM, &text) == 0);
    certificate_write_pem(path, &text);
}

static inline void certificate_write_key(const struct certificate *c, const char *path)
{
    gnutls_datum_t text;
    CHECK(gnutls_x509_privkey_export2(c->key, GNUTLS_X509_FMT_PEM, &text) == 0);
    certificate_write_pem(path, &text);
}

#endif
