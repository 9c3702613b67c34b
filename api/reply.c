#include "api/reply.h"

#include <string.h>

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.status = 200, .content_type = "application/json"};
    buffer_init(&reply->body, REPLY_BYTES_MAX);
}

void reply_done(struct reply *reply)
{
    buffer_done(&reply->body);
}

struct json_out reply_json(struct reply *reply)
{
    reply->status = 200;
    reply->content_type = "application/json";
    buffer_clear(&reply->body);
    return json_out_to(&reply->body);
}

void reply_error(struct reply *reply, int status, const char *code, const char *field,
                 const char *message)
{
    struct json_out json = reply_json(reply);
    reply->status = status;
    json_out_begin(&json, '{');
    json_out_member_text(&json, "error", code);
    json_out_member_text(&json, "message", message);
    if (field[0] != '\0') {
        json_out_member_text(&json, "field", field);
    }
    json_out_end(&json, '}');
}

void reply_status(struct reply *reply, enum status status)
{
    reply_error(reply, status_http(status), status_code(status), "", status_text(status));
}

void reply_fault(struct reply *reply, const struct fault *fault)
{
    struct buffer message;
    buffer_init(&message, FAULT_FIELD_SIZE + FAULT_MESSAGE_SIZE + 2);
    if (fault->field[0] != '\0') {
        buffer_append_text(&message, fault->field);
        buffer_append_text(&message, ": ");
    }
    /* With its NUL. */
    buffer_append(&message, fault->message, strlen(fault->message) + 1);
    reply_error(reply, 400, "invalid", fault->field, (const char *)message.data);
    buffer_done(&message);
}
