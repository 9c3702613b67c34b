#include "api/http/response.h"

#include <string.h>

#include "api/http/status_http.h"
#include "server/base/check.h"
#include "server/base/metric.h"
#include "server/base/text.h"

void response_init(struct response *response, response_error_fn *error)
{
    response->status = 200;
    response->code = NULL;
    response->content_type = "application/json";
    response->index = response->asked_index = 0;
    response->is_secret = response->is_tagged = response->has_asked_index = false;
    response->error = error;
    response->headers_count = 0;
    response->header_text_len = 0;
    response->shared = NULL;
    buffer_init(&response->body, RESPONSE_BYTES_MAX);
}

static void drop_shared(struct response *response)
{
    if (response->shared != NULL) {
        rendered_sent(response->shared);
        response->shared = NULL;
    }
}

void response_done(struct response *response)
{
    drop_shared(response);
    if (response->is_secret) {
        explicit_bzero(response->body.data, response->body.len);
    }
    buffer_done(&response->body);
}

void response_share(struct response *response, struct rendered *text)
{
    drop_shared(response);
    if (rendered_send(text)) {
        response->shared = text;
    } else {
        response->body.overflowed = response->body.starved = true;
    }
}

struct json_out response_json(struct response *response)
{
    response->status = 200;
    response->code = NULL;
    response->content_type = "application/json";
    drop_shared(response);
    buffer_clear(&response->body);
    return json_out_to(&response->body);
}

void response_asked(struct response *response, uint64_t index)
{
    response->asked_index = index;
    response->has_asked_index = true;
}

void response_header(struct response *response, const char *name, const char *value)
{
    size_t size = strlen(value) + 1;
    CHECK(response->headers_count < RESPONSE_HEADERS_MAX);
    CHECK(size <= sizeof response->header_text - response->header_text_len);
    char *copy = response->header_text + response->header_text_len;
    memcpy(copy, value, size);
    response->header_text_len += size;
    response->headers[response->headers_count].name = name;
    response->headers[response->headers_count++].value = copy;
}

void response_header_static(struct response *response, const char *name, const char *value)
{
    CHECK(response->headers_count < RESPONSE_HEADERS_MAX);
    response->headers[response->headers_count].name = name;
    response->headers[response->headers_count++].value = value;
}

void response_header_u64(struct response *response, const char *name, uint64_t value)
{
    char digits[TEXT_U64_SIZE];
    response_header(response, name, text_format_u64(value, digits));
}

void response_error_members(struct json_out *json, const char *code, const char *field,
                            const char *message)
{
    json_out_member_text(json, "error", code);
    json_out_member_text(json, "message", message);
    if (field[0] != '\0') {
        json_out_member_text(json, "field", field);
    }
}

void response_error_object(struct response *response, int status, const char *code,
                           const char *field, const char *message)
{
    struct json_out json = response_json(response);
    response->status = status;
    json_out_begin(&json, '{');
    response_error_members(&json, code, field, message);
    json_out_end(&json, '}');
}

void response_error(struct response *response, int status, const char *code, const char *field,
                    const char *message)
{
    response->is_tagged = false;
    response->error(response, status, code, field, message);
    response->code = code;
}

void response_status(struct response *response, enum status status)
{
    response_error(response, status_http(status), status_code(status), "", status_text(status));
}

void response_problem(struct response *response, const struct problem *problem)
{
    struct buffer message;
    buffer_init(&message, PROBLEM_FIELD_SIZE + PROBLEM_MESSAGE_SIZE + 2);
    if (problem->field[0] != '\0') {
        buffer_append_text(&message, problem->field);
        buffer_append_text(&message, ": ");
    }
    /* With its NUL. */
    buffer_append(&message, problem->message, strlen(problem->message) + 1);
    response_error(response, 400, "invalid", problem->field, (const char *)message.data);
    buffer_done(&message);
}

void response_refuse_memory(struct response *response)
{
    metric_add(METRIC_http_memory_refused_total, 1);
    response_error(response, 503, "overloaded", "",
                   "too many large answers or bodies are on their way at this replica; try again "
                   "or try another replica");
}
