#include "api/native/event_query.h"

#include <stdlib.h>
#include <string.h>

#include "api/core/event_id.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define LIMIT_DEFAULT 1000

#define ID_MUST "must be the id of an event, <index>.<position>, as it was given"

static bool parse_kinds(struct event_query *query, const struct request *request,
                        struct problem *problem)
{
    query->filter.events = 0;
    for (size_t i = 0; i < request->query_count; i++) {
        enum event_type type;
        if (strcmp(request->query[i].name, "event") != 0) {
            continue;
        }
        if (!event_type_parse(request->query[i].value, &type)) {
            problem_set(problem, "event", "is no kind of event, such as registered or expired");
            return false;
        }
        query->filter.events |= 1u << type;
    }
    if (query->filter.events == 0) {
        query->filter.events = EVENT_FILTER_ALL;
    }
    return true;
}

static bool parse_limit(struct event_query *query, const struct request *request,
                        struct problem *problem)
{
    const char *limit = request_query(request, "limit");
    query->has_limit = limit != NULL;
    query->limit = LIMIT_DEFAULT;
    if (limit != NULL &&
        (!text_parse_u64(limit, PAGE_LIMIT_MAX, &query->limit) || query->limit == 0)) {
        problem_set(problem, "limit", "must be a number from 1 to %d", PAGE_LIMIT_MAX);
        return false;
    }
    return true;
}

/* What a browser sends when it comes back is newer than what the page asked for at first. */
static bool parse_after(struct event_query *query, const struct request *request,
                        struct problem *problem)
{
    const char *last = request_header(request, "Last-Event-ID");
    if (last != NULL && *last == '\0') {
        last = NULL; /* what a client sends that has seen no event yet */
    }
    const char *after = request_query(request, "after");
    if (after != NULL && !event_id_parse(after, &query->after, &query->cluster)) {
        problem_set(problem, "after", ID_MUST);
        return false;
    }
    if (last != NULL && !event_id_parse(last, &query->after, &query->cluster)) {
        problem_set(problem, "Last-Event-ID", ID_MUST);
        return false;
    }
    query->has_after = after != NULL || last != NULL;
    return true;
}

/* As it is stored. "", which matches nothing, where there can be none. */
static char *stored_or_null(const char *space, const char *text)
{
    char stored[STORED_NAME_SIZE];
    if (text == NULL) {
        return NULL;
    }
    namespace_store(space, text, stored);
    return mem_strdup(stored);
}

bool event_query_parse(struct event_query *query, const struct request *request, const char *space,
                       struct problem *problem)
{
    *query = (struct event_query){.has_after = false};
    if (!parse_kinds(query, request, problem) || !parse_limit(query, request, problem) ||
        !parse_after(query, request, problem) ||
        !request_query_bool(request, "snapshot", &query->snapshot, problem)) {
        return false;
    }
    const char *type = request_query(request, "type");
    query->filter.service = stored_or_null(space, request_query(request, "service"));
    query->filter.type = type != NULL ? mem_strdup(type) : NULL;
    query->filter.id = stored_or_null(space, request_query(request, "id"));
    query->filter.space = space[0] != '\0' ? mem_strdup(space) : NULL;
    return true;
}

struct event_filter event_query_take(struct event_query *query)
{
    struct event_filter filter = query->filter;
    query->filter = (struct event_filter){.events = 0};
    return filter;
}

void event_query_done(struct event_query *query)
{
    free(query->filter.service);
    free(query->filter.type);
    free(query->filter.id);
    free(query->filter.space);
    query->filter = (struct event_filter){.events = 0};
}
