#include "client/cli/failover.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/base/clock.h"

/* A replica that does not even accept the connection must not eat the time of the others. */
#define CONNECT_MS     2000
#define ATTEMPT_MS_MIN 500
/* Between two rounds when no replica said how long. */
#define PAUSE_MS 500

enum verdict {
    VERDICT_FINAL,  /* this is the answer */
    VERDICT_LATER,  /* surely not done; another replica, or this one later, may do it */
    VERDICT_FAILED, /* surely not done, or a read: another replica may do it */
    VERDICT_UNSURE, /* may have happened */
};

/* What was learnt in the course of one call. */
struct call {
    uint64_t deadline_ms;
    bool unsure;
    bool answered; /* `answer` holds the last refusal */
    struct http_answer answer;
    int64_t pause_ms;    /* -1: nobody in this round asked to come again */
    uint64_t slowest_ms; /* that a replica took to refuse */
    char *why;
    size_t why_size;
};

static enum verdict judge_answer(const struct http_request *request,
                                 const struct http_answer *answer)
{
    if (answer->status < 500 && answer->status != 429) {
        return VERDICT_FINAL;
    }
    if (answer->status == 503 || answer->status == 429) {
        /* This is what the registry holds, not what ails the replica. */
        bool final = strcmp(http_answer_code(answer), "no_healthy_instance") == 0;
        return final ? VERDICT_FINAL : VERDICT_LATER;
    }
    return request->read ? VERDICT_FAILED : VERDICT_UNSURE;
}

static enum verdict judge(const struct http_request *request, enum http_outcome outcome,
                          const struct http_answer *answer)
{
    if (outcome == HTTP_ANSWERED) {
        return judge_answer(request, answer);
    }
    return outcome == HTTP_NOT_SENT || request->read ? VERDICT_FAILED : VERDICT_UNSURE;
}

static void note_why(struct call *call, const char *server, const char *why)
{
    size_t len = strlen(call->why);
    (void)snprintf(call->why + len, call->why_size - len, "%s%s: %s", len > 0 ? "; " : "", server,
                   why);
}

/* What may be tried elsewhere gets its share of the time that is left, what may not gets all. */
static uint64_t attempt_ms(const struct http_request *request, uint64_t left_ms, size_t replicas)
{
    uint64_t share_ms = left_ms / replicas;
    if (!request->read && !request->repeatable) {
        return left_ms;
    }
    if (share_ms < ATTEMPT_MS_MIN) {
        share_ms = ATTEMPT_MS_MIN;
    }
    return share_ms < left_ms ? share_ms : left_ms;
}

static void keep_answer(struct call *call, const struct http_answer *answer)
{
    http_answer_done(&call->answer);
    call->answer = *answer;
    call->answered = true;
}

static enum verdict attempt(struct failover *failover, struct call *call,
                            const struct http_request *request, size_t server, size_t replicas)
{
    struct http_answer answer = {.body = NULL};
    const char *url = failover->servers->urls[server];
    char why[256] = "";
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t left_ms = now_ms < call->deadline_ms ? call->deadline_ms - now_ms : 1;
    uint64_t limit_ms = attempt_ms(request, left_ms, replicas);
    uint64_t connect_ms =
        limit_ms < CONNECT_MS || failover->servers->count == 1 ? limit_ms : CONNECT_MS;
    enum http_outcome outcome =
        http_exchange(failover->http, url, request, connect_ms, limit_ms, &answer, why, sizeof why);
    enum verdict verdict = judge(request, outcome, &answer);
    if (outcome == HTTP_ANSWERED) {
        (void)snprintf(why, sizeof why, "status %ld %s", answer.status, http_answer_code(&answer));
        keep_answer(call, &answer);
    }
    if (verdict == VERDICT_LATER) {
        uint64_t took_ms = clock_monotonic_ms() - now_ms;
        call->slowest_ms = took_ms > call->slowest_ms ? took_ms : call->slowest_ms;
        int64_t pause_ms = answer.retry_after_ms >= 0 ? answer.retry_after_ms : PAUSE_MS;
        /* The one that may be asked again first; but never in a busy loop. */
        pause_ms = pause_ms < 50 ? 50 : pause_ms;
        call->pause_ms =
            call->pause_ms < 0 || pause_ms < call->pause_ms ? pause_ms : call->pause_ms;
    }
    note_why(call, url, why);
    return verdict;
}

/* Each replica once. True when the call is over. */
static bool run_round(struct failover *failover, struct call *call,
                      const struct http_request *request)
{
    size_t count = failover->servers->count;
    call->pause_ms = -1;
    call->why[0] = '\0';
    for (size_t i = 0; i < count && clock_monotonic_ms() < call->deadline_ms; i++) {
        size_t server = (failover->preferred + i) % count;
        switch (attempt(failover, call, request, server, count - i)) {
        case VERDICT_FINAL:
            failover->preferred = server;
            return true;
        case VERDICT_UNSURE:
            call->unsure = true;
            call->answered = false;
            if (!request->repeatable) {
                return true;
            }
            break;
        case VERDICT_LATER:
        case VERDICT_FAILED:
            break;
        }
    }
    return false;
}

static void pause_for(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

enum failover_outcome failover_call(struct failover *failover, const struct http_request *request,
                                    struct http_answer *ret_answer, bool *ret_unsure, char *why,
                                    size_t why_size)
{
    struct call call = {
        .deadline_ms = clock_monotonic_ms() + failover->timeout_ms,
        .why = why,
        .why_size = why_size,
    };
    bool final;
    while (!(final = run_round(failover, &call, request))) {
        uint64_t now_ms = clock_monotonic_ms();
        /* An attempt that is cut short would make a clear refusal an unknown outcome. */
        uint64_t next_ms = now_ms + (uint64_t)call.pause_ms + call.slowest_ms;
        if (call.pause_ms < 0 || next_ms >= call.deadline_ms) {
            break;
        }
        pause_for(call.pause_ms);
    }
    *ret_unsure = call.unsure;
    /* A refusal after an unsure attempt says nothing about that attempt; a final answer does. */
    if (call.answered && (final || !call.unsure)) {
        *ret_answer = call.answer;
        return FAILOVER_ANSWERED;
    }
    http_answer_done(&call.answer);
    return call.unsure ? FAILOVER_UNKNOWN : FAILOVER_UNREACHABLE;
}
