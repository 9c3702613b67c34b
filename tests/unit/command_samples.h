/* One command of each kind, and some with a guard or in a namespace, for tests of their bytes. */
#ifndef MUSTER_TESTS_COMMAND_SAMPLES_H
#define MUSTER_TESTS_COMMAND_SAMPLES_H

#include "tests/unit/registry_fixture.h"

static char filler[OUTPUT_BYTES_MAX + 2];

static int set_up_filler(void **state)
{
    (void)state;
    memset(filler, 'x', sizeof filler);
    return 0;
}

static struct slice filled(size_t len)
{
    return (struct slice){.data = filler, .len = len};
}

static const uint8_t refs[] = {1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0};

static const uint8_t secret_hash[TOKEN_HASH_BYTES] = {7, 0, 255, 1};

static struct command sample(size_t which);

static struct command sample_of_namespaces(size_t which)
{
    static const size_t others[] = {0, 11, 9};
    switch (which) {
    case 0:
        return (struct command){.kind = COMMAND_QUOTA_SET,
                                .quota_set = {slice_of("shop"), 500, 1 << 20, 9}};
    case 1:
        return (struct command){.kind = COMMAND_QUOTA_DELETE,
                                .quota_delete = {.name = slice_of("shop")}};
    default: {
        struct command c = sample(others[which - 2]);
        c.space = slice_of("shop.eu-1");
        return c;
    }
    }
}

static struct command sample_of_policies(size_t which)
{
    struct command c;
    switch (which) {
    case 0:
        c = sample(9);
        c.policy_create = (__typeof__(c.policy_create)){.spec = c.token_create.spec, .ttl_s = 60};
        c.kind = COMMAND_POLICY_CREATE;
        c.policy_create.spec.id = slice_of("*spiffe://prod/");
        c.policy_create.spec.hash.len = 0;
        return c;
    case 1:
        return (struct command){.kind = COMMAND_POLICY_DELETE,
                                .policy_delete = {.id = slice_of("=web")}};
    default:
        c = sample(4);
        c.guard = (struct guard){.kind = GUARD_CERTIFICATE, .who = slice_of("spiffe://prod/web")};
        return c;
    }
}

static struct command sample_of_checks(size_t which)
{
    static const struct check_spec spec = {.key = {"service:web-1", 13},
                                           .extra = {"n=alive", 7},
                                           .note = {"all is well", 11},
                                           .ttl_ms = 30000,
                                           .reap_after_ms = 60000,
                                           .status = HEALTH_WARNING};
    if (which == 0) {
        struct command c = {.kind = COMMAND_ENROL,
                            .enrol = {.incarnation = 1u << 20,
                                      .takes_over = true,
                                      .only_these = true,
                                      .only_here = true,
                                      .checks_count = 2,
                                      .checks = {spec, spec}}};
        c.enrol.registration = command_register("web-1", "web").register_.registration;
        c.enrol.registration.extra = slice_of("o=10.0.0.1");
        c.enrol.checks[1].key = slice_of("other");
        c.enrol.checks[1].extra = c.enrol.checks[1].note = slice_of("");
        return c;
    }
    if (which == 1) {
        return (struct command){.kind = COMMAND_CHECK_PUT,
                                .check_put = {.id = slice_of("web-1"), .check = spec}};
    }
    if (which == 2) {
        return (struct command){.kind = COMMAND_PROBERS,
                                .probers = {.count = 3, .members = {1, 7, 1ull << 40}}};
    }
    struct command c = {.kind = COMMAND_CHECK_PUT,
                        .check_put = {.id = slice_of("web-1"), .check = spec}};
    c.check_put.check.active = true;
    c.check_put.check.ttl_ms = 0;
    return which == 3 ? c
                      : (struct command){.kind = COMMAND_CHECK_RESULT,
                                         .check_result = {.id = slice_of("web-1\x1e:alive"),
                                                          .definition = 1ull << 50,
                                                          .member = 3,
                                                          .epoch = 1ull << 40,
                                                          .status = HEALTH_CRITICAL,
                                                          .note = slice_of("HTTP 500")}};
}

static struct command sample(size_t which)
{
    static struct slice ids[3];
    ids[0] = slice_of("web-1");
    ids[1] = slice_of("web-2");
    ids[2] = slice_of("");
    struct command c;
    switch (which) {
    case 0:
        c = command_register("web-1", "web");
        c.register_.incarnation = UINT64_MAX;
        c.register_.health_given = true;
        c.register_.health = HEALTH_CRITICAL;
        c.register_.registration.tags_count = 2;
        c.register_.registration.tags[0] = slice_of("v1");
        c.register_.registration.tags[1] = filled(40);
        c.register_.registration.metadata_count = 1;
        c.register_.registration.metadata[0] = (struct pair){slice_of("key"), slice_of("value")};
        return c;
    case 1:
        return (struct command){.kind = COMMAND_RENEW, .renew = {.refs = refs, .count = 2}};
    case 2:
        c = command_heartbeat(ids);
        c.heartbeat.count = 3;
        return c;
    case 3:
        c = command_heartbeat(ids);
        c.heartbeat.incarnation = 77;
        c.heartbeat.status_given = c.heartbeat.note_given = true;
        c.heartbeat.status = HEALTH_WARNING;
        c.heartbeat.note = slice_of("slow disk");
        return c;
    case 4:
        return command_deregister("web-1", 1ull << 40);
    case 5:
        return command_maintenance("web-1", true, "upgrade");
    case 6:
        return command_expire(123456789012, 77);
    case 7:
        return (struct command){.kind = COMMAND_KEEP_EVENTS, .keep_events = {.count = 300}};
    case 8:
        return (struct command){.kind = COMMAND_STATE_BYTES, .state_bytes = {.most = 1ull << 40}};
    case 9:
        return (struct command){
            .kind = COMMAND_TOKEN_CREATE,
            .token_create = {.spec = {.id = slice_of("aaaaaaaaaa"),
                                      .hash = {(const char *)secret_hash, sizeof secret_hash},
                                      .description = slice_of("web's own"),
                                      .grants = TOKEN_METRICS | TOKEN_OPERATOR_READ,
                                      .scopes_count = 2,
                                      .scopes = {{slice_of("web"), true, true}, {slice_of("db")}}},
                             .ttl_s = 86400,
                             .turn = TOKEN_TURN_FIRST},
        };
    case 10:
        return (struct command){.kind = COMMAND_TOKEN_REVOKE,
                                .token_revoke = {.id = slice_of("aaaaaaaaaa")}};
    case 11:
        c = sample(3);
        c.guard = (struct guard){.kind = GUARD_TOKEN, .who = slice_of("aaaaaaaaaa")};
        return c;
    case 12:
        c = sample(0);
        c.guard = (struct guard){.kind = GUARD_UNTIL_FIRST};
        return c;
    case 13:
    case 14:
    case 15:
        return sample_of_policies(which - 13);
    case 16:
        return (struct command){.kind = COMMAND_SINK_CONFIRM,
                                .sink_confirm = {slice_of("amqp"), 1ull << 40, 77}};
    case 17:
    case 18:
    case 19:
    case 20:
    case 21:
        return sample_of_checks(which - 17);
    default:
        return sample_of_namespaces(which - 22);
    }
}
#define SAMPLES         27
#define SAMPLES_GUARDED 11 /* and the next */

#endif
