#include "server/base/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/base/naming.h"
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
    if (len > 0 && len < sizeof problem->field && naming_is_text(name, len)) {
        memcpy(problem->field, name, len + 1);
    } else {
        (void)snprintf(problem->field, sizeof problem->field, "(a name of %zu bytes)", len);
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(problem->message, sizeof problem->message, format, args);
    va_end(args);
}

bool problem_check_text(struct problem *problem, const char *field, const char *text, size_t len,
                        size_t max)
{
    if (len > max) {
        problem_set_named(problem, field, "must be at most %zu bytes", max);
        return false;
    }
    if (!text_is_printable(text, len)) {
        problem_set_named(problem, field, "must be printable UTF-8, without control characters");
        return false;
    }
    return true;
}
