#include "api/consul/output.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "server/base/naming.h"
#include "server/base/text.h"

#define SUFFIX_BYTES_MAX 64

static size_t copy(const char *text, size_t most, char *out)
{
    size_t len = strlen(text);
    size_t at = 0;
    size_t to = 0;
    uint32_t code;
    while (at < len) {
        size_t n = text_next(text + at, len - at, &code);
        n = n > 0 ? n : 1;
        if (to + n > most) {
            break;
        }
        if (naming_is_text(text + at, n)) {
            memcpy(out + to, text + at, n);
            to += n;
        } else {
            out[to++] = ' ';
        }
        at += n;
    }
    out[to] = '\0';
    return to;
}

void output_take(const char *text, size_t most, char out[OUTPUT_BYTES_MAX + 1])
{
    size_t len = strlen(text);
    size_t kept = copy(text, most - SUFFIX_BYTES_MAX, out);
    if (len > most - SUFFIX_BYTES_MAX) {
        (void)snprintf(out + kept, SUFFIX_BYTES_MAX + 1, " ... (captured %zu of %zu bytes)", kept,
                       len);
    }
}
