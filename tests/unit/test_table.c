/* The table by id grows with the instances, not with the luck of their hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <urcu.h>

#include "api/machine.h"
#include "server/registry/registry.h"
#include "server/registry/view.h"

#define INSTANCES 200000
/* It takes about 270; a table that grew by the longest chain took 1,250 here and gigabytes in a
 * server. AddressSanitizer keeps what was freed. */
#if defined(__SANITIZE_ADDRESS__)
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
    uint64_t before = machine_resident_bytes();
    struct registry *r = registry_create(&options);
    for (uint32_t n = 1; n <= INSTANCES; n++) {
        register_one(r, n);
    }
    uint64_t taken = machine_resident_bytes() - before;
    print_message("%llu bytes for each of %d instances\n", (unsigned long long)taken / INSTANCES,
                  INSTANCES);
    assert_true(taken / INSTANCES < BYTES_EACH_MAX);
    view_lock();
    assert_true(registry_find_lease(r, "instance-77777", strlen("instance-77777"), &ref));
    view_unlock();
    registry_destroy(r);
    rcu_unregister_thread();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(memory_grows_with_the_instances_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
