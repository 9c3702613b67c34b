#include "client/lib/call.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"

static void step(struct call *call);

static void free_parts(struct call *call)
{
    http_done(&call->exchange);
    loop_unset(call->loop, &call->timer);
    free(call->body);
    call->body = NULL;
    call->loop = NULL;
}

static void end(struct call *call)
{
    struct http_answer answer = {.body = NULL};
    enum failover_outcome outcome = failover_end(&call->failover, &answer);
    free_parts(call);
    call->on_done(call, outcome, &answer);
}

static void note(struct call *call, enum http_outcome outcome, struct http_answer *answer,
                 const char *why)
{
    failover_note(&call->failover, outcome, answer, why, clock_monotonic_ms());
    /* The next step is taken from the loop: on_done never comes from inside call_start(). */
    loop_set(call->loop, &call->timer, clock_monotonic_ms());
}

static void on_transfer_done(struct loop_transfer *transfer, CURLcode code)
{
    struct call *call = CONTAINER_OF(transfer, struct call, transfer);
    struct http_answer answer = {.body = NULL};
    char why[HTTP_WHY_SIZE] = "";
    enum http_outcome outcome = http_end(&call->exchange, code, &answer, why);
    http_done(&call->exchange);
    failover_note(&call->failover, outcome, &answer, why, clock_monotonic_ms());
    step(call);
}

static void on_timer(struct loop_timer *timer)
{
    step(CONTAINER_OF(timer, struct call, timer));
}

static void attempt(struct call *call)
{
    struct failover_call *failover = &call->failover;
    const char *server = failover->failover->servers->urls[failover->server];
    if (!http_begin(&call->exchange, server, &call->request, call->body, call->loop->shared)) {
        note(call, HTTP_NOT_SENT, NULL, "no memory");
        return;
    }
    http_limit(&call->exchange, failover->connect_ms, failover->limit_ms);
    call->transfer = (struct loop_transfer){call->exchange.curl, on_transfer_done};
    if (!loop_add(call->loop, &call->transfer)) {
        http_done(&call->exchange);
        note(call, HTTP_NOT_SENT, NULL, "no memory");
    }
}

static void step(struct call *call)
{
    switch (failover_next(&call->failover, clock_monotonic_ms())) {
    case FAILOVER_TRY:
        attempt(call);
        break;
    case FAILOVER_PAUSE:
        loop_set(call->loop, &call->timer, call->failover.resume_ms);
        break;
    case FAILOVER_OVER:
        end(call);
        break;
    }
}

bool call_start(struct call *call, struct loop *loop, struct failover *failover,
                const struct http_request *request, uint64_t timeout_ms)
{
    char *body = request->body != NULL ? json_dumps(request->body, JSON_COMPACT) : NULL;
    if (request->body != NULL && body == NULL) {
        return false;
    }
    call->loop = loop;
    call->request = *request;
    call->body = body;
    call->exchange = (struct http_exchange){.curl = NULL};
    call->timer = (struct loop_timer){.due_ms = LOOP_NEVER, .on_due = on_timer};
    uint64_t now_ms = clock_monotonic_ms();
    failover_begin(&call->failover, failover, &call->request, now_ms + timeout_ms);
    loop_set(loop, &call->timer, now_ms);
    return true;
}

bool call_start_once(struct call *call, struct loop *loop, struct failover *failover,
                     const struct http_request *request, uint64_t timeout_ms)
{
    if (!call_start(call, loop, failover, request, timeout_ms)) {
        return false;
    }
    call->failover.once = true;
    return true;
}

void call_cancel(struct call *call)
{
    if (call->loop == NULL) {
        return;
    }
    if (call->exchange.curl != NULL) {
        loop_remove(call->loop, &call->transfer);
    }
    http_answer_done(&call->failover.answer);
    free_parts(call);
}
