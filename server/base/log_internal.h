/* The thread that writes the log, and the lines that wait for it: log.h.
 *
 * Two buffers change places: callers fill one while the thread writes the other. The lock is never
 * held across a write, so a stderr that stands still holds up this thread alone. A line that finds
 * no room is dropped, and so are all that follow until the thread has taken what waits; behind that
 * it writes how many they were.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_LOG_INTERNAL_H
#define MUSTER_BASE_LOG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/log.h"

#define LOG_LINE_BYTES_MAX 2048

/* Takes a whole line. False while there is no thread: then write it yourself. */
bool log_writer_take(const char *line, size_t len);

/* An event as a line; returns its length. */
size_t log_render(char line[LOG_LINE_BYTES_MAX], enum log_level level, const char *area,
                  const char *event, const char *details);

#endif
