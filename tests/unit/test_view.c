/* What readers see: published views never change, and provide pages, counts and cached text. */
#include <inttypes.h>

#include "tests/unit/random_command.h"

/* Holds back retired memory, as if readers could still see all of it. */
struct heap {
    void **lists[4096];
    size_t counts[4096];
    size_t used;
};

static void hold_back(void *ctx, void **memory, size_t count)
{
    struct heap *heap = ctx;
    assert_true(heap->used < ARRAY_LENGTH(heap->lists));
    heap->lists[heap->used] = memory;
    heap->counts[heap->used++] = count;
}

static void give_back(struct heap *heap)
{
    for (size_t i = 0; i < heap->used; i++) {
        registry_free_retired(heap->lists[i], heap->counts[i]);
    }
    heap->used = 0;
}

static void print_records(struct buffer *out, const struct ptree *records)
{
    struct ptree_iterator it;
    ptree_iterate(&it, records, 0);
    for (const struct record *r; (r = ptree_next(&it)) != NULL;) {
        buffer_printf(out, "  %s %" PRIx64 "\n", record_id(r), record_hash(r));
    }
}

static void print_tallies(struct buffer *out, const struct ptree *tallies)
{
    struct ptree_iterator it;
    ptree_iterate(&it, tallies, 0);
    for (const struct tally *t; (t = ptree_next(&it)) != NULL;) {
        buffer_printf(out, "  %s %" PRIu32 "\n", t->text, t->count);
    }
}

/* Everything readable in a view, as text. */
static void print_view(struct buffer *out, const struct view *view)
{
    struct ptree_iterator it;
    buffer_init(out, 16 * 1024 * 1024);
    buffer_printf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64 " %u\n",
                  view->index, view->changed_index, view->services_index, view->extinct_index,
                  view->hash, view->services_count);
    print_records(out, &view->instances);
    view_iterate_services(&it, view, 0);
    for (const struct service_view *s; (s = ptree_next(&it)) != NULL;) {
        buffer_printf(out, "%s %" PRIu64 " %u %u %u %u\n", s->name, s->index, s->counts[0],
                      s->counts[1], s->counts[2], s->counts[3]);
        print_records(out, &s->instances);
        print_tallies(out, &s->tags);
        print_tallies(out, &s->types);
    }
    for (uint64_t i = view->events_first; i <= view->events_last; i++) {
        const struct event *e = view_event(view, i);
        buffer_printf(out, "%" PRIu64 ".%u %s %" PRIx64 "\n", e->index, e->position,
                      event_type_name(e->type), record_hash(e->record));
    }
    assert_false(out->overflowed);
}

static void published_views_never_change(void **state)
{
    enum { ENTRIES = 2000, HELD = 40 };
    static struct heap heap;
    struct fixture *f = *state;
    const struct view *views[HELD];
    struct buffer printed[HELD];
    unsigned seed = 4711;
    print_message("seed %u\n", seed);
    registry_destroy(f->registry);
    f->registry = registry_create(&(struct registry_options){.retire = hold_back, .ctx = &heap});
    for (int i = 0; i < ENTRIES; i++) {
        uint32_t commands = random_below(&seed, 5);
        f->now_ms += random_step_ms(&seed);
        fixture_begin(f);
        for (uint32_t k = 0; k < commands; k++) {
            struct random_command c;
            do {
                random_command(&c, f, &seed);
            } while (c.command.kind == COMMAND_KEEP_EVENTS); /* old views may lose events by it */
            registry_apply(f->registry, k, &c.command, NULL);
        }
        fixture_end(f);
        if (i % (ENTRIES / HELD) == 0) {
            views[i / (ENTRIES / HELD)] = fixture_view(f);
            print_view(&printed[i / (ENTRIES / HELD)], fixture_view(f));
        }
    }
    for (int i = 0; i < HELD; i++) {
        struct buffer again;
        print_view(&again, views[i]);
        assert_int_equal(again.len, printed[i].len);
        assert_memory_equal(again.data, printed[i].data, again.len);
        buffer_done(&again);
        buffer_done(&printed[i]);
    }
    give_back(&heap);
}

static void tags_and_types_are_counted_by_service(void **state)
{
    struct fixture *f = *state;
    struct command a = command_register("a", "web");
    struct command b = command_register("b", "web");
    a.register_.registration.type = slice_of("http");
    a.register_.registration.tags_count = 2;
    a.register_.registration.tags[0] = slice_of("v1");
    a.register_.registration.tags[1] = slice_of("blue");
    b.register_.registration.tags_count = 1;
    b.register_.registration.tags[0] = slice_of("v1");
    fixture_apply(f, &a);
    fixture_apply(f, &b);
    struct buffer out;
    buffer_init(&out, 1000);
    print_tallies(&out, &view_service(fixture_view(f), "web")->tags);
    print_tallies(&out, &view_service(fixture_view(f), "web")->types);
    /* One tag replaced by another: v1 goes away, blue comes. */
    a.register_.registration.tags_count = 1;
    a.register_.registration.tags[0] = slice_of("green");
    fixture_apply(f, &a);
    assert_int_equal(fixture_view(f)->services_index, 3);
    print_tallies(&out, &view_service(fixture_view(f), "web")->tags);
    fixture_deregister(f, "b");
    print_tallies(&out, &view_service(fixture_view(f), "web")->tags);
    buffer_append_byte(&out, 0);
    assert_string_equal((const char *)out.data, "  blue 1\n  v1 2\n  http 1\n"
                                                "  green 1\n  v1 1\n"
                                                "  green 1\n");
    buffer_done(&out);
}

static void what_the_list_of_services_does_not_show_leaves_its_index(void **state)
{
    struct fixture *f = *state;
    fixture_register(f, "web-1", "web");
    struct command command = command_register("web-1", "web");
    command.register_.registration.port = 9999;
    fixture_apply(f, &command);
    assert_int_equal(view_service_index(fixture_view(f), "web"), 2);
    assert_int_equal(fixture_view(f)->changed_index, 2);
    assert_int_equal(fixture_view(f)->services_index, 1);
}

static void pages_go_on_behind_an_id_that_is_gone(void **state)
{
    struct fixture *f = *state;
    char id[16];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(id, sizeof id, "i%03d", i);
        fixture_register(f, id, "web");
    }
    fixture_deregister(f, "i150");
    const struct view *view = fixture_view(f);
    const struct ptree *web = &view_service(view, "web")->instances;
    assert_int_equal(view_rank_after(view, &view->instances, ""), 0);
    assert_int_equal(view_rank_after(view, &view->instances, "i149"), 150);
    assert_int_equal(view_rank_after(view, &view->instances, "i150"), 150);
    assert_int_equal(view_rank_after(view, web, "i151"), 151);
    assert_int_equal(view_rank_after(view, web, "j"), 299);
    struct ptree_iterator it;
    ptree_iterate(&it, web, view_rank_after(view, web, "i150"));
    assert_string_equal(record_id(ptree_next(&it)), "i151");
}

static struct rendered *text(const char *data)
{
    struct buffer out;
    buffer_init(&out, 100);
    buffer_append_text(&out, data);
    return rendered_take(&out);
}

static void rendered_text_is_kept_until_the_service_changes(void **state)
{
    struct fixture *f = *state;
    fixture_register(f, "web-1", "web");
    fixture_register(f, "db-1", "db");
    const struct service_view *web = view_service(fixture_view(f), "web");
    const struct rendered *first = view_keep_rendered(web, text("first"));
    assert_ptr_equal(view_keep_rendered(web, text("second")), first); /* which is freed */
    assert_int_equal(first->len, 5);
    fixture_heartbeat(f, "web-1");
    fixture_register(f, "db-2", "db");
    assert_ptr_equal(view_service(fixture_view(f), "web"), web);
    fixture_register(f, "web-2", "web");
    web = view_service(fixture_view(f), "web");
    assert_null(atomic_load(&web->rendered));
    view_keep_rendered(web, text("third"));
    /* Freed with the registry. */
}

static void nothing_is_freed_without_readers_knowing_while_a_registry_goes(void **state)
{
    static struct heap heap;
    struct fixture *f = *state;
    registry_destroy(f->registry);
    f->registry = registry_create(&(struct registry_options){.retire = hold_back, .ctx = &heap});
    fixture_register(f, "web-1", "web");
    const struct record *record = fixture_record(f, "web-1");
    size_t before = heap.used;
    fixture_heartbeat(f, "web-1");
    assert_int_equal(heap.used, before + 1); /* the view at least */
    fixture_deregister(f, "web-1");
    assert_string_equal(record_id(record), "web-1");
    give_back(&heap);
}

static void nobody_is_heard_before_being_registered_or_after_the_view(void **state)
{
    (void)state;
    const struct record record = {.registered_ms = 5000};
    const struct view view = {.now_ms = 1000, .wall_ms = 6000};
    assert_int_equal(view_heard_ms(&view, &record, 400), 5400);
    assert_int_equal(view_heard_ms(&view, &record, 1500), 6000);
    /* The clocks have diverged by a millisecond since. */
    const struct view apart = {.now_ms = 1000, .wall_ms = 5999};
    assert_int_equal(view_heard_ms(&apart, &record, 0), 5000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_heard_before_being_registered_or_after_the_view),
        CASE(published_views_never_change),
        CASE(tags_and_types_are_counted_by_service),
        CASE(what_the_list_of_services_does_not_show_leaves_its_index),
        CASE(pages_go_on_behind_an_id_that_is_gone),
        CASE(rendered_text_is_kept_until_the_service_changes),
        CASE(nothing_is_freed_without_readers_knowing_while_a_registry_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
