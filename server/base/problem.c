#include "server/base/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

void problem_set(struct problem *problem, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)snprintf(problem->field, sizeof problem->field, "%s", field);
    (void)vsnprintf(problem->message, sizeof problem->message, format, args);
    va_end(args);
}

void problem_set_named(struct problem *problem, const char *name, const char *format, ...)
{
    size_t len = strlen(name);
    if (len < sizeof problem->field && text_is_printable(name, len)) {
        memcpy(problem->field, name, len + 1);
    } else {
        (void)snprintf(problem->field, sizeof problem->field, "(a name of %zu bytes)", len);
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(problem->message, sizeof problem->message, format, args);
    va_end(args);
}
