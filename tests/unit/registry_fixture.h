/* A registry for a test, commands for it, and comparison of two registries.
 *
 * Each call that changes something is an entry of its own, after which all invariants are checked.
 * Pointers into the registry are valid until its next entry.
 *
 * Thread: the test's. Owns: the registry and the last result, until tear_down. */
#ifndef MUSTER_TESTS_REGISTRY_FIXTURE_H
#define MUSTER_TESTS_REGISTRY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <urcu.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/registry/registry.h"
#include "server/registry/view.h"

#define TTL_MS        10000u
#define REAP_AFTER_MS 60000u
#define WALL_MS       1790000000000
#define EVERY         UINT32_MAX /* limit of an expire command without one */

struct fixture {
    struct registry *registry;
    struct result result; /* of the last command */
    uint64_t index;       /* of the last entry */
    uint64_t now_ms;      /* time stamp of the next entry */
};

static inline int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    rcu_register_thread();
    f->registry = registry_create(&(struct registry_options){.retire = NULL});
    f->now_ms = 1000;
    *state = f;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    free(f->result.missed);
    registry_destroy(f->registry);
    free(f);
    rcu_unregister_thread();
    return 0;
}

/* --- commands --- */

static inline struct command command_register(const char *id, const char *name)
{
    return (struct command){
        .kind = COMMAND_REGISTER,
        .register_ = {.registration = {.id = slice_of(id),
                                       .name = slice_of(name),
                                       .type = slice_of(""),
                                       .host = slice_of("10.0.0.1"),
                                       .zone = slice_of(""),
                                       .port = 8080,
                                       .weight = 1,
                                       .ttl_ms = TTL_MS,
                                       .reap_after_ms = REAP_AFTER_MS}},
    };
}

/* `id` is borrowed. */
static inline struct command command_heartbeat(const struct slice *id)
{
    return (struct command){.kind = COMMAND_HEARTBEAT, .heartbeat = {.ids = id, .count = 1}};
}

static inline struct command command_deregister(const char *id, uint64_t incarnation)
{
    return (struct command){.kind = COMMAND_DEREGISTER,
                            .deregister = {.id = slice_of(id), .incarnation = incarnation}};
}

static inline struct command command_maintenance(const char *id, bool enabled, const char *reason)
{
    return (struct command){
        .kind = COMMAND_MAINTENANCE,
        .maintenance = {.id = slice_of(id), .enabled = enabled, .reason = slice_of(reason)}};
}

static inline struct command command_expire(uint64_t until_ms, uint32_t limit)
{
    return (struct command){.kind = COMMAND_EXPIRE,
                            .expire = {.until_ms = until_ms, .limit = limit}};
}

/* --- entries --- */

static inline void assert_verified(struct registry *r)
{
    const char *broken = registry_verify(r);
    if (broken != NULL) {
        fail_msg("%s", broken);
    }
}

static inline void fixture_begin(struct fixture *f)
{
    const struct stamp stamp = {.now_ms = f->now_ms, .wall_ms = WALL_MS + (int64_t)f->now_ms};
    registry_begin(f->registry, ++f->index, &stamp);
}

static inline void fixture_end(struct fixture *f)
{
    registry_end(f->registry);
    registry_publish(f->registry);
    assert_verified(f->registry);
}

/* At the newest level. */
static inline int fixture_set_up_newest(void **state)
{
    int failed = fixture_set_up(state);
    struct fixture *f = *state;
    fixture_begin(f);
    registry_set_level(f->registry, LEVEL_MAX);
    fixture_end(f);
    return failed;
}

static inline const struct result *fixture_apply(struct fixture *f, const struct command *command)
{
    free(f->result.missed);
    fixture_begin(f);
    registry_apply(f->registry, 0, command, &f->result);
    fixture_end(f);
    return &f->result;
}

static inline const struct result *fixture_register(struct fixture *f, const char *id,
                                                    const char *name)
{
    const struct command command = command_register(id, name);
    return fixture_apply(f, &command);
}

static inline const struct result *fixture_heartbeat(struct fixture *f, const char *id)
{
    const struct slice one = slice_of(id);
    const struct command command = command_heartbeat(&one);
    return fixture_apply(f, &command);
}

static inline const struct result *fixture_deregister(struct fixture *f, const char *id)
{
    const struct command command = command_deregister(id, 0);
    return fixture_apply(f, &command);
}

/* An expire entry, with a limit. */
static inline const struct result *fixture_expire(struct fixture *f, uint32_t limit)
{
    const struct command command = command_expire(f->now_ms, limit);
    return fixture_apply(f, &command);
}

static inline const struct result *fixture_renew(struct fixture *f, const struct lease_ref *refs,
                                                 uint32_t count)
{
    uint8_t *bytes = malloc((size_t)count * 8);
    for (uint32_t i = 0; i < count; i++) {
        lease_ref_store(bytes + (size_t)i * LEASE_REF_BYTES, &refs[i]);
    }
    const struct command command = {.kind = COMMAND_RENEW,
                                    .renew = {.refs = bytes, .count = count}};
    fixture_apply(f, &command);
    free(bytes);
    return &f->result;
}

/* --- queries --- */

static inline const struct view *fixture_view(const struct fixture *f)
{
    return registry_view(f->registry);
}

/* NULL if not present. */
static inline const struct record *fixture_record(const struct fixture *f, const char *id)
{
    return view_instance(fixture_view(f), id);
}

static inline enum health fixture_health(const struct fixture *f, const char *id)
{
    const struct record *record = fixture_record(f, id);
    assert_non_null(record);
    return record_health(record);
}

static inline struct lease_ref fixture_ref(const struct fixture *f, const char *id)
{
    struct lease_ref ref;
    rcu_read_lock();
    assert_true(view_find_lease(registry_view(f->registry), id, strlen(id), &ref));
    rcu_read_unlock();
    return ref;
}

static inline uint64_t fixture_deadline_ms(const struct fixture *f, const char *id)
{
    uint64_t renewed_ms;
    uint64_t deadline_ms;
    view_lease_times(registry_view(f->registry), fixture_record(f, id), &renewed_ms, &deadline_ms);
    return deadline_ms;
}

static inline uint64_t fixture_events(const struct fixture *f)
{
    return fixture_view(f)->events_last;
}

static inline void assert_event(const struct fixture *f, uint64_t sequence, enum event_type type,
                                const char *id)
{
    const struct event *event = view_event(fixture_view(f), sequence);
    assert_non_null(event);
    assert_string_equal(event_type_name(event->type), event_type_name(type));
    assert_string_equal(record_id(event->record), id);
}

/* --- two registries --- */

static inline void assert_same_records(const struct ptree *a, const struct ptree *b)
{
    struct ptree_iterator in_a;
    struct ptree_iterator in_b;
    const struct record *x;
    assert_int_equal(ptree_count(a), ptree_count(b));
    ptree_iterate(&in_a, a, 0);
    ptree_iterate(&in_b, b, 0);
    while ((x = ptree_next(&in_a)) != NULL) {
        const struct record *y = ptree_next(&in_b);
        assert_string_equal(record_id(x), record_id(y));
        assert_true(record_hash(x) == record_hash(y));
        assert_int_equal(x->slot, y->slot);
    }
}

static inline void assert_same_tallies(const struct ptree *a, const struct ptree *b)
{
    struct ptree_iterator in_a;
    struct ptree_iterator in_b;
    const struct tally *x;
    assert_int_equal(ptree_count(a), ptree_count(b));
    ptree_iterate(&in_a, a, 0);
    ptree_iterate(&in_b, b, 0);
    while ((x = ptree_next(&in_a)) != NULL) {
        const struct tally *y = ptree_next(&in_b);
        assert_string_equal(x->text, y->text);
        assert_int_equal(x->count, y->count);
    }
}

static inline void assert_same_services(const struct view *a, const struct view *b)
{
    struct ptree_iterator in_a;
    struct ptree_iterator in_b;
    const struct service_view *x;
    assert_int_equal(a->services_count, b->services_count);
    assert_int_equal(ptree_count(&a->services), ptree_count(&b->services));
    view_iterate_services(&in_a, a, 0);
    view_iterate_services(&in_b, b, 0);
    while ((x = ptree_next(&in_a)) != NULL) {
        const struct service_view *y = ptree_next(&in_b);
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->index, y->index);
        assert_memory_equal(x->counts, y->counts, sizeof x->counts);
        assert_same_records(&x->instances, &y->instances);
        assert_same_tallies(&x->tags, &y->tags);
        assert_same_tallies(&x->types, &y->types);
    }
}

static inline void assert_same_events(const struct view *a, const struct view *b)
{
    assert_int_equal(a->events_first, b->events_first);
    assert_int_equal(a->events_last, b->events_last);
    for (uint64_t i = a->events_first; i <= a->events_last; i++) {
        const struct event *x = view_event(a, i);
        const struct event *y = view_event(b, i);
        assert_non_null(x);
        assert_non_null(y);
        assert_int_equal(x->index, y->index);
        assert_int_equal(x->position, y->position);
        assert_int_equal(x->type, y->type);
        assert_int_equal(x->wall_ms, y->wall_ms);
        assert_true(record_hash(x->record) == record_hash(y->record));
    }
}

static inline void assert_same_tokens(const struct view *a, const struct view *b)
{
    struct ptree_iterator in_a;
    struct ptree_iterator in_b;
    const struct token *x;
    assert_int_equal(a->tokens_begun, b->tokens_begun);
    assert_int_equal(ptree_count(&a->tokens), ptree_count(&b->tokens));
    ptree_iterate(&in_a, &a->tokens, 0);
    ptree_iterate(&in_b, &b->tokens, 0);
    while ((x = ptree_next(&in_a)) != NULL) {
        const struct token *y = ptree_next(&in_b);
        assert_string_equal(token_id(x), token_id(y));
        assert_true(token_hash(x) == token_hash(y));
    }
}

/* Compares all that readers can see. */
static inline void assert_same_views(const struct view *a, const struct view *b)
{
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->changed_index, b->changed_index);
    assert_int_equal(a->services_index, b->services_index);
    assert_int_equal(a->extinct_index, b->extinct_index);
    assert_int_equal(a->now_ms, b->now_ms);
    assert_int_equal(a->wall_ms, b->wall_ms);
    assert_true(a->hash == b->hash);
    assert_memory_equal(a->counts, b->counts, sizeof a->counts);
    assert_same_records(&a->instances, &b->instances);
    assert_same_services(a, b);
    assert_same_events(a, b);
    assert_same_tokens(a, b);
}

#endif
