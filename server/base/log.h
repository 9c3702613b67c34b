/* One line per event on stderr, as text or JSON: time, level, area, event, key=value pairs. Strings
 * from outside go into a quoted %s; control characters are escaped.
 *
 * A stuck reader of stderr (a paused terminal, a hanging log driver) must not block a server: after
 * log_start a thread writes, and lines without room are dropped, counted and reported.
 *
 * Thread: any; a line is written atomically. */
#ifndef MUSTER_BASE_LOG_H
#define MUSTER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* At start, before there are threads. */
void log_setup(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
/* From here on no caller waits for stderr. Once per process, after signals are blocked; afterwards
 * the process must not fork and continue without exec. False: no thread could be created; see
 * errno. */
MUST_USE bool log_start(void);
/* Waits until all lines are written, at most this long: before the process ends. */
void log_flush(uint64_t within_ms);
/* `area` is a part of Muster ("raft", "peer", "lease", ...), `event` a few fixed words, and the
 * rest `key=value key="quoted value"` pairs. A line is truncated at 2 KiB. */
void log_write(enum log_level level, const char *area, const char *event, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* A message for people, without time and level. */
void log_say(const char *sentence);

/* Writes whole lines of another log to stderr, between two lines of this one, and waits as long as
 * that takes. Returns how many bytes were written; errno says why not all of them. */
size_t log_raw(const char *text, size_t len);

/* Lets one message per second through for each place, and counts the others.
 *     static struct log_gate gate;
 *     uint64_t held;
 *     if (log_gate_open(&gate, &held)) log_write(LOG_WARN, ..., "held_back=%" PRIu64, held);
 * Thread: one owner per gate. */
struct log_gate {
    uint64_t next_ms;
    uint64_t held;
};
bool log_gate_open(struct log_gate *gate, uint64_t *ret_held);

#endif
