/* The thread that writes the log, and the lines waiting for it: log.h.
 *
 * Double buffering: callers fill one buffer while the thread writes the other. The lock is never
 * held during a write, so a blocked stderr blocks only this thread. A line without room is dropped,
 * like all later ones until the thread has taken the buffer; after it the thread writes their
 * number.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_LOG_INTERNAL_H
#define MUSTER_BASE_LOG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/log.h"

#define LOG_LINE_BYTES_MAX 2048

/* Takes a complete line. False if there is no thread: then write it yourself. */
bool log_writer_take(const char *line, size_t len);

/* Formats an event as a line; returns its length. */
size_t log_render(char line[LOG_LINE_BYTES_MAX], enum log_level level, const char *area,
                  const char *event, const char *details);

#endif
