/* The product's log as part of the history: printed only with --trace and for failed checks. The
 * linker replaces log_write by this (--wrap). */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/base/log.h"
#include "tests/sim/member.h"
#include "tests/sim/world.h"

void __wrap_log_write(enum log_level level, const char *area, const char *event, const char *format,
                      ...) PRINTF_LIKE(4, 5);

void __wrap_log_write(enum log_level level, const char *area, const char *event, const char *format,
                      ...)
{
    char text[512];
    va_list args;
    if (!options.trace && strcmp(area, "check") != 0) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%12.6f   log of member %d: %s %s: %s %s\n", (double)world_now_ns() / 1e9,
           member_current != NULL ? (int)member_current->id : 0,
           level == LOG_ERROR ? "error" : "note", area, event, text);
}

/* Members that end themselves leave their memory behind: a run is one process. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
