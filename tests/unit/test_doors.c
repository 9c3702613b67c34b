/* Doors: all are opened before any is started, and closed whatever happens. A tiny door with a
 * protocol of its own beside the HTTP door. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "api/core/door.h"
#include "server/base/compiler.h"
#include "server/base/mem.h"

/* --- a door that records its calls --- */

static struct {
    char calls[128];
    bool refuse_open, refuse_start, refuse_reload, closed_by_option;
} t;

struct tiny {
    struct door door;
    char letter;
};

static void note(const struct door *door, const char *what)
{
    const struct tiny *tiny = CONTAINER_OF(door, struct tiny, door);
    size_t len = strlen(t.calls);
    (void)snprintf(t.calls + len, sizeof t.calls - len, "%c %s, ", tiny->letter, what);
}

static bool open_tiny(const struct door_kind *kind, char letter, struct door **ret_door)
{
    struct tiny *tiny = mem_zalloc(1, sizeof *tiny);
    tiny->door.kind = kind;
    tiny->letter = letter;
    *ret_door = &tiny->door;
    note(*ret_door, "open");
    return true;
}

static bool start(struct door *door, struct node *node, char *error, size_t error_size)
{
    const struct tiny *tiny = CONTAINER_OF(door, struct tiny, door);
    (void)node;
    note(door, "start");
    if (t.refuse_start && tiny->letter == 'b') {
        (void)snprintf(error, error_size, "b does not start");
        return false;
    }
    return true;
}

static bool reload(struct door *door, char *error, size_t error_size)
{
    note(door, "reload");
    if (t.refuse_reload) {
        (void)snprintf(error, error_size, "broken");
    }
    return !t.refuse_reload;
}

static void drain(struct door *door)
{
    note(door, "drain");
}

static void stop(struct door *door)
{
    note(door, "stop");
    free(CONTAINER_OF(door, struct tiny, door));
}

static bool open_a(const struct door_options *options, struct door **ret_door, char *error,
                   size_t error_size);
static bool open_b(const struct door_options *options, struct door **ret_door, char *error,
                   size_t error_size);

static const struct door_kind a = {"a", open_a, start, reload, drain, stop};
static const struct door_kind b = {"b", open_b, start, NULL, drain, stop};
static const struct door_kind *const both[] = {&a, &b, NULL};
static const struct door_options options = {
    .threads = 1, .connections = 1, .connections_of_one = 1};

static bool open_a(const struct door_options *given, struct door **ret_door, char *error,
                   size_t error_size)
{
    (void)error;
    (void)error_size;
    assert_ptr_equal(given, &options);
    return t.closed_by_option || open_tiny(&a, 'a', ret_door);
}

static bool open_b(const struct door_options *given, struct door **ret_door, char *error,
                   size_t error_size)
{
    (void)given;
    if (t.refuse_open) {
        (void)snprintf(error, error_size, "the port of b is in use");
        return false;
    }
    return open_tiny(&b, 'b', ret_door);
}

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    return 0;
}

/* --- tests --- */

static void all_are_opened_before_any_is_started(void **state)
{
    (void)state;
    char error[128] = "";
    struct doors *doors = doors_open_kinds(both, &options, error, sizeof error);
    assert_non_null(doors);
    assert_string_equal(t.calls, "a open, b open, ");
    assert_true(doors_start(doors, NULL, error, sizeof error));
    doors_drain(doors);
    doors_stop(doors);
    assert_string_equal(t.calls,
                        "a open, b open, a start, b start, a drain, b drain, b stop, a stop, ");
}

static void those_that_have_files_read_them_again(void **state)
{
    (void)state;
    char error[128] = "";
    struct doors *doors = doors_open_kinds(both, &options, error, sizeof error);
    assert_non_null(doors);
    assert_true(doors_start(doors, NULL, error, sizeof error));
    t.calls[0] = '\0';
    doors_reload(doors);
    t.refuse_reload = true;
    doors_reload(doors); /* is only logged */
    assert_string_equal(t.calls, "a reload, a reload, ");
    doors_stop(doors);
}

static void one_that_cannot_be_opened_closes_all(void **state)
{
    (void)state;
    char error[128] = "";
    t.refuse_open = true;
    assert_null(doors_open_kinds(both, &options, error, sizeof error));
    assert_string_equal(error, "the port of b is in use");
    assert_string_equal(t.calls, "a open, a stop, ");
}

static void one_that_does_not_start_is_said_and_all_are_closed(void **state)
{
    (void)state;
    char error[128] = "";
    t.refuse_start = true;
    struct doors *doors = doors_open_kinds(both, &options, error, sizeof error);
    assert_non_null(doors);
    assert_false(doors_start(doors, NULL, error, sizeof error));
    assert_string_equal(error, "b does not start");
    doors_stop(doors);
    assert_string_equal(t.calls, "a open, b open, a start, b start, b stop, a stop, ");
}

static void a_door_that_the_options_leave_closed_is_never_called(void **state)
{
    (void)state;
    char error[128] = "";
    t.closed_by_option = true;
    struct doors *doors = doors_open_kinds(both, &options, error, sizeof error);
    assert_non_null(doors);
    assert_true(doors_start(doors, NULL, error, sizeof error));
    doors_stop(doors);
    assert_string_equal(t.calls, "b open, b start, b stop, ");
}

/* The product's doors. */
static void a_port_in_use_is_said_with_the_option_to_change(void **state)
{
    (void)state;
    char error[256] = "", address[64];
    struct door_options http = options;
    struct sockaddr_in taken = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof taken;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&taken, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&taken, &size), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)ntohs(taken.sin_port));
    http.http = address;
    assert_null(doors_open(&http, error, sizeof error));
    assert_non_null(strstr(error, "choose another --http"));
    http.http = "no-port-in-this";
    assert_null(doors_open(&http, error, sizeof error));
    assert_non_null(strstr(error, "--http: \"no-port-in-this\""));
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_are_opened_before_any_is_started, set_up),
        cmocka_unit_test_setup(those_that_have_files_read_them_again, set_up),
        cmocka_unit_test_setup(one_that_cannot_be_opened_closes_all, set_up),
        cmocka_unit_test_setup(one_that_does_not_start_is_said_and_all_are_closed, set_up),
        cmocka_unit_test_setup(a_door_that_the_options_leave_closed_is_never_called, set_up),
        cmocka_unit_test_setup(a_port_in_use_is_said_with_the_option_to_change, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
