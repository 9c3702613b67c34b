/* server/net/tls_peer: which name in a certificate is its holder's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/net/tls_peer.h"
#include "tests/unit/certificates.h"

/* Unsigned: what it says is all that is looked at. */
static struct certificate blank(void)
{
    struct certificate made = certificate_make(NULL, "first", time(NULL) + 86400);
    gnutls_x509_crt_deinit(made.crt);
    CHECK(gnutls_x509_crt_init(&made.crt) == 0);
    CHECK(gnutls_x509_crt_set_version(made.crt, 3) == 0);
    CHECK(gnutls_x509_crt_set_serial(made.crt, "\1", 1) == 0);
    CHECK(gnutls_x509_crt_set_activation_time(made.crt, time(NULL) - 3600) == 0);
    CHECK(gnutls_x509_crt_set_expiration_time(made.crt, time(NULL) + 3600) == 0);
    CHECK(gnutls_x509_crt_set_key(made.crt, made.key) == 0);
    return made;
}

static void add_cn(struct certificate *c, const char *name, size_t len)
{
    CHECK(gnutls_x509_crt_set_dn_by_oid(c->crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                        (unsigned)len) == 0);
}

static void add_name(struct certificate *c, gnutls_x509_subject_alt_name_t kind, const char *name,
                     size_t len)
{
    CHECK(gnutls_x509_crt_set_subject_alt_name(c->crt, kind, name, (unsigned)len,
                                               GNUTLS_FSAN_APPEND) == 0);
}

/* The same for any bytes, of which GnuTLS takes only good ones: the extension as DER. */
static void add_short_uri(struct certificate *c, const char *name, size_t len)
{
    unsigned char der[64] = {0x30, (unsigned char)(len + 2), 0x86, (unsigned char)len};
    CHECK(len < sizeof der - 4);
    memcpy(der + 4, name, len);
    CHECK(gnutls_x509_crt_set_extension_by_oid(c->crt, "2.5.29.17", der, len + 4, 0) == 0);
}

/* As a server reads it: signed, and from its bytes. */
static const char *name_of(struct certificate *c, enum tls_principal principal)
{
    static char name[TLS_NAME_SIZE];
    gnutls_datum_t der;
    gnutls_x509_crt_t back;
    CHECK(gnutls_x509_crt_sign2(c->crt, c->crt, c->key, GNUTLS_DIG_SHA256, 0) == 0);
    CHECK(gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_DER, &der) == 0);
    CHECK(gnutls_x509_crt_init(&back) == 0);
    CHECK(gnutls_x509_crt_import(back, &der, GNUTLS_X509_FMT_DER) == 0);
    memset(name, 'x', sizeof name);
    tls_certificate_name(back, principal, name);
    gnutls_x509_crt_deinit(back);
    gnutls_free(der.data);
    certificate_done(c);
    return name;
}

static const char *of_cn(const char *name, size_t len)
{
    struct certificate c = blank();
    add_cn(&c, name, len);
    return name_of(&c, TLS_PRINCIPAL_CN);
}

static const char *of_uri(const char *name, size_t len)
{
    struct certificate c = blank();
    if (len < 32) {
        add_short_uri(&c, name, len);
    } else {
        add_name(&c, GNUTLS_SAN_URI, name, len);
    }
    return name_of(&c, TLS_PRINCIPAL_URI);
}

static void the_name_is_of_the_kind_that_was_asked_for(void **state)
{
    static const char id[] = "spiffe://prod/ns/web/sa/web";
    (void)state;
    for (int kind = TLS_PRINCIPAL_NONE; kind <= TLS_PRINCIPAL_URI; kind++) {
        static const char *const expected[] = {"", "web", id};
        struct certificate c = blank();
        add_cn(&c, "web", 3);
        add_name(&c, GNUTLS_SAN_DNSNAME, "web.example", 11);
        add_name(&c, GNUTLS_SAN_URI, id, strlen(id));
        add_name(&c, GNUTLS_SAN_RFC822NAME, "web@example", 11);
        assert_string_equal(name_of(&c, (enum tls_principal)kind), expected[kind]);
    }
    assert_string_equal(of_cn("a b", 3), "a b");
    assert_string_equal(of_uri("urn:a", 5), "urn:a");
    struct certificate c = blank();
    add_name(&c, GNUTLS_SAN_URI, id, strlen(id));
    assert_string_equal(name_of(&c, TLS_PRINCIPAL_CN), "");
    c = blank();
    add_cn(&c, id, strlen(id));
    add_name(&c, GNUTLS_SAN_DNSNAME, id, strlen(id));
    assert_string_equal(name_of(&c, TLS_PRINCIPAL_URI), "");
}

static void of_several_none_counts(void **state)
{
    (void)state;
    struct certificate c = blank();
    add_cn(&c, "web", 3);
    add_cn(&c, "admin", 5);
    assert_string_equal(name_of(&c, TLS_PRINCIPAL_CN), "");
    c = blank();
    add_name(&c, GNUTLS_SAN_URI, "spiffe://prod/web", 17);
    add_name(&c, GNUTLS_SAN_DNSNAME, "web.example", 11);
    add_name(&c, GNUTLS_SAN_URI, "spiffe://prod/admin", 19);
    assert_string_equal(name_of(&c, TLS_PRINCIPAL_URI), "");
    /* One that is too long to be read is one, too. */
    char longest[600];
    memset(longest, 'a', sizeof longest);
    for (unsigned first = 0; first < 2; first++) {
        c = blank();
        if (first == 1) {
            add_name(&c, GNUTLS_SAN_URI, "spiffe://prod/web", 17);
        }
        add_name(&c, GNUTLS_SAN_URI, longest, sizeof longest);
        if (first == 0) {
            add_name(&c, GNUTLS_SAN_URI, "spiffe://prod/web", 17);
        }
        assert_string_equal(name_of(&c, TLS_PRINCIPAL_URI), "");
    }
    /* A long one of another kind is nothing to it. */
    c = blank();
    add_name(&c, GNUTLS_SAN_RFC822NAME, longest, sizeof longest);
    add_name(&c, GNUTLS_SAN_URI, "spiffe://prod/web", 17);
    assert_string_equal(name_of(&c, TLS_PRINCIPAL_URI), "spiffe://prod/web");
}

static void what_is_no_name_makes_nobody(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } bad[] = {{"web\0.evil", 9}, {"web\0", 4},  {"\0web", 4},       {"we*", 3},  {"*", 1},
               {"we\nb", 4},      {"we\x7f", 3}, {"w\"eb", 4},       {"w'eb", 4}, {"w\\eb", 4},
               {" web", 4},       {"web ", 4},   {"caf\xc3\xa9", 5}, {"\xff", 1}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(of_cn(bad[i].text, bad[i].len), "");
        assert_string_equal(of_uri(bad[i].text, bad[i].len), "");
    }
}

static void a_name_has_a_limit(void **state)
{
    char longest[CERTIFICATE_NAME_BYTES_MAX + 1];
    (void)state;
    memset(longest, 'u', sizeof longest);
    assert_int_equal(strlen(of_uri(longest, CERTIFICATE_NAME_BYTES_MAX)),
                     CERTIFICATE_NAME_BYTES_MAX);
    assert_string_equal(of_uri(longest, CERTIFICATE_NAME_BYTES_MAX + 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_is_of_the_kind_that_was_asked_for),
        cmocka_unit_test(of_several_none_counts),
        cmocka_unit_test(what_is_no_name_makes_nobody),
        cmocka_unit_test(a_name_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
