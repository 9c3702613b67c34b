#include "server/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/clock.h"
#include "server/base/log_internal.h"
#include "server/base/text.h"

#define GATE_INTERVAL_MS 1000

static enum log_level current_level = LOG_INFO;
static enum log_format current_format = LOG_TEXT;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_setup(enum log_level level, enum log_format format)
{
    current_level = level;
    current_format = format;
}

bool log_enabled(enum log_level level)
{
    return level <= current_level;
}

/* Before log_start, when there are no threads yet, the caller writes. */
static void put(const char *line, size_t len)
{
    if (!log_writer_take(line, len)) {
        /* Without stderr nothing sensible can be done. */
        ssize_t written UNUSED = write(STDERR_FILENO, line, len);
    }
}

/* Control characters would let a foreign string forge lines or terminal commands. */
static size_t escape_controls(const char *in, char *out, size_t size)
{
    size_t n = 0;
    for (; *in != '\0' && n + 5 < size; in++) {
        unsigned char c = (unsigned char)*in;
        if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(out + n, size - n, "\\x%02x", c);
        } else {
            out[n++] = *in;
        }
    }
    out[n] = '\0';
    return n;
}

static void append_json_text(char *out, size_t size, size_t *n, const char *text)
{
    for (; *text != '\0' && *n + 4 < size; text++) {
        if (*text == '"' || *text == '\\') {
            out[(*n)++] = '\\';
        }
        out[(*n)++] = *text;
    }
}

size_t log_render(char line[LOG_LINE_BYTES_MAX], enum log_level level, const char *area,
                  const char *event, const char *raw)
{
    char details[LOG_LINE_BYTES_MAX / 2];
    char when[TEXT_TIME_SIZE];
    size_t n;
    escape_controls(raw, details, sizeof details);
    text_format_time(clock_wall_ms(), when);
    if (current_format == LOG_JSON) {
        n = (size_t)snprintf(line, LOG_LINE_BYTES_MAX,
                             "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"event\":\"%s\","
                             "\"details\":\"",
                             when, level_names[level], area, event);
        append_json_text(line, LOG_LINE_BYTES_MAX - 4, &n, details);
        memcpy(line + n, "\"}\n", 3);
        n += 3;
    } else {
        int len = snprintf(line, LOG_LINE_BYTES_MAX - 1, "%s %-5s %s: %s%s%s", when,
                           level_names[level], area, event, details[0] != '\0' ? " " : "", details);
        n = (size_t)len < LOG_LINE_BYTES_MAX - 1 ? (size_t)len : LOG_LINE_BYTES_MAX - 2;
        line[n++] = '\n';
    }
    return n;
}

void log_write(enum log_level level, const char *area, const char *event, const char *format, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    char raw[LOG_LINE_BYTES_MAX / 2];
    char line[LOG_LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    put(line, log_render(line, level, area, event, raw));
}

void log_say(const char *sentence)
{
    char line[LOG_LINE_BYTES_MAX];
    int len = snprintf(line, sizeof line - 1, "%s", sentence);
    size_t n = (size_t)len < sizeof line - 1 ? (size_t)len : sizeof line - 2;
    line[n++] = '\n';
    put(line, n);
}

bool log_gate_open(struct log_gate *gate, uint64_t *ret_held)
{
    uint64_t now = clock_monotonic_ms();
    if (now < gate->next_ms) {
        gate->held++;
        return false;
    }
    *ret_held = gate->held;
    gate->held = 0;
    gate->next_ms = now + GATE_INTERVAL_MS;
    return true;
}
