/* Policies in the state machine: which one counts for the name of a certificate, that it allows
 * what it says and no more, and that they live and die as tokens do, without being any. */
#include "tests/unit/random_command.h"
#include "tests/unit/snapshot_fixture.h"

#include "server/base/limits.h"
#include "server/registry/internal.h"
#include "server/registry/policy.h"
#include "server/wire/wire_command.h"

/* The first token, whose secret nobody knows. */
static void begin(struct fixture *f)
{
    static const uint8_t hash[TOKEN_HASH_BYTES] = {1};
    const struct command c = {
        .kind = COMMAND_TOKEN_CREATE,
        .token_create = {.spec = {.id = slice_of("ta"),
                                  .hash = {(const char *)hash, sizeof hash},
                                  .description = slice_of(""),
                                  .grants = TOKEN_OPERATOR_WRITE},
                         .turn = TOKEN_TURN_FIRST},
    };
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

/* `scope`: as "web*:write", "db"; NULL: none, but what is the operator's. */
static struct command command_policy(const char *subject, const char *scope, char *key)
{
    assert_true(policy_key(slice_of(subject), key));
    struct command c = {
        .kind = COMMAND_POLICY_CREATE,
        .policy_create = {.spec = {.id = slice_of(key),
                                   .description = slice_of(""),
                                   .grants = scope == NULL ? TOKEN_OPERATOR_WRITE : 0}},
    };
    if (scope != NULL) {
        size_t name = strcspn(scope, "*:");
        c.policy_create.spec.scopes_count = 1;
        c.policy_create.spec.scopes[0] = (struct token_scope){.name = {scope, name},
                                                              .prefix = scope[name] == '*',
                                                              .write = strchr(scope, ':') != NULL};
    }
    return c;
}

static enum status create(struct fixture *f, const char *subject, const char *scope, uint32_t ttl_s)
{
    char key[POLICY_KEY_SIZE];
    struct command c = command_policy(subject, scope, key);
    c.policy_create.ttl_s = ttl_s;
    return fixture_apply(f, &c)->status;
}

static enum status delete_key(struct fixture *f, const char *key)
{
    const struct command c = {.kind = COMMAND_POLICY_DELETE,
                              .policy_delete = {.id = slice_of(key)}};
    return fixture_apply(f, &c)->status;
}

static enum status as(struct fixture *f, const char *name, struct command command)
{
    command.guard = (struct guard){.kind = GUARD_CERTIFICATE, .who = slice_of(name)};
    return fixture_apply(f, &command)->status;
}

/* The subject of the policy for a name; "" if there is none. */
static const char *match(const struct fixture *f, const char *name)
{
    static char subject[POLICY_KEY_SIZE];
    const struct token *policy = view_policy(fixture_view(f), name);
    subject[0] = '\0';
    if (policy != NULL) {
        policy_subject(slice_of(token_id(policy)), subject);
    }
    return subject;
}

/* --- subjects --- */

static void a_subject_is_a_name_or_how_names_begin(void **state)
{
    char key[POLICY_KEY_SIZE], back[POLICY_KEY_SIZE], text[NAME_BYTES_MAX + 2];
    static const char *const good[] = {"*",
                                       "web",
                                       "w*",
                                       "spiffe://prod/ns/web/sa/web",
                                       "spiffe://prod/*",
                                       "a b",
                                       "=",
                                       "=*",
                                       "#1",
                                       "a=b,c",
                                       "mst_aaaaaaaaaa"};
    static const char *const bad[] = {"",      "**",       "a*b",   "*a",  "a**",  " a",
                                      "a ",    "a *",      "a\"b",  "a'b", "a\\b", "a\nb",
                                      "a\x7f", "\xc3\xa4", "a\xff", "\t*", "* "};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        assert_true(policy_key(slice_of(good[i]), key));
        assert_true(policy_is_id(key) && policy_key_is_valid(slice_of(key)));
        policy_subject(slice_of(key), back);
        assert_string_equal(back, good[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        if (policy_key(slice_of(bad[i]), key)) {
            fail_msg("\"%s\" is no subject", bad[i]);
        }
    }
    assert_false(policy_key((struct slice){"a\0b", 3}, key));
    memset(text, 'a', sizeof text);
    assert_true(policy_key((struct slice){text, POLICY_SUBJECT_BYTES_MAX}, key));
    assert_true(policy_key_is_valid(slice_of(key)));
    assert_false(policy_key((struct slice){text, POLICY_SUBJECT_BYTES_MAX + 1}, key));
    text[POLICY_SUBJECT_BYTES_MAX - 1] = '*';
    assert_true(policy_key((struct slice){text, POLICY_SUBJECT_BYTES_MAX}, key));
    assert_true(policy_key_is_valid(slice_of(key)));
    static const char *const keys[] = {"", "web", "=", "=a*", "**", "*a*", "= a", "*\"", "ta"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        assert_false(policy_key_is_valid(slice_of(keys[i])));
    }
}

/* --- matching --- */

static void the_most_specific_policy_counts_alone(void **state)
{
    struct fixture *f = *state;
    begin(f);
    static const char *const subjects[] = {"spiffe://prod/*",
                                           "spiffe://prod/ns/web/*",
                                           "spiffe://prod/ns/web/sa/web",
                                           "spiffe://prod/ns/web*",
                                           "web",
                                           "we*"};
    for (size_t i = 0; i < ARRAY_LENGTH(subjects); i++) {
        assert_int_equal(create(f, subjects[i], "web", 0), ST_OK);
    }
    assert_string_equal(match(f, "spiffe://prod/ns/web/sa/web"), "spiffe://prod/ns/web/sa/web");
    assert_string_equal(match(f, "spiffe://prod/ns/web/sa/webs"), "spiffe://prod/ns/web/*");
    assert_string_equal(match(f, "spiffe://prod/ns/web/sa"), "spiffe://prod/ns/web/*");
    assert_string_equal(match(f, "spiffe://prod/ns/web/"), "spiffe://prod/ns/web/*");
    assert_string_equal(match(f, "spiffe://prod/ns/web"), "spiffe://prod/ns/web*");
    assert_string_equal(match(f, "spiffe://prod/ns/we"), "spiffe://prod/*");
    assert_string_equal(match(f, "spiffe://prod/"), "spiffe://prod/*");
    assert_string_equal(match(f, "spiffe://prod"), "");
    assert_string_equal(match(f, "spiffe://production/x"), "");
    assert_string_equal(match(f, "SPIFFE://prod/x"), "");
    assert_string_equal(match(f, "xspiffe://prod/x"), "");
    assert_string_equal(match(f, "web"), "web");
    assert_string_equal(match(f, "we"), "we*");
    assert_string_equal(match(f, "webs"), "we*");
    assert_string_equal(match(f, "w"), "");
    assert_string_equal(match(f, ""), "");
    assert_int_equal(delete_key(f, "=web"), ST_OK);
    assert_string_equal(match(f, "web"), "we*");
    assert_int_equal(create(f, "*", "web", 0), ST_OK);
    assert_string_equal(match(f, "w"), "*");
    assert_string_equal(match(f, "~"), "*");
    assert_string_equal(match(f, "!"), "*");
}

/* What is the key of one policy, or the id of a token, is not the name that it is for. */
static void no_name_is_taken_for_a_subject(void **state)
{
    struct fixture *f = *state;
    begin(f);
    assert_int_equal(create(f, "we*", "web", 0), ST_OK);
    assert_int_equal(create(f, "db", "db", 0), ST_OK);
    static const char *const names[] = {"ta", "*we", "=db", "*", "=", "db*", "*db", "d*"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        assert_string_equal(match(f, names[i]), "");
        assert_int_equal(as(f, names[i], command_register("web-1", "web")), ST_FORBIDDEN);
    }
    char longest[CERTIFICATE_NAME_BYTES_MAX + 3];
    memset(longest, 'w', sizeof longest);
    longest[1] = 'e';
    longest[CERTIFICATE_NAME_BYTES_MAX] = '\0';
    assert_string_equal(match(f, longest), "we*");
    longest[CERTIFICATE_NAME_BYTES_MAX] = 'w';
    longest[CERTIFICATE_NAME_BYTES_MAX + 1] = '\0';
    assert_string_equal(match(f, longest), "");
    assert_int_equal(as(f, longest, command_register("web-1", "web")), ST_FORBIDDEN);
}

/* As one who looks at all of them. */
static const struct token *match_slowly(const struct view *view, const char *name)
{
    struct ptree_iterator it;
    const struct token *best = NULL;
    ptree_iterate(&it, &view->tokens, 0);
    for (const struct token *t; (t = ptree_next(&it)) != NULL;) {
        const char *id = token_id(t);
        bool fits = (id[0] == POLICY_EXACT && strcmp(id + 1, name) == 0) ||
                    (id[0] == POLICY_PREFIX && strncmp(id + 1, name, strlen(id + 1)) == 0);
        bool better = best == NULL || id[0] == POLICY_EXACT ||
                      (token_id(best)[0] != POLICY_EXACT && strlen(id) > strlen(token_id(best)));
        best = fits && better ? t : best;
    }
    return best;
}

static void the_search_finds_what_looking_at_all_finds(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 7, found = 0;
    char name[12];
    begin(f);
    for (unsigned round = 0; round < 4000; round++) {
        size_t len = random_below(&seed, 8);
        for (size_t i = 0; i < len; i++) {
            name[i] = "ab!~="[random_below(&seed, 5)]; /* below and above '*', and a mark */
        }
        name[len] = '\0';
        assert_ptr_equal(view_policy(fixture_view(f), name),
                         len > 0 ? match_slowly(fixture_view(f), name) : NULL);
        found += view_policy(fixture_view(f), name) != NULL;
        bool prefix = random_below(&seed, 2) == 0;
        memcpy(name + len, "*", prefix ? 2 : 0);
        if (random_below(&seed, 10) == 0 && strlen(name) > 0) {
            (void)create(f, name, "web", random_below(&seed, 3));
        } else if (random_below(&seed, 10) == 0) {
            f->now_ms += 300;
        }
    }
    assert_in_range(found, 400, 3900);
}

/* --- rights --- */

static void a_certificate_does_what_its_policy_says(void **state)
{
    struct fixture *f = *state;
    begin(f);
    create(f, "spiffe://prod/*", "web*:write", 0);
    create(f, "spiffe://prod/reader", "web*", 0);
    create(f, "ops", NULL, 0);
    assert_int_equal(as(f, "spiffe://prod/a", command_register("web-1", "web")), ST_OK);
    assert_int_equal(as(f, "spiffe://prod/a", command_register("db-1", "db")), ST_FORBIDDEN);
    assert_int_equal(as(f, "spiffe://prod/reader", command_deregister("web-1", 0)), ST_FORBIDDEN);
    assert_int_equal(as(f, "spiffe://test/a", command_deregister("web-1", 0)), ST_FORBIDDEN);
    assert_int_equal(as(f, "ops", command_register("web-2", "web")), ST_FORBIDDEN);
    char key[POLICY_KEY_SIZE];
    const struct command other = command_policy("spiffe://test/*", "web:write", key);
    assert_int_equal(as(f, "spiffe://prod/a", other), ST_FORBIDDEN);
    assert_int_equal(as(f, "ops", other), ST_OK);
    assert_int_equal(as(f, "spiffe://test/a", command_deregister("web-1", 0)), ST_OK);
}

static void what_is_deleted_or_over_counts_no_more_from_its_index_on(void **state)
{
    struct fixture *f = *state;
    begin(f);
    create(f, "a", "*:write", 0);
    create(f, "b", "*:write", 1);
    assert_int_equal(as(f, "a", command_register("web-1", "web")), ST_OK);
    assert_int_equal(as(f, "b", command_register("web-1", "web")), ST_OK);
    struct command commands[] = {
        command_register("web-1", "web"),
        {.kind = COMMAND_POLICY_DELETE, .policy_delete = {.id = slice_of("=a")}},
        command_deregister("web-1", 0),
    };
    const enum status expected[] = {ST_OK, ST_OK, ST_FORBIDDEN};
    fixture_begin(f); /* of one entry */
    for (uint32_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        struct result result;
        if (i != 1) {
            commands[i].guard = (struct guard){.kind = GUARD_CERTIFICATE, .who = slice_of("a")};
        }
        registry_apply(f->registry, i, &commands[i], &result);
        assert_int_equal(result.status, expected[i]);
    }
    fixture_end(f);
    f->now_ms += 1000;
    assert_true(registry_tokens_due(f->registry, f->now_ms));
    assert_int_equal(as(f, "b", command_deregister("web-1", 0)), ST_FORBIDDEN);
    assert_string_equal(match(f, "b"), "");
    /* A wider one takes its place. */
    create(f, "*", "*:write", 0);
    assert_int_equal(as(f, "b", command_deregister("web-1", 0)), ST_OK);
}

static void a_policy_of_a_namespace_counts_there_alone(void **state)
{
    struct fixture *f = *state;
    char key[POLICY_KEY_SIZE];
    begin(f);
    struct command c = command_policy("a", "web:write", key);
    c.space = slice_of("shop");
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
    struct command here = command_register("web-1", "web");
    assert_int_equal(as(f, "a", here), ST_FORBIDDEN);
    here.space = slice_of("shop");
    assert_int_equal(as(f, "a", here), ST_OK);
    here.space = slice_of("other");
    assert_int_equal(as(f, "a", here), ST_FORBIDDEN);
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    registry_destroy(copy);
    c = command_policy("b", "web", key);
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

static void a_policy_never_ends_open_access(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "a", "web:write", 0), ST_CONFLICT);
    assert_int_equal(fixture_view(f)->tokens_begun, 0);
    assert_int_equal(as(f, "a", command_register("web-1", "web")), ST_OK);
    begin(f);
    assert_int_equal(as(f, "a", command_register("web-1", "web")), ST_FORBIDDEN);
    assert_int_equal(create(f, "a", "web:write", 0), ST_OK);
    assert_int_equal(create(f, "a", "db", 0), ST_CONFLICT);
    assert_int_equal(create(f, "a*", "db", 0), ST_OK);
    assert_int_equal(as(f, "a", command_register("web-1", "web")), ST_OK);
}

static void a_policy_is_no_token_and_a_token_no_policy(void **state)
{
    struct fixture *f = *state;
    begin(f);
    create(f, "a", "web:write", 0);
    create(f, "*", "web", 0);
    assert_int_equal(registry_tokens(f->registry), 1);
    const struct command revoke = {.kind = COMMAND_TOKEN_REVOKE, .token_revoke = {slice_of("=a")}};
    assert_int_equal(fixture_apply(f, &revoke)->status, ST_NOT_FOUND);
    assert_int_equal(delete_key(f, "ta"), ST_NOT_FOUND);
    assert_int_equal(delete_key(f, "a"), ST_NOT_FOUND);
    assert_int_equal(delete_key(f, "=b"), ST_NOT_FOUND);
    assert_int_equal(ptree_count(&fixture_view(f)->tokens), 3);
    /* With the last token gone, that of the file is made again, policies or not. */
    const struct command last = {.kind = COMMAND_TOKEN_REVOKE, .token_revoke = {slice_of("ta")}};
    assert_int_equal(fixture_apply(f, &last)->status, ST_OK);
    assert_int_equal(registry_tokens(f->registry), 0);
    assert_int_equal(delete_key(f, "=a"), ST_OK);
    assert_int_equal(delete_key(f, "*"), ST_OK);
}

/* --- the state --- */

static void a_snapshot_keeps_policies_from_their_level_on(void **state)
{
    struct fixture *f = *state;
    begin(f);
    create(f, "spiffe://prod/*", "web*:write", 60);
    create(f, "ops", NULL, 0);
    struct registry *copy = snapshot_copy(f->registry);
    assert_same_registries(f->registry, copy);
    assert_int_equal(registry_tokens(copy), 1);
    assert_non_null(view_policy(registry_view(copy), "spiffe://prod/x"));
    registry_destroy(copy);
}

/* Encodes, and says whether the level lets it in. */
static bool is_of_level(const struct command *c, uint16_t level)
{
    struct buffer out;
    buffer_init(&out, OP_BYTES_MAX);
    wire_command_encode(c, &out);
    bool understood = wire_command_understands(out.data, out.len, level);
    buffer_done(&out);
    return understood;
}

static void they_are_of_their_level(void **state)
{
    char key[POLICY_KEY_SIZE];
    struct command commands[] = {
        command_policy("a", "web", key),
        {.kind = COMMAND_POLICY_DELETE, .policy_delete = {.id = slice_of("=a")}},
        command_register("web-1", "web"),
    };
    (void)state;
    commands[2].guard = (struct guard){.kind = GUARD_CERTIFICATE, .who = slice_of("a")};
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        assert_false(is_of_level(&commands[i], LEVEL_POLICIES - 1));
        assert_true(is_of_level(&commands[i], LEVEL_POLICIES));
    }
}

static enum status decode(const struct command *c)
{
    struct buffer out;
    struct wire_command back;
    buffer_init(&out, OP_BYTES_MAX);
    wire_command_encode(c, &out);
    enum status status =
        wire_command_decode(out.data, out.len, level_limits(LEVEL_POLICIES), &back);
    if (status == ST_OK) {
        wire_command_done(&back);
    }
    buffer_done(&out);
    return status;
}

static void what_is_neither_is_corrupt(void **state)
{
    static const uint8_t hash[TOKEN_HASH_BYTES] = {1};
    char key[POLICY_KEY_SIZE];
    (void)state;
    struct command c = command_policy("web*", "web", key);
    assert_int_equal(decode(&c), ST_OK);
    c.policy_create.spec.hash = (struct slice){(const char *)hash, sizeof hash};
    assert_int_equal(decode(&c), ST_CORRUPT);
    c = command_policy("web*", "web", key);
    static const char *const ids[] = {"web", "=", "*a*", "= "};
    for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
        c.policy_create.spec.id = slice_of(ids[i]);
        assert_int_equal(decode(&c), ST_CORRUPT);
    }
    struct command token = {.kind = COMMAND_TOKEN_CREATE,
                            .token_create = {.spec = {.id = slice_of("=web"),
                                                      .hash = {(const char *)hash, sizeof hash},
                                                      .description = slice_of("")}}};
    assert_int_equal(decode(&token), ST_CORRUPT);
    token.token_create.spec.id = slice_of("ta");
    assert_int_equal(decode(&token), ST_OK);
    token.token_create.spec.hash.len = 0;
    assert_int_equal(decode(&token), ST_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_set_up_newest, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_subject_is_a_name_or_how_names_begin),
        CASE(the_most_specific_policy_counts_alone),
        CASE(no_name_is_taken_for_a_subject),
        CASE(the_search_finds_what_looking_at_all_finds),
        CASE(a_certificate_does_what_its_policy_says),
        CASE(what_is_deleted_or_over_counts_no_more_from_its_index_on),
        CASE(a_policy_of_a_namespace_counts_there_alone),
        CASE(a_policy_never_ends_open_access),
        CASE(a_policy_is_no_token_and_a_token_no_policy),
        CASE(a_snapshot_keeps_policies_from_their_level_on),
        CASE(they_are_of_their_level),
        CASE(what_is_neither_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
