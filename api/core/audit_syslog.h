/* Lines of the audit log to syslog(3), facility auth. Apart from the rest, as <syslog.h> and
 * server/base/log.h both define LOG_INFO.
 *
 * Thread: one at a time. */
#ifndef MUSTER_API_CORE_AUDIT_SYSLOG_H
#define MUSTER_API_CORE_AUDIT_SYSLOG_H

#include <stddef.h>

void audit_syslog_open(void);
/* Whole lines, each a message. May wait for the daemon; its failures are not reported. */
void audit_syslog_write(const char *text, size_t len);
void audit_syslog_close(void);

#endif
