/* The first lines of an HTTP request: target, route, query parameters, filters, headers.
 *
 * Input: a byte for the method, then three lines: target, Accept, Content-Type. */
#include <inttypes.h>
#include <stdio.h>

#include "api/core/event_id.h"
#include "api/http/router.h"
#include "api/native/event_query.h"
#include "api/native/filter_query.h"
#include "server/base/limits.h"
#include "server/base/text.h"
#include "tests/fuzz/fuzz.h"

#define SLICE(text)                                                                                \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }

static void check_problem(const struct problem *problem)
{
    CHECK(problem->message[0] != '\0');
    CHECK(text_is_printable(problem->message, strlen(problem->message)));
    CHECK(text_is_printable(problem->field, strlen(problem->field)));
}

static struct record *make_record(void)
{
    static const struct registration registration = {
        .id = SLICE("web-1"),
        .name = SLICE("web"),
        .type = SLICE("http"),
        .host = SLICE("10.0.0.1"),
        .zone = SLICE("north"),
        .port = 8080,
        .weight = 1,
        .ttl_ms = 30000,
        .tags_count = 2,
        .metadata_count = 2,
        .tags = {SLICE("v1"), SLICE("gr\xc3\xbcn")},
        .metadata = {{SLICE("version"), SLICE("2.1")}, {SLICE("empty"), SLICE("")}},
    };
    return record_create(&registration);
}

static void try_filter(const struct request *request)
{
    struct filter filter;
    struct problem problem = {.message = ""};
    if (!filter_parse(&filter, request, FILTER_DISCOVERABLE, &problem)) {
        check_problem(&problem);
        return;
    }
    struct record *record = make_record();
    CHECK(filter.tags_count <= TAGS_MAX && filter.metadata_count <= METADATA_MAX);
    bool matches = filter_match(&filter, record);
    CHECK(matches || !filter_is_plain(&filter));
    record->expired = true;
    CHECK(!filter_match(&filter, record) || (filter.health & 1u << HEALTH_CRITICAL) != 0);
    free(record);
}

static void try_numbers(const struct request *request)
{
    struct problem problem = {.message = ""};
    uint64_t number = 0;
    if (!request_query_u64(request, "index", &number, &problem)) {
        check_problem(&problem);
    }
}

static void try_events(const struct request *request)
{
    struct problem problem = {.message = ""};
    struct event_query query;
    struct event_id again;
    uint32_t cluster;
    char text[EVENT_ID_SIZE];
    const char *space = request->query_count % 2 == 0 ? "" : "shop";
    if (!event_query_parse(&query, request, space, &problem)) {
        check_problem(&problem);
        return;
    }
    const char *stored[] = {query.filter.service, query.filter.id};
    for (size_t i = 0; i < ARRAY_LENGTH(stored); i++) {
        /* "": too long for the namespace, or the text that is marked itself. */
        CHECK(stored[i] == NULL || stored[i][0] == '\0' || namespace_has(space, stored[i]));
    }
    CHECK(query.filter.events != 0 && query.limit >= 1 && query.limit <= PAGE_LIMIT_MAX);
    if (query.has_after) {
        event_id_format(query.after, query.cluster, text);
        CHECK(event_id_parse(text, &again, &cluster) && cluster == query.cluster &&
              event_id_compare(query.after, again) == 0);
    }
    event_query_done(&query);
}

static void try_route(const struct site *site, struct request *request)
{
    const struct route *route = NULL;
    struct problem problem = {.message = ""};
    unsigned methods = 0;
    switch (router_find(site, request, &route, &methods, &problem)) {
    case ROUTE_FOUND:
        CHECK(route != NULL);
        for (size_t i = 0; i < REQUEST_PARAMS_MAX && request->params[i] != NULL; i++) {
            size_t len = strlen(request->params[i]);
            CHECK(len >= 1 && len <= NAME_BYTES_MAX && text_is_printable(request->params[i], len));
        }
        if (!router_check_params(route, request, &problem)) {
            check_problem(&problem);
        }
        break;
    case ROUTE_NO_METHOD:
        CHECK(methods != 0);
        break;
    case ROUTE_BAD_PARAM:
        check_problem(&problem);
        break;
    case ROUTE_NO_PATH:
        break;
    }
}

struct headers {
    const char *accept, *type; /* type also for all others */
};

static const char *find_header(const void *transport, const char *name)
{
    const struct headers *headers = transport;
    return strcmp(name, "Accept") == 0 ? headers->accept : headers->type;
}

static void try_request(enum method method, char *target, const char *accept, const char *type)
{
    struct request request;
    struct problem problem = {.message = ""};
    request_init(&request);
    request.method = method;
    const struct headers headers = {accept, type};
    request.find_header = find_header;
    request.transport = &headers;
    (void)request_has_json_type(&request);
    (void)request_wants_html(&request);
    (void)request_wants_stream(&request);
    if (request_parse_target(&request, target, &problem)) {
        for (size_t i = 0; i < request.query_count; i++) {
            const struct query_pair *pair = &request.query[i];
            CHECK(text_is_printable(pair->name, strlen(pair->name)));
            CHECK(text_is_printable(pair->value, strlen(pair->value)));
        }
        try_filter(&request);
        try_numbers(&request);
        try_events(&request);
        for (const struct site *const *site = http_sites; *site != NULL; site++) {
            try_route(*site, &request);
        }
    } else {
        check_problem(&problem);
    }
    request_done(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"};
    struct input in = {.at = data, .left = len};
    enum method method = request_method(methods[input_u8(&in) % ARRAY_LENGTH(methods)]);
    char *text = input_text(&in), *rest = text;
    char *target = strsep(&rest, "\n");
    const char *accept = rest != NULL ? strsep(&rest, "\n") : NULL;
    try_request(method, target, accept, rest);
    free(text);
    return 0;
}
