/* Namespaces in the state machine: what is in one neither sees nor touches what is in another,
 * quotas decide alike everywhere, and `default` is stored as ever. */
#include "tests/unit/snapshot_fixture.h"

#include "server/base/limits.h"
#include "server/registry/internal.h"
#include "server/registry/size.h"
#include "server/wire/wire_command.h"

static const struct result *in(struct fixture *f, const char *space, struct command command)
{
    command.space = slice_of(space);
    return fixture_apply(f, &command);
}

static const struct record *record_in(const struct fixture *f, const char *space, const char *id)
{
    char stored[STORED_NAME_SIZE];
    namespace_store(space, id, stored);
    return fixture_record(f, stored);
}

static const struct namespace_use *use_of(const struct fixture *f, const char *name)
{
    return view_namespace(fixture_view(f), name);
}

static enum status set_quota(struct fixture *f, const char *name, uint32_t instances,
                             uint64_t bytes)
{
    const struct command c = {
        .kind = COMMAND_QUOTA_SET,
        .quota_set = {.name = slice_of(name), .instances = instances, .bytes = bytes, .writes = 7}};
    return fixture_apply(f, &c)->status;
}

static enum status delete_quota(struct fixture *f, const char *name)
{
    const struct command c = {.kind = COMMAND_QUOTA_DELETE,
                              .quota_delete = {.name = slice_of(name)}};
    return fixture_apply(f, &c)->status;
}

/* --- names --- */

static void names_are_stored_behind_their_namespace(void **state)
{
    char stored[STORED_NAME_SIZE];
    (void)state;
    namespace_store("", "web", stored);
    assert_string_equal(stored, "web");
    assert_string_equal(namespace_bare(stored), "web");
    assert_int_equal(namespace_of(stored).len, 0);
    assert_true(namespace_has("", stored) && !namespace_has("shop", stored));
    namespace_store("shop", "web", stored);
    assert_string_equal(stored, "\x1fshop\x1fweb");
    assert_string_equal(namespace_bare(stored), "web");
    assert_int_equal(namespace_of(stored).len, 4);
    assert_memory_equal(namespace_of(stored).data, "shop", 4);
    assert_true(namespace_has("shop", stored));
    assert_false(namespace_has("", stored) || namespace_has("sho", stored) ||
                 namespace_has("shop2", stored));
    /* Whoever says the mark does not get into a namespace by it. */
    namespace_store("", "\x1fshop\x1fweb", stored);
    assert_string_equal(stored, "");
    namespace_store("a", "\x1fshop\x1fweb", stored);
    assert_string_equal(stored, "");
    assert_true(namespace_is_other(slice_of("a")));
    assert_false(namespace_is_other(slice_of("default")) || namespace_is_other(slice_of("")));
    assert_true(namespace_is_stored("web") && namespace_is_stored("\x1f"
                                                                  "a\x1fweb"));
    assert_false(namespace_is_stored("\x1fweb") || namespace_is_stored("\x1f\x1fweb") ||
                 namespace_is_stored("\x1f"
                                     "default\x1fweb") ||
                 namespace_is_stored("\x1fWEB\x1fweb"));
}

static void what_is_of_a_namespace_stands_together(void **state)
{
    static const char *const spaces[] = {"a", "a-b", "a.b", "a0", "ab", "b", ""};
    static const char *const ids[] = {" ", "!", "0", "a", "\xf4\x8f\xbf\xbd"};
    struct fixture *f = *state;
    for (size_t i = ARRAY_LENGTH(spaces); i-- > 0;) {
        for (size_t j = 0; j < ARRAY_LENGTH(ids); j++) {
            in(f, spaces[i], command_register(ids[j], ids[j]));
        }
    }
    const struct view *view = fixture_view(f);
    for (size_t i = 0; i < ARRAY_LENGTH(spaces); i++) {
        struct ptree_iterator it;
        size_t rank = view_rank_of_namespace(view, &view->instances, spaces[i]);
        assert_int_equal(rank, i * ARRAY_LENGTH(ids));
        assert_int_equal(view_rank_of_namespace(view, &view->services, spaces[i]), rank);
        ptree_iterate(&it, &view->instances, rank);
        for (size_t j = 0; j < ARRAY_LENGTH(ids); j++) {
            const struct record *record = ptree_next(&it);
            assert_true(namespace_has(spaces[i], record_id(record)));
            assert_string_equal(namespace_bare(record_id(record)), ids[j]);
        }
        const struct record *next = ptree_next(&it);
        assert_true(next == NULL || !namespace_has(spaces[i], record_id(next)));
    }
    assert_int_equal(view_rank_of_namespace(view, &view->instances, "none"), 6 * ARRAY_LENGTH(ids));
}

static void what_does_not_fit_behind_its_namespace_is_refused(void **state)
{
    struct fixture *f = *state;
    char id[NAME_BYTES_MAX + 1];
    memset(id, 'x', sizeof id);
    id[NAME_BYTES_MAX] = '\0';
    assert_int_equal(in(f, "", command_register(id, "web"))->status, ST_OK);
    assert_int_equal(in(f, "shop", command_register(id, "web"))->status, ST_TOO_LARGE);
    assert_int_equal(in(f, "shop", command_register("a", id))->status, ST_TOO_LARGE);
    assert_int_equal(in(f, "shop", command_deregister(id, 0))->status, ST_NOT_FOUND);
    id[NAME_BYTES_MAX - 6] = '\0';
    assert_int_equal(in(f, "shop", command_register(id, id))->status, ST_OK);
    assert_int_equal(in(f, "shop", command_deregister(id, 0))->status, ST_OK);
    assert_int_equal(in(f, "", command_register("\x1fshop\x1fweb", "web"))->status, ST_TOO_LARGE);
    const struct slice mark = slice_of("\x1fshop\x1fweb");
    assert_int_equal(in(f, "", command_heartbeat(&mark))->status, ST_NOT_FOUND);
}

/* --- apart --- */

static void the_same_id_lives_in_two_namespaces(void **state)
{
    struct fixture *f = *state;
    uint64_t first = in(f, "", command_register("web-1", "web"))->incarnation;
    assert_true(f->result.created);
    uint64_t second = in(f, "shop", command_register("web-1", "db"))->incarnation;
    assert_true(f->result.created);
    assert_int_not_equal(first, second);
    /* A takeover, an update and a refused one are of the one alone. */
    struct command other = command_register("web-1", "db");
    other.register_.registration.port = 1;
    assert_true(in(f, "shop", other)->incarnation > second);
    assert_false(f->result.created);
    other.register_.incarnation = first;
    assert_int_equal(in(f, "shop", other)->status, ST_CONFLICT);
    assert_int_equal(record_in(f, "", "web-1")->incarnation, first);
    assert_int_equal(in(f, "shop", command_deregister("web-1", first))->status, ST_CONFLICT);
    assert_int_equal(in(f, "shop", command_maintenance("web-1", true, "x"))->status, ST_OK);
    assert_false(record_in(f, "", "web-1")->maintenance);
    assert_int_equal(in(f, "other", command_deregister("web-1", 0))->status, ST_NOT_FOUND);
    assert_int_equal(in(f, "other", command_maintenance("web-1", true, ""))->status, ST_NOT_FOUND);
    assert_int_equal(in(f, "", command_deregister("web-1", 0))->status, ST_OK);
    assert_null(record_in(f, "", "web-1"));
    assert_non_null(record_in(f, "shop", "web-1"));
    assert_null(view_service(fixture_view(f), "web"));
    assert_non_null(view_service(fixture_view(f), "\x1fshop\x1f"
                                                  "db"));
    assert_event(f, fixture_events(f), EVENT_DEREGISTERED, "web-1");
    assert_event(f, fixture_events(f) - 1, EVENT_MAINTENANCE, "\x1fshop\x1fweb-1");
}

static void a_heartbeat_is_of_its_namespace(void **state)
{
    struct fixture *f = *state;
    const struct slice ids[] = {slice_of("a"), slice_of("b"), slice_of("c")};
    in(f, "", command_register("a", "web"));
    in(f, "shop", command_register("a", "web"));
    in(f, "shop", command_register("b", "web"));
    uint64_t deadline_ms = fixture_deadline_ms(f, "a");
    f->now_ms += 1000;
    struct command many = command_heartbeat(ids);
    many.heartbeat.count = 3;
    assert_int_equal(in(f, "shop", many)->renewed, 2);
    assert_int_equal(f->result.missed_count, 1);
    assert_int_equal(f->result.missed[0], 2);
    assert_int_equal(fixture_deadline_ms(f, "a"), deadline_ms);
    assert_int_equal(in(f, "other", command_heartbeat(ids))->status, ST_NOT_FOUND);
    f->now_ms = deadline_ms;
    assert_int_equal(fixture_expire(f, EVERY)->expired, 1);
    assert_true(record_in(f, "", "a")->expired);
    assert_false(record_in(f, "shop", "a")->expired);
}

static void what_a_namespace_has_is_counted(void **state)
{
    struct fixture *f = *state;
    assert_null(use_of(f, "default"));
    in(f, "shop", command_register("a", "web"));
    in(f, "shop", command_register("b", "web"));
    in(f, "shop", command_register("c", "db"));
    in(f, "", command_register("c", "db"));
    assert_int_equal(use_of(f, "shop")->instances, 3);
    assert_int_equal(use_of(f, "shop")->services, 2);
    assert_int_equal(use_of(f, "default")->instances, 1);
    uint64_t bytes = 0;
    for (const char *id = "abc"; *id != '\0'; id++) {
        char text[2] = {*id, '\0'};
        bytes += size_instance(record_in(f, "shop", text));
    }
    assert_int_equal(use_of(f, "shop")->bytes, bytes);
    in(f, "shop", command_register("c", "web"));
    assert_int_equal(use_of(f, "shop")->services, 1);
    f->now_ms += TTL_MS;
    fixture_expire(f, EVERY);
    assert_int_equal(use_of(f, "shop")->instances, 3);
    f->now_ms += REAP_AFTER_MS;
    assert_int_equal(fixture_expire(f, EVERY)->reaped, 4);
    assert_null(use_of(f, "shop"));
    assert_null(use_of(f, "default"));
}

/* --- quotas --- */

static void a_quota_of_instances_is_reached_and_freed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_quota(f, "shop", 2, 0), ST_OK);
    assert_true(f->result.created);
    assert_int_equal(in(f, "shop", command_register("a", "web"))->status, ST_OK);
    assert_int_equal(in(f, "shop", command_register("b", "web"))->status, ST_OK);
    uint64_t before = fixture_events(f);
    assert_int_equal(in(f, "shop", command_register("c", "web"))->status, ST_QUOTA);
    assert_false(f->result.created);
    assert_int_equal(fixture_events(f), before);
    /* Others are not of it; what is there stays, is renewed, changed and goes. */
    assert_int_equal(in(f, "", command_register("c", "web"))->status, ST_OK);
    assert_int_equal(in(f, "other", command_register("c", "web"))->status, ST_OK);
    const struct slice id = slice_of("a");
    assert_int_equal(in(f, "shop", command_heartbeat(&id))->status, ST_OK);
    assert_int_equal(in(f, "shop", command_register("a", "database"))->status, ST_OK);
    assert_int_equal(in(f, "shop", command_deregister("b", 0))->status, ST_OK);
    assert_int_equal(in(f, "shop", command_register("c", "web"))->status, ST_OK);
    /* Below what there is: nothing goes, and nothing comes. */
    assert_int_equal(set_quota(f, "shop", 1, 0), ST_OK);
    assert_false(f->result.created);
    assert_int_equal(use_of(f, "shop")->instances, 2);
    assert_int_equal(in(f, "shop", command_deregister("c", 0))->status, ST_OK);
    assert_int_equal(in(f, "shop", command_register("c", "web"))->status, ST_QUOTA);
    assert_int_equal(delete_quota(f, "shop"), ST_OK);
    assert_int_equal(in(f, "shop", command_register("c", "web"))->status, ST_OK);
    assert_int_equal(delete_quota(f, "shop"), ST_NOT_FOUND);
}

static void a_quota_of_bytes_lets_updates_shrink(void **state)
{
    struct fixture *f = *state;
    struct command c = command_register("a", "web");
    in(f, "shop", c);
    uint64_t bytes = use_of(f, "shop")->bytes;
    assert_int_equal(set_quota(f, "shop", 0, bytes + 10), ST_OK);
    c.register_.registration.type = slice_of("0123456789");
    assert_int_equal(in(f, "shop", c)->status, ST_OK);
    assert_int_equal(use_of(f, "shop")->bytes, bytes + 10);
    c.register_.registration.type = slice_of("0123456789a");
    assert_int_equal(in(f, "shop", c)->status, ST_QUOTA);
    assert_string_equal(record_type(record_in(f, "shop", "a")), "0123456789");
    assert_int_equal(in(f, "shop", command_register("b", "web"))->status, ST_QUOTA);
    c.register_.registration.type = slice_of("0");
    assert_int_equal(in(f, "shop", c)->status, ST_OK);
}

static void default_has_a_quota_like_any_other(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set_quota(f, "default", 1, 0), ST_OK);
    assert_int_equal(in(f, "", command_register("a", "web"))->status, ST_OK);
    assert_int_equal(in(f, "", command_register("b", "web"))->status, ST_QUOTA);
    assert_int_equal(in(f, "shop", command_register("b", "web"))->status, ST_OK);
}

static void there_are_so_many_quotas_and_no_more(void **state)
{
    struct fixture *f = *state;
    char name[16];
    fixture_begin(f);
    for (unsigned i = 0; i < NAMESPACES_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        const struct command c = {.kind = COMMAND_QUOTA_SET,
                                  .quota_set = {.name = slice_of(name), .instances = 1}};
        registry_apply(f->registry, i, &c, NULL);
    }
    fixture_end(f);
    assert_int_equal(set_quota(f, "more", 1, 0), ST_FULL);
    assert_int_equal(set_quota(f, "n7", 2, 0), ST_OK);
    assert_int_equal(delete_quota(f, "n7"), ST_OK);
    assert_int_equal(set_quota(f, "more", 1, 0), ST_OK);
    assert_int_equal(set_quota(f, "No Name", 1, 0), ST_INVALID);
    assert_int_equal(delete_quota(f, "No Name"), ST_NOT_FOUND);
    const struct command bound = {.kind = COMMAND_STATE_BYTES,
                                  .state_bytes = {registry_state_bytes(f->registry)}};
    assert_int_equal(delete_quota(f, "more"), ST_OK);
    fixture_apply(f, &bound);
    assert_int_equal(set_quota(f, "a-rather-long-name-of-a-namespace", 1, 1u << 30), ST_FULL);
}

/* --- tokens --- */

static void make_token(struct fixture *f, const char *id, const char *space, uint32_t grants)
{
    static const uint8_t hash[TOKEN_HASH_BYTES] = {1};
    struct command c = {.kind = COMMAND_TOKEN_CREATE,
                        .space = slice_of(space),
                        .token_create = {.spec = {.id = slice_of(id),
                                                  .hash = {(const char *)hash, sizeof hash},
                                                  .description = slice_of(""),
                                                  .grants = grants,
                                                  .scopes_count = 1,
                                                  .scopes = {{slice_of("w"), true, true}}}}};
    if (fixture_view(f)->tokens_begun == 0) {
        c.token_create.turn = TOKEN_TURN_FIRST;
    }
    assert_int_equal(fixture_apply(f, &c)->status, ST_OK);
}

static enum status as(struct fixture *f, const char *token, const char *space,
                      struct command command)
{
    command.guard = (struct guard){.kind = GUARD_TOKEN, .who = slice_of(token)};
    return in(f, space, command)->status;
}

static void a_token_reaches_its_namespace_alone(void **state)
{
    struct fixture *f = *state;
    const struct command command = command_register("web-1", "web");
    make_token(f, "bound", "shop", 0);
    make_token(f, "free", "", 0);
    make_token(f, "op", "", TOKEN_OPERATOR_WRITE);
    assert_string_equal(token_space(view_token(fixture_view(f), "bound")), "shop");
    assert_string_equal(token_space(view_token(fixture_view(f), "free")), "");
    assert_int_equal(as(f, "bound", "", command), ST_FORBIDDEN);
    assert_int_equal(as(f, "bound", "shop2", command), ST_FORBIDDEN);
    assert_int_equal(as(f, "bound", "shop", command_register("db-1", "db")), ST_FORBIDDEN);
    assert_int_equal(as(f, "bound", "shop", command), ST_OK);
    assert_int_equal(as(f, "free", "shop", command), ST_FORBIDDEN);
    assert_int_equal(as(f, "free", "", command), ST_OK);
    assert_int_equal(as(f, "op", "shop", command), ST_OK);
    assert_int_equal(as(f, "op", "new", command), ST_OK);
    assert_int_equal(as(f, "free", "new", command_deregister("web-1", 0)), ST_FORBIDDEN);
    /* Not by its lease either. */
    uint8_t refs[LEASE_REF_BYTES];
    const struct lease_ref ref = fixture_ref(f, "web-1");
    lease_ref_store(refs, &ref);
    const struct command renew = {.kind = COMMAND_RENEW, .renew = {.refs = refs, .count = 1}};
    as(f, "bound", "", renew);
    assert_int_equal(f->result.missed_count, 1);
    as(f, "free", "", renew);
    assert_int_equal(f->result.renewed, 1);
}

/* --- the state --- */

static void quotas_and_bindings_are_in_the_hash_and_in_a_snapshot(void **state)
{
    uint64_t hashes[6];
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(hashes); i++) {
        struct fixture f = {.registry = snapshot_registry(), .now_ms = 1000};
        fixture_begin(&f);
        registry_set_level(f.registry, LEVEL_MAX);
        fixture_end(&f);
        set_quota(&f, i == 1 ? "b" : "a", i == 2 ? 2 : 1, i == 3 ? 4 : 3);
        make_token(&f, "ta", i == 4 ? "a" : "b", 0);
        in(&f, i == 5 ? "" : "a", command_register("web-1", "web"));
        in(&f, "z", command_register("web-1", "web"));
        hashes[i] = registry_hash(f.registry);
        for (size_t j = 0; j < i; j++) {
            assert_true(hashes[i] != hashes[j]);
        }
        struct registry *copy = snapshot_copy(f.registry);
        assert_same_registries(f.registry, copy);
        /* Both decide alike from here on. */
        struct fixture g = f;
        g.registry = copy;
        g.result.missed = NULL;
        for (unsigned n = 0; n < 3; n++) {
            const struct command more = command_register(n == 0 ? "x" : "y", "web");
            assert_int_equal(in(&f, "a", more)->status, in(&g, "a", more)->status);
        }
        assert_same_registries(f.registry, copy);
        registry_destroy(copy);
        registry_destroy(f.registry);
    }
}

static void a_held_snapshot_keeps_the_quotas_it_was_taken_with(void **state)
{
    struct fixture *f = *state;
    struct buffer before, after;
    set_quota(f, "a", 1, 2);
    set_quota(f, "b", 3, 0);
    in(f, "b", command_register("web-1", "web"));
    struct registry_snapshot *held = registry_snapshot_take(f->registry);
    snapshot_encode_held(held, &before);
    delete_quota(f, "a");
    set_quota(f, "b", 9, 9);
    set_quota(f, "c", 1, 1);
    in(f, "b", command_deregister("web-1", 0));
    snapshot_encode_held(held, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, after.len);
    registry_snapshot_release(held);
    buffer_done(&before);
    buffer_done(&after);
}

static enum status restore_one(uint16_t level, const char *id, const char *name)
{
    struct registry *r = snapshot_registry();
    const struct snapshot_head head = {.level = level,
                                       .limits = *level_limits(level),
                                       .index = 9,
                                       .now_ms = 5000,
                                       .events_kept = EVENTS_KEPT_DEFAULT,
                                       .instances = 1,
                                       .services = 1};
    assert_int_equal(registry_restore_head(r, &head), ST_OK);
    const struct command c = command_register(id, name);
    struct record *record = record_create(&c.register_.registration);
    record->index = 3;
    enum status status = registry_restore_instance(r, record, 1, 2);
    if (status != ST_OK) {
        free(record);
    }
    registry_destroy(r);
    return status;
}

static enum status restore_quotas(const char *first, const char *second, uint64_t count)
{
    struct registry *r = snapshot_registry();
    const struct snapshot_head head = {.level = LEVEL_MAX,
                                       .limits = *level_limits(LEVEL_MAX),
                                       .index = 9,
                                       .now_ms = 5000,
                                       .events_kept = EVENTS_KEPT_DEFAULT,
                                       .quotas = count};
    const struct namespace_quota quota = {.instances = 1};
    enum status status = registry_restore_head(r, &head);
    if (status == ST_OK) {
        status = registry_restore_quota(r, first, &quota);
    }
    if (status == ST_OK) {
        status = registry_restore_quota(r, second, &quota);
    }
    if (status == ST_OK) {
        status = registry_restore_end(r);
    }
    registry_destroy(r);
    return status;
}

static void snapshots_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    assert_int_equal(restore_one(LEVEL_MAX, "\x1fshop\x1fx", "\x1fshop\x1fy"), ST_OK);
    assert_int_equal(restore_one(LEVEL_NAMESPACES - 1, "x", "y"), ST_OK);
    assert_int_equal(restore_one(LEVEL_NAMESPACES - 1, "\x1fshop\x1fx", "\x1fshop\x1fy"),
                     ST_CORRUPT);
    assert_int_equal(restore_one(LEVEL_MAX, "\x1fshop\x1fx", "y"), ST_CORRUPT);
    assert_int_equal(restore_one(LEVEL_MAX, "x", "\x1fshop\x1fy"), ST_CORRUPT);
    assert_int_equal(restore_one(LEVEL_MAX, "\x1fshop\x1fx", "\x1fsho\x1fy"), ST_CORRUPT);
    assert_int_equal(restore_one(LEVEL_MAX, "\x1fx", "\x1fx"), ST_CORRUPT);
    assert_int_equal(restore_one(LEVEL_MAX, "\x1fS\x1fx", "\x1fS\x1fx"), ST_CORRUPT);
    assert_int_equal(restore_quotas("a", "b", 2), ST_OK);
    assert_int_equal(restore_quotas("a", "b", 3), ST_CORRUPT);
    assert_int_equal(restore_quotas("a", "a", 2), ST_CORRUPT);
    assert_int_equal(restore_quotas("b", "a", 2), ST_CORRUPT);
    assert_int_equal(restore_quotas("a", "B", 2), ST_CORRUPT);
    assert_int_equal(restore_quotas("a", "b", NAMESPACES_MAX + 1), ST_CORRUPT);
}

/* What older builds have written and hashed is the same at their level. */
static void default_is_stored_as_below_the_level(void **state)
{
    struct fixture older = {.registry = snapshot_registry(), .now_ms = 1000};
    struct fixture *f = *state;
    fixture_begin(&older);
    registry_set_level(older.registry, LEVEL_NAMESPACES - 1);
    fixture_end(&older);
    struct fixture *both[] = {f, &older};
    for (size_t i = 0; i < 2; i++) {
        fixture_register(both[i], "a", "web");
        make_token(both[i], "ta", "", TOKEN_EVENTS);
    }
    const struct view *a = fixture_view(f);
    const struct view *b = fixture_view(&older);
    assert_int_equal(record_hash(fixture_record(f, "a")), record_hash(fixture_record(&older, "a")));
    assert_int_equal(token_hash(view_token(a, "ta")), token_hash(view_token(b, "ta")));
    /* Of the levels: limits, and the numbers of quotas, of sinks, and of checks; two indexes; the
     * probers. */
    assert_int_equal(a->state_bytes, b->state_bytes + 3 + 1 + 1 + (1 + 3 + 3) + 1 + 1 + 1 + 3);
    registry_destroy(older.registry);
}

/* --- the wire --- */

static bool is_refused(const uint8_t *data, size_t len)
{
    struct wire_command decoded;
    uint8_t *copy = malloc(len);
    memcpy(copy, data, len);
    enum status status = wire_command_decode(copy, len, level_limits(LEVEL_MAX), &decoded);
    if (status == ST_OK) {
        wire_command_done(&decoded);
    }
    free(copy);
    return status == ST_CORRUPT;
}

static void a_namespace_is_of_its_level_and_of_commands_about_names(void **state)
{
    static const char *const spaces[] = {"a", "shop.eu-1"};
    const struct slice id = slice_of("web-1");
    const struct command commands[] = {command_register("web-1", "web"), command_heartbeat(&id),
                                       command_deregister("web-1", 7),
                                       command_maintenance("web-1", true, "")};
    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(commands); i++) {
        struct buffer b;
        struct wire_command decoded;
        struct command command = commands[i / 2];
        command.space = slice_of(spaces[i % 2]);
        buffer_init(&b, 4096);
        wire_command_encode(&command, &b);
        assert_false(wire_command_understands(b.data, b.len, LEVEL_NAMESPACES - 1));
        assert_true(wire_command_understands(b.data, b.len, LEVEL_NAMESPACES));
        assert_int_equal(wire_command_decode(b.data, b.len, level_limits(LEVEL_MAX), &decoded),
                         ST_OK);
        assert_int_equal(decoded.command.space.len, command.space.len);
        assert_memory_equal(decoded.command.space.data, command.space.data, command.space.len);
        wire_command_done(&decoded);
        buffer_done(&b);
    }
    static const uint8_t malformed[][7] = {
        {12, 0xa1, 'A', 4, 0xa1, 'a', 0},                /* no name of one */
        {12, 0xa1, 0x1f, 4, 0xa1, 'a', 0},               /* the mark */
        {12, 0xa1, 'a', 12, 0xa1, 'a', 4},               /* in another */
        {12, 0xa1, 'a', 11, GUARD_UNTIL_FIRST, 0xa0, 4}, /* the guard stands before it */
        {12, 0xa1, 'a', 7, 0xcd, 1, 44},                 /* of a command that names nothing */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++) {
        assert_true(is_refused(malformed[i], sizeof malformed[i]));
        assert_false(wire_command_understands(malformed[i], sizeof malformed[i], UINT16_MAX));
    }
    static const uint8_t none[] = {12, 0xa0, 4, 0xa1, 'a', 0};
    assert_true(is_refused(none, sizeof none));
    static const uint8_t same[] = {12, 0xa7, 'd', 'e', 'f', 'a', 'u', 'l', 't', 4, 0xa1, 'a', 0};
    assert_true(is_refused(same, sizeof same)); /* that has no name */
    static const uint8_t good[] = {12, 0xa1, 'a', 4, 0xa1, 'a', 0};
    assert_false(is_refused(good, sizeof good));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up_newest, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_stored_behind_their_namespace),
        CASE(what_is_of_a_namespace_stands_together),
        CASE(what_does_not_fit_behind_its_namespace_is_refused),
        CASE(the_same_id_lives_in_two_namespaces),
        CASE(a_heartbeat_is_of_its_namespace),
        CASE(what_a_namespace_has_is_counted),
        CASE(a_quota_of_instances_is_reached_and_freed),
        CASE(a_quota_of_bytes_lets_updates_shrink),
        CASE(default_has_a_quota_like_any_other),
        CASE(there_are_so_many_quotas_and_no_more),
        CASE(a_token_reaches_its_namespace_alone),
        CASE(quotas_and_bindings_are_in_the_hash_and_in_a_snapshot),
        CASE(a_held_snapshot_keeps_the_quotas_it_was_taken_with),
        CASE(snapshots_that_contradict_themselves_are_refused),
        CASE(default_is_stored_as_below_the_level),
        cmocka_unit_test(a_namespace_is_of_its_level_and_of_commands_about_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
