#include "api/grpc/outcome.h"

#include <stdio.h>
#include <string.h>

#include "api/http/exchange.h"
#include "server/base/buffer.h"

#define MESSAGE_BYTES_MAX 256

static enum outcome of_timeout(const char *code)
{
    return strcmp(code, "timeout") == 0 ? OUTCOME_DEADLINE_EXCEEDED : OUTCOME_UNKNOWN;
}

enum outcome outcome_of(int status, const char *code, bool has_route)
{
    switch (status) {
    case 400:
    case 415:
    case 422:
        return OUTCOME_INVALID_ARGUMENT;
    case 401:
        return OUTCOME_UNAUTHENTICATED;
    case 403:
    case 421:
        return OUTCOME_PERMISSION_DENIED;
    case 404:
        return has_route ? OUTCOME_NOT_FOUND : OUTCOME_UNIMPLEMENTED;
    case 405:
    case 501:
        return OUTCOME_UNIMPLEMENTED;
    case 408:
        return OUTCOME_DEADLINE_EXCEEDED;
    case 409:
        return OUTCOME_ABORTED;
    case 413:
    case 414:
    case 429:
    case 431:
    case 507:
        return OUTCOME_RESOURCE_EXHAUSTED;
    case 500:
        return OUTCOME_INTERNAL;
    case 503:
        return OUTCOME_UNAVAILABLE;
    case 504:
        return of_timeout(code);
    default:
        return status < 400 ? OUTCOME_OK : OUTCOME_UNKNOWN;
    }
}

void outcome_message(const char *code, const char *text, struct buffer *out)
{
    const char *const parts[] = {code, ": ", text};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        for (const char *c = parts[i]; *c != '\0'; c++) {
            if (*c >= ' ' && *c <= '~' && *c != '%') {
                buffer_append_byte(out, (uint8_t)*c);
            } else {
                buffer_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
            }
        }
    }
}

void outcome_error(struct response *response, int status, const char *code, const char *field,
                   const char *message)
{
    struct buffer *body = &response->body;
    (void)response_json(response); /* nothing of another body stays */
    response->status = status;
    response->content_type = "text/plain; charset=utf-8";
    if (field[0] != '\0' && strstr(message, field) != message) {
        buffer_append_text(body, field);
        buffer_append(body, " ", 1);
    }
    buffer_append_text(body, message);
    (void)code;
}

void outcome_trailers(const struct exchange *x, field_add_fn *add, void *ctx)
{
    const struct response *response = &x->response;
    const char *code = response->code != NULL ? response->code : "";
    char digits[16];
    enum outcome outcome = outcome_of(response->status, code, x->audited.route != NULL);
    (void)snprintf(digits, sizeof digits, "%d", (int)outcome);
    add(ctx, "grpc-status", digits);
    if (outcome != OUTCOME_OK) {
        char text[MESSAGE_BYTES_MAX];
        struct buffer message;
        size_t len = response->body.len < sizeof text - 1 ? response->body.len : sizeof text - 1;
        memcpy(text, len > 0 ? (const char *)response->body.data : "", len);
        text[len] = '\0';
        buffer_init(&message, 3 * sizeof text + 64);
        outcome_message(code, text, &message);
        buffer_append(&message, "", 1);
        add(ctx, "grpc-message", (const char *)message.data);
        buffer_done(&message);
    }
}
