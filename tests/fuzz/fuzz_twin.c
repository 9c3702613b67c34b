/* Two registries take the same commands. One of them is replaced by a copy from its own snapshot
 * whenever the input says so; nothing may distinguish them. Snapshots held while the registry
 * continues must not change.
 *
 * Input: steps, each a byte that selects the action, and the bytes that it needs. */
#include "server/base/limits.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/registry.h"

#define IDS           24
#define BATCH_MAX     8
#define STEPS_MAX     400
#define ENTRY_OPS     4 /* upper limit of commands per entry */
#define TIME_STEP_MAX (1u << 27)

struct twins {
    struct input in;
    struct registry *plain;    /* never replaced */
    struct registry *restored; /* replaced by a copy from its snapshot at times */
    struct stamp stamp;
    uint64_t index;
    uint64_t restored_index; /* at the last restore */
    uint32_t position;       /* in the open entry; 0: none is open */
    struct registry_snapshot *held;
    struct buffer held_bytes;
};

struct made {
    struct command command;
    struct slice ids[BATCH_MAX];
    char names[BATCH_MAX][4];
    char check_id[6];
    uint8_t refs[BATCH_MAX * LEASE_REF_BYTES];
};

/* --- commands --- */

static struct slice take_word(struct twins *t)
{
    static const char *const words[] = {"", "a", "b", "blue", "gr\xc3\xbcn", "north", "v1", "."};
    const char *word = words[input_u8(&t->in) % ARRAY_LENGTH(words)];
    return (struct slice){.data = word, .len = strlen(word)};
}

static struct slice take_id(struct twins *t, struct made *m, size_t place)
{
    unsigned number = input_u8(&t->in) % IDS;
    char *name = m->names[place];
    name[0] = 'i';
    name[1] = (char)('0' + number / 10);
    name[2] = (char)('0' + number % 10);
    return (struct slice){.data = name, .len = 3};
}

/* None, the present one, or the one before. */
static uint64_t take_incarnation(struct twins *t, const struct slice *id)
{
    struct lease_ref ref;
    char text[4] = "";
    uint8_t which = input_u8(&t->in) % 4;
    uint64_t incarnation = which;
    memcpy(text, id->data, id->len);
    const struct view *view = view_lock(&(struct view_source){.registry = t->plain});
    if (which >= 2 && view_find_lease(view, id->data, id->len, &ref)) {
        const struct record *record = view_instance(view, text);
        incarnation = record != NULL ? record->incarnation + 2 - which : 1;
    }
    view_unlock(&view);
    return which == 0 ? 0 : incarnation;
}

static void make_register(struct twins *t, struct made *m)
{
    static const uint32_t ttls_ms[] = {1000, 1000, 10000, 60000, 3600000, TTL_MS_MAX, 0, 64};
    static const uint32_t reaps_ms[] = {0, 1, 1000, 30000, 60000, REAP_AFTER_MS_MAX};
    struct registration *g = &m->command.register_.registration;
    m->command.kind = COMMAND_REGISTER;
    g->id = take_id(t, m, 0);
    g->name = take_word(t);
    g->type = take_word(t);
    g->host = take_word(t);
    g->zone = take_word(t);
    g->port = input_u8(&t->in);
    g->weight = input_u8(&t->in) % 2;
    g->ttl_ms = ttls_ms[input_u8(&t->in) % ARRAY_LENGTH(ttls_ms)];
    g->reap_after_ms = reaps_ms[input_u8(&t->in) % ARRAY_LENGTH(reaps_ms)];
    g->tags_count = input_u8(&t->in) % 4;
    for (uint32_t i = 0; i < g->tags_count; i++) {
        g->tags[i] = take_word(t);
    }
    g->metadata_count = input_u8(&t->in) % 3;
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        g->metadata[i] = (struct pair){.key = take_word(t), .value = take_word(t)};
    }
    m->command.register_.unique_type =
        g->type.len > 0 && registry_level(t->plain) >= LEVEL_UNIQUE_TYPES && g->port % 4 == 0;
    m->command.register_.incarnation = take_incarnation(t, &g->id);
    m->command.register_.health_given = input_u8(&t->in) % 2 == 0;
    if (m->command.register_.health_given) {
        m->command.register_.health = (enum health)(input_u8(&t->in) % HEALTH_MAINTENANCE);
    }
}

static void make_heartbeat(struct twins *t, struct made *m)
{
    m->command.kind = COMMAND_HEARTBEAT;
    m->command.heartbeat.ids = m->ids;
    m->command.heartbeat.count = 1 + input_u8(&t->in) % BATCH_MAX;
    for (uint32_t i = 0; i < m->command.heartbeat.count; i++) {
        m->ids[i] = take_id(t, m, i);
    }
    if (m->command.heartbeat.count == 1) {
        m->command.heartbeat.incarnation = take_incarnation(t, &m->ids[0]);
        m->command.heartbeat.status_given = input_u8(&t->in) % 2 == 0;
        m->command.heartbeat.status = (enum health)(input_u8(&t->in) % HEALTH_MAINTENANCE);
        m->command.heartbeat.note_given = input_u8(&t->in) % 2 == 0;
        m->command.heartbeat.note = take_word(t);
    }
}

static void make_renew(struct twins *t, struct made *m)
{
    m->command.kind = COMMAND_RENEW;
    m->command.renew.refs = m->refs;
    m->command.renew.count = 1 + input_u8(&t->in) % BATCH_MAX;
    for (uint32_t i = 0; i < m->command.renew.count; i++) {
        struct slice id = take_id(t, m, i);
        struct lease_ref ref = {.slot = input_u8(&t->in), .generation = 1};
        const struct view *view = view_lock(&(struct view_source){.registry = t->plain});
        (void)view_find_lease(view, id.data, id.len, &ref);
        view_unlock(&view);
        lease_ref_store(m->refs + (size_t)i * LEASE_REF_BYTES, &ref);
    }
}

static struct slice take_token(struct twins *t)
{
    static const char *const ids[] = {"ta", "tb", "tc", "td"};
    return (struct slice){.data = ids[input_u8(&t->in) % ARRAY_LENGTH(ids)], .len = 2};
}

static void make_token(struct twins *t, struct made *m)
{
    static const char hash[TOKEN_HASH_BYTES] = {1};
    struct token_spec *spec = &m->command.token_create.spec;
    m->command.kind = COMMAND_TOKEN_CREATE;
    spec->id = take_token(t);
    spec->hash = (struct slice){.data = hash, .len = sizeof hash};
    spec->description = take_word(t);
    spec->grants = input_u8(&t->in) % (TOKEN_GRANTS_ALL + 1);
    spec->scopes_count = input_u8(&t->in) % 4;
    for (uint32_t i = 0; i < spec->scopes_count; i++) {
        uint8_t flags = input_u8(&t->in);
        spec->scopes[i] = (struct token_scope){
            .name = take_word(t), .prefix = (flags & 1) != 0, .write = (flags & 2) != 0};
    }
    m->command.token_create.ttl_s = input_u8(&t->in) % 2 == 0 ? input_u8(&t->in) : 0;
    m->command.token_create.turn = input_u8(&t->in) % (TOKEN_TURN_MAX + 1);
}

static struct slice take_namespace(struct twins *t)
{
    static const char *const names[] = {"shop", "shop-2", "a", "default"};
    const char *name = names[input_u8(&t->in) % ARRAY_LENGTH(names)];
    return (struct slice){.data = name, .len = strlen(name)};
}

static void make_quota(struct twins *t, struct made *m)
{
    uint8_t which = input_u8(&t->in) % 4;
    if (which == 0) {
        m->command.kind = COMMAND_QUOTA_DELETE;
        m->command.quota_delete.name = take_namespace(t);
    } else {
        m->command.kind = COMMAND_QUOTA_SET;
        m->command.quota_set.name = take_namespace(t);
        m->command.quota_set.instances = which == 1 ? 0 : input_u8(&t->in);
        m->command.quota_set.bytes = which == 2 ? 0 : (uint64_t)input_u8(&t->in) * 10;
        m->command.quota_set.writes = which;
    }
}

static struct slice take_subject(struct twins *t)
{
    static const char *const keys[] = {"=a", "=ab", "*a", "*"};
    const char *key = keys[input_u8(&t->in) % ARRAY_LENGTH(keys)];
    return (struct slice){.data = key, .len = strlen(key)};
}

static void make_policy(struct twins *t, struct made *m)
{
    struct token_spec *spec = &m->command.policy_create.spec;
    uint8_t flags = input_u8(&t->in);
    m->command.kind = COMMAND_POLICY_CREATE;
    spec->id = take_subject(t);
    spec->description = take_word(t);
    spec->grants = input_u8(&t->in) % (TOKEN_GRANTS_ALL + 1);
    spec->scopes_count = 1;
    spec->scopes[0] = (struct token_scope){
        .name = take_word(t), .prefix = (flags & 1) != 0, .write = (flags & 2) != 0};
    m->command.policy_create.ttl_s = flags / 4;
}

/* Sometimes on behalf of a token or certificate, and in a namespace if it is about names. */
static void add_guard(struct twins *t, struct made *m)
{
    uint8_t which = input_u8(&t->in) % 16;
    enum command_kind kind = m->command.kind;
    if (which >= 8 && (kind == COMMAND_REGISTER || kind == COMMAND_HEARTBEAT ||
                       kind == COMMAND_DEREGISTER || kind == COMMAND_MAINTENANCE ||
                       kind == COMMAND_TOKEN_CREATE || kind == COMMAND_POLICY_CREATE)) {
        struct slice space = take_namespace(t);
        m->command.space = namespace_is_other(space) ? space : (struct slice){.len = 0};
    }
    which %= 8;
    if (which == 0) {
        m->command.guard.kind = GUARD_UNTIL_FIRST;
    } else if (which == 1) {
        m->command.guard = (struct guard){.kind = GUARD_TOKEN, .who = take_token(t)};
    } else if (which == 2) {
        static const char *const names[] = {"a", "ab", "abc", "b"};
        const char *name = names[input_u8(&t->in) % ARRAY_LENGTH(names)];
        m->command.guard = (struct guard){.kind = GUARD_CERTIFICATE, .who = {name, strlen(name)}};
    }
}

static void make_sink(struct twins *t, struct made *m)
{
    static const char *const names[] = {"amqp", "webhook", "a", "b", "c", "d", "e", "f", "No"};
    const char *name = names[input_u8(&t->in) % ARRAY_LENGTH(names)];
    m->command.kind = COMMAND_SINK_CONFIRM;
    m->command.sink_confirm.name = (struct slice){.data = name, .len = strlen(name)};
    m->command.sink_confirm.index = input_u8(&t->in);
    m->command.sink_confirm.position = input_u8(&t->in);
}

static void make_check(struct twins *t, struct check_spec *ret_check)
{
    static const char *const keys[] = {":", ":1", "=a"};
    const char *key = keys[input_u8(&t->in) % ARRAY_LENGTH(keys)];
    *ret_check =
        (struct check_spec){.key = {.data = key, .len = strlen(key)},
                            .extra = take_word(t),
                            .note = take_word(t),
                            .ttl_ms = input_u8(&t->in) % 4 * 1000u,
                            .reap_after_ms = input_u8(&t->in) % 4 * 1000u,
                            .status = (enum health)(input_u8(&t->in) % HEALTH_MAINTENANCE)};
    ret_check->active = ret_check->ttl_ms == 0;
}

static void make_enrol(struct twins *t, struct made *m)
{
    make_register(t, m);
    struct registration g = m->command.register_.registration;
    m->command.kind = COMMAND_ENROL;
    m->command.enrol.registration = g;
    m->command.enrol.registration.extra = take_word(t);
    m->command.enrol.takes_over = input_u8(&t->in) % 2 == 0;
    if (input_u8(&t->in) % 2 == 0) {
        static const char *const ids[] = {"a@n", "b@n", "a@m", "\x1en", "\x1em"};
        const char *id = ids[input_u8(&t->in) % ARRAY_LENGTH(ids)];
        m->command.enrol.registration.id = (struct slice){.data = id, .len = strlen(id)};
        m->command.enrol.registration.extra = (struct slice){.data = "{\"o\":\"m\"}", .len = 9};
    }
    m->command.enrol.only_these = input_u8(&t->in) % 2 == 0;
    m->command.enrol.only_here = input_u8(&t->in) % 4 == 0;
    m->command.enrol.checks_count = input_u8(&t->in) % 3;
    for (uint32_t i = 0; i < m->command.enrol.checks_count; i++) {
        make_check(t, &m->command.enrol.checks[i]);
    }
}

static void make_probers(struct twins *t, struct made *m)
{
    unsigned set = input_u8(&t->in);
    m->command.kind = COMMAND_PROBERS;
    for (unsigned i = 0; i < 8; i++) {
        if ((set >> i & 1) != 0) {
            m->command.probers.members[m->command.probers.count++] = i + 1;
        }
    }
}

static void make_result(struct twins *t, struct made *m, const struct slice *owner)
{
    memcpy(m->check_id, owner->data, 3);
    memcpy(m->check_id + 3, "\x1e:", 3);
    const struct view *view = view_lock(&(struct view_source){.registry = t->plain});
    const struct record *check = view_check(view, m->check_id);
    m->command.kind = COMMAND_CHECK_RESULT;
    m->command.check_result.id = (struct slice){.data = m->check_id, .len = 5};
    m->command.check_result.definition = check != NULL ? prober_definition(check) : 0;
    view_unlock(&view);
    m->command.check_result.member = 1 + input_u8(&t->in) % 8;
    m->command.check_result.epoch = t->index - input_u8(&t->in) % 4;
    m->command.check_result.status = input_u8(&t->in) % HEALTH_MAINTENANCE;
    m->command.check_result.note = take_word(t);
}

static void make_small(struct twins *t, struct made *m)
{
    struct slice id = take_id(t, m, 0);
    switch (input_u8(&t->in) % 16) {
    case 0:
        m->command.kind = COMMAND_DEREGISTER;
        m->command.deregister.id = id;
        m->command.deregister.incarnation = take_incarnation(t, &id);
        return;
    case 1:
        m->command.kind = COMMAND_MAINTENANCE;
        m->command.maintenance.id = id;
        m->command.maintenance.enabled = input_u8(&t->in) % 2 == 0;
        m->command.maintenance.reason = take_word(t);
        return;
    case 2:
        m->command.kind = COMMAND_KEEP_EVENTS;
        m->command.keep_events.count = EVENTS_KEPT_MIN + input_u8(&t->in);
        return;
    case 3:
        m->command.kind = COMMAND_STATE_BYTES;
        m->command.state_bytes.most = 1000 + (uint64_t)input_u8(&t->in) * 100;
        return;
    case 6:
        make_token(t, m);
        return;
    case 7:
        m->command.kind = COMMAND_TOKEN_REVOKE;
        m->command.token_revoke.id = take_token(t);
        return;
    case 8:
        make_quota(t, m);
        return;
    case 9:
        make_policy(t, m);
        return;
    case 10:
        m->command.kind = COMMAND_POLICY_DELETE;
        m->command.policy_delete.id = take_subject(t);
        return;
    case 11:
        make_sink(t, m);
        return;
    case 12:
        make_enrol(t, m);
        return;
    case 13:
        m->command.kind = COMMAND_CHECK_PUT;
        m->command.check_put.id = id;
        make_check(t, &m->command.check_put.check);
        return;
    case 14:
        make_probers(t, m);
        return;
    case 15:
        make_result(t, m, &id);
        return;
    default:
        m->command.kind = COMMAND_EXPIRE;
        m->command.expire.until_ms = t->stamp.now_ms + input_u8(&t->in) % 3;
        m->command.expire.limit = input_u8(&t->in) % 8 == 0 ? input_u8(&t->in) : UINT32_MAX;
        return;
    }
}

/* --- entries --- */

static void check_same(struct twins *t)
{
    CHECK(registry_hash(t->plain) == registry_hash(t->restored));
    CHECK(registry_count(t->plain) == registry_count(t->restored));
    CHECK(registry_state_bytes(t->plain) == registry_state_bytes(t->restored));
    uint32_t living, living_too;
    CHECK(registry_due(t->restored, t->stamp.now_ms, &living) ==
          registry_due(t->plain, t->stamp.now_ms, &living_too));
    CHECK(living == living_too);
}

static void close_entry(struct twins *t)
{
    if (t->position > 0) {
        registry_end(t->plain);
        registry_end(t->restored);
        registry_publish(t->plain);
        registry_publish(t->restored);
        t->position = 0;
        fuzz_registry_check(t->plain);
        fuzz_registry_check(t->restored);
        check_same(t);
    }
}

static void apply(struct twins *t, const struct command *command)
{
    struct result a, b;
    if (t->position == 0) {
        t->index++;
        registry_begin(t->plain, t->index, &t->stamp);
        registry_begin(t->restored, t->index, &t->stamp);
    }
    if (t->index == 1 && t->position == 0) {
        registry_set_level(t->plain, LEVEL_MAX);
        registry_set_level(t->restored, LEVEL_MAX);
    }
    registry_apply(t->plain, t->position, command, &a);
    registry_apply(t->restored, t->position, command, &b);
    t->position++;
    CHECK(a.status == b.status && a.index == b.index && a.incarnation == b.incarnation);
    CHECK(a.ttl_ms == b.ttl_ms && a.created == b.created && a.renewed == b.renewed);
    CHECK(a.expired == b.expired && a.reaped == b.reaped && a.missed_count == b.missed_count);
    CHECK(a.missed_count == 0 ||
          memcmp(a.missed, b.missed, a.missed_count * sizeof *a.missed) == 0);
    free(a.missed);
    free(b.missed);
    if (t->position == ENTRY_OPS) {
        close_entry(t);
    }
}

static void apply_made(struct twins *t, void (*make)(struct twins *t, struct made *m))
{
    struct made m = {.command = {.kind = COMMAND_EXPIRE}};
    make(t, &m);
    add_guard(t, &m);
    apply(t, &m.command);
}

/* Any bytes that the decoder accepts as a command. */
static void apply_foreign(struct twins *t)
{
    struct wire_command command;
    size_t len = input_u8(&t->in);
    if (len > t->in.left) {
        len = t->in.left;
    }
    uint8_t *bytes = fuzz_copy(t->in.at, len);
    t->in.at += len;
    t->in.left -= len;
    if (wire_command_decode(bytes, len, registry_limits(t->plain), &command) == ST_OK) {
        apply(t, &command.command);
        wire_command_done(&command);
    }
    free(bytes);
}

/* --- snapshots --- */

static void restore(struct twins *t)
{
    close_entry(t);
    if (t->restored_index == t->index) {
        return;
    }
    t->restored_index = t->index;
    struct registry *copy = fuzz_registry_copy(t->restored);
    registry_destroy(t->restored);
    t->restored = copy;
    check_same(t);
}

static void let_go(struct twins *t)
{
    struct buffer now;
    if (t->held == NULL) {
        return;
    }
    fuzz_snapshot_encode(t->held, &now);
    CHECK(now.len == t->held_bytes.len && memcmp(now.data, t->held_bytes.data, now.len) == 0);
    registry_snapshot_release(t->held);
    t->held = NULL;
    buffer_done(&now);
    buffer_done(&t->held_bytes);
}

static void hold(struct twins *t)
{
    close_entry(t);
    let_go(t);
    t->held = registry_snapshot_take(t->plain);
    fuzz_snapshot_encode(t->held, &t->held_bytes);
    CHECK(t->held_bytes.len == registry_state_bytes(t->plain));
}

static void step(struct twins *t)
{
    switch (input_u8(&t->in) % 12) {
    case 0:
        restore(t);
        return;
    case 1:
        hold(t);
        return;
    case 2:
        let_go(t);
        return;
    case 3:
        close_entry(t);
        t->stamp.now_ms += (uint64_t)input_u8(&t->in) * 16;
        return;
    case 4:
        close_entry(t);
        t->stamp.now_ms += input_u32(&t->in) % TIME_STEP_MAX;
        t->stamp.wall_ms = (int64_t)input_u64(&t->in);
        return;
    case 5:
        apply_foreign(t);
        return;
    case 6:
        apply_made(t, make_heartbeat);
        return;
    case 7:
        apply_made(t, make_renew);
        return;
    case 8:
    case 9:
        apply_made(t, make_small);
        return;
    default:
        apply_made(t, make_register);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct twins t = {
        .in = {.at = data, .left = len},
        .plain = fuzz_registry_create(),
        .restored = fuzz_registry_create(),
        .stamp = {.now_ms = 1000, .wall_ms = 1790000000000},
    };
    for (unsigned i = 0; i < STEPS_MAX && t.in.left > 0; i++) {
        step(&t);
    }
    restore(&t);
    let_go(&t);
    registry_destroy(t.plain);
    registry_destroy(t.restored);
    return 0;
}
