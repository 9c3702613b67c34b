/* server/net/link_tls: two ends of one session in memory. Who is let in, what is told to the
 * others, and that bytes arrive as they were sent or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/base/compiler.h"
#include "server/net/link_tls.h"

#define SECRET "a secret for the tests"
#define OTHER  "another secret for them"

struct ends {
    struct link_tls *tls[2]; /* of the connector, of the acceptor */
    struct link_session *sessions[2];
    enum link_shake results[2];
    char reasons[2][TLS_REASON_SIZE];
};

static struct link_tls *open_keys(const char *one, const char *two)
{
    char error[256];
    struct link_tls *tls =
        link_tls_open(&(struct link_tls_options){.secrets = {one, two}, .records_a_key = 300},
                      error, sizeof error);
    assert_non_null(tls);
    return tls;
}

/* Moves what `from` has to send. Returns how much; flips a bit of the byte at `altered`, if there
 * is one. */
static size_t carry(struct ends *e, size_t from, size_t altered)
{
    size_t len;
    uint8_t *bytes = link_session_take(e->sessions[from], &len);
    if (altered < len) {
        bytes[altered] ^= 1;
    }
    if (len > 0) {
        assert_true(link_session_put(e->sessions[1 - from], bytes, len));
    }
    free(bytes);
    return len;
}

static void shake(struct ends *e)
{
    e->results[0] = e->results[1] = LINK_SHAKE_MORE;
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < 2; i++) {
            if (e->results[i] == LINK_SHAKE_MORE) {
                e->results[i] = link_session_shake(e->sessions[i], e->reasons[i]);
                (void)carry(e, i, SIZE_MAX);
            }
        }
    }
}

static void begin(struct ends *e, struct link_tls *connector, size_t secret,
                  struct link_tls *acceptor)
{
    *e = (struct ends){.tls = {connector, acceptor}};
    e->sessions[0] = link_session_begin(connector, LINK_CONNECT_KEY, secret);
    e->sessions[1] = link_session_begin(acceptor, LINK_ACCEPT, 0);
    assert_non_null(e->sessions[0]);
    assert_non_null(e->sessions[1]);
    shake(e);
}

static void end(struct ends *e)
{
    for (size_t i = 0; i < 2; i++) {
        link_session_end(e->sessions[i]);
        link_tls_free(e->tls[i]);
    }
}

static void open_both(struct ends *e)
{
    begin(e, open_keys(SECRET, NULL), 0, open_keys(SECRET, NULL));
    assert_int_equal(e->results[0], LINK_SHAKE_DONE);
    assert_int_equal(e->results[1], LINK_SHAKE_DONE);
}

static void those_with_one_secret_in_common_meet(void **state UNUSED)
{
    static const struct {
        const char *connector[2], *acceptor[2];
        size_t secret;
        bool meet;
    } cases[] = {
        {{SECRET, NULL}, {SECRET, NULL}, 0, true},   {{SECRET, NULL}, {OTHER, SECRET}, 0, true},
        {{OTHER, SECRET}, {SECRET, NULL}, 1, true},  {{OTHER, SECRET}, {SECRET, OTHER}, 0, true},
        {{OTHER, SECRET}, {SECRET, NULL}, 0, false}, {{SECRET, NULL}, {OTHER, NULL}, 0, false},
        {{SECRET, NULL}, {NULL, OTHER}, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ends e;
        begin(&e, open_keys(cases[i].connector[0], cases[i].connector[1]), cases[i].secret,
              open_keys(cases[i].acceptor[0], cases[i].acceptor[1]));
        assert_int_equal(e.results[0] == LINK_SHAKE_DONE, cases[i].meet);
        assert_int_equal(e.results[1] == LINK_SHAKE_DONE, cases[i].meet);
        if (!cases[i].meet) {
            assert_int_equal(e.results[0], LINK_SHAKE_FAILED);
            assert_non_null(strstr(e.reasons[0], "secret"));
            assert_non_null(strstr(e.reasons[1], "secret"));
        }
        end(&e);
    }
}

static void both_ends_have_the_same_binding_and_no_two_sessions(void **state UNUSED)
{
    uint8_t bindings[3][LINK_BINDING_BYTES];
    struct ends e, other;
    open_both(&e);
    open_both(&other);
    link_session_binding(e.sessions[0], bindings[0]);
    link_session_binding(e.sessions[1], bindings[1]);
    link_session_binding(other.sessions[0], bindings[2]);
    assert_memory_equal(bindings[0], bindings[1], LINK_BINDING_BYTES);
    assert_memory_not_equal(bindings[0], bindings[2], LINK_BINDING_BYTES);
    end(&e);
    end(&other);
}

static void read_all(struct ends *e, size_t end_at, uint8_t *to, size_t size)
{
    size_t done = 0, len;
    while (link_session_read(e->sessions[end_at], to + done, size - done, &len) == LINK_READ_SOME) {
        done += len;
        if (done == size) {
            uint8_t more;
            assert_int_equal(link_session_read(e->sessions[end_at], &more, 1, &len),
                             LINK_READ_NONE);
            return;
        }
    }
    fail_msg("%zu of %zu bytes: %s", done, size, link_session_trouble(e->sessions[end_at]));
}

/* Of all lengths around those of a record, in one to three pieces; the keys change meanwhile.
 * (GnuTLS takes eight changes a second.) */
static void pieces_arrive_whole_and_in_order(void **state UNUSED)
{
    static const size_t lengths[] = {0, 1, 12, 16383, 16384, 16385, 40000};
    struct ends e;
    uint8_t *sent = malloc(150000), *got = malloc(150000);
    for (size_t i = 0; i < 150000; i++) {
        sent[i] = (uint8_t)(i * 31 + i / 251);
    }
    open_both(&e);
    for (size_t a = 0; a < ARRAY_LENGTH(lengths); a++) {
        for (size_t b = 0; b < ARRAY_LENGTH(lengths); b++) {
            for (size_t c = 0; c < ARRAY_LENGTH(lengths); c++) {
                size_t total = lengths[a] + lengths[b] + lengths[c];
                size_t from = (a + b + c) % 2;
                const struct iovec pieces[] = {{sent, lengths[a]},
                                               {sent + lengths[a], lengths[b]},
                                               {sent + lengths[a] + lengths[b], lengths[c]}};
                assert_true(link_session_write(e.sessions[from], pieces, 3));
                size_t carried = carry(&e, from, SIZE_MAX);
                assert_true(carried >= total);
                if (total > 0) {
                    read_all(&e, 1 - from, got, total);
                    assert_memory_equal(got, sent, total);
                }
            }
        }
    }
    end(&e);
    free(sent);
    free(got);
}

static void what_was_altered_is_broken_and_gives_nothing(void **state UNUSED)
{
    static const char text[] = "something that nobody may alter";
    const struct iovec piece = {(void *)(uintptr_t)text, sizeof text};
    struct ends e;
    open_both(&e);
    assert_true(link_session_write(e.sessions[0], &piece, 1));
    size_t len = carry(&e, 0, SIZE_MAX);
    end(&e);
    for (size_t altered = 0; altered < len; altered++) {
        uint8_t got[64];
        size_t got_len;
        open_both(&e);
        assert_true(link_session_write(e.sessions[0], &piece, 1));
        (void)carry(&e, 0, altered);
        enum link_read result = link_session_read(e.sessions[1], got, sizeof got, &got_len);
        bool is_version = altered <= 2; /* type and version: fixed, so GnuTLS looks at neither */
        bool is_length = altered == 3 || altered == 4; /* which may also announce more */
        assert_true(result == LINK_READ_BROKEN || (result == LINK_READ_NONE && is_length) ||
                    (result == LINK_READ_SOME && is_version && strcmp((char *)got, text) == 0));
        assert_int_equal(result == LINK_READ_BROKEN, link_session_trouble(e.sessions[1])[0] != 0);
        end(&e);
    }
}

static void more_input_than_the_limit_is_refused(void **state UNUSED)
{
    static uint8_t bytes[LINK_INPUT_BYTES];
    struct ends e;
    open_both(&e);
    assert_true(link_session_put(e.sessions[1], bytes, sizeof bytes));
    assert_false(link_session_put(e.sessions[1], bytes, 1));
    end(&e);
}

static void what_strangers_are_sent_does_not_depend_on_what_is_known(void **state UNUSED)
{
    /* Somebody who knows the name of the key but not the key, and somebody who knows neither. */
    static const char *const secrets[] = {OTHER, "yet another secret of others"};
    size_t lens[2];
    uint8_t answers[2][64];
    for (size_t i = 0; i < 2; i++) {
        struct ends e = {.tls = {open_keys(secrets[i], NULL), open_keys(SECRET, NULL)}};
        e.sessions[0] = link_session_begin(e.tls[0], LINK_CONNECT_KEY, 0);
        e.sessions[1] = link_session_begin(e.tls[1], LINK_ACCEPT, 0);
        assert_int_equal(link_session_shake(e.sessions[0], e.reasons[0]), LINK_SHAKE_MORE);
        (void)carry(&e, 0, SIZE_MAX);
        assert_int_equal(link_session_shake(e.sessions[1], e.reasons[1]), LINK_SHAKE_FAILED);
        uint8_t *bytes = link_session_take(e.sessions[1], &lens[i]);
        assert_true(lens[i] > 0 && lens[i] <= sizeof answers[i]);
        memcpy(answers[i], bytes, lens[i]);
        free(bytes);
        end(&e);
    }
    assert_int_equal(lens[0], lens[1]);
    assert_memory_equal(answers[0], answers[1], lens[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_with_one_secret_in_common_meet),
        cmocka_unit_test(both_ends_have_the_same_binding_and_no_two_sessions),
        cmocka_unit_test(pieces_arrive_whole_and_in_order),
        cmocka_unit_test(what_was_altered_is_broken_and_gives_nothing),
        cmocka_unit_test(more_input_than_the_limit_is_refused),
        cmocka_unit_test(what_strangers_are_sent_does_not_depend_on_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
