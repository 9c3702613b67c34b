/* Random commands from a seed: on few ids, so that they interact, and in a mix that takes instances
 * through their whole life cycle.
 *
 * Thread: the test's. Owns: what its command borrows. */
#ifndef MUSTER_TESTS_RANDOM_COMMAND_H
#define MUSTER_TESTS_RANDOM_COMMAND_H

#include "server/base/check.h"
#include "tests/unit/registry_fixture.h"

#define RANDOM_IDS   150
#define RANDOM_BATCH 6

struct random_command {
    struct command command;
    struct slice ids[RANDOM_BATCH];
    uint8_t refs[RANDOM_BATCH * LEASE_REF_BYTES];
    char texts[RANDOM_BATCH][16];
};

static inline uint32_t random_below(unsigned *seed, uint32_t n)
{
    return (uint32_t)rand_r(seed) % n;
}

static inline const char *random_word(unsigned *seed)
{
    static const char *const words[] = {"", "blue", "green", "v1", "v2", "north", "canary"};
    return words[random_below(seed, ARRAY_LENGTH(words))];
}

static inline struct slice random_id(struct random_command *c, unsigned *seed, size_t place)
{
    (void)snprintf(c->texts[place], sizeof c->texts[place], "i%03u",
                   random_below(seed, RANDOM_IDS));
    return slice_of(c->texts[place]);
}

/* 0, the present one, or an older one. */
static inline uint64_t random_incarnation(const struct fixture *f, const char *id, unsigned *seed)
{
    const struct record *record = fixture_record(f, id);
    switch (random_below(seed, 4)) {
    case 0:
        return record != NULL ? record->incarnation : 7;
    case 1:
        return record != NULL ? record->incarnation - 1 : 8;
    default:
        return 0;
    }
}

static inline void random_register(struct random_command *c, const struct fixture *f,
                                   unsigned *seed)
{
    static const char *const names[] = {"web", "web", "web", "web", "db", "db", "shop", "rare"};
    static const uint32_t ttls_ms[] = {1000, 10000, 10000, 60000, 3600000};
    static const uint32_t reaps_ms[] = {0, 1, 30000, 60000};
    struct slice id = random_id(c, seed, 0);
    c->command = command_register(id.data, names[random_below(seed, ARRAY_LENGTH(names))]);
    struct registration *g = &c->command.register_.registration;
    g->type = slice_of(random_word(seed));
    g->zone = slice_of(random_word(seed));
    g->port = (uint16_t)(8080 + random_below(seed, 2));
    g->ttl_ms = ttls_ms[random_below(seed, ARRAY_LENGTH(ttls_ms))];
    g->reap_after_ms = reaps_ms[random_below(seed, ARRAY_LENGTH(reaps_ms))];
    g->tags_count = random_below(seed, 4);
    for (uint32_t i = 0; i < g->tags_count; i++) {
        g->tags[i] = slice_of(random_word(seed));
    }
    g->metadata_count = random_below(seed, 3);
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        g->metadata[i] = (struct pair){slice_of(random_word(seed)), slice_of(random_word(seed))};
    }
    c->command.register_.unique_type =
        g->type.len > 0 && registry_level(f->registry) >= LEVEL_UNIQUE_TYPES && g->port == 8081;
    c->command.register_.incarnation = random_incarnation(f, id.data, seed);
    c->command.register_.health_given = random_below(seed, 3) == 0;
    if (c->command.register_.health_given) {
        c->command.register_.health = (enum health)random_below(seed, HEALTH_MAINTENANCE);
    }
}

static inline void random_heartbeat(struct random_command *c, const struct fixture *f,
                                    unsigned *seed)
{
    uint32_t count = random_below(seed, 2) == 0 ? 1 : RANDOM_BATCH;
    for (uint32_t i = 0; i < count; i++) {
        c->ids[i] = random_id(c, seed, i);
    }
    c->command = command_heartbeat(c->ids);
    c->command.heartbeat.count = count;
    if (count > 1) {
        return;
    }
    c->command.heartbeat.incarnation = random_incarnation(f, c->texts[0], seed);
    c->command.heartbeat.status_given = random_below(seed, 2) == 0;
    if (c->command.heartbeat.status_given) {
        c->command.heartbeat.status = (enum health)random_below(seed, HEALTH_MAINTENANCE);
    }
    c->command.heartbeat.note_given = random_below(seed, 2) == 0;
    if (c->command.heartbeat.note_given) {
        c->command.heartbeat.note = slice_of(random_word(seed));
    }
}

static inline void random_renew(struct random_command *c, const struct fixture *f, unsigned *seed)
{
    for (size_t i = 0; i < RANDOM_BATCH; i++) {
        struct lease_ref ref = {.slot = random_below(seed, RANDOM_IDS), .generation = 1};
        struct slice id = random_id(c, seed, i);
        rcu_read_lock();
        (void)view_find_lease(registry_view(f->registry), id.data, id.len, &ref);
        rcu_read_unlock();
        lease_ref_store(c->refs + i * LEASE_REF_BYTES, &ref);
    }
    c->command =
        (struct command){.kind = COMMAND_RENEW, .renew = {.refs = c->refs, .count = RANDOM_BATCH}};
}

#define RANDOM_TOKENS 6

static inline struct slice random_token(unsigned *seed)
{
    static const char *const ids[RANDOM_TOKENS] = {"ta", "tb", "tc", "td", "te", "tf"};
    return slice_of(ids[random_below(seed, RANDOM_TOKENS)]);
}

static inline void random_token_command(struct random_command *c, unsigned *seed)
{
    static const char *const names[] = {"web", "we", "", "db", "shop"};
    static const uint8_t hash[TOKEN_HASH_BYTES] = {1, 0, 2};
    static const uint32_t ttls_s[] = {0, 1, 60, 3600, 3153600000};
    if (random_below(seed, 3) == 0) {
        c->command = (struct command){.kind = COMMAND_TOKEN_REVOKE,
                                      .token_revoke = {.id = random_token(seed)}};
        return;
    }
    c->command = (struct command){
        .kind = COMMAND_TOKEN_CREATE,
        .token_create = {.spec = {.id = random_token(seed),
                                  .hash = {(const char *)hash, sizeof hash},
                                  .description = slice_of(random_word(seed)),
                                  .grants = random_below(seed, TOKEN_GRANTS_ALL + 1),
                                  .scopes_count = random_below(seed, 3)},
                         .ttl_s = ttls_s[random_below(seed, ARRAY_LENGTH(ttls_s))],
                         .turn = random_below(seed, TOKEN_TURN_MAX + 1)},
    };
    for (uint32_t i = 0; i < c->command.token_create.spec.scopes_count; i++) {
        c->command.token_create.spec.scopes[i] = (struct token_scope){
            .name = slice_of(names[random_below(seed, ARRAY_LENGTH(names))]),
            .prefix = random_below(seed, 2) == 0,
            .write = random_below(seed, 2) == 0,
        };
    }
}

static inline struct slice random_subject(unsigned *seed)
{
    static const char *const keys[] = {"=a", "=a/b", "*a", "*a/", "*", "*b/c"};
    return slice_of(keys[random_below(seed, ARRAY_LENGTH(keys))]);
}

static inline void random_policy_command(struct random_command *c, unsigned *seed)
{
    if (random_below(seed, 3) == 0) {
        c->command = (struct command){.kind = COMMAND_POLICY_DELETE,
                                      .policy_delete = {.id = random_subject(seed)}};
        return;
    }
    static const char *const names[] = {"web", "we", "", "db", "shop"};
    c->command = (struct command){
        .kind = COMMAND_POLICY_CREATE,
        .policy_create = {.spec = {.id = random_subject(seed),
                                   .description = slice_of(random_word(seed)),
                                   .grants = random_below(seed, TOKEN_GRANTS_ALL + 1),
                                   .scopes_count = 1},
                          .ttl_s = random_below(seed, 4) * 30},
    };
    c->command.policy_create.spec.scopes[0] =
        (struct token_scope){.name = slice_of(names[random_below(seed, ARRAY_LENGTH(names))]),
                             .prefix = random_below(seed, 2) == 0,
                             .write = random_below(seed, 2) == 0};
}

static inline void random_guard(struct random_command *c, bool policies, unsigned *seed)
{
    if (random_below(seed, 8) == 0) {
        c->command.guard.kind = GUARD_UNTIL_FIRST;
    } else if (random_below(seed, 3) == 0 && policies) {
        static const char *const names[] = {"a", "a/b", "a/c", "b", "b/cd"};
        c->command.guard =
            (struct guard){.kind = GUARD_CERTIFICATE,
                           .who = slice_of(names[random_below(seed, ARRAY_LENGTH(names))])};
    } else {
        c->command.guard = (struct guard){.kind = GUARD_TOKEN, .who = random_token(seed)};
    }
}

static inline struct slice random_namespace(unsigned *seed)
{
    static const char *const names[] = {"shop", "shop-2", "a", "z.9"};
    return slice_of(names[random_below(seed, ARRAY_LENGTH(names))]);
}

static inline void random_quota_command(struct random_command *c, unsigned *seed)
{
    struct slice name = random_below(seed, 4) == 0 ? slice_of("default") : random_namespace(seed);
    if (random_below(seed, 2) == 0) {
        c->command = (struct command){.kind = COMMAND_QUOTA_DELETE, .quota_delete = {.name = name}};
        return;
    }
    c->command = (struct command){.kind = COMMAND_QUOTA_SET,
                                  .quota_set = {.name = name,
                                                .instances = random_below(seed, 20),
                                                .bytes = random_below(seed, 3) * 1000,
                                                .writes = random_below(seed, 3)}};
}

static inline void random_sink_command(struct random_command *c, const struct fixture *f,
                                       unsigned *seed)
{
    static const char *const names[] = {"amqp", "webhook", "a", "b", "c", "d", "e", "f", "No"};
    c->command = (struct command){
        .kind = COMMAND_SINK_CONFIRM,
        .sink_confirm = {.name = slice_of(names[random_below(seed, ARRAY_LENGTH(names))]),
                         .index = registry_index(f->registry) + 2 - random_below(seed, 5),
                         .position = random_below(seed, 300)}};
}

static inline struct slice random_key(unsigned *seed)
{
    static const char *const keys[] = {":", ":1", "=alive", "=disk"};
    return slice_of(keys[random_below(seed, ARRAY_LENGTH(keys))]);
}

static inline struct check_spec random_check(unsigned *seed)
{
    static const uint32_t times_ms[] = {0, 1000, 10000, 60000};
    bool active = random_below(seed, 3) == 0;
    return (struct check_spec){.key = random_key(seed),
                               .extra = slice_of(random_word(seed)),
                               .note = slice_of(random_word(seed)),
                               .active = active,
                               .ttl_ms = active ? 0 : times_ms[random_below(seed, 4)],
                               .reap_after_ms = times_ms[random_below(seed, 4)],
                               .status = (enum health)random_below(seed, HEALTH_MAINTENANCE)};
}

/* Of an instance, or of one of few nodes. */
static inline struct slice random_owner(struct random_command *c, unsigned *seed)
{
    if (random_below(seed, 8) != 0) {
        return random_id(c, seed, 0);
    }
    (void)snprintf(c->texts[0], sizeof c->texts[0], "\x1en%u", random_below(seed, 3));
    return slice_of(c->texts[0]);
}

static inline struct slice random_check_id(struct random_command *c, unsigned *seed, size_t place)
{
    struct slice owner = random_owner(c, seed);
    char text[sizeof c->texts[0]];
    int len = snprintf(text, sizeof text, "%s\x1e%s", owner.data, random_key(seed).data);
    CHECK(len > 0 && (size_t)len < sizeof text);
    memcpy(c->texts[place], text, sizeof text);
    return slice_of(c->texts[place]);
}

/* An instance of a node, which another or the same has registered. */
static inline void random_node_place(struct random_command *c, unsigned *seed)
{
    static const char *const agents[] = {"{\"o\":\"n0\"}", "{\"o\":\"n1\",\"w\":2}", "{}"};
    struct registration *g = &c->command.enrol.registration;
    (void)snprintf(c->texts[0], sizeof c->texts[0], "s%u@n%u", random_below(seed, 3),
                   random_below(seed, 3));
    g->id = slice_of(c->texts[0]);
    g->extra = slice_of(agents[random_below(seed, ARRAY_LENGTH(agents))]);
}

/* Mostly as one that runs it would write it. */
static inline void random_check_result(struct random_command *c, const struct fixture *f,
                                       unsigned *seed)
{
    struct slice id = random_check_id(c, seed, 0);
    const struct probers *probers = &fixture_view(f)->probers;
    const struct record *check = view_check(fixture_view(f), id.data);
    uint64_t prober = prober_of(probers, id);
    c->command = (struct command){
        .kind = COMMAND_CHECK_RESULT,
        .check_result = {.id = id,
                         .definition = check != NULL ? prober_definition(check) : 1,
                         .member = prober != 0 ? prober : 1,
                         .epoch = probers->epoch - random_below(seed, 3),
                         .status = random_below(seed, HEALTH_MAINTENANCE),
                         .note = slice_of(random_word(seed))}};
}

static inline void random_probers(struct random_command *c, unsigned *seed)
{
    c->command = (struct command){.kind = COMMAND_PROBERS};
    uint64_t member = random_below(seed, 3);
    while (c->command.probers.count < random_below(seed, 2 * PROBERS_MAX) % (PROBERS_MAX + 1)) {
        member += 1 + random_below(seed, 3);
        c->command.probers.members[c->command.probers.count++] = member;
    }
}

static inline void random_check_command(struct random_command *c, const struct fixture *f,
                                        unsigned *seed)
{
    switch (random_below(seed, 6)) {
    case 4:
        random_check_result(c, f, seed);
        return;
    case 5:
        random_probers(c, seed);
        return;
    case 0: {
        random_register(c, f, seed);
        struct registration g = c->command.register_.registration;
        c->command = (struct command){.kind = COMMAND_ENROL};
        c->command.enrol.registration = g;
        c->command.enrol.registration.id = random_owner(c, seed);
        c->command.enrol.registration.extra = slice_of(random_word(seed));
        if (random_below(seed, 2) == 0) {
            random_node_place(c, seed);
        }
        c->command.enrol.registration.ttl_ms *= random_below(seed, 2);
        c->command.enrol.incarnation =
            random_below(seed, 4) == 0 ? random_below(seed, 1u << 24) : 0;
        c->command.enrol.takes_over = random_below(seed, 2) == 0;
        c->command.enrol.only_these = random_below(seed, 2) == 0;
        c->command.enrol.only_here = random_below(seed, 4) == 0;
        c->command.enrol.checks_count = random_below(seed, 4);
        for (uint32_t i = 0; i < c->command.enrol.checks_count; i++) {
            c->command.enrol.checks[i] = random_check(seed);
        }
        return;
    }
    case 1:
        c->command = (struct command){
            .kind = COMMAND_CHECK_PUT,
            .check_put = {.id = random_owner(c, seed), .check = random_check(seed)}};
        return;
    case 2:
        c->ids[0] = random_check_id(c, seed, 0);
        c->command = command_heartbeat(c->ids);
        c->command.heartbeat.status_given = random_below(seed, 4) != 0;
        c->command.heartbeat.status = (enum health)random_below(seed, HEALTH_MAINTENANCE);
        c->command.heartbeat.note_given = random_below(seed, 2) == 0;
        c->command.heartbeat.note = slice_of(random_word(seed));
        return;
    default:
        c->command = command_deregister(random_check_id(c, seed, 0).data, 0);
        return;
    }
}

/* The same ids are in all of them. */
static inline void random_place(struct random_command *c, unsigned *seed)
{
    switch (c->command.kind) {
    case COMMAND_REGISTER:
    case COMMAND_HEARTBEAT:
    case COMMAND_DEREGISTER:
    case COMMAND_MAINTENANCE:
    case COMMAND_TOKEN_CREATE:
    case COMMAND_POLICY_CREATE:
    case COMMAND_ENROL:
    case COMMAND_CHECK_PUT:
    case COMMAND_CHECK_RESULT:
        c->command.space = random_namespace(seed);
        return;
    default:
        return;
    }
}

/* Valid as long as `c` is not moved. */
static inline void random_command(struct random_command *c, const struct fixture *f, unsigned *seed)
{
    struct slice id = random_id(c, seed, 0);
    uint32_t dice = random_below(seed, 100);
    if (registry_level(f->registry) >= LEVEL_CHECKS && random_below(seed, 4) == 0) {
        random_check_command(c, f, seed);
    } else if (dice < 40) {
        random_register(c, f, seed);
    } else if (dice < 60) {
        random_heartbeat(c, f, seed);
    } else if (dice < 75) {
        random_renew(c, f, seed);
    } else if (dice < 83) {
        c->command = command_deregister(id.data, random_incarnation(f, id.data, seed));
    } else if (dice < 90) {
        c->command = command_maintenance(id.data, random_below(seed, 2) == 0, random_word(seed));
    } else if (dice < 92) {
        c->command = (struct command){
            .kind = COMMAND_KEEP_EVENTS,
            .keep_events = {.count = EVENTS_KEPT_MIN + random_below(seed, 200)},
        };
    } else if (dice < 93 && registry_level(f->registry) >= LEVEL_STATE_BYTES) {
        c->command = (struct command){
            .kind = COMMAND_STATE_BYTES,
            .state_bytes = {.most = 20000 + random_below(seed, 30000)},
        };
    } else if (dice < 95 && registry_level(f->registry) >= LEVEL_TOKENS) {
        random_token_command(c, seed);
    } else if (dice < 96 && registry_level(f->registry) >= LEVEL_NAMESPACES) {
        random_quota_command(c, seed);
    } else if (dice < 97 && registry_level(f->registry) >= LEVEL_POLICIES) {
        random_policy_command(c, seed);
    } else if (dice < 98 && registry_level(f->registry) >= LEVEL_SINKS) {
        random_sink_command(c, f, seed);
    } else {
        uint32_t limit = random_below(seed, 3) == 0 ? random_below(seed, 5) : EVERY;
        c->command = command_expire(f->now_ms, limit);
    }
    if (registry_level(f->registry) >= LEVEL_TOKENS && random_below(seed, 8) == 0) {
        random_guard(c, registry_level(f->registry) >= LEVEL_POLICIES, seed);
    }
    if (registry_level(f->registry) >= LEVEL_NAMESPACES && random_below(seed, 3) == 0) {
        random_place(c, seed);
    }
}

/* Mostly short, sometimes very long. */
static inline uint64_t random_step_ms(unsigned *seed)
{
    return random_below(seed, 60) == 0 ? random_below(seed, 8000000) : random_below(seed, 500);
}

#endif
