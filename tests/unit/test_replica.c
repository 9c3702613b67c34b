/* A replica whose state is replaced by a leader's snapshot while readers use it, and while a
 * snapshot of its own is written. Without consensus: the test makes its calls. ASan and TSan see
 * most of what this shows. */
#include "tests/unit/random_command.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/node/internal.h"
#include "server/registry/snapshot.h"
#include "server/wire/wire_command.h"

#define READERS   3
#define SWAPS     60
#define INSTANCES 300
#define PIECE     1000

static struct {
    struct node node;
    struct consensus_fsm app;
    struct budget budget; /* of listings being sent */
    uint64_t index;
    _Atomic bool ended;
    _Atomic unsigned reads;
    _Atomic uint64_t preempted_us; /* how long each reader pauses before it starts */
    unsigned told;
} t;

static void told(struct node_listener *listener)
{
    (void)listener;
    t.told++;
}

static struct node_listener listener = {.told = told};

static int set_up(void **state)
{
    (void)state;
    rcu_register_thread();
    memset(&t, 0, sizeof t);
    budget_init(&t.budget, SIZE_MAX, METRIC_http_answers_bytes);
    replica_init(&t.node);
    t.app = replica_app(&t.node);
    node_listen(&t.node, &listener);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    replica_done(&t.node);
    rcu_unregister_thread();
    return 0;
}

/* --- entries --- */

static void apply_all(const struct command *commands, uint32_t count)
{
    const struct stamp stamp = {.now_ms = 1000 + t.index * 10, .wall_ms = WALL_MS};
    uint8_t bytes[WIRE_STAMP_BYTES];
    wire_stamp_encode(&stamp, bytes);
    t.app.begin(t.app.ctx, ++t.index, bytes, sizeof bytes);
    for (uint32_t i = 0; i < count; i++) {
        struct buffer out;
        buffer_init(&out, OP_BYTES_MAX);
        wire_command_encode(&commands[i], &out);
        assert_true(t.app.understands(out.data, out.len, t.app.level_max));
        t.app.apply(t.app.ctx, i, out.data, out.len, NULL);
        buffer_done(&out);
    }
    t.app.end(t.app.ctx);
    t.app.publish(t.app.ctx);
}

static void register_one(unsigned number, uint16_t port)
{
    char id[16];
    (void)snprintf(id, sizeof id, "i%03u", number);
    struct command command = command_register(id, number % 2 == 0 ? "even" : "odd");
    command.register_.registration.port = port;
    apply_all(&command, 1);
}

static void renew_all(void)
{
    static uint8_t refs[INSTANCES * LEASE_REF_BYTES];
    struct command command = {.kind = COMMAND_RENEW, .renew = {.refs = refs, .count = INSTANCES}};
    const struct view *view = node_view_lock(&t.node);
    for (unsigned i = 0; i < INSTANCES; i++) {
        char id[16];
        struct lease_ref ref = {0};
        (void)snprintf(id, sizeof id, "i%03u", i);
        (void)view_find_lease(view, id, strlen(id), &ref);
        lease_ref_store(refs + (size_t)i * LEASE_REF_BYTES, &ref);
    }
    view_unlock(&view);
    apply_all(&command, 1);
}

static void add_piece(void *sink, const void *data, size_t len)
{
    buffer_append(sink, data, len);
}

static struct buffer state_bytes(void)
{
    struct buffer out;
    void *snapshot = t.app.take(t.app.ctx);
    buffer_init(&out, 64u * 1024 * 1024);
    t.app.encode(snapshot, add_piece, &out);
    t.app.release(t.app.ctx, snapshot);
    assert_false(out.overflowed);
    return out;
}

/* --- restoring, on a thread not registered with liburcu --- */

struct work {
    void *restore;
    const struct buffer *bytes;
    enum status status;
};

static void *run_restore(void *arg)
{
    struct work *w = arg;
    w->status = ST_OK;
    for (size_t at = 0; at < w->bytes->len && w->status == ST_OK; at += PIECE) {
        size_t len = w->bytes->len - at < PIECE ? w->bytes->len - at : PIECE;
        w->status = t.app.restore_feed(w->restore, w->bytes->data + at, len);
    }
    if (w->status == ST_OK) {
        w->status = t.app.restore_end(w->restore);
    }
    return NULL;
}

static enum status restore_from(const struct buffer *bytes)
{
    pthread_t thread;
    struct work w = {.restore = t.app.restore_begin(t.app.ctx), .bytes = bytes};
    assert_int_equal(pthread_create(&thread, NULL, run_restore, &w), 0);
    pthread_join(thread, NULL);
    if (w.status == ST_OK) {
        t.app.restore_swap(t.app.ctx, w.restore);
    } else {
        t.app.restore_drop(t.app.ctx, w.restore);
    }
    return w.status;
}

/* --- readers --- */

/* The way a heartbeat, a listing and a detail read. */
static void look(const struct view *view)
{
    struct lease_ref ref;
    struct ptree_iterator it;
    uint64_t renewed_ms, deadline_ms, sum = 0;
    if (view_find_lease(view, "i007", 4, &ref)) {
        sum += ref.generation;
    }
    const struct service_view *service = view_service(view, "odd");
    if (service != NULL) {
        ptree_iterate(&it, &service->instances, 0);
        for (const struct record *record; (record = ptree_next(&it)) != NULL;) {
            sum += strlen(record_id(record)) + record->port;
            if (atomic_load(&t.preempted_us) == 0) {
                sched_yield();
            }
        }
    }
    const struct record *record = view_instance(view, "i008");
    if (record != NULL) {
        view_lease_times(view, record, &renewed_ms, &deadline_ms);
        sum += renewed_ms + deadline_ms;
    }
    const struct event *event = view_event(view, view->events_last);
    if (event != NULL) {
        sum += event->index + record_hash(event->record);
    }
    if (sum != 1) {
        atomic_fetch_add(&t.reads, 1);
    }
}

/* The way the listing of a service is answered: the first reader of a version renders the text, all
 * send the same, and it lives as long as one of them uses it. */
static struct rendered *send_listing(const struct view *view)
{
    const struct service_view *service = view_service(view, "odd");
    if (service == NULL) {
        return NULL;
    }
    struct rendered *text = atomic_load_explicit(&service->rendered, memory_order_acquire);
    if (text == NULL) {
        struct buffer out;
        buffer_init(&out, 2 * BUDGET_FREE_BYTES);
        buffer_count_in(&out, &t.budget);
        while (out.len <= BUDGET_FREE_BYTES) {
            buffer_append_u64(&out, service->index);
        }
        text = view_keep_rendered(service, rendered_take(&out));
    }
    assert_true(rendered_send(text));
    assert_true(load_u64((const uint8_t *)text->data) == service->index);
    return text;
}

static void end_listing(struct rendered *text)
{
    if (text != NULL) {
        const uint8_t *bytes = (const uint8_t *)text->data;
        assert_memory_equal(bytes, bytes + 8, text->len - 8); /* all of one version */
        rendered_sent(text);
    }
}

static void *run_reader(void *arg)
{
    struct rendered *sending = NULL;
    (void)arg;
    rcu_register_thread();
    while (!atomic_load(&t.ended)) {
        usleep((useconds_t)atomic_load(&t.preempted_us));
        const struct view *view = node_view_lock(&t.node);
        look(view);
        usleep((useconds_t)atomic_load(&t.preempted_us));
        look(view);
        struct rendered *next = send_listing(view);
        view_unlock(&view);
        assert_null(view);
        end_listing(sending); /* while its version may be gone */
        sending = next;
    }
    end_listing(sending);
    rcu_unregister_thread();
    return NULL;
}

static void swap_while_readers_read(uint64_t preempted_us)
{
    pthread_t readers[READERS];
    atomic_store(&t.preempted_us, preempted_us);
    for (unsigned i = 0; i < INSTANCES; i++) {
        register_one(i, 1);
    }
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&readers[i], NULL, run_reader, NULL), 0);
    }
    for (unsigned i = 0; i < SWAPS; i++) {
        struct buffer bytes = state_bytes();
        uint64_t hash = t.app.hash(t.app.ctx);
        struct registry *before = t.node.registry;
        assert_int_equal(restore_from(&bytes), ST_OK);
        assert_ptr_not_equal(t.node.registry, before);
        assert_true(t.app.hash(t.app.ctx) == hash);
        buffer_done(&bytes);
        register_one(i % INSTANCES, (uint16_t)(i + 2));
        renew_all();
    }
    atomic_store(&t.ended, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(readers[i], NULL);
    }
    assert_verified(t.node.registry);
    assert_true(atomic_load(&t.reads) > 0);
    assert_int_equal(atomic_load(&t.budget.used), 0);
}

static void the_state_is_replaced_while_readers_read(void **state)
{
    (void)state;
    swap_while_readers_read(0);
}

/* A reader that is preempted before or inside its section, while a snapshot is installed, continues
 * with the registry that it found. */
static void the_state_is_replaced_while_a_reader_is_preempted(void **state)
{
    (void)state;
    swap_while_readers_read(20000);
}

/* --- snapshots of its own, meanwhile --- */

static void a_snapshot_outlives_the_registry_that_it_is_of(void **state)
{
    (void)state;
    struct buffer held_bytes;
    for (unsigned i = 0; i < 20; i++) {
        register_one(i, 1);
    }
    struct buffer bytes = state_bytes();
    void *held = t.app.take(t.app.ctx);
    register_one(3, 2);
    assert_int_equal(restore_from(&bytes), ST_OK);
    rcu_barrier();
    assert_non_null(t.node.held);
    renew_all();
    buffer_init(&held_bytes, 64u * 1024 * 1024);
    t.app.encode(held, add_piece, &held_bytes);
    assert_int_equal(bytes.len, held_bytes.len);
    assert_memory_equal(bytes.data, held_bytes.data, bytes.len);
    t.app.release(t.app.ctx, held);
    assert_null(t.node.held);
    buffer_done(&held_bytes);
    buffer_done(&bytes);
}

struct encoding {
    void *snapshot;
    struct buffer out;
};

static void *run_encode(void *arg)
{
    struct encoding *e = arg;
    t.app.encode(e->snapshot, add_piece, &e->out);
    return NULL;
}

static void a_snapshot_is_written_while_leases_and_instances_change(void **state)
{
    (void)state;
    for (unsigned i = 0; i < INSTANCES; i++) {
        register_one(i, 1);
    }
    for (unsigned k = 0; k < 20; k++) {
        pthread_t thread;
        struct buffer before = state_bytes();
        struct encoding e = {.snapshot = t.app.take(t.app.ctx)};
        buffer_init(&e.out, 64u * 1024 * 1024);
        assert_int_equal(pthread_create(&thread, NULL, run_encode, &e), 0);
        for (unsigned i = 0; i < 30; i++) {
            renew_all();
            register_one(i * 7 % INSTANCES, (uint16_t)(k + 2));
            const struct command gone = command_deregister("i011", 0);
            apply_all(&gone, 1);
            register_one(INSTANCES + i, 1); /* possibly in the free slot */
        }
        pthread_join(thread, NULL);
        t.app.release(t.app.ctx, e.snapshot);
        assert_int_equal(before.len, e.out.len);
        assert_memory_equal(before.data, e.out.data, before.len);
        buffer_done(&before);
        buffer_done(&e.out);
    }
    assert_verified(t.node.registry);
}

/* --- invalid states and commands --- */

static void bytes_that_are_no_state_change_nothing(void **state)
{
    (void)state;
    register_one(1, 1);
    struct buffer bytes = state_bytes();
    uint64_t hash = t.app.hash(t.app.ctx);
    unsigned before = t.told;
    for (size_t cut = 1; cut < bytes.len; cut += 7) {
        struct buffer part = bytes;
        part.len = bytes.len - cut;
        assert_int_equal(restore_from(&part), ST_CORRUPT);
    }
    assert_true(t.app.hash(t.app.ctx) == hash);
    assert_int_equal(t.told, before);
    assert_int_equal(restore_from(&bytes), ST_OK);
    assert_int_equal(t.told, before + 1);
    buffer_done(&bytes);
}

static void a_command_above_a_limit_is_refused_and_changes_nothing(void **state)
{
    static char filler[NAME_BYTES_MAX + 1];
    struct node_write write = {.result = {.status = ST_OK}};
    struct buffer out;
    (void)state;
    memset(filler, 'x', sizeof filler);
    const struct command command = {.kind = COMMAND_DEREGISTER,
                                    .deregister = {.id = {.data = filler, .len = sizeof filler}}};
    const struct stamp stamp = {.now_ms = 1, .wall_ms = WALL_MS};
    uint8_t bytes[WIRE_STAMP_BYTES];
    wire_stamp_encode(&stamp, bytes);
    buffer_init(&out, OP_BYTES_MAX);
    wire_command_encode(&command, &out);
    t.app.begin(t.app.ctx, ++t.index, bytes, sizeof bytes);
    uint64_t before = t.app.hash(t.app.ctx);
    t.app.apply(t.app.ctx, 0, out.data, out.len, &write.op);
    assert_true(t.app.hash(t.app.ctx) == before);
    t.app.end(t.app.ctx);
    t.app.publish(t.app.ctx);
    assert_int_equal(write.result.status, ST_TOO_LARGE);
    assert_int_equal(write.result.index, t.index);
    assert_null(write.result.missed);
    buffer_done(&out);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_state_is_replaced_while_readers_read),
        CASE(the_state_is_replaced_while_a_reader_is_preempted),
        CASE(a_snapshot_outlives_the_registry_that_it_is_of),
        CASE(a_snapshot_is_written_while_leases_and_instances_change),
        CASE(bytes_that_are_no_state_change_nothing),
        CASE(a_command_above_a_limit_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
