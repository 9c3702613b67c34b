/* Tokens in the state machine: who may make one, when they are over, and that a command on behalf
 * of somebody does no more than he may, whatever has happened before it in the log. */
#include "tests/unit/snapshot_fixture.h"

#include "server/base/limits.h"
#include "server/registry/internal.h"

static const uint8_t hash[TOKEN_HASH_BYTES] = {1, 2, 0, 3};

/* `scope`: "web*", "web:write", "we*:write"; NULL: none. */
static struct command command_token(const char *id, const char *scope, uint32_t ttl_s,
                                    enum token_turn turn)
{
    struct command c = {
        .kind = COMMAND_TOKEN_CREATE,
        .token_create = {.spec = {.id = slice_of(id),
                                  .hash = {(const char *)hash, sizeof hash},
                                  .description = slice_of("for tests")},
                         .ttl_s = ttl_s,
                         .turn = turn},
    };
    if (scope != NULL) {
        size_t name = strcspn(scope, "*:");
        c.token_create.spec.scopes_count = 1;
        c.token_create.spec.scopes[0] = (struct token_scope){.name = {scope, name},
                                                             .prefix = scope[name] == '*',
                                                             .write = strchr(scope, ':') != NULL};
    }
    return c;
}

static enum status create(struct fixture *f, const char *id, const char *scope, uint32_t ttl_s,
                          enum token_turn turn)
{
    const struct command c = command_token(id, scope, ttl_s, turn);
    return fixture_apply(f, &c)->status;
}

static enum status revoke(struct fixture *f, const char *id)
{
    const struct command c = {.kind = COMMAND_TOKEN_REVOKE, .token_revoke = {.id = slice_of(id)}};
    return fixture_apply(f, &c)->status;
}

static enum status create_operator(struct fixture *f, const char *id)
{
    struct command c = command_token(id, NULL, 0, TOKEN_TURN_FIRST);
    c.token_create.spec.grants = TOKEN_OPERATOR_WRITE;
    return fixture_apply(f, &c)->status;
}

static bool is_there(const struct fixture *f, const char *id)
{
    return view_token(fixture_view(f), id) != NULL;
}

/* On behalf of a token; NULL: of nobody, until there is one. */
static enum status as(struct fixture *f, const char *token, struct command command)
{
    command.guard.kind = token != NULL ? GUARD_TOKEN : GUARD_UNTIL_FIRST;
    if (token != NULL) {
        command.guard.who = slice_of(token);
    }
    return fixture_apply(f, &command)->status;
}

/* --- making, revoking, time --- */

static void the_first_token_is_made_on_purpose_and_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "ta", NULL, 0, TOKEN_TURN_LATER), ST_CONFLICT);
    assert_int_equal(fixture_view(f)->tokens_begun, 0);
    assert_int_equal(create(f, "ta", NULL, 0, TOKEN_TURN_FIRST), ST_OK);
    assert_int_equal(fixture_view(f)->tokens_begun, f->index);
    assert_int_equal(create(f, "tb", NULL, 0, TOKEN_TURN_FIRST), ST_CONFLICT);
    assert_int_equal(create(f, "tb", NULL, 0, TOKEN_TURN_ONLY), ST_CONFLICT);
    assert_int_equal(create(f, "tb", NULL, 0, TOKEN_TURN_LATER), ST_OK);
    assert_int_equal(create(f, "tb", NULL, 0, TOKEN_TURN_LATER), ST_CONFLICT);
    assert_int_equal(revoke(f, "tb"), ST_OK);
    assert_int_equal(revoke(f, "tb"), ST_NOT_FOUND);
    assert_int_equal(revoke(f, "ta"), ST_OK);
    /* None is left, and it stays closed: only who holds the configuration opens it. */
    assert_int_equal(create(f, "tb", NULL, 0, TOKEN_TURN_FIRST), ST_CONFLICT);
    uint64_t begun = fixture_view(f)->tokens_begun;
    assert_int_not_equal(begun, 0);
    assert_int_equal(create(f, "tb", NULL, 0, TOKEN_TURN_ONLY), ST_OK);
    assert_int_equal(fixture_view(f)->tokens_begun, begun);
}

static void a_token_keeps_what_it_was_made_of(void **state)
{
    struct fixture *f = *state;
    struct command c = command_token("ta", "web*", 90, TOKEN_TURN_FIRST);
    c.token_create.spec.grants = TOKEN_METRICS;
    c.token_create.spec.scopes_count = 2;
    c.token_create.spec.scopes[1] = (struct token_scope){.name = slice_of("db"), .write = true};
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
    const struct token *token = view_token(fixture_view(f), "ta");
    assert_non_null(token);
    assert_string_equal(token_description(token), "for tests");
    assert_int_equal(token->index, f->index);
    assert_int_equal(token->created_ms, WALL_MS + (int64_t)f->now_ms);
    assert_int_equal(token->expires_ms, f->now_ms + 90000);
    assert_memory_equal(token->hash, hash, sizeof hash);
    struct token_spec spec;
    token_spec_of(token, &spec);
    assert_int_equal(spec.scopes_count, 2);
    assert_true(spec.scopes[0].prefix && !spec.scopes[0].write);
    assert_true(!spec.scopes[1].prefix && spec.scopes[1].write);
    assert_int_equal(spec.scopes[1].name.len, 2);
}

static void a_scope_covers_its_services_and_no_others(void **state)
{
    struct fixture *f = *state;
    struct command c = command_token("ta", "web*", 0, TOKEN_TURN_FIRST);
    c.token_create.spec.scopes_count = 2;
    c.token_create.spec.scopes[1] = (struct token_scope){.name = slice_of("db"), .write = true};
    fixture_apply(f, &c);
    create(f, "tb", "*", 0, TOKEN_TURN_LATER);
    create(f, "tc", NULL, 0, TOKEN_TURN_LATER);
    const struct token *token = view_token(fixture_view(f), "ta");
    assert_true(token_may(token, "web", false));
    assert_true(token_may(token, "web-shop", false));
    assert_false(token_may(token, "we", false));
    assert_false(token_may(token, "Web", false));
    assert_false(token_may(token, "web", true));
    assert_true(token_may(token, "db", true));
    assert_true(token_may(token, "db", false));
    assert_false(token_may(token, "db2", false));
    assert_false(token_may(token, "d", false));
    assert_false(token_may(token, "", false));
    assert_false(token_may_all(token, false));
    assert_true(token_may_some(token, false) && token_may_some(token, true));
    const struct token *all = view_token(fixture_view(f), "tb");
    assert_true(token_may_all(all, false) && token_may(all, "anything", false));
    assert_false(token_may_all(all, true) || token_may(all, "anything", true));
    assert_true(token_may_some(all, false) && !token_may_some(all, true));
    const struct token *none = view_token(fixture_view(f), "tc");
    assert_false(token_may(none, "web", false) || token_may_some(none, false));
    assert_false(token_grants(none, TOKEN_OPERATOR_READ) || token_grants(none, TOKEN_EVENTS));
}

static void a_token_is_gone_at_its_time_of_the_cluster(void **state)
{
    struct fixture *f = *state;
    create(f, "ta", NULL, 0, TOKEN_TURN_FIRST);
    create(f, "tb", "web*", 10, TOKEN_TURN_LATER);
    create(f, "tc", "web*", 20, TOKEN_TURN_LATER);
    uint64_t made_ms = f->now_ms;
    assert_false(registry_tokens_due(f->registry, made_ms + 9999));
    assert_true(registry_tokens_due(f->registry, made_ms + 10000));
    f->now_ms = made_ms + 9999;
    assert_int_equal(as(f, "tb", command_register("web-1", "web")), ST_FORBIDDEN);
    assert_true(is_there(f, "tb"));
    f->now_ms = made_ms + 10000;
    /* From the entry of that time on, before whatever stands in it. */
    assert_int_equal(as(f, "tb", command_register("web-1", "web")), ST_UNAUTHENTICATED);
    assert_false(is_there(f, "tb"));
    assert_true(is_there(f, "tc"));
    assert_false(registry_tokens_due(f->registry, made_ms + 19999));
    assert_int_equal(revoke(f, "tc"), ST_OK);
    assert_false(registry_tokens_due(f->registry, UINT64_MAX - 1));
    assert_true(is_there(f, "ta"));
}

static void there_are_so_many_tokens_and_no_more(void **state)
{
    struct fixture *f = *state;
    char id[8];
    create(f, "first", NULL, 0, TOKEN_TURN_FIRST);
    fixture_begin(f);
    for (unsigned i = 1; i < TOKENS_MAX; i++) {
        (void)snprintf(id, sizeof id, "%06u", i);
        const struct command c = command_token(id, NULL, 1 + i % 2, TOKEN_TURN_LATER);
        registry_apply(f->registry, i, &c, NULL);
    }
    fixture_end(f);
    assert_int_equal(ptree_count(&fixture_view(f)->tokens), TOKENS_MAX);
    assert_int_equal(create(f, "more", NULL, 0, TOKEN_TURN_LATER), ST_FULL);
    assert_int_equal(revoke(f, "000001"), ST_OK);
    assert_int_equal(create(f, "more", NULL, 0, TOKEN_TURN_LATER), ST_OK);
    f->now_ms += 2000;
    fixture_heartbeat(f, "nobody");
    assert_int_equal(ptree_count(&fixture_view(f)->tokens), 2);
}

static void a_full_state_refuses_a_token_and_lets_one_go(void **state)
{
    struct fixture *f = *state;
    create(f, "ta", "web*", 0, TOKEN_TURN_FIRST);
    const struct command bound = {.kind = COMMAND_STATE_BYTES,
                                  .state_bytes = {registry_state_bytes(f->registry) + 60}};
    assert_int_equal(fixture_apply(f, &bound)->status, ST_OK);
    assert_int_equal(create(f, "tb", "web*", 0, TOKEN_TURN_LATER), ST_FULL);
    assert_false(is_there(f, "tb"));
    assert_int_equal(revoke(f, "ta"), ST_OK);
    assert_int_equal(create(f, "tb", "web*", 0, TOKEN_TURN_LATER), ST_OK);
}

/* --- guards --- */

static void nobody_may_do_all_until_the_first_token(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(as(f, NULL, command_register("web-1", "web")), ST_OK);
    create(f, "ta", NULL, 0, TOKEN_TURN_FIRST);
    uint64_t before = fixture_events(f);
    assert_int_equal(as(f, NULL, command_register("web-2", "web")), ST_UNAUTHENTICATED);
    assert_int_equal(as(f, NULL, command_deregister("web-1", 0)), ST_UNAUTHENTICATED);
    assert_int_equal(as(f, NULL, command_expire(f->now_ms, 1)), ST_UNAUTHENTICATED);
    assert_int_equal(fixture_events(f), before);
    /* For good: also when there is none any more. */
    revoke(f, "ta");
    assert_int_equal(as(f, NULL, command_register("web-2", "web")), ST_UNAUTHENTICATED);
    assert_null(fixture_record(f, "web-2"));
}

static void a_revoked_token_is_refused_from_its_index_on(void **state)
{
    struct fixture *f = *state;
    create(f, "ta", "*:write", 0, TOKEN_TURN_FIRST);
    assert_int_equal(as(f, "ta", command_register("web-1", "web")), ST_OK);
    struct command commands[] = {
        command_register("web-1", "web"),
        {.kind = COMMAND_TOKEN_REVOKE, .token_revoke = {.id = slice_of("ta")}},
        command_deregister("web-1", 0),
    };
    const enum status expected[] = {ST_OK, ST_OK, ST_UNAUTHENTICATED};
    /* Of one entry. */
    fixture_begin(f);
    for (uint32_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        struct result result;
        if (i != 1) {
            commands[i].guard = (struct guard){.kind = GUARD_TOKEN, .who = slice_of("ta")};
        }
        registry_apply(f->registry, i, &commands[i], &result);
        assert_int_equal(result.status, expected[i]);
    }
    fixture_end(f);
    assert_non_null(fixture_record(f, "web-1"));
}

static void a_token_registers_under_its_services_alone(void **state)
{
    struct fixture *f = *state;
    create(f, "ta", "web*:write", 0, TOKEN_TURN_FIRST);
    create(f, "tb", "web*", 0, TOKEN_TURN_LATER);
    assert_int_equal(as(f, "ta", command_register("web-1", "web")), ST_OK);
    assert_true(f->result.created);
    assert_int_equal(as(f, "ta", command_register("db-1", "db")), ST_FORBIDDEN);
    assert_int_equal(f->result.incarnation, 0);
    assert_null(fixture_record(f, "db-1"));
    assert_int_equal(as(f, "tb", command_register("web-2", "web")), ST_FORBIDDEN);
    /* An id of another service is not taken over, nor is one's own moved there. */
    fixture_register(f, "db-1", "db");
    uint64_t incarnation = f->result.incarnation;
    assert_int_equal(as(f, "ta", command_register("db-1", "web")), ST_FORBIDDEN);
    assert_int_equal(as(f, "ta", command_register("db-1", "db")), ST_FORBIDDEN);
    assert_int_equal(as(f, "ta", command_register("web-1", "db")), ST_FORBIDDEN);
    struct command owner = command_register("db-1", "web");
    owner.register_.incarnation = incarnation;
    assert_int_equal(as(f, "ta", owner), ST_FORBIDDEN);
    /* Nor is it told which incarnation is there. */
    owner.register_.incarnation = 5;
    assert_int_equal(as(f, "ta", owner), ST_FORBIDDEN);
    assert_int_equal(f->result.incarnation, 0);
    assert_string_equal(record_name(fixture_record(f, "db-1")), "db");
    assert_int_equal(fixture_record(f, "db-1")->incarnation, incarnation);
    /* Between its own it moves. */
    assert_int_equal(as(f, "ta", command_register("web-1", "web-shop")), ST_OK);
    assert_string_equal(record_name(fixture_record(f, "web-1")), "web-shop");
}

static void a_token_touches_instances_of_its_services_alone(void **state)
{
    struct fixture *f = *state;
    create(f, "ta", "web:write", 0, TOKEN_TURN_FIRST);
    fixture_register(f, "web-1", "web");
    fixture_register(f, "db-1", "db");
    uint64_t hash_of_all = fixture_events(f);
    const struct slice ids[] = {slice_of("db-1"), slice_of("web-1"), slice_of("none")};
    assert_int_equal(as(f, "ta", command_deregister("db-1", 0)), ST_FORBIDDEN);
    assert_int_equal(as(f, "ta", command_deregister("db-1", 7)), ST_FORBIDDEN);
    assert_int_equal(f->result.incarnation, 0);
    assert_int_equal(as(f, "ta", command_maintenance("db-1", true, "mine")), ST_FORBIDDEN);
    assert_int_equal(as(f, "ta", command_heartbeat(ids)), ST_FORBIDDEN);
    struct command status = command_heartbeat(ids);
    status.heartbeat.status_given = true;
    status.heartbeat.status = HEALTH_CRITICAL;
    assert_int_equal(as(f, "ta", status), ST_FORBIDDEN);
    assert_int_equal(as(f, "ta", command_deregister("none", 0)), ST_NOT_FOUND);
    assert_int_equal(fixture_events(f), hash_of_all);
    /* Among many, another's is as one that is not there. */
    uint64_t deadline_ms = fixture_deadline_ms(f, "db-1");
    f->now_ms += 500;
    struct command many = command_heartbeat(ids);
    many.heartbeat.count = 3;
    assert_int_equal(as(f, "ta", many), ST_OK);
    assert_int_equal(f->result.renewed, 1);
    assert_int_equal(f->result.missed_count, 2);
    assert_int_equal(f->result.missed[0], 0);
    assert_int_equal(f->result.missed[1], 2);
    assert_int_equal(fixture_deadline_ms(f, "db-1"), deadline_ms);
    assert_int_equal(as(f, "ta", command_maintenance("web-1", true, "mine")), ST_OK);
    assert_int_equal(as(f, "ta", command_deregister("web-1", 0)), ST_OK);
}

static void a_token_renews_leases_of_its_services_alone(void **state)
{
    struct fixture *f = *state;
    uint8_t refs[2 * LEASE_REF_BYTES];
    create(f, "ta", "web:write", 0, TOKEN_TURN_FIRST);
    fixture_register(f, "web-1", "web");
    fixture_register(f, "db-1", "db");
    const struct lease_ref db = fixture_ref(f, "db-1");
    const struct lease_ref web = fixture_ref(f, "web-1");
    lease_ref_store(refs, &db);
    lease_ref_store(refs + LEASE_REF_BYTES, &web);
    uint64_t deadline_ms = fixture_deadline_ms(f, "db-1");
    f->now_ms += 500;
    const struct command renew = {.kind = COMMAND_RENEW, .renew = {.refs = refs, .count = 2}};
    assert_int_equal(as(f, "ta", renew), ST_OK);
    assert_int_equal(f->result.renewed, 1);
    assert_int_equal(f->result.missed_count, 1);
    assert_int_equal(f->result.missed[0], 0);
    assert_int_equal(fixture_deadline_ms(f, "db-1"), deadline_ms);
    assert_true(fixture_deadline_ms(f, "web-1") > deadline_ms);
    /* The lease is looked at as it stands: moved to another service, it is not its any more. */
    fixture_register(f, "web-1", "db");
    assert_int_equal(as(f, "ta", renew), ST_OK);
    assert_int_equal(f->result.renewed, 0);
}

static void what_is_of_the_cluster_needs_an_operator(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create_operator(f, "op"), ST_OK);
    struct command all = command_token("ta", "*:write", 0, TOKEN_TURN_LATER);
    all.token_create.spec.grants = TOKEN_OPERATOR_READ | TOKEN_METRICS | TOKEN_EVENTS;
    assert_int_equal(as(f, "op", all), ST_OK);
    const struct command commands[] = {
        {.kind = COMMAND_STATE_BYTES, .state_bytes = {1 << 20}},
        command_token("tb", NULL, 0, TOKEN_TURN_LATER),
        {.kind = COMMAND_TOKEN_REVOKE, .token_revoke = {.id = slice_of("tb")}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        assert_int_equal(as(f, "ta", commands[i]), ST_FORBIDDEN);
        assert_int_equal(as(f, "gone", commands[i]), ST_UNAUTHENTICATED);
        assert_int_equal(as(f, "op", commands[i]), ST_OK);
    }
    /* And no more than that. */
    assert_int_equal(as(f, "op", command_register("web-1", "web")), ST_FORBIDDEN);
}

/* --- the state --- */

static void whatever_a_token_says_is_in_the_hash_and_in_a_snapshot(void **state)
{
    struct fixture *f = *state;
    uint64_t hashes[8];
    for (size_t i = 0; i < ARRAY_LENGTH(hashes); i++) {
        struct registry *r = snapshot_registry();
        struct command c = command_token(i == 1 ? "tb" : "ta", "web*", 60, TOKEN_TURN_FIRST);
        struct token_spec *spec = &c.token_create.spec;
        const uint8_t other[TOKEN_HASH_BYTES] = {1};
        spec->description = slice_of(i == 2 ? "other" : "same");
        spec->hash.data = (const char *)(i == 3 ? other : hash);
        spec->grants = i == 4;
        spec->scopes[0].prefix = i == 5;
        spec->scopes[0].write = i == 6;
        c.token_create.ttl_s += i == 7;
        registry_begin(r, 1, &(struct stamp){.now_ms = 1000});
        registry_set_level(r, LEVEL_MAX);
        registry_apply(r, 0, &c, NULL);
        registry_end(r);
        registry_publish(r);
        hashes[i] = registry_hash(r);
        for (size_t j = 0; j < i; j++) {
            assert_true(hashes[i] != hashes[j]);
        }
        struct registry *copy = snapshot_copy(r);
        assert_same_registries(r, copy);
        registry_destroy(copy);
        registry_destroy(r);
    }
    (void)f;
}

static void a_held_snapshot_keeps_the_tokens_it_was_taken_with(void **state)
{
    struct fixture *f = *state;
    struct buffer before, after;
    create(f, "ta", "web*:write", 0, TOKEN_TURN_FIRST);
    create(f, "tb", "db", 1, TOKEN_TURN_LATER);
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    snapshot_encode_held(held, &before);
    revoke(f, "ta");
    f->now_ms += 5000;
    create(f, "tc", NULL, 0, TOKEN_TURN_LATER);
    assert_int_equal(ptree_count(&fixture_view(f)->tokens), 1);
    snapshot_encode_held(held, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, after.len);
    registry_snapshot_release(held);
    struct registry *copy = snapshot_decode(before.data, before.len);
    assert_non_null(copy);
    assert_non_null(view_token(registry_view(copy), "ta"));
    assert_non_null(view_token(registry_view(copy), "tb"));
    registry_destroy(copy);
    buffer_done(&before);
    buffer_done(&after);
}

static enum status restore_with(uint64_t begun, uint64_t count, const struct token_spec *specs,
                                size_t specs_count, uint64_t expires_ms)
{
    struct registry *r = snapshot_registry();
    const struct snapshot_head head = {
        .level = LEVEL_MAX,
        .limits = *level_limits(LEVEL_MAX),
        .index = 9,
        .now_ms = 5000,
        .events_kept = EVENTS_KEPT_DEFAULT,
        .tokens = count,
        .tokens_begun = begun,
    };
    enum status status = registry_restore_head(r, &head);
    for (size_t i = 0; i < specs_count && status == ST_OK; i++) {
        struct token *token = token_create(&specs[i]);
        token->index = 3;
        token->expires_ms = expires_ms;
        status = registry_restore_token(r, token);
        if (status != ST_OK) {
            free(token);
        }
    }
    if (status == ST_OK) {
        status = registry_restore_end(r);
    }
    registry_destroy(r);
    return status;
}

static void tokens_that_contradict_the_rest_are_refused(void **state)
{
    const struct token_spec specs[] = {
        {.id = slice_of("ta"), .hash = {(const char *)hash, sizeof hash}},
        {.id = slice_of("tb"), .hash = {(const char *)hash, sizeof hash}},
    };
    const struct token_spec twice[] = {specs[0], specs[0]};
    const struct token_spec unordered[] = {specs[1], specs[0]};
    (void)state;
    assert_int_equal(restore_with(3, 2, specs, 2, 5001), ST_OK);
    assert_int_equal(restore_with(3, 2, specs, 2, 5000), ST_CORRUPT);  /* over */
    assert_int_equal(restore_with(4, 2, specs, 2, 5001), ST_CORRUPT);  /* before the first */
    assert_int_equal(restore_with(0, 2, specs, 2, 5001), ST_CORRUPT);  /* there was none */
    assert_int_equal(restore_with(10, 2, specs, 2, 5001), ST_CORRUPT); /* of the future */
    assert_int_equal(restore_with(3, 3, specs, 2, 5001), ST_CORRUPT);  /* one is missing */
    assert_int_equal(restore_with(3, TOKENS_MAX + 1, specs, 0, 1), ST_CORRUPT);
    assert_int_equal(restore_with(3, 2, twice, 2, 5001), ST_CORRUPT);
    assert_int_equal(restore_with(3, 2, unordered, 2, 5001), ST_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_set_up_newest, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_token_is_made_on_purpose_and_once),
        CASE(a_token_keeps_what_it_was_made_of),
        CASE(a_scope_covers_its_services_and_no_others),
        CASE(a_token_is_gone_at_its_time_of_the_cluster),
        CASE(there_are_so_many_tokens_and_no_more),
        CASE(a_full_state_refuses_a_token_and_lets_one_go),
        CASE(nobody_may_do_all_until_the_first_token),
        CASE(a_revoked_token_is_refused_from_its_index_on),
        CASE(a_token_registers_under_its_services_alone),
        CASE(a_token_touches_instances_of_its_services_alone),
        CASE(a_token_renews_leases_of_its_services_alone),
        CASE(what_is_of_the_cluster_needs_an_operator),
        CASE(whatever_a_token_says_is_in_the_hash_and_in_a_snapshot),
        CASE(a_held_snapshot_keeps_the_tokens_it_was_taken_with),
        CASE(tokens_that_contradict_the_rest_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
