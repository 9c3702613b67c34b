/* Out of memory, the library reports it or retries: it never ends the process, and leaks nothing
 * (as the run under ASan shows). Allocations are counted, and one of them fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/include/muster.h"
#include "client/lib/failover.h"
#include "client/lib/instance.h"
#include "client/lib/instance_set.h"
#include "client/lib/sse.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);

static _Atomic long left; /* allocations before the failing one */

static bool is_refused(void)
{
    return atomic_fetch_sub(&left, 1) == 0;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return is_refused() ? NULL : __real_strdup(text);
}

static const char *const nobody = "http://127.0.0.1:1,http://127.0.0.1:2";

static void on_change(void *ctx, enum muster_change change, const struct muster_instance *instance)
{
    (void)ctx;
    (void)change;
    (void)instance;
}

/* Everything once, without a server. True if it reached the end. */
static bool run_all(bool use_dispatch)
{
    const struct muster_options options = {.size = sizeof options,
                                           .servers = nobody,
                                           .fallback = "http://10.0.0.1:80",
                                           .use_dispatch = use_dispatch};
    const char *const tags[] = {"a"};
    const struct muster_pair pairs[] = {{"k", "v"}};
    const struct muster_spec spec = {.size = sizeof spec,
                                     .name = "web",
                                     .port = 80,
                                     .tags = tags,
                                     .tags_count = 1,
                                     .metadata = pairs,
                                     .metadata_count = 1};
    const struct muster_query query = {.size = sizeof query, .service = "web"};
    struct muster *muster;
    struct muster_registration *registration;
    const struct muster_query linearizable = {
        .size = sizeof linearizable, .service = "web", .linearizable = true};
    struct muster_follow *follow;
    struct muster_found found;
    enum muster_error error = muster_open(&options, &muster, NULL, 0);
    if (error != MUSTER_OK) {
        assert_true(error == MUSTER_NO_MEMORY || error == MUSTER_SYSTEM || error == MUSTER_INVALID);
        return false;
    }
    error = muster_register(muster, &spec, &registration);
    bool whole = error == MUSTER_OK;
    assert_true(whole || error == MUSTER_NO_MEMORY || error == MUSTER_INVALID);
    if (whole) {
        error = muster_wait(registration, 30);
        assert_true(error == MUSTER_UNREACHABLE || error == MUSTER_TIMED_OUT ||
                    error == MUSTER_NO_MEMORY);
    }
    error = muster_discover(muster, &query, 30, &found);
    assert_true(error == MUSTER_OK || error == MUSTER_NO_MEMORY);
    if (error == MUSTER_OK) {
        assert_int_equal(found.source, MUSTER_FROM_FALLBACK);
        muster_instance_unref(found.instance);
    }
    whole = whole && error == MUSTER_OK;
    error = muster_discover(muster, &linearizable, 30, &found);
    assert_true(error == MUSTER_UNREACHABLE || error == MUSTER_TIMED_OUT ||
                error == MUSTER_NO_MEMORY);
    error = muster_follow(muster, "web", on_change, NULL, &follow);
    whole = whole && error == MUSTER_OK;
    assert_true(error == MUSTER_OK || error == MUSTER_NO_MEMORY);
    if (use_dispatch) {
        error = muster_dispatch(muster);
        assert_true(error == MUSTER_OK || error == MUSTER_NO_MEMORY);
    }
    muster_close(muster, 0);
    return whole;
}

static void no_allocation_that_fails_ends_the_process(void **state)
{
    (void)state;
    bool done = false;
    for (long n = 0; n < 80; n++) {
        left = n;
        done = run_all(n % 2 == 0);
    }
    left = -1;
    done = run_all(true) && run_all(false);
    assert_true(done);
}

static void a_stream_without_memory_is_given_up(void **state)
{
    (void)state;
    struct sse sse;
    char line[600];
    memset(line, 'x', sizeof line);
    memcpy(line, "data:", 5);
    line[sizeof line - 1] = '\n';
    left = 0;
    sse_init(&sse, NULL, NULL);
    assert_false(sse_feed(&sse, line, sizeof line));
    left = -1;
    sse_done(&sse);
}

static void a_set_without_memory_stays_as_it_was(void **state)
{
    (void)state;
    struct instance_set set = {.count = 0};
    left = -1;
    json_t *json = json_pack("{s:s, s:s}", "id", "a", "health", "passing");
    const struct muster_instance *made = instance_make(json);
    left = 0;
    assert_null(instance_make(json));
    left = 0;
    assert_false(instance_set_put(&set, made));
    left = -1;
    assert_int_equal(set.count, 0);
    assert_true(instance_set_put(&set, made));
    instance_set_done(&set);
    json_decref(json);
}

int main(void)
{
    left = -1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_allocation_that_fails_ends_the_process),
        cmocka_unit_test(a_stream_without_memory_is_given_up),
        cmocka_unit_test(a_set_without_memory_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
