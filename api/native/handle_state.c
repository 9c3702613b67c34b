/* The bound on the size of the registry: raised while it runs. */
#include "api/native/handlers.h"

#include <string.h>

#include "server/base/limits.h"
#include "server/base/text.h"

static void reply_bound(struct exchange *x, uint64_t at_least)
{
    const struct view *view = node_view_lock(x->context->node);
    uint64_t most = view->state_bytes_max;
    uint64_t now = view->state_bytes;
    view_unlock(&view);
    struct json_out json = response_json(&x->response);
    json_out_begin(&json, '{');
    json_out_member_u64(&json, "bytes", now);
    json_out_member_u64(&json, "bytes_max", most > at_least ? most : at_least);
    json_out_end(&json, '}');
}

static enum next finish_state_bytes(struct exchange *x, enum status status)
{
    status = exchange_outcome(x, status);
    if (status == ST_OK) {
        reply_bound(x, 0);
    } else if (status == ST_CONFLICT) {
        response_error(&x->response, 409, "conflict", "bytes",
                       "the bound is as large already, and is only raised (see state in /health)");
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

static enum next refuse(struct exchange *x, const char *field, const char *why)
{
    struct problem problem;
    problem_set(&problem, field, "%s", why);
    response_problem(&x->response, &problem);
    return NEXT_RESPOND;
}

enum next handle_state_bytes(struct exchange *x)
{
    const char *text = request_query(&x->request, "bytes");
    uint64_t most = 0;
    bool is_trial;
    struct problem problem;
    if (!request_query_bool(&x->request, "dry_run", &is_trial, &problem)) {
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    if ((text == NULL && !is_trial) ||
        (text != NULL &&
         (!text_parse_size(text, STATE_BOUND_MAX, &most) || most < STATE_BOUND_MIN))) {
        return refuse(x, "bytes", "must be a size such as 8GiB, from 1MiB to 1TiB");
    }
    if (is_trial) {
        reply_bound(x, most);
        return NEXT_RESPOND;
    }
    x->scratch->command = (struct command){
        .kind = COMMAND_STATE_BYTES,
        .state_bytes = {.most = most},
    };
    x->finish = finish_state_bytes;
    return NEXT_WRITE;
}
