#include "api/prober/output.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "server/base/naming.h"
#include "server/base/text.h"

#define SAID_SIZE 1024

void output_add(struct output *output, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t size = text_next(bytes + at, len - at, &code);
        const char *shown = size == 0 ? "?" : !naming_is_text(bytes + at, size) ? " " : bytes + at;
        size_t shown_len = shown == bytes + at ? size : 1;
        at += size > 0 ? size : 1;
        if (shown[0] == ' ' && (output->len == 0 || output->text[output->len - 1] == ' ')) {
            continue;
        }
        if (output->len + shown_len > OUTPUT_BYTES_MAX) {
            break;
        }
        memcpy(output->text + output->len, shown, shown_len);
        output->len += shown_len;
    }
    output->text[output->len] = '\0';
}

void output_say(struct output *output, const char *format, ...)
{
    char said[SAID_SIZE];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(said, sizeof said, format, args);
    va_end(args);
    output->len = 0;
    output_add(output, said, len < 0 ? 0 : len < SAID_SIZE ? (size_t)len : SAID_SIZE - 1);
}

void output_trim(struct output *output)
{
    while (output->len > 0 && output->text[output->len - 1] == ' ') {
        output->text[--output->len] = '\0';
    }
}
