#include "server/base/status.h"

#include "server/base/compiler.h"

static const struct {
    const char *code;
    const char *text;
} map[] = {
#define X(name, code, text) [name] = {code, text},
    STATUS_MAP(X)
#undef X
};

const char *status_code(enum status status)
{
    return (size_t)status < ARRAY_LENGTH(map) ? map[status].code : "unknown_status";
}

const char *status_text(enum status status)
{
    return (size_t)status < ARRAY_LENGTH(map) ? map[status].text : "unknown status";
}
