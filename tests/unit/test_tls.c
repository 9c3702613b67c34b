/* server/net/tls: handshakes, records, certificates of clients, and files that change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/net/tls.h"
#include "tests/unit/certificates.h"
#include "tests/unit/remove_tree.h"

#define NAME "muster.example"

struct world {
    char folder[64], cert[96], key[96], client_ca[96];
    struct certificate ca, server, client;
    gnutls_certificate_credentials_t trust; /* of clients */
};

static time_t in_days(int days)
{
    return time(NULL) + days * 86400;
}

static void write_server(struct world *w, int days)
{
    w->server = certificate_make(&w->ca, NAME, in_days(days));
    certificate_write(&w->server, w->cert);
    certificate_write_key(&w->server, w->key);
    certificate_done(&w->server);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    (void)snprintf(w->folder, sizeof w->folder, "/tmp/muster-tls-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->cert, sizeof w->cert, "%s/cert.pem", w->folder);
    (void)snprintf(w->key, sizeof w->key, "%s/key.pem", w->folder);
    (void)snprintf(w->client_ca, sizeof w->client_ca, "%s/ca.pem", w->folder);
    w->ca = certificate_make(NULL, "CA", in_days(300));
    w->client = certificate_make(&w->ca, "client", in_days(20));
    certificate_write(&w->ca, w->client_ca);
    write_server(w, 10);
    CHECK(gnutls_certificate_allocate_credentials(&w->trust) == 0);
    CHECK(gnutls_certificate_set_x509_trust(w->trust, &w->ca.crt, 1) == 1);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    gnutls_certificate_free_credentials(w->trust);
    certificate_done(&w->client);
    certificate_done(&w->ca);
    remove_tree(w->folder);
    free(w);
    return 0;
}

static const char *const protocols[] = {"h2", "http/1.1", NULL};

static struct tls *open_tls(struct world *w, bool asks, bool required)
{
    char error[256];
    const struct tls_options options = {.cert = w->cert,
                                        .key = w->key,
                                        .client_ca = asks ? w->client_ca : NULL,
                                        .client_required = required,
                                        .protocols = protocols};
    struct tls *tls = tls_open(&options, error, sizeof error);
    if (tls == NULL) {
        fail_msg("%s", error);
    }
    return tls;
}

/* Both ends of a connection. */
struct pair {
    int fds[2];
    gnutls_session_t client;
    struct tls_session *server;
    char reason[TLS_REASON_SIZE];
    int client_result, server_errno; /* 0: done */
};

static void connect_with(struct pair *p, struct world *w, struct tls *tls, const char *priority,
                         const gnutls_datum_t *resumed)
{
    /* Else the client keeps one back whose CA the server does not name. */
    unsigned flags = GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_FORCE_CLIENT_CERT;
    memset(p, 0, sizeof *p);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fds), 0);
    assert_int_equal(gnutls_init(&p->client, flags), 0);
    assert_int_equal(gnutls_priority_set_direct(p->client, priority, NULL), 0);
    assert_int_equal(gnutls_credentials_set(p->client, GNUTLS_CRD_CERTIFICATE, w->trust), 0);
    gnutls_session_set_verify_cert(p->client, NAME, 0);
    if (resumed != NULL) {
        assert_int_equal(gnutls_session_set_data(p->client, resumed->data, resumed->size), 0);
    }
    gnutls_transport_set_int(p->client, p->fds[0]);
    p->server = tls_begin(tls, p->fds[1]);
    assert_non_null(p->server);
}

/* Both go on until neither can: enough turns for any handshake. */
static void shake(struct pair *p)
{
    p->client_result = GNUTLS_E_AGAIN;
    p->server_errno = EAGAIN;
    for (int i = 0; i < 20; i++) {
        if (p->client_result == GNUTLS_E_AGAIN) {
            p->client_result = gnutls_handshake(p->client);
        }
        if (p->server_errno == EAGAIN) {
            p->server_errno = tls_handshake(p->server, p->reason) == 0 ? 0 : errno;
        }
    }
}

static void finish(struct pair *p)
{
    gnutls_deinit(p->client);
    tls_end(p->server);
    close(p->fds[0]);
    close(p->fds[1]);
}

static void expect_good(struct pair *p)
{
    assert_int_equal(p->client_result, 0);
    assert_int_equal(p->server_errno, 0);
}

/* What the client gets; tickets come before it. */
static ssize_t take(struct pair *p, void *to, size_t size)
{
    ssize_t got = GNUTLS_E_AGAIN;
    for (int i = 0; i < 10 && got == GNUTLS_E_AGAIN; i++) {
        got = gnutls_record_recv(p->client, to, size);
    }
    return got;
}

static void test_bytes_go_both_ways_in_versions_1_2_and_1_3_and_older_ones_are_refused(void **state)
{
    static const struct {
        const char *priority;
        gnutls_protocol_t version;
    } cases[] = {{"NORMAL", GNUTLS_TLS1_3},
                 {"NORMAL:-VERS-ALL:+VERS-TLS1.2", GNUTLS_TLS1_2},
                 {"NORMAL:-VERS-ALL:+VERS-TLS1.1", 0}};
    struct world *w = *state;
    struct tls *tls = open_tls(w, false, false);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char got[64];
        struct pair p;
        connect_with(&p, w, tls, cases[i].priority, NULL);
        shake(&p);
        if (cases[i].version == 0) {
            assert_int_not_equal(p.client_result, 0);
            assert_int_equal(p.server_errno, EPROTO);
            assert_true(strlen(p.reason) > 0);
            finish(&p);
            continue;
        }
        expect_good(&p);
        assert_int_equal(gnutls_protocol_get_version(p.client), cases[i].version);
        assert_int_equal(gnutls_record_send(p.client, "question", 8), 8);
        assert_int_equal(tls_recv(p.server, got, sizeof got), 8);
        assert_memory_equal(got, "question", 8);
        assert_int_equal(tls_recv(p.server, got, sizeof got), -1);
        assert_int_equal(errno, EAGAIN);
        const struct iovec pieces[] = {{"ans", 3}, {NULL, 0}, {"wer", 3}};
        assert_int_equal(tls_send(p.server, pieces, 3), 6);
        assert_int_equal(take(&p, got, sizeof got), 6);
        assert_memory_equal(got, "answer", 6);
        tls_bye(p.server);
        assert_int_equal(take(&p, got, sizeof got), 0);
        assert_int_equal(gnutls_bye(p.client, GNUTLS_SHUT_WR), 0);
        assert_int_equal(tls_recv(p.server, got, sizeof got), 0);
        finish(&p);
    }
    tls_free(tls);
}

static void test_what_the_kernel_does_not_take_is_sent_later_once(void **state)
{
    static unsigned char sent[1 << 20], got[1 << 20];
    struct world *w = *state;
    struct tls *tls = open_tls(w, false, false);
    struct pair p;
    size_t out = 0, in = 0;
    unsigned blocked = 0;
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (unsigned char)(i * 7 + i / 251);
    }
    connect_with(&p, w, tls, "NORMAL", NULL);
    shake(&p);
    expect_good(&p);
    while (in < sizeof sent) {
        const struct iovec pieces[] = {
            {sent + out, out < 100 ? 100 - out : 0},
            {sent + (out < 100 ? 100 : out), sizeof sent - (out < 100 ? 100 : out)}};
        ssize_t did = out < sizeof sent ? tls_send(p.server, pieces, 2) : -1;
        if (did > 0) {
            out += (size_t)did;
            continue;
        }
        assert_true(out == sizeof sent || errno == EAGAIN);
        blocked++;
        ssize_t taken;
        while ((taken = gnutls_record_recv(p.client, got + in, sizeof got - in)) > 0) {
            in += (size_t)taken;
        }
    }
    assert_true(blocked > 1);
    assert_memory_equal(sent, got, sizeof sent);
    finish(&p);
    tls_free(tls);
}

static void test_a_connection_that_breaks_off_is_not_one_that_ends(void **state)
{
    struct world *w = *state;
    struct tls *tls = open_tls(w, false, false);
    char got[16];
    struct pair p;
    connect_with(&p, w, tls, "NORMAL", NULL);
    shake(&p);
    expect_good(&p);
    assert_int_equal(shutdown(p.fds[0], SHUT_WR), 0);
    assert_int_equal(tls_recv(p.server, got, sizeof got), -1);
    assert_int_equal(errno, ECONNRESET);
    finish(&p);
    tls_free(tls);
}

static void test_bytes_that_are_no_tls_are_refused(void **state)
{
    struct world *w = *state;
    struct tls *tls = open_tls(w, false, false);
    struct pair p;
    connect_with(&p, w, tls, "NORMAL", NULL);
    assert_int_equal(send(p.fds[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, 0), 27);
    assert_int_equal(tls_handshake(p.server, p.reason), -1);
    assert_int_equal(errno, EPROTO);
    finish(&p);
    tls_free(tls);
}

static void test_a_client_resumes_its_session_until_the_files_change(void **state)
{
    struct world *w = *state;
    struct tls *tls = open_tls(w, false, false);
    char error[256], got[16];
    struct pair p;
    gnutls_datum_t ticket;
    connect_with(&p, w, tls, "NORMAL", NULL);
    shake(&p);
    expect_good(&p);
    (void)take(&p, got, sizeof got); /* the ticket */
    assert_int_equal(gnutls_session_get_data2(p.client, &ticket), 0);
    finish(&p);
    connect_with(&p, w, tls, "NORMAL", &ticket);
    shake(&p);
    expect_good(&p);
    assert_int_not_equal(gnutls_session_is_resumed(p.client), 0);
    finish(&p);
    assert_int_equal(tls_refresh(tls, true, error, sizeof error), TLS_RELOADED);
    connect_with(&p, w, tls, "NORMAL", &ticket);
    shake(&p);
    expect_good(&p);
    assert_int_equal(gnutls_session_is_resumed(p.client), 0);
    finish(&p);
    gnutls_free(ticket.data);
    tls_free(tls);
}

static void offer(struct world *w, const struct certificate *c)
{
    gnutls_x509_crt_t crt = c->crt;
    CHECK(gnutls_certificate_set_x509_key(w->trust, &crt, 1, c->key) >= 0);
}

static void test_a_clients_certificate_counts_when_one_of_the_cas_signed_it(void **state)
{
    static const struct {
        bool required;
        enum { NONE, GOOD, OF_ANOTHER_CA, ENDED } offered;
        bool taken;
    } cases[] = {{false, NONE, true},   {true, NONE, false},           {false, GOOD, true},
                 {true, GOOD, true},    {false, OF_ANOTHER_CA, false}, {true, OF_ANOTHER_CA, false},
                 {false, ENDED, false}, {true, ENDED, false}};
    struct world *w = *state;
    struct certificate other_ca = certificate_make(NULL, "CA", in_days(10));
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct tls *tls = open_tls(w, true, cases[i].required);
        struct certificate c =
            certificate_make(cases[i].offered == OF_ANOTHER_CA ? &other_ca : &w->ca, "client",
                             cases[i].offered == ENDED ? time(NULL) - 60 : in_days(1));
        struct pair p;
        gnutls_certificate_free_keys(w->trust);
        if (cases[i].offered != NONE) {
            offer(w, &c);
        }
        connect_with(&p, w, tls, "NORMAL", NULL);
        shake(&p);
        if (cases[i].taken) {
            expect_good(&p);
        } else {
            assert_int_equal(p.server_errno, EPROTO);
            assert_true(strlen(p.reason) > 0);
        }
        finish(&p);
        certificate_done(&c);
        tls_free(tls);
    }
    certificate_done(&other_ca);
}

static void test_files_that_change_are_read_again_and_bad_ones_change_nothing(void **state)
{
    struct world *w = *state;
    struct tls *tls = open_tls(w, false, false);
    char error[256] = "";
    struct pair p;
    int64_t before = tls_expires_s(tls);
    assert_in_range(before, in_days(10) - 60, in_days(10));
    assert_int_equal(tls_refresh(tls, false, error, sizeof error), TLS_UNCHANGED);
    connect_with(&p, w, tls, "NORMAL", NULL); /* begun before, goes on after */
    write_server(w, 5);
    assert_int_equal(tls_refresh(tls, false, error, sizeof error), TLS_RELOADED);
    assert_in_range(tls_expires_s(tls), in_days(5) - 60, in_days(5));
    assert_int_equal(tls_refresh(tls, false, error, sizeof error), TLS_UNCHANGED);
    shake(&p);
    expect_good(&p);
    finish(&p);

    struct certificate other = certificate_make(&w->ca, NAME, in_days(3));
    certificate_write(&other, w->cert); /* the key is not its own yet */
    assert_int_equal(tls_refresh(tls, false, error, sizeof error), TLS_FAILED);
    assert_non_null(strstr(error, w->cert));
    assert_int_equal(tls_refresh(tls, false, error, sizeof error), TLS_FAILED);
    assert_in_range(tls_expires_s(tls), in_days(5) - 60, in_days(5));
    certificate_write_key(&other, w->key);
    assert_int_equal(tls_refresh(tls, false, error, sizeof error), TLS_RELOADED);
    certificate_done(&other);
    assert_int_equal(unlink(w->key), 0);
    assert_int_equal(tls_refresh(tls, true, error, sizeof error), TLS_FAILED);
    assert_non_null(strstr(error, "No such file"));
    tls_free(tls);
}

static void test_files_that_are_not_there_or_not_pem_are_named(void **state)
{
    struct world *w = *state;
    char error[256];
    struct tls_options options = {.cert = w->cert, .key = "/nowhere/key.pem"};
    assert_null(tls_open(&options, error, sizeof error));
    assert_non_null(strstr(error, "/nowhere/key.pem: No such file"));
    options.key = w->folder;
    assert_null(tls_open(&options, error, sizeof error));
    assert_non_null(strstr(error, "not a file"));
    options.key = w->cert; /* no key in it */
    assert_null(tls_open(&options, error, sizeof error));
    assert_non_null(strstr(error, w->cert));
    options.key = w->key;
    options.client_ca = w->key; /* no certificate in it */
    assert_null(tls_open(&options, error, sizeof error));
    assert_non_null(strstr(error, w->key));
    FILE *file = fopen(w->client_ca, "we");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), (off_t)TLS_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(fclose(file), 0);
    options.client_ca = w->client_ca;
    assert_null(tls_open(&options, error, sizeof error));
    assert_non_null(strstr(error, "not a file"));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_bytes_go_both_ways_in_versions_1_2_and_1_3_and_older_ones_are_refused),
        CASE(test_what_the_kernel_does_not_take_is_sent_later_once),
        CASE(test_a_connection_that_breaks_off_is_not_one_that_ends),
        CASE(test_bytes_that_are_no_tls_are_refused),
        CASE(test_a_client_resumes_its_session_until_the_files_change),
        CASE(test_a_clients_certificate_counts_when_one_of_the_cas_signed_it),
        CASE(test_files_that_change_are_read_again_and_bad_ones_change_nothing),
        CASE(test_files_that_are_not_there_or_not_pem_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
