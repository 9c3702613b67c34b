#include "server/base/status.h"

#include "server/base/compiler.h"

static const struct {
    int http;
    const char *code;
    const char *text;
} map[] = {
#define X(name, http, code, text) [name] = {http, code, text},
    STATUS_MAP(X)
#undef X
};

int status_http(enum status status)
{
    return (size_t)status < ARRAY_LENGTH(map) ? map[status].http : 500;
}

const char *status_code(enum status status)
{
    return (size_t)status < ARRAY_LENGTH(map) ? map[status].code : "unknown_status";
}

const char *status_text(enum status status)
{
    return (size_t)status < ARRAY_LENGTH(map) ? map[status].text : "unknown status";
}
