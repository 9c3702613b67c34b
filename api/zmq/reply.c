#include "api/zmq/reply.h"

#include <stdio.h>

#include "server/base/limits.h"
#include "server/base/metric.h"

void reply_begin(struct reply *reply, bool success)
{
    buffer_init(&reply->text, ZMQ_ANSWER_BYTES_MAX);
    reply->json = json_out_to(&reply->text);
    json_out_begin(&reply->json, '{');
    json_out_member_bool(&reply->json, "success", success);
}

void reply_send(struct reply *reply, struct asker *to)
{
    json_out_end(&reply->json, '}');
    if (!to->envelope.wants_answer) {
        buffer_done(&reply->text);
        return;
    }
    if (reply->text.overflowed) {
        buffer_done(&reply->text);
        reply_error(to, "the answer is too large: ask for a service_type");
        return;
    }
    switch (
        zmq_client_answer(to->client, &to->envelope, to->worker->options.zmq_reply, &reply->text)) {
    case ZMQ_SENT:
        break;
    case ZMQ_GONE:
        metric_add(METRIC_zmq_answers_dropped_total, 1);
        break;
    case ZMQ_FULL:
        buffer_done(&reply->text);
        reply_error(to, "too many answers here wait to be read; try again later");
        break;
    }
}

void reply_error(struct asker *to, const char *error)
{
    struct reply reply;
    metric_add(METRIC_zmq_errors_total, 1);
    reply_begin(&reply, false);
    json_out_member_text(&reply.json, "error", error);
    reply_send(&reply, to);
}

void reply_problem(struct asker *to, const struct problem *problem)
{
    char text[PROBLEM_FIELD_SIZE + PROBLEM_MESSAGE_SIZE + 2];
    bool has_field = problem->field[0] != '\0';
    (void)snprintf(text, sizeof text, "%s%s%s", problem->field, has_field ? ": " : "",
                   problem->message);
    reply_error(to, text);
}

const char *reply_why(enum status status)
{
    switch (status) {
    case ST_UNAUTHENTICATED:
    case ST_FORBIDDEN:
        return "this registry has tokens, which ZeroMQ does not carry, and does not allow this "
               "without one (musterd --anonymous); nothing was done";
    default:
        return status_text(status);
    }
}
