#include "client/lib/failover.h"

#include <stdio.h>
#include <string.h>

/* A replica that does not even accept the connection must not eat the time of the others. */
#define CONNECT_MS     2000
#define ATTEMPT_MS_MIN 500
/* Between two rounds when no replica said how long. */
#define PAUSE_MS 500
/* The one that may be asked again first; but never in a busy loop. */
#define PAUSE_MS_MIN 50

enum verdict {
    VERDICT_FINAL,  /* this is the answer */
    VERDICT_LATER,  /* surely not done; another replica, or this one later, may do it */
    VERDICT_FAILED, /* surely not done, or a read: another replica may do it */
    VERDICT_UNSURE, /* may have happened */
};

static enum verdict judge_answer(const struct http_request *request,
                                 const struct http_answer *answer)
{
    bool full = answer->status == 507; /* surely not done, and the same at every replica */
    if (full || (answer->status < 500 && answer->status != 429)) {
        return VERDICT_FINAL;
    }
    if (answer->status == 503 || answer->status == 429) {
        /* This is what the registry holds, not what ails the replica. */
        bool final = strcmp(http_answer_code(answer), "no_healthy_instance") == 0;
        return final ? VERDICT_FINAL : VERDICT_LATER;
    }
    return request->read ? VERDICT_FAILED : VERDICT_UNSURE;
}

static enum verdict judge(const struct failover_call *call, enum http_outcome outcome,
                          const struct http_answer *answer)
{
    if (outcome == HTTP_ANSWERED) {
        return call->once ? VERDICT_FINAL : judge_answer(call->request, answer);
    }
    bool harmless = outcome == HTTP_NOT_SENT || call->request->read;
    return harmless ? VERDICT_FAILED : VERDICT_UNSURE;
}

void failover_begin(struct failover_call *call, struct failover *failover,
                    const struct http_request *request, uint64_t deadline_ms)
{
    *call = (struct failover_call){
        .failover = failover, .request = request, .deadline_ms = deadline_ms, .pause_ms = -1};
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

/* After a round in which nobody did it: is there a point in another one? */
static enum failover_step end_round(struct failover_call *call, uint64_t now_ms)
{
    /* An attempt that is cut short would make a clear refusal an unknown outcome. */
    if (call->once || call->pause_ms < 0 ||
        now_ms + (uint64_t)call->pause_ms + call->slowest_ms >= call->deadline_ms) {
        return FAILOVER_OVER;
    }
    call->resume_ms = now_ms + (uint64_t)call->pause_ms;
    call->paused = true;
    return FAILOVER_PAUSE;
}

enum failover_step failover_next(struct failover_call *call, uint64_t now_ms)
{
    size_t count = call->failover->servers->count;
    if (call->paused) {
        if (now_ms < call->resume_ms) {
            return FAILOVER_PAUSE;
        }
        call->paused = false;
        call->tried = 0;
        call->pause_ms = -1;
        call->why[0] = '\0';
    }
    if (call->final || now_ms >= call->deadline_ms) {
        return FAILOVER_OVER;
    }
    if (call->tried == count) {
        return end_round(call, now_ms);
    }
    call->server = (call->failover->preferred + call->tried) % count;
    call->limit_ms = attempt_ms(call->request, call->deadline_ms - now_ms, count - call->tried);
    call->connect_ms = call->limit_ms < CONNECT_MS ? call->limit_ms : CONNECT_MS;
    call->began_ms = now_ms;
    call->tried++;
    return FAILOVER_TRY;
}

static void note_why(struct failover_call *call, const char *why)
{
    size_t len = strlen(call->why);
    (void)snprintf(call->why + len, sizeof call->why - len, "%s%s: %s", len > 0 ? "; " : "",
                   call->failover->servers->urls[call->server], why);
}

static void note_later(struct failover_call *call, uint64_t now_ms)
{
    uint64_t took_ms = now_ms - call->began_ms;
    int64_t pause_ms = call->answer.retry_after_ms >= 0 ? call->answer.retry_after_ms : PAUSE_MS;
    pause_ms = pause_ms < PAUSE_MS_MIN ? PAUSE_MS_MIN : pause_ms;
    call->slowest_ms = took_ms > call->slowest_ms ? took_ms : call->slowest_ms;
    call->pause_ms = call->pause_ms < 0 || pause_ms < call->pause_ms ? pause_ms : call->pause_ms;
}

void failover_note(struct failover_call *call, enum http_outcome outcome,
                   struct http_answer *answer, const char *why, uint64_t now_ms)
{
    enum verdict verdict = judge(call, outcome, answer);
    char status[HTTP_WHY_SIZE];
    if (outcome == HTTP_ANSWERED) {
        (void)snprintf(status, sizeof status, "status %ld %.100s", answer->status,
                       http_answer_code(answer));
        why = status;
        http_answer_done(&call->answer);
        call->answer = *answer;
        call->answered = true;
    }
    note_why(call, why);
    switch (verdict) {
    case VERDICT_FINAL:
        call->failover->preferred = call->server;
        call->final = true;
        break;
    case VERDICT_UNSURE:
        call->unsure = true;
        call->answered = false;
        /* A second time would be a second write: the call is over. */
        call->final = call->final || !call->request->repeatable;
        break;
    case VERDICT_LATER:
        note_later(call, now_ms);
        break;
    case VERDICT_FAILED:
        break;
    }
    if (call->once) {
        call->final = true;
    }
}

enum failover_outcome failover_end(struct failover_call *call, struct http_answer *ret_answer)
{
    /* A refusal after an unsure attempt says nothing about that attempt; a final answer does. */
    if (call->answered && (call->final || !call->unsure)) {
        *ret_answer = call->answer;
        call->answer.body = NULL;
        return FAILOVER_ANSWERED;
    }
    http_answer_done(&call->answer);
    return call->unsure ? FAILOVER_UNKNOWN : FAILOVER_UNREACHABLE;
}
