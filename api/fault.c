#include "api/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

void fault_set(struct fault *fault, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)snprintf(fault->field, sizeof fault->field, "%s", field);
    (void)vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
}

void fault_set_named(struct fault *fault, const char *name, const char *format, ...)
{
    size_t len = strlen(name);
    if (len < sizeof fault->field && text_is_printable(name, len)) {
        memcpy(fault->field, name, len + 1);
    } else {
        (void)snprintf(fault->field, sizeof fault->field, "(a name of %zu bytes)", len);
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
}
