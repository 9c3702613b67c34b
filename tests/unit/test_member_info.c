/* The member table follows the configuration, and a member's report is accepted completely or not
 * at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "consensus/engine.h"

#define LIFE(id) (1000 + (id))
#define SENDER   2
#define SELF     1

struct fixture {
    struct engine engine;
    uint64_t now_ms;
    uint64_t down;      /* a member without a link */
    uint64_t told[10];  /* frames to each member */
    uint8_t frame[512]; /* the last one */
    size_t frame_len;
};

static uint64_t fixture_time(void *ctx)
{
    return ((struct fixture *)ctx)->now_ms;
}

static bool fixture_is_up(void *ctx, uint64_t id)
{
    return ((struct fixture *)ctx)->down != id;
}

static enum status fixture_send(void *ctx, uint64_t to, const struct peer_message *message)
{
    struct fixture *f = ctx;
    assert_int_equal(message->type, FRAME_INFO);
    assert_true(message->head_len <= sizeof f->frame);
    memcpy(f->frame, message->head, message->head_len);
    f->frame_len = message->head_len;
    f->told[to]++;
    return ST_OK;
}

/* Members 1 .. voters + standbys. */
static void configure(struct fixture *f, unsigned voters, unsigned standbys)
{
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    for (unsigned id = 1; id <= voters + standbys; id++) {
        char address[32];
        (void)snprintf(address, sizeof address, "%u@host-%u:9100", id, id);
        assert_int_equal(raft_configuration_add(&conf, LIFE(id), address,
                                                id <= voters ? RAFT_VOTER : RAFT_STANDBY),
                         0);
    }
    member_info_configure(&f->engine, &conf);
    raft_configuration_close(&conf);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct engine *e = &f->engine;
    f->now_ms = 1234;
    e->env = (struct engine_env){
        .ctx = f, .now_ms = fixture_time, .is_up = fixture_is_up, .send = fixture_send};
    e->options = (struct engine_options){.id = SELF,
                                         .name = "alpha",
                                         .http_address = "a.example:9000",
                                         .version = "0.2.0",
                                         .advertised_address = ""};
    e->identity.life = LIFE(SELF);
    e->app.level_min = 1;
    e->app.level_max = 3;
    read_index_init(&e->read_index, 1);
    e->forming.count = 3;
    for (uint64_t id = 1; id <= 3; id++) {
        e->forming.members[id - 1].id = id;
        e->forming.heard[e->forming.heard_count++] =
            (struct hello_facts){.member = id, .life = LIFE(id)};
    }
    configure(f, 3, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static const struct consensus_member_info *info_of(struct fixture *f, uint64_t id)
{
    return &member_info_find(&f->engine, id)->info;
}

static void append_text(struct buffer *out, const char *text)
{
    buffer_append_u16(out, (uint16_t)strlen(text));
    buffer_append_text(out, text);
}

static void make(struct buffer *out, const char *name, const char *address, const char *version)
{
    buffer_init(out, 4096);
    buffer_append_u64(out, 40);
    buffer_append_u64(out, 0);
    buffer_append_u64(out, 0);
    buffer_append_u16(out, 1);
    buffer_append_u16(out, 2);
    buffer_append_byte(out, 0);
    append_text(out, name);
    append_text(out, address);
    append_text(out, version);
}

/* Returns whether it was accepted. */
static bool tell(struct fixture *f, const char *name, const char *address, const char *version)
{
    struct buffer out;
    struct member *m = member_info_find(&f->engine, SENDER);
    m->heard_ms = 0;
    make(&out, name, address, version);
    member_info_receive(&f->engine, m, out.data, out.len);
    buffer_done(&out);
    return m->heard_ms != 0;
}

/* --- receiving --- */

static void what_a_member_tells_is_kept(void **state)
{
    const struct consensus_member_info *info = info_of(*state, SENDER);
    assert_true(info->has_space); /* until it reports otherwise */
    assert_true(tell(*state, "b\xc3\xa9ta", "b.example:9000", "0.1.0"));
    assert_int_equal(info->id, SENDER);
    assert_int_equal(info->applied_index, 40);
    assert_false(info->has_space);
    assert_int_equal(info->level_min, 1);
    assert_int_equal(info->level_max, 2);
    assert_string_equal(info->name, "b\xc3\xa9ta");
    assert_string_equal(info->http_address, "b.example:9000");
    assert_string_equal(info->version, "0.1.0");
}

/* They go into JSON unescaped. */
static void texts_that_cannot_be_shown_are_refused(void **state)
{
    assert_false(tell(*state, "b\xff", "b.example:9000", "0.1.0"));
    assert_false(tell(*state, "beta", "b\nexample:9000", "0.1.0"));
    assert_false(tell(*state, "beta", "b.example:9000", "\xc3"));
    assert_string_equal(info_of(*state, SENDER)->name, "");
    assert_int_equal(info_of(*state, SENDER)->level_max, 0);
}

static void texts_that_do_not_fit_are_refused(void **state)
{
    char text[400];
    memset(text, 'x', sizeof text);
    text[NAME_BYTES_MAX] = '\0';
    assert_true(tell(*state, text, "b:1", "1"));
    text[NAME_BYTES_MAX] = 'x';
    text[NAME_BYTES_MAX + 1] = '\0';
    assert_false(tell(*state, text, "b:1", "1"));
    text[32] = '\0';
    assert_false(tell(*state, "beta", "b:1", text));
}

static void a_message_that_is_cut_short_is_refused(void **state)
{
    struct fixture *f = *state;
    struct member *m = member_info_find(&f->engine, SENDER);
    struct buffer out;
    make(&out, "beta", "b.example:9000", "0.1.0");
    for (size_t len = 0; len < out.len; len++) {
        uint8_t *exact = malloc(len > 0 ? len : 1);
        memcpy(exact, out.data, len);
        member_info_receive(&f->engine, m, exact, len);
        free(exact);
    }
    assert_int_equal(m->heard_ms, 0);
    assert_int_equal(m->info.applied_index, 0);
    buffer_done(&out);
}

/* --- sending --- */

static void all_that_can_be_reached_are_told_now_and_then(void **state)
{
    struct fixture *f = *state;
    f->down = 3;
    for (int i = 0; i < 61; i++) {
        member_info_tick(&f->engine);
        f->now_ms += 10;
    }
    assert_int_equal(f->told[1], 0);
    assert_int_equal(f->told[2], 3);
    assert_int_equal(f->told[3], 0);
    member_info_hurry(&f->engine);
    member_info_tick(&f->engine);
    assert_int_equal(f->told[2], 4);
}

/* Reports from and to another life of the member are ignored. */
static void another_life_of_a_member_is_not_told(void **state)
{
    struct fixture *f = *state;
    f->engine.forming.heard[1].life = LIFE(77);
    member_info_tick(&f->engine);
    assert_int_equal(f->told[2], 0);
    assert_int_equal(f->told[3], 1);
}

static void what_it_tells_another_understands(void **state)
{
    struct fixture *f = *state;
    f->engine.disk_full = true;
    member_info_tick(&f->engine);
    struct member *m = member_info_find(&f->engine, SENDER);
    member_info_receive(&f->engine, m, f->frame, f->frame_len);
    assert_string_equal(m->info.name, "alpha");
    assert_string_equal(m->info.http_address, "a.example:9000");
    assert_string_equal(m->info.version, "0.2.0");
    assert_int_equal(m->info.level_min, 1);
    assert_int_equal(m->info.level_max, 3);
    assert_false(m->info.has_space);
}

/* --- the table --- */

static void the_table_is_the_configuration(void **state)
{
    struct fixture *f = *state;
    configure(f, 2, 1);
    assert_int_equal(f->engine.members.count, 3);
    assert_true(info_of(f, SELF)->is_self);
    assert_string_equal(info_of(f, SELF)->name, "alpha");
    assert_int_equal(info_of(f, SELF)->level_max, 3);
    assert_false(info_of(f, 2)->is_self);
    assert_string_equal(info_of(f, 2)->peer_address, "host-2:9100");
    assert_string_equal(info_of(f, 2)->role, "voter");
    assert_string_equal(info_of(f, 3)->role, "standby");
    assert_ptr_equal(member_info_of_life(&f->engine, LIFE(3)), member_info_find(&f->engine, 3));
    assert_null(member_info_find(&f->engine, 4));
    assert_null(member_info_of_life(&f->engine, 3));
}

static void what_is_known_of_a_member_survives_a_change(void **state)
{
    struct fixture *f = *state;
    assert_true(tell(f, "beta", "b:1", "1"));
    configure(f, 3, 2);
    assert_string_equal(info_of(f, SENDER)->name, "beta");
    assert_string_equal(info_of(f, 5)->name, "");
    configure(f, 1, 0);
    assert_null(member_info_find(&f->engine, SENDER));
    configure(f, 3, 0);
    assert_string_equal(info_of(f, SENDER)->name, "");
}

/* Indexes move with the table, and the acknowledgements of a round are by index. */
static void a_change_of_members_ends_the_round_of_the_read_index(void **state)
{
    struct fixture *f = *state;
    f->engine.read_index.under_way = true;
    configure(f, 3, 0);
    assert_true(f->engine.read_index.under_way);
    configure(f, 3, 1);
    assert_false(f->engine.read_index.under_way);
}

static void a_majority_is_of_voters_alone(void **state)
{
    struct fixture *f = *state;
    configure(f, 3, 4);
    assert_int_equal(member_info_voters(&f->engine), 3);
    assert_false(member_info_is_majority(&f->engine, 1));
    assert_true(member_info_is_majority(&f->engine, 2));
    configure(f, 4, 0);
    assert_false(member_info_is_majority(&f->engine, 2));
    assert_true(member_info_is_majority(&f->engine, 3));
}

static void the_space_of_standbys_does_not_count(void **state)
{
    struct fixture *f = *state;
    configure(f, 3, 2);
    assert_true(member_info_majority_has_space(&f->engine));
    member_info_find(&f->engine, 2)->info.has_space = false;
    assert_true(member_info_majority_has_space(&f->engine));
    f->engine.disk_full = true;
    assert_false(member_info_majority_has_space(&f->engine));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_a_member_tells_is_kept),
        CASE(texts_that_cannot_be_shown_are_refused),
        CASE(texts_that_do_not_fit_are_refused),
        CASE(a_message_that_is_cut_short_is_refused),
        CASE(all_that_can_be_reached_are_told_now_and_then),
        CASE(another_life_of_a_member_is_not_told),
        CASE(what_it_tells_another_understands),
        CASE(the_table_is_the_configuration),
        CASE(what_is_known_of_a_member_survives_a_change),
        CASE(a_change_of_members_ends_the_round_of_the_read_index),
        CASE(a_majority_is_of_voters_alone),
        CASE(the_space_of_standbys_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
