/* The audit log: what a line says and hides, and a queue that neither blocks nor forgets to count.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "api/core/audit.h"
#include "api/core/token_text.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/log.h"
#include "server/base/metric.h"
#include "tests/unit/remove_tree.h"

#define LONG_MS 20000

static char folder[] = "/tmp/muster-audit-XXXXXX";
static char path[100], other_path[100];
static const struct principal nobody = {.anonymous = ANONYMOUS_DEFAULT};

static int set_up(void **state)
{
    (void)state;
    metric_set(METRIC_audit_failing, 0);
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/audit", folder);
    (void)snprintf(other_path, sizeof other_path, "%s/other", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_tree(folder);
    return 0;
}

static struct audit_line line_of(const char *id)
{
    return (struct audit_line){.door = "http",
                               .action = "register",
                               .address = "10.0.0.1",
                               .principal = &nobody,
                               .space = "",
                               .service = "web",
                               .id = id,
                               .status = 201,
                               .outcome = "ok",
                               .index = 7};
}

static json_t *render(const struct audit_line *line)
{
    struct buffer out;
    buffer_init(&out, AUDIT_LINE_BYTES_MAX);
    audit_line_render(line, &out);
    assert_true(out.len > 0 && out.data[out.len - 1] == '\n');
    assert_null(memchr(out.data, '\n', out.len - 1));
    json_t *json = json_loadb((const char *)out.data, out.len, 0, NULL);
    assert_non_null(json);
    buffer_done(&out);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

/* --- lines --- */

static void a_line_says_who_asked_for_what_and_with_which_outcome(void **state)
{
    (void)state;
    struct audit_line line = line_of("web-1");
    line.wall_ms = 1796000000123;
    line.replica = 3;
    line.parameters[0] = (struct audit_parameter){"force", "true"};
    line.parameters_count = 1;
    json_t *json = render(&line);
    assert_string_equal(text_of(json, "time"), "2026-11-30T00:53:20.123Z");
    assert_int_equal(json_integer_value(json_object_get(json, "replica")), 3);
    assert_string_equal(text_of(json, "door"), "http");
    assert_string_equal(text_of(json, "address"), "10.0.0.1");
    assert_string_equal(text_of(json, "principal"), "anonymous");
    assert_string_equal(text_of(json, "action"), "register");
    assert_string_equal(text_of(json, "service"), "web");
    assert_string_equal(text_of(json, "id"), "web-1");
    assert_string_equal(text_of(json_object_get(json, "parameters"), "force"), "true");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 201);
    assert_string_equal(text_of(json, "outcome"), "ok");
    assert_int_equal(json_integer_value(json_object_get(json, "index")), 7);
    assert_int_equal(json_object_size(json), 12);
    json_decref(json);
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    struct audit_line line = line_of("");
    line.service = "";
    line.index = 0;
    json_t *json = render(&line);
    assert_null(json_object_get(json, "id"));
    assert_null(json_object_get(json, "service"));
    assert_null(json_object_get(json, "index"));
    assert_null(json_object_get(json, "parameters"));
    assert_null(json_object_get(json, "client_gone"));
    json_decref(json);
}

static void credentials_that_are_not_good_are_nobodys(void **state)
{
    (void)state;
    const struct principal holder = {.token = "abcdefghij"};
    const struct principal liar = {.is_unknown = true, .claimed = "abcdefghij"};
    struct audit_line line = line_of("web-1");
    line.principal = &holder;
    json_t *json = render(&line);
    assert_string_equal(text_of(json, "principal"), "abcdefghij");
    json_decref(json);
    line.principal = &liar;
    json = render(&line);
    assert_string_equal(text_of(json, "principal"), "unknown");
    assert_string_equal(text_of(json, "claimed"), "abcdefghij");
    json_decref(json);
}

static void texts_of_clients_cannot_forge_a_line(void **state)
{
    (void)state;
    static const char evil[] = "a\"},\n{\"action\":\"\\ \x7f\x01";
    struct audit_line line = line_of(evil);
    json_t *json = render(&line);
    assert_string_equal(text_of(json, "id"), evil);
    assert_string_equal(text_of(json, "action"), "register");
    json_decref(json);
}

static void a_token_in_a_text_loses_its_secret(void **state)
{
    (void)state;
    char token[TOKEN_TEXT_SIZE], id[TOKEN_ID_SIZE], text[3 * TOKEN_TEXT_SIZE], shown[100];
    token_text_make(token);
    assert_true(token_text_parse(token, strlen(token), id));
    (void)snprintf(text, sizeof text, "a %s%s b", token, token);
    (void)snprintf(shown, sizeof shown, "a mst_%s_***mst_%s_*** b", id, id);
    struct audit_line line = line_of(text);
    line.parameters[0] = (struct audit_parameter){"to", token};
    line.parameters_count = 1;
    json_t *json = render(&line);
    assert_string_equal(text_of(json, "id"), shown);
    assert_null(strstr(text_of(json_object_get(json, "parameters"), "to"), token + 15));
    json_decref(json);
}

/* Wherever the limit falls: into a character, or into a token. */
static void a_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    static char text[4 * AUDIT_TEXT_BYTES_MAX];
    char token[TOKEN_TEXT_SIZE];
    token_text_make(token);
    for (size_t before = AUDIT_TEXT_BYTES_MAX - 100; before < AUDIT_TEXT_BYTES_MAX + 10; before++) {
        for (int with_token = 0; with_token < 2; with_token++) {
            size_t n = before;
            memset(text, 'x', n);
            while (n < 2 * AUDIT_TEXT_BYTES_MAX) {
                const char *piece = with_token ? token : "\xe2\x82\xac";
                memcpy(text + n, piece, strlen(piece));
                n += strlen(piece);
            }
            text[n] = '\0';
            struct audit_line line = line_of(text);
            json_t *json = render(&line); /* valid UTF-8, or it could not be read */
            const char *id = text_of(json, "id");
            size_t len = strlen(id);
            assert_true(len < AUDIT_TEXT_BYTES_MAX + 4);
            assert_string_equal(id + len - 3, "...");
            assert_null(strstr(id, token + 15));
            json_decref(json);
        }
    }
}

static void the_longest_line_fits(void **state)
{
    (void)state;
    static char text[2 * AUDIT_TEXT_BYTES_MAX];
    memset(text, '"', sizeof text - 1);
    struct audit_line line = line_of(text);
    line.service = line.address = line.action = text;
    for (line.parameters_count = 0; line.parameters_count < AUDIT_PARAMETERS_MAX;
         line.parameters_count++) {
        line.parameters[line.parameters_count] = (struct audit_parameter){"bytes", text};
    }
    json_decref(render(&line));
}

/* --- the queue --- */

static struct audit *open_at(const char *target, bool required)
{
    const struct audit_options options = {.target = target, .replica = 1, .required = required};
    char error[200] = "";
    struct audit *audit = audit_open(&options, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(audit);
    return audit;
}

static void write_some(struct audit *audit, unsigned from, unsigned to)
{
    char id[32];
    for (unsigned i = from; i < to; i++) {
        (void)snprintf(id, sizeof id, "n-%u", i);
        struct audit_line line = line_of(id);
        audit_write(audit, &line);
    }
}

/* Each line of the file has the next number. Returns the number of lines. */
static unsigned read_lines(const char *from, unsigned first)
{
    static char text[AUDIT_LINE_BYTES_MAX];
    char wanted[32];
    unsigned count = 0;
    FILE *file = fopen(from, "re");
    assert_non_null(file);
    while (fgets(text, sizeof text, file) != NULL) {
        json_t *json = json_loads(text, 0, NULL);
        assert_non_null(json);
        (void)snprintf(wanted, sizeof wanted, "n-%u", first + count);
        assert_string_equal(text_of(json, "id"), wanted);
        json_decref(json);
        count++;
    }
    (void)fclose(file);
    return count;
}

static bool await_metric(enum metric metric, int64_t value)
{
    uint64_t begun_ms = clock_monotonic_ms();
    while (metric_get(metric) != value) {
        if (clock_monotonic_ms() - begun_ms > LONG_MS) {
            return false;
        }
        (void)usleep(1000);
    }
    return true;
}

static void lines_come_in_order_and_closing_waits_for_them(void **state)
{
    (void)state;
    int64_t before = metric_get(METRIC_audit_lines_total);
    struct audit *audit = open_at(path, false);
    write_some(audit, 0, 5000);
    audit_close(audit, LONG_MS);
    assert_int_equal(read_lines(path, 0), 5000);
    assert_int_equal(metric_get(METRIC_audit_lines_total) - before, 5000);
    struct stat found;
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0600);
    /* What is there stays. */
    audit = open_at(path, false);
    write_some(audit, 5000, 5001);
    audit_close(audit, LONG_MS);
    assert_int_equal(read_lines(path, 0), 5001);
}

static void a_renamed_file_is_left_at_a_line_and_no_line_is_lost(void **state)
{
    (void)state;
    int64_t before = metric_get(METRIC_audit_lines_total);
    struct audit *audit = open_at(path, false);
    write_some(audit, 0, 100);
    assert_true(await_metric(METRIC_audit_lines_total, before + 100));
    assert_int_equal(rename(path, other_path), 0);
    write_some(audit, 100, 200);
    assert_true(await_metric(METRIC_audit_lines_total, before + 200));
    audit_reopen(audit);
    uint64_t begun_ms = clock_monotonic_ms();
    while (access(path, F_OK) != 0 && clock_monotonic_ms() - begun_ms < LONG_MS) {
        (void)usleep(1000);
    }
    write_some(audit, 200, 300);
    audit_close(audit, LONG_MS);
    assert_int_equal(read_lines(other_path, 0), 200);
    assert_int_equal(read_lines(path, 200), 100);
}

static void what_cannot_be_opened_is_refused_with_a_sentence(void **state)
{
    (void)state;
    const struct audit_options options = {.target = "/nowhere/audit"};
    const struct audit_options is_folder = {.target = folder};
    char error[200] = "";
    assert_null(audit_open(&options, error, sizeof error));
    assert_string_equal(error,
                        "--audit-log: cannot open /nowhere/audit: No such file or directory");
    assert_null(audit_open(&is_folder, error, sizeof error));
    assert_non_null(strstr(error, "Is a directory"));
}

/* A full disk: the lines wait, and a required log takes no changes until it can be written. */
static void a_log_that_fails_keeps_its_lines_until_it_can_be_written(void **state)
{
    (void)state;
    int64_t before = metric_get(METRIC_audit_lines_total);
    assert_int_equal(symlink("/dev/full", path), 0);
    struct audit *audit = open_at(path, true);
    struct audit *lenient = open_at(path, false);
    assert_true(audit_accepts(audit));
    write_some(audit, 0, 10);
    assert_true(await_metric(METRIC_audit_failing, 1));
    assert_false(audit_accepts(audit));
    assert_true(audit_accepts(lenient));
    write_some(audit, 10, 20);
    assert_int_equal(unlink(path), 0);
    audit_reopen(audit);
    assert_true(await_metric(METRIC_audit_failing, 0));
    assert_true(audit_accepts(audit));
    audit_close(audit, LONG_MS);
    audit_close(lenient, LONG_MS);
    assert_int_equal(read_lines(path, 0), 20);
    assert_int_equal(metric_get(METRIC_audit_lines_total) - before, 20);
}

static void lines_that_cannot_be_written_at_the_end_are_counted(void **state)
{
    (void)state;
    int64_t before = metric_get(METRIC_audit_lines_lost_total);
    struct audit *audit = open_at("/dev/full", false);
    write_some(audit, 0, 10);
    assert_true(await_metric(METRIC_audit_failing, 1));
    write_some(audit, 10, 30);
    audit_close(audit, LONG_MS);
    assert_int_equal(metric_get(METRIC_audit_lines_lost_total) - before, 30);
}

/* A reader that takes nothing, as a disk that hangs. */
static void a_log_that_hangs_costs_lines_and_no_time(void **state)
{
    (void)state;
    enum { LINES = 3 * AUDIT_QUEUE_BYTES_MAX / 150 };
    int64_t lost = metric_get(METRIC_audit_lines_lost_total);
    int64_t written = metric_get(METRIC_audit_lines_total);
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    struct audit *audit = open_at(path, true);
    write_some(audit, 0, LINES);
    assert_true(metric_get(METRIC_audit_lines_lost_total) > lost);
    assert_false(audit_accepts(audit));
    /* It takes them again: each line was written or counted, and whole. */
    uint64_t begun_ms = clock_monotonic_ms();
    static char text[1 << 16];
    uint64_t lines = 0;
    while (metric_get(METRIC_audit_lines_total) - written +
                   metric_get(METRIC_audit_lines_lost_total) - lost <
               LINES &&
           clock_monotonic_ms() - begun_ms < LONG_MS) {
        ssize_t got = read(reader, text, sizeof text);
        for (ssize_t i = 0; i < got; i++) {
            lines += text[i] == '\n';
        }
    }
    assert_int_equal(metric_get(METRIC_audit_lines_total) - written +
                         metric_get(METRIC_audit_lines_lost_total) - lost,
                     LINES);
    audit_close(audit, LONG_MS);
    (void)close(reader);
}

static void refusals_leave_room_for_changes(void **state)
{
    (void)state;
    enum { LINES = AUDIT_QUEUE_BYTES_MAX / 150 };
    int64_t lost = metric_get(METRIC_audit_lines_lost_total);
    struct audit *audit = open_at("/dev/full", false);
    for (unsigned i = 0; i < LINES; i++) {
        struct audit_line line = line_of("web-1");
        line.is_refusal = true;
        audit_write(audit, &line);
    }
    int64_t refusals_lost = metric_get(METRIC_audit_lines_lost_total) - lost;
    assert_true(refusals_lost > 0);
    write_some(audit, 0, 1000);
    assert_int_equal(metric_get(METRIC_audit_lines_lost_total) - lost, refusals_lost);
    audit_close(audit, LONG_MS);
}

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_who_asked_for_what_and_with_which_outcome),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(credentials_that_are_not_good_are_nobodys),
        cmocka_unit_test(texts_of_clients_cannot_forge_a_line),
        cmocka_unit_test(a_token_in_a_text_loses_its_secret),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test_setup_teardown(lines_come_in_order_and_closing_waits_for_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_renamed_file_is_left_at_a_line_and_no_line_is_lost,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_refused_with_a_sentence, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_fails_keeps_its_lines_until_it_can_be_written,
                                        set_up, tear_down),
        cmocka_unit_test(lines_that_cannot_be_written_at_the_end_are_counted),
        cmocka_unit_test_setup_teardown(a_log_that_hangs_costs_lines_and_no_time, set_up,
                                        tear_down),
        cmocka_unit_test(refusals_leave_room_for_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
