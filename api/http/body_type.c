#include "api/http/body_type.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

bool body_is_of(const struct request *request, const struct site *site)
{
    const char *given = request_header(request, "Content-Type");
    const char *type = site->content_type;
    return type != NULL && given != NULL && strncasecmp(given, type, strlen(type)) == 0 &&
           strchr("+;", given[strlen(type)]) != NULL;
}

static bool has_type(const struct request *request, const struct site *site)
{
    if (site->content_type != NULL) {
        return body_is_of(request, site);
    }
    return request->body.len == 0 || site->any_type || request_has_json_type(request);
}

static bool refuse(struct body_refusal *refusal, int status, const char *code, const char *field)
{
    refusal->status = status;
    refusal->code = code;
    refusal->field = field;
    return false;
}

bool body_is_taken(const struct request *request, const struct site *site, size_t limit,
                   struct body_refusal *refusal)
{
    char *message = refusal->message;
    size_t size = sizeof refusal->message;
    if (limit == 0) {
        (void)snprintf(message, size, "this call takes no body");
        return request_has_no_body(request) || refuse(refusal, 400, "invalid", "");
    }
    if (request->body.overflowed || request->body.len > limit) {
        (void)snprintf(message, size, "the body must be at most %zu bytes", limit);
        return refuse(refusal, 413, "too_large", "");
    }
    if (!has_type(request, site)) {
        (void)snprintf(message, size, "the body must be sent as %s",
                       site->content_type != NULL ? site->content_type : "application/json");
        return refuse(refusal, 415, "unsupported_media_type", "Content-Type");
    }
    return true;
}
