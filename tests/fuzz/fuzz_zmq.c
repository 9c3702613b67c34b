/* Requests of the older ZeroMQ registry. An accepted registration is within the limits and gives a
 * command that the log accepts, and its metadata come back as JSON; a refused one is refused with a
 * printable message.
 *
 * Input: the JSON of a request. */
#include <stdlib.h>
#include <string.h>

#include "api/zmq/cgse_entry.h"
#include "api/zmq/cgse_request.h"
#include "server/base/limits.h"
#include "server/base/text.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/logged.h"

static void check_problem(const struct problem *problem)
{
    CHECK(problem->message[0] != '\0');
    CHECK(text_is_printable(problem->field, strlen(problem->field)));
}

/* As it is shown, it is JSON. */
static void check_shown(const struct registration *registration)
{
    struct record *record = record_create(registration);
    struct buffer out;
    buffer_init(&out, EVENT_TEXT_BYTES_MAX);
    struct json_out json = json_out_to(&out);
    cgse_entry_render(&json, record, 0);
    CHECK(!out.overflowed);
    json_t *shown = json_loadb((const char *)out.data, out.len, 0, NULL);
    CHECK(json_is_object(shown));
    json_decref(shown);
    buffer_done(&out);
    free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint8_t random[16];
    const struct cgse_registration_options options = {
        .ttl_ms = 30000, .reap_after_ms = 60000, .unique_types = true};
    struct cgse_request request;
    struct command command;
    struct problem problem = {.message = ""};
    char *copy = (char *)fuzz_copy(data, len);
    if (!cgse_request_parse(&request, (struct slice){copy, len}, &problem)) {
        check_problem(&problem);
    } else if (request.action == CGSE_REGISTER) {
        if (cgse_request_registration(&request, &options, random, &command, &problem)) {
            CHECK(command.register_.registration.id.len <= NAME_BYTES_MAX);
            check_logged(&command);
            check_shown(&command.register_.registration);
        } else {
            check_problem(&problem);
        }
    }
    cgse_request_done(&request);
    free(copy);
    return 0;
}
