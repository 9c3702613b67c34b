#include "api/http/read_query.h"

#include <string.h>

#include "server/base/limits.h"
#include "server/base/text.h"

static const enum node_watch watches[] = {
    [WATCH_SERVICE] = NODE_WATCH_SERVICE,   [WATCH_SERVICES] = NODE_WATCH_SERVICES,
    [WATCH_INSTANCE] = NODE_WATCH_INSTANCE, [WATCH_CHANGED] = NODE_WATCH_CHANGED,
    [WATCH_EVENTS] = NODE_WATCH_CHANGED,    [WATCH_CATALOG] = NODE_WATCH_CATALOG,
};

bool read_query_parse(struct node_read *read, uint64_t *ret_wait_ms, const struct request *request,
                      const struct route *route, struct problem *problem)
{
    const char *consistency = request_query(request, "consistency");
    const char *wait = request_query(request, "wait");
    uint64_t wait_ms = WAIT_MS_DEFAULT;
    read->watch = watches[route->watch];
    read->name = request->params[0];
    if (consistency != NULL && strcmp(consistency, "linearizable") == 0) {
        read->linearizable = true;
    } else if (consistency != NULL && strcmp(consistency, "stale") != 0) {
        problem_set(problem, "consistency", "must be stale or linearizable");
        return false;
    }
    if (!request_query_u64(request, "min_index", &read->min_index, problem) ||
        !request_query_u64(request, "index", &read->after_index, problem)) {
        return false;
    }
    if (wait != NULL && (!text_parse_duration_ms(wait, &wait_ms) || wait_ms > WAIT_MS_MAX)) {
        problem_set(problem, "wait", "must be a duration such as 30s, of at most %d seconds",
                    WAIT_MS_MAX / 1000);
        return false;
    }
    if (wait != NULL && request_query(request, "index") == NULL) {
        problem_set(problem, "wait", "needs index=N, the index to wait to be passed");
        return false;
    }
    bool streams = route->watch == WATCH_EVENTS && request_wants_stream(request);
    bool waits = request_query(request, "index") != NULL && !streams;
    *ret_wait_ms = waits ? wait_ms : READ_QUERY_NO_WAIT;
    return true;
}
