/* The table by id grows with the number of instances, not with unlucky hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <urcu.h>

#include "server/base/process.h"
#include "server/registry/internal.h"
#include "server/registry/restore.h"

#define INSTANCES 200000
/* It takes about 270; a table that grows by its longest chain took 1,250 here, and gigabytes in a
 * server. Sanitizers keep freed memory. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BYTES_EACH_MAX 5000
#else
#define BYTES_EACH_MAX 600
#endif

static struct slice text(const char *s)
{
    return (struct slice){.data = s, .len = strlen(s)};
}

static void register_one(struct registry *r, uint32_t n)
{
    char id[24];
    struct command command = {.kind = COMMAND_REGISTER};
    struct stamp stamp = {.now_ms = n};
    snprintf(id, sizeof id, "instance-%u", n);
    command.register_.registration = (struct registration){
        .id = text(id),
        .name = text("many"),
        .type = text(""),
        .host = text("10.0.0.1"),
        .zone = text(""),
        .port = 80,
        .ttl_ms = 3600000,
    };
    registry_begin(r, n, &stamp);
    registry_apply(r, 0, &command, NULL);
    registry_end(r);
    registry_publish(r);
}

static void memory_grows_with_the_instances_only(void **state)
{
    (void)state;
    const struct registry_options options = {0};
    struct lease_ref ref;
    rcu_register_thread();
    uint64_t before = process_resident_bytes();
    struct registry *r = registry_create(&options);
    for (uint32_t n = 1; n <= INSTANCES; n++) {
        register_one(r, n);
    }
    uint64_t taken = process_resident_bytes() - before;
    print_message("%llu bytes for each of %d instances\n", (unsigned long long)taken / INSTANCES,
                  INSTANCES);
    assert_true(taken / INSTANCES < BYTES_EACH_MAX);
    const struct view *view = view_lock(&(struct view_source){.registry = r});
    assert_true(view_find_lease(view, "instance-77777", strlen("instance-77777"), &ref));
    view_unlock(&view);
    registry_destroy(r);
    rcu_unregister_thread();
}

static void restore_one(void *ctx, const struct snapshot_instance *said)
{
    struct registry *restored = ctx;
    struct record *record = record_copy(said->record, NULL, NULL);
    record->references = 1;
    assert_int_equal(
        registry_restore_instance(restored, record, said->renewed_ms, said->deadline_ms), ST_OK);
}

static void restore_service(void *ctx, const char *name, uint64_t index)
{
    assert_int_equal(registry_restore_service(ctx, name, index), ST_OK);
}

static void restore_event(void *ctx, const struct event *event)
{
    struct event copy = *event;
    copy.record = record_copy(event->record, NULL, NULL);
    assert_int_equal(registry_restore_event(ctx, &copy), ST_OK);
}

/* With long chains, restoring a million instances took 40 s. */
static void it_has_a_bucket_for_each_instance_after_a_restore(void **state)
{
    (void)state;
    const struct registry_options options = {0};
    struct snapshot_head head;
    rcu_register_thread();
    struct registry *r = registry_create(&options);
    struct registry *restored = registry_create(&options);
    for (uint32_t n = 1; n <= INSTANCES / 10; n++) {
        register_one(r, n);
    }
    struct registry_snapshot *snapshot = registry_snapshot_take(r);
    const struct snapshot_visitor visitor = {.instance = restore_one,
                                             .service = restore_service,
                                             .event = restore_event,
                                             .ctx = restored};
    registry_snapshot_head(snapshot, &head);
    assert_int_equal(registry_restore_head(restored, &head), ST_OK);
    registry_snapshot_walk(snapshot, &visitor);
    registry_snapshot_release(snapshot);
    assert_int_equal(registry_restore_end(restored), ST_OK);
    assert_true(restored->buckets >= registry_count(restored));
    assert_null(registry_verify(restored));
    registry_destroy(restored);
    registry_destroy(r);
    rcu_unregister_thread();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_grows_with_the_instances_only),
        cmocka_unit_test(it_has_a_bucket_for_each_instance_after_a_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
