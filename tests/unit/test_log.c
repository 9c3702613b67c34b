/* A log line is a single line, whatever a foreign string contains. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "server/base/compiler.h"
#include "server/base/log.h"

struct capture {
    FILE *file; /* replaces stderr */
    int stderr_fd;
    char text[8192];
};

static int set_up(void **state)
{
    struct capture *c = calloc(1, sizeof *c);
    c->file = tmpfile();
    c->stderr_fd = dup(STDERR_FILENO);
    assert_true(c->file != NULL && c->stderr_fd >= 0);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    struct capture *c = *state;
    log_setup(LOG_INFO, LOG_TEXT);
    (void)close(c->stderr_fd);
    (void)fclose(c->file);
    free(c);
    return 0;
}

/* Nothing may fail in between: cmocka reports on stderr. */
static void begin(struct capture *c)
{
    (void)dup2(fileno(c->file), STDERR_FILENO);
}

static const char *end(struct capture *c)
{
    (void)dup2(c->stderr_fd, STDERR_FILENO);
    rewind(c->file);
    c->text[fread(c->text, 1, sizeof c->text - 1, c->file)] = '\0';
    assert_int_equal(ftruncate(fileno(c->file), 0), 0);
    rewind(c->file);
    return c->text;
}

/* The line without its time stamp. */
static const char *behind_the_time(const char *line)
{
    assert_true(strlen(line) > 25);
    assert_int_equal(line[23], 'Z');
    return line + 25;
}

static void a_line_has_time_level_area_event_and_details(void **state)
{
    struct capture *c = *state;
    log_setup(LOG_INFO, LOG_TEXT);
    begin(c);
    log_write(LOG_WARN, "lease", "something expired", "id=\"%s\" n=%d", "web-1", 3);
    assert_string_equal(behind_the_time(end(c)),
                        "warn  lease: something expired id=\"web-1\" n=3\n");
    begin(c);
    log_write(LOG_ERROR, "disk", "full", "%s", "");
    assert_string_equal(behind_the_time(end(c)), "error disk: full\n");
}

static void levels_below_the_one_set_are_silent(void **state)
{
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
    struct capture *c = *state;
    for (size_t set = 0; set < ARRAY_LENGTH(levels); set++) {
        log_setup(levels[set], LOG_TEXT);
        for (size_t i = 0; i < ARRAY_LENGTH(levels); i++) {
            begin(c);
            log_write(levels[i], "area", "event", "%s", "x=1");
            assert_int_equal(end(c)[0] != '\0', i <= set);
            assert_int_equal(log_enabled(levels[i]), i <= set);
        }
    }
}

static void foreign_controls_cannot_forge_a_line(void **state)
{
    struct capture *c = *state;
    log_setup(LOG_INFO, LOG_TEXT);
    begin(c);
    log_write(LOG_INFO, "peer", "hello", "name=\"%s\"", "a\nb\x1b[31m\x7f\t");
    assert_string_equal(behind_the_time(end(c)),
                        "info  peer: hello name=\"a\\x0ab\\x1b[31m\\x7f\\x09\"\n");
}

static void long_lines_are_cut_and_still_end(void **state)
{
    static const char fills[] = {'x', '"', '\n', '\\'};
    struct capture *c = *state;
    char longest[6000];
    for (size_t i = 0; i < sizeof fills; i++) {
        memset(longest, fills[i], sizeof longest - 1);
        longest[sizeof longest - 1] = '\0';
        for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
            log_setup(LOG_INFO, (enum log_format)format);
            begin(c);
            log_write(LOG_INFO, "area", "event", "%s", longest);
            const char *line = end(c);
            assert_in_range(strlen(line), 900, 2048);
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
            if (format == LOG_JSON) {
                json_t *json = json_loads(line, 0, NULL);
                assert_non_null(json);
                json_decref(json);
            }
        }
    }
}

static void a_json_line_is_one_object(void **state)
{
    struct capture *c = *state;
    log_setup(LOG_INFO, LOG_JSON);
    begin(c);
    log_write(LOG_INFO, "peer", "hello", "name=\"%s\"", "quote\" back\\slash\nline gr\xc3\xbcn");
    json_t *json = json_loads(end(c), 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
    assert_string_equal(json_string_value(json_object_get(json, "area")), "peer");
    assert_string_equal(json_string_value(json_object_get(json, "event")), "hello");
    assert_string_equal(json_string_value(json_object_get(json, "details")),
                        "name=\"quote\" back\\slash\\x0aline gr\xc3\xbcn\"");
    json_decref(json);
}

static void a_gate_lets_one_through_and_counts_the_others(void **state)
{
    struct log_gate gate = {0};
    uint64_t held = 99;
    (void)state;
    assert_true(log_gate_open(&gate, &held));
    assert_int_equal(held, 0);
    assert_false(log_gate_open(&gate, &held));
    assert_false(log_gate_open(&gate, &held));
    gate.next_ms = 0; /* as if the second had passed */
    assert_true(log_gate_open(&gate, &held));
    assert_int_equal(held, 2);
    assert_false(log_gate_open(&gate, &held));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_level_area_event_and_details, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(levels_below_the_one_set_are_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_controls_cannot_forge_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut_and_still_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_json_line_is_one_object, set_up, tear_down),
        cmocka_unit_test(a_gate_lets_one_through_and_counts_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
