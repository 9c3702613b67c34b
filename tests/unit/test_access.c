/* Who asks, and whether he may: tokens as texts, principals, and what each may do. */
#include "tests/unit/registry_fixture.h"

#include "api/core/login.h"
#include "server/base/limits.h"

#define PERMISSIONS (PERMISSION_OPERATOR_WRITE + 1)

static char text[TOKEN_TEXT_SIZE];
static char header[sizeof "Bearer " + TOKEN_TEXT_SIZE];

static int set_up(void **state)
{
    int failed = fixture_set_up_newest(state);
    token_text_make(text);
    (void)snprintf(header, sizeof header, "Bearer %s", text);
    return failed;
}

/* A token of `text` that may write `web` and has these grants. */
static void create(struct fixture *f, uint32_t grants, uint32_t scopes)
{
    char id[TOKEN_ID_SIZE];
    uint8_t hash[TOKEN_HASH_BYTES];
    assert_true(token_text_parse(text, strlen(text), id));
    token_text_hash(text, strlen(text), hash);
    struct command c = {
        .kind = COMMAND_TOKEN_CREATE,
        .token_create = {.spec = {.id = slice_of(id),
                                  .hash = {(const char *)hash, sizeof hash},
                                  .description = slice_of(""),
                                  .grants = grants,
                                  .scopes_count = scopes},
                         .turn = TOKEN_TURN_ONLY},
    };
    c.token_create.spec.scopes[0] = (struct token_scope){slice_of("web"), false, true};
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

static enum status may(struct fixture *f, enum anonymous anonymous, const char *authorization,
                       enum permission needed)
{
    struct principal p;
    const struct view *view = fixture_view(f);
    enum status status = principal_find(&p, anonymous, authorization, "", NULL, view);
    return status == ST_OK ? principal_may(&p, view, needed, "web") : status;
}

/* A letter for each permission: + he may, 1 401, 3 403. */
static const char *all_of(struct fixture *f, enum anonymous anonymous, const char *authorization)
{
    static char out[PERMISSIONS];
    for (int i = PERMISSION_OPEN; i < PERMISSIONS; i++) {
        enum status status = may(f, anonymous, authorization, (enum permission)i);
        out[i - 1] = '?';
        out[i - 1] = status == ST_OK ? '+' : out[i - 1];
        out[i - 1] = status == ST_UNAUTHENTICATED ? '1' : out[i - 1];
        out[i - 1] = status == ST_FORBIDDEN ? '3' : out[i - 1];
    }
    return out;
}

/* --- texts --- */

static void a_token_is_made_of_what_can_be_taken_apart(void **state)
{
    char id[TOKEN_ID_SIZE], other[TOKEN_TEXT_SIZE];
    unsigned seen[128] = {0};
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        token_text_make(other);
        assert_int_equal(strlen(other), TOKEN_TEXT_SIZE - 1);
        assert_true(token_text_parse(other, strlen(other), id));
        assert_memory_equal(other + 4, id, TOKEN_ID_CHARS);
        for (const char *p = other; *p != '\0'; p++) {
            seen[(unsigned char)*p]++;
        }
    }
    /* All 32 characters, about as often (84,000 of them). */
    for (const char *p = "abcdefghijklmnopqrstuvwxyz234567"; *p != '\0'; p++) {
        assert_in_range(seen[(unsigned char)*p], 2200, 3100 + (strchr("mst", *p) ? 2000 : 0));
    }
}

static void whatever_is_no_token_is_refused(void **state)
{
    char id[TOKEN_ID_SIZE], bad[TOKEN_TEXT_SIZE + 1];
    (void)state;
    for (size_t i = 0; i < strlen(text); i++) {
        static const char wrong[] = {'A', '0', '1',  '8',    '9', '=',
                                     '-', ' ', '\0', '\xff', '`', '{'};
        for (size_t k = 0; k < sizeof wrong; k++) {
            memcpy(bad, text, sizeof text);
            bad[i] = wrong[k];
            assert_false(token_text_parse(bad, TOKEN_TEXT_SIZE - 1, id));
        }
    }
    for (size_t len = 0; len < TOKEN_TEXT_SIZE - 1; len++) {
        char *part = malloc(len > 0 ? len : 1); /* of just its length */
        memcpy(part, text, len);
        assert_false(token_text_parse(part, len, id));
        free(part);
    }
    memcpy(bad, text, sizeof text);
    bad[TOKEN_TEXT_SIZE - 1] = 'a';
    assert_false(token_text_parse(bad, TOKEN_TEXT_SIZE, id));
}

static void the_hash_is_sha_256_of_the_whole_text(void **state)
{
    uint8_t hash[TOKEN_HASH_BYTES], same[TOKEN_HASH_BYTES];
    static const uint8_t of_abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea};
    (void)state;
    token_text_hash("abc", 3, hash);
    assert_memory_equal(hash, of_abc, sizeof of_abc);
    memcpy(same, hash, sizeof hash);
    assert_true(token_text_hash_equal(hash, same));
    for (size_t i = 0; i < sizeof same; i++) {
        same[i] ^= 1;
        assert_false(token_text_hash_equal(hash, same));
        same[i] ^= 1;
    }
    token_text_wipe(same, sizeof same);
    for (size_t i = 0; i < sizeof same; i++) {
        assert_int_equal(same[i], 0);
    }
}

/* --- who --- */

static void only_the_right_secret_is_its_holder(void **state)
{
    struct fixture *f = *state;
    struct principal p;
    char wrong[sizeof header];
    create(f, TOKEN_OPERATOR_WRITE, 1);
    const struct view *view = fixture_view(f);
    assert_int_equal(principal_find(&p, ANONYMOUS_NONE, header, "", NULL, view), ST_OK);
    assert_memory_equal(p.token, text + 4, TOKEN_ID_CHARS);
    memcpy(wrong, header, sizeof header);
    wrong[strlen(wrong) - 1] = wrong[strlen(wrong) - 1] == 'a' ? 'b' : 'a';
    assert_int_equal(principal_find(&p, ANONYMOUS_NONE, wrong, "", NULL, view), ST_UNAUTHENTICATED);
    assert_string_equal(p.token, "");
    memcpy(wrong, header, sizeof header);
    wrong[strlen("Bearer mst_")] = wrong[strlen("Bearer mst_")] == 'a' ? 'b' : 'a';
    assert_int_equal(principal_find(&p, ANONYMOUS_NONE, wrong, "", NULL, view), ST_UNAUTHENTICATED);
    assert_string_equal(p.token, "");
    static const char *const malformed[] = {"Bearer", "Bearer ", "Bearer x", "bearer mst_",
                                            "Bearer  "};
    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        assert_int_equal(principal_find(&p, ANONYMOUS_WRITE, malformed[i], "", NULL, view),
                         ST_UNAUTHENTICATED);
    }
    /* The scheme has no case; others are not ours. */
    memcpy(wrong, header, sizeof header);
    memcpy(wrong, "bEARER", 6);
    assert_int_equal(principal_find(&p, ANONYMOUS_NONE, wrong, "", NULL, view), ST_OK);
    assert_string_not_equal(p.token, "");
    static const char *const others[] = {"Basic eDp5", "", "Bearerx y", "mst_", "BearerBearer x"};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        assert_int_equal(principal_find(&p, ANONYMOUS_NONE, others[i], "", NULL, view), ST_OK);
        assert_string_equal(p.token, "");
    }
}

static void what_nobody_may_do_is_what_the_option_says(void **state)
{
    struct fixture *f = *state;
    /* Open, read, read a service, events, write, metrics, status, operator read, operator write. */
    assert_string_equal(all_of(f, ANONYMOUS_DEFAULT, NULL), "+++++++++");
    assert_string_equal(all_of(f, ANONYMOUS_NONE, NULL), "+11111111");
    assert_string_equal(all_of(f, ANONYMOUS_READ, NULL), "++++1++11");
    assert_string_equal(all_of(f, ANONYMOUS_WRITE, NULL), "+++++++11");
    /* There is none to be meant yet. */
    assert_string_equal(all_of(f, ANONYMOUS_DEFAULT, header), "+++++++++");
    create(f, 0, 1);
    assert_string_equal(all_of(f, ANONYMOUS_DEFAULT, NULL), "++++1++11");
    assert_string_equal(all_of(f, ANONYMOUS_NONE, NULL), "+11111111");
    assert_string_equal(all_of(f, ANONYMOUS_READ, NULL), "++++1++11");
    assert_string_equal(all_of(f, ANONYMOUS_WRITE, NULL), "+++++++11");
}

static void a_token_adds_to_what_everybody_may(void **state)
{
    static const struct {
        uint32_t grants, scopes;
        const char *may;
    } cases[] = {
        {0, 1, "+++++3333"},
        {TOKEN_METRICS, 0, "+3333+333"},
        {TOKEN_EVENTS, 0, "+33+33333"},
        {TOKEN_OPERATOR_READ, 0, "+3333+++3"},
        {TOKEN_OPERATOR_WRITE, 0, "+3333++++"},
        {TOKEN_GRANTS_ALL, 1, "+++++++++"},
        {0, 0, "+33333333"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        create(f, cases[i].grants, cases[i].scopes);
        assert_string_equal(all_of(f, ANONYMOUS_NONE, header), cases[i].may);
        const char *more = all_of(f, ANONYMOUS_READ, header);
        for (size_t k = 0; cases[i].may[k] != '\0'; k++) {
            bool read = k <= 3 || k == 5 || k == 6;
            assert_int_equal(more[k], read ? '+' : cases[i].may[k]);
        }
        const struct command c = {.kind = COMMAND_TOKEN_REVOKE,
                                  .token_revoke = {.id = {text + 4, TOKEN_ID_CHARS}}};
        assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
        assert_int_equal(may(f, ANONYMOUS_WRITE, header, PERMISSION_READ), ST_UNAUTHENTICATED);
    }
}

static void who_was_found_is_nobody_when_his_token_is_gone(void **state)
{
    struct fixture *f = *state;
    struct principal p;
    create(f, TOKEN_OPERATOR_WRITE, 1);
    assert_int_equal(principal_find(&p, ANONYMOUS_READ, header, "", NULL, fixture_view(f)), ST_OK);
    const struct command c = {.kind = COMMAND_TOKEN_REVOKE,
                              .token_revoke = {.id = {text + 4, TOKEN_ID_CHARS}}};
    fixture_apply(f, &c);
    const struct view *view = fixture_view(f);
    assert_int_equal(principal_may(&p, view, PERMISSION_READ, NULL), ST_UNAUTHENTICATED);
    assert_int_equal(principal_may(&p, view, PERMISSION_OPERATOR_WRITE, NULL), ST_UNAUTHENTICATED);
    assert_int_equal(principal_may(&p, view, PERMISSION_OPEN, NULL), ST_OK);
    p.anonymous = ANONYMOUS_NONE;
    const struct viewer viewer = principal_viewer(&p, view, PERMISSION_EVENTS);
    assert_false(viewer.all || viewer_may(&viewer, "web"));
}

static void a_route_that_says_nothing_is_closed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(may(f, ANONYMOUS_DEFAULT, NULL, (enum permission)0), ST_UNAUTHENTICATED);
    create(f, TOKEN_GRANTS_ALL, 1);
    assert_int_equal(may(f, ANONYMOUS_DEFAULT, header, (enum permission)0), ST_FORBIDDEN);
}

static void a_write_carries_whose_it_is(void **state)
{
    struct fixture *f = *state;
    struct principal p;
    const struct view *view = fixture_view(f);
    assert_int_equal(principal_find(&p, ANONYMOUS_DEFAULT, NULL, "", NULL, view), ST_OK);
    assert_int_equal(principal_guard(&p, view, PERMISSION_WRITE).kind, GUARD_UNTIL_FIRST);
    assert_int_equal(principal_guard(&p, view, PERMISSION_OPERATOR_WRITE).kind, GUARD_UNTIL_FIRST);
    create(f, TOKEN_OPERATOR_WRITE, 1);
    view = fixture_view(f);
    for (unsigned mode = ANONYMOUS_DEFAULT; mode <= ANONYMOUS_WRITE; mode++) {
        assert_int_equal(principal_find(&p, (enum anonymous)mode, header, "", NULL, view), ST_OK);
        struct guard guard = principal_guard(&p, view, PERMISSION_OPERATOR_WRITE);
        assert_int_equal(guard.kind, GUARD_TOKEN);
        assert_memory_equal(guard.who.data, text + 4, guard.who.len);
        assert_int_equal(guard.who.len, TOKEN_ID_CHARS);
        /* What everybody may write, he may. */
        assert_int_equal(principal_guard(&p, view, PERMISSION_WRITE).kind,
                         mode == ANONYMOUS_WRITE ? GUARD_NONE : GUARD_TOKEN);
    }
    /* Below their level there are none. */
    struct view older = *view;
    older.level = LEVEL_TOKENS - 1;
    assert_int_equal(principal_guard(&p, &older, PERMISSION_OPERATOR_WRITE).kind, GUARD_NONE);
}

static void who_reads_sees_what_his_token_lets(void **state)
{
    struct fixture *f = *state;
    struct principal p;
    create(f, TOKEN_EVENTS, 1);
    const struct view *view = fixture_view(f);
    assert_int_equal(principal_find(&p, ANONYMOUS_NONE, header, "", NULL, view), ST_OK);
    struct viewer viewer = principal_viewer(&p, view, PERMISSION_READ);
    assert_false(viewer.all);
    assert_true(viewer_may(&viewer, "web"));
    assert_false(viewer_may(&viewer, "db"));
    assert_true(principal_viewer(&p, view, PERMISSION_EVENTS).all);
    p.anonymous = ANONYMOUS_READ;
    assert_true(principal_viewer(&p, view, PERMISSION_READ).all);
    p = (struct principal){.anonymous = ANONYMOUS_NONE};
    viewer = principal_viewer(&p, view, PERMISSION_READ);
    assert_false(viewer.all || viewer_may(&viewer, "web") || viewer_may(&viewer, ""));
}

/* --- certificates --- */

static void create_policy(struct fixture *f, const char *key, uint32_t grants, bool write)
{
    struct command c = {
        .kind = COMMAND_POLICY_CREATE,
        .policy_create = {.spec = {.id = slice_of(key),
                                   .description = slice_of(""),
                                   .grants = grants,
                                   .scopes_count = 1}},
    };
    c.policy_create.spec.scopes[0] = (struct token_scope){slice_of("web"), false, write};
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

static enum status certificate_may(struct fixture *f, const char *certificate,
                                   const char *authorization, enum permission needed)
{
    struct principal p;
    const struct view *view = fixture_view(f);
    enum status status = principal_find(&p, ANONYMOUS_NONE, authorization, certificate, NULL, view);
    return status == ST_OK ? principal_may(&p, view, needed, "web") : status;
}

static void a_certificate_may_what_its_policy_says(void **state)
{
    struct fixture *f = *state;
    struct principal p;
    const struct view *view = fixture_view(f);
    /* Before the first token it is a name and no more. */
    assert_int_equal(principal_find(&p, ANONYMOUS_DEFAULT, NULL, "a", NULL, view), ST_OK);
    assert_string_equal(principal_name(&p), "cert:a");
    assert_int_equal(principal_may(&p, view, PERMISSION_OPERATOR_WRITE, NULL), ST_OK);
    create(f, TOKEN_OPERATOR_WRITE, 0);
    view = fixture_view(f);
    assert_int_equal(principal_may(&p, view, PERMISSION_WRITE, NULL), ST_FORBIDDEN);
    assert_int_equal(principal_may(&p, view, PERMISSION_READ, NULL), ST_OK); /* everybody may */
    assert_int_equal(certificate_may(f, "a", NULL, PERMISSION_READ), ST_FORBIDDEN);
    assert_int_equal(certificate_may(f, "", NULL, PERMISSION_READ), ST_UNAUTHENTICATED);
    create_policy(f, "*a", TOKEN_METRICS, true);
    create_policy(f, "=ab", 0, false);
    assert_int_equal(certificate_may(f, "a", NULL, PERMISSION_WRITE), ST_OK);
    assert_int_equal(certificate_may(f, "a", NULL, PERMISSION_METRICS), ST_OK);
    assert_int_equal(certificate_may(f, "ab", NULL, PERMISSION_READ_SERVICE), ST_OK);
    assert_int_equal(certificate_may(f, "ab", NULL, PERMISSION_WRITE), ST_FORBIDDEN);
    assert_int_equal(certificate_may(f, "ab", NULL, PERMISSION_METRICS), ST_FORBIDDEN);
    assert_int_equal(certificate_may(f, "b", NULL, PERMISSION_READ), ST_FORBIDDEN);
    view = fixture_view(f);
    assert_int_equal(principal_find(&p, ANONYMOUS_NONE, NULL, "abc", NULL, view), ST_OK);
    const struct viewer viewer = principal_viewer(&p, view, PERMISSION_READ);
    assert_false(viewer.all || viewer_may(&viewer, "db"));
    assert_true(viewer_may(&viewer, "web"));
}

static void with_a_token_the_certificate_does_not_count(void **state)
{
    struct fixture *f = *state;
    struct principal p;
    char wrong[sizeof header];
    create(f, TOKEN_METRICS, 0);
    create_policy(f, "=a", 0, true);
    assert_int_equal(certificate_may(f, "a", NULL, PERMISSION_WRITE), ST_OK);
    assert_int_equal(certificate_may(f, "a", header, PERMISSION_WRITE), ST_FORBIDDEN);
    assert_int_equal(certificate_may(f, "a", header, PERMISSION_METRICS), ST_OK);
    (void)snprintf(wrong, sizeof wrong, "%s", header);
    wrong[strlen(wrong) - 1] = wrong[strlen(wrong) - 1] == 'a' ? 'b' : 'a';
    assert_int_equal(certificate_may(f, "a", wrong, PERMISSION_WRITE), ST_UNAUTHENTICATED);
    assert_int_equal(certificate_may(f, "a", "Basic eDp5", PERMISSION_WRITE), ST_OK);
    assert_int_equal(principal_find(&p, ANONYMOUS_NONE, header, "a", NULL, fixture_view(f)), ST_OK);
    assert_memory_equal(principal_name(&p), text + 4, TOKEN_ID_CHARS);
    /* Nor does the id of a token as the name of a certificate. */
    assert_int_equal(certificate_may(f, p.token, NULL, PERMISSION_METRICS), ST_FORBIDDEN);
}

static void a_write_with_a_certificate_carries_its_name(void **state)
{
    struct fixture *f = *state;
    struct principal p;
    create(f, TOKEN_OPERATOR_WRITE, 0);
    const struct view *view = fixture_view(f);
    assert_int_equal(principal_find(&p, ANONYMOUS_DEFAULT, NULL, "spiffe://prod/a", NULL, view),
                     ST_OK);
    struct guard guard = principal_guard(&p, view, PERMISSION_WRITE);
    assert_int_equal(guard.kind, GUARD_CERTIFICATE);
    assert_int_equal(guard.who.len, strlen("spiffe://prod/a"));
    assert_memory_equal(guard.who.data, "spiffe://prod/a", guard.who.len);
    struct view older = *view;
    older.level = LEVEL_POLICIES - 1;
    assert_int_equal(principal_guard(&p, &older, PERMISSION_WRITE).kind, GUARD_UNTIL_FIRST);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)

/* --- wrong tokens --- */

static void wrong_tokens_are_slowed_and_good_ones_are_not(void **state)
{
    struct fixture *f = *state;
    const struct rate_limit_options options = {.requests = 0};
    struct rate_limits *limits = rate_limits_new(&options);
    const struct login here = {ANONYMOUS_NONE, limits, 1, "", NULL},
                       there = {ANONYMOUS_NONE, limits, 2, "", NULL},
                       local = {ANONYMOUS_NONE, limits, 0, "", NULL};
    struct principal p;
    unsigned wait_s = 0;
    char wrong[sizeof header], unknown[sizeof header], other[TOKEN_TEXT_SIZE];
    create(f, TOKEN_METRICS, 1);
    const struct view *view = fixture_view(f);
    (void)snprintf(wrong, sizeof wrong, "%s", header);
    wrong[strlen(wrong) - 1] = wrong[strlen(wrong) - 1] == 'a' ? 'b' : 'a';
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(login_find(&p, &here, wrong, view, &wait_s), ST_UNAUTHENTICATED);
    }
    /* From here it is not even compared any more, and alike for a token that there is not. */
    assert_int_equal(login_find(&p, &here, wrong, view, &wait_s), ST_RATE_LIMITED);
    assert_in_range(wait_s, 1, 10);
    assert_int_equal(login_find(&p, &here, header, view, &wait_s), ST_RATE_LIMITED);
    assert_int_equal(p.token[0], '\0');
    assert_int_equal(login_find(&p, &there, header, view, &wait_s), ST_OK);
    assert_int_equal(login_find(&p, &local, header, view, &wait_s), ST_OK);
    for (unsigned i = 0; i < 90; i++) {
        token_text_make(other);
        (void)snprintf(unknown, sizeof unknown, "Bearer %s", other);
        assert_int_equal(login_find(&p, &here, unknown, view, &wait_s), ST_UNAUTHENTICATED);
    }
    assert_int_equal(login_find(&p, &here, "Bearer what", view, &wait_s), ST_RATE_LIMITED);
    /* Others at an address that guesses go on. */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_not_equal(login_find(&p, &there, "Bearer what", view, &wait_s), ST_OK);
    }
    assert_int_equal(login_find(&p, &there, "Bearer what", view, &wait_s), ST_RATE_LIMITED);
    assert_int_equal(login_find(&p, &there, header, view, &wait_s), ST_OK);
    assert_int_equal(login_find(&p, &here, NULL, view, &wait_s), ST_OK);
    rate_limits_free(limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_token_is_made_of_what_can_be_taken_apart),
        CASE(whatever_is_no_token_is_refused),
        CASE(the_hash_is_sha_256_of_the_whole_text),
        CASE(only_the_right_secret_is_its_holder),
        CASE(what_nobody_may_do_is_what_the_option_says),
        CASE(a_token_adds_to_what_everybody_may),
        CASE(who_was_found_is_nobody_when_his_token_is_gone),
        CASE(a_route_that_says_nothing_is_closed),
        CASE(a_write_carries_whose_it_is),
        CASE(who_reads_sees_what_his_token_lets),
        CASE(a_certificate_may_what_its_policy_says),
        CASE(with_a_token_the_certificate_does_not_count),
        CASE(a_write_with_a_certificate_carries_its_name),
        CASE(wrong_tokens_are_slowed_and_good_ones_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
