/* The shares of the queue into the loop: heartbeats cannot be refused because of other writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "consensus/admission.h"
#include "server/base/limits.h"

static const enum consensus_lane others[] = {CONSENSUS_NORMAL, CONSENSUS_READ, CONSENSUS_POST,
                                             CONSENSUS_CHANGE};

static void other_writes_cannot_refuse_heartbeats(void **state)
{
    (void)state;
    struct admission a = {0};
    for (unsigned i = 0; i < QUEUE_OPS_MAX; i++) {
        assert_true(admission_enter(&a, others[i % 4], 10, 1));
    }
    assert_false(admission_enter(&a, CONSENSUS_NORMAL, 10, 1));
    assert_false(admission_refuses_heartbeats(&a, 1));
    for (unsigned i = 0; i < QUEUE_OPS_MAX; i++) {
        assert_true(admission_enter(&a, CONSENSUS_URGENT, 10, 1));
    }
    assert_false(admission_enter(&a, CONSENSUS_URGENT, 10, 1));
    assert_true(admission_refuses_heartbeats(&a, 1));
}

static void heartbeats_cannot_refuse_other_writes(void **state)
{
    (void)state;
    struct admission a = {0};
    assert_true(admission_enter(&a, CONSENSUS_URGENT, QUEUE_BYTES_MAX, 1));
    assert_false(admission_enter(&a, CONSENSUS_URGENT, 1, 1));
    assert_true(admission_enter(&a, CONSENSUS_NORMAL, QUEUE_BYTES_MAX, 1));
    assert_false(admission_enter(&a, CONSENSUS_NORMAL, 1, 1));
}

static void what_waits_for_its_batch_counts_too(void **state)
{
    (void)state;
    struct admission a = {0};
    assert_true(admission_enter(&a, CONSENSUS_NORMAL, QUEUE_BYTES_MAX - 5, 1));
    admission_set_waiting(&a.others, 1, QUEUE_BYTES_MAX - 5);
    admission_taken(&a, CONSENSUS_NORMAL, 1, QUEUE_BYTES_MAX - 5);
    assert_false(admission_enter(&a, CONSENSUS_NORMAL, 6, 1));
    assert_true(admission_enter(&a, CONSENSUS_NORMAL, 5, 1));
    admission_set_waiting(&a.others, 0, 0);
    assert_true(admission_enter(&a, CONSENSUS_NORMAL, QUEUE_BYTES_MAX - 5, 1));
    admission_set_waiting(&a.heartbeats, QUEUE_OPS_MAX, 0);
    assert_false(admission_enter(&a, CONSENSUS_URGENT, 0, 1));
}

static void a_refused_heartbeat_is_remembered_for_a_second(void **state)
{
    (void)state;
    struct admission a = {0};
    assert_false(admission_refuses_heartbeats(&a, 5000));
    admission_set_waiting(&a.heartbeats, QUEUE_OPS_MAX, 0);
    assert_false(admission_enter(&a, CONSENSUS_URGENT, 0, 5000));
    admission_set_waiting(&a.heartbeats, 0, 0);
    assert_true(admission_enter(&a, CONSENSUS_URGENT, 0, 5001));
    assert_true(admission_refuses_heartbeats(&a, 5000 + ADMISSION_REFUSED_MS - 1));
    assert_false(admission_refuses_heartbeats(&a, 5000 + ADMISSION_REFUSED_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_writes_cannot_refuse_heartbeats),
        cmocka_unit_test(heartbeats_cannot_refuse_other_writes),
        cmocka_unit_test(what_waits_for_its_batch_counts_too),
        cmocka_unit_test(a_refused_heartbeat_is_remembered_for_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
