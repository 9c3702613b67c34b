/* What clients of Consul send: filters, registrations, durations. A filter that is accepted matches
 * an entry or not, and its negation does the opposite; a registration that is accepted is one that
 * the log accepts; what is refused is refused with a printable message.
 *
 * Input: a byte that selects what, then its text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/consul/body.h"
#include "api/consul/expression.h"
#include "api/consul/query.h"
#include "api/consul/write.h"
#include "server/base/text.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/fuzz.h"

#define KINDS 5

static const char *const entries[KINDS] = {
    "{\"Node\":{\"Node\":\"a\",\"Meta\":{\"x\":\"y\"},\"TaggedAddresses\":null},"
    "\"Service\":{\"ID\":\"web-1\",\"Tags\":[\"v1\",\"blue\"],\"Meta\":null,\"Port\":80,"
    "\"Weights\":{\"Passing\":1},\"EnableTagOverride\":false},"
    "\"Checks\":[{\"Status\":\"passing\",\"ServiceTags\":[]},{\"Status\":\"critical\"}]}",
    "{\"ServiceName\":\"web\",\"ServiceTags\":[\"v1\"],\"NodeMeta\":{\"x\":\"y\"},\"ServicePort\":"
    "80}",
    "{\"Node\":\"a\",\"Address\":\"10.0.0.1\",\"Meta\":{\"x\":\"y\"}}",
    "{\"CheckID\":\"service:web\",\"Status\":\"warning\",\"ServiceTags\":[\"v1\"]}",
    "{\"ID\":\"web-1\",\"Service\":\"web\",\"Tags\":[],\"Meta\":{\"x\":\"y\"},\"Port\":80}"};

static void check_fault(const struct problem *problem)
{
    CHECK(problem->message[0] != '\0');
    CHECK(text_is_printable(problem->message, strlen(problem->message)));
}

static void try_filter(const char *text, enum selectors selectors)
{
    struct problem problem;
    struct expression *e = expression_compile(text, selectors, &problem);
    if (e == NULL) {
        check_fault(&problem);
        return;
    }
    json_t *entry = json_loads(entries[selectors], 0, NULL);
    enum match match = expression_match(e, entry);
    size_t room = strlen(text) + sizeof "not ()";
    char *negated = malloc(room);
    (void)snprintf(negated, room, "not (%s)", text);
    struct expression *other = expression_compile(negated, selectors, &problem);
    if (other != NULL) { /* else it is too long or deep now */
        enum match opposite = match == MATCH_ERROR ? match
                              : match == MATCH_YES ? MATCH_NO
                                                   : MATCH_YES;
        CHECK(expression_match(other, entry) == opposite);
    }
    expression_free(other);
    expression_free(e);
    free(negated);
    json_decref(entry);
}

static void check_enrolment(const struct enrolment *e)
{
    struct command command;
    struct wire_command decoded;
    struct buffer out;
    memset(&command, 0, sizeof command);
    write_enrol(&command, e);
    buffer_init(&out, OP_BYTES_MAX);
    wire_command_encode(&command, &out);
    CHECK(!out.overflowed);
    CHECK(wire_command_decode(out.data, out.len, level_limits(LEVEL_MAX), &decoded) == ST_OK);
    wire_command_done(&decoded);
    buffer_done(&out);
}

static void try_register(const uint8_t *data, size_t size)
{
    static const struct place place = {.agent = "10.0.0.1"};
    struct problem problem = {.message = ""};
    struct enrolment e = {0};
    struct request request;
    request_init(&request);
    buffer_init(&request.body, size + 1);
    buffer_append(&request.body, data, size);
    e.json = body_parse(&request, &problem);
    if (e.json != NULL && body_service(&e, e.json, &place, &problem) &&
        body_checks(&e, e.json, &problem)) {
        check_enrolment(&e);
    } else {
        CHECK(problem.message[0] != '\0');
    }
    enrolment_done(&e);
    request_done(&request);
}

static void try_duration(const char *text)
{
    uint64_t ns;
    bool negative;
    if (query_parse_duration(text, &ns, &negative)) {
        CHECK(ns <= INT64_MAX && (!negative || ns == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    unsigned what = data[0] % (KINDS + 2);
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (what < KINDS) {
        /* As the parser of a request lets it through. */
        if (text_is_printable(text, strlen(text))) {
            try_filter(text, (enum selectors)what);
        }
    } else if (what == KINDS) {
        try_register(data + 1, size - 1);
    } else {
        try_duration(text);
    }
    free(text);
    return 0;
}
