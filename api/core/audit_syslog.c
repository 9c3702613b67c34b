#include "api/core/audit_syslog.h"

#include <string.h>
#include <syslog.h>

void audit_syslog_open(void)
{
    openlog("musterd", LOG_PID | LOG_NDELAY, LOG_AUTH);
}

void audit_syslog_write(const char *text, size_t len)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line = end != NULL ? (size_t)(end - text) : len;
        syslog(LOG_INFO, "%.*s", (int)line, text);
        size_t used = end != NULL ? line + 1 : line;
        text += used;
        len -= used;
    }
}

void audit_syslog_close(void)
{
    closelog();
}
