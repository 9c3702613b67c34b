/* Small texts written by people: what can be parsed, formatted and parsed again means the same;
 * UTF-8 is compared with another decoder.
 *
 * Input: a text, whose first 8 bytes are also a time. */
#include "server/base/text.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

static void try_number(const char *text)
{
    char written[24];
    uint64_t value, again;
    if (text_parse_u64(text, UINT64_MAX, &value)) {
        (void)snprintf(written, sizeof written, "%" PRIu64, value);
        CHECK(text_parse_u64(written, value, &again) && again == value);
        CHECK(value == 0 || !text_parse_u64(text, value - 1, &again));
    }
}

static void try_duration(const char *text)
{
    char written[24];
    uint64_t ms, again;
    if (text_parse_duration_ms(text, &ms)) {
        CHECK(ms <= UINT32_MAX);
        (void)snprintf(written, sizeof written, "%" PRIu64 "ms", ms);
        CHECK(text_parse_duration_ms(written, &again) && again == ms);
    }
}

static void try_address(const char *text)
{
    char host[HOST_BYTES_MAX + 1], host_again[HOST_BYTES_MAX + 1];
    char written[ADDRESS_SIZE];
    uint16_t port, port_again;
    if (text_parse_address(text, host, sizeof host, &port)) {
        (void)snprintf(written, sizeof written, "[%s]:%u", host, port);
        CHECK(text_parse_address(written, host_again, sizeof host_again, &port_again));
        CHECK(strcmp(host, host_again) == 0 && port == port_again);
    }
}

/* By the table in RFC 3629, section 4. 0 if ill-formed. */
static size_t sequence_len(const uint8_t *p, size_t left)
{
    static const struct {
        uint8_t from, to, second_from, second_to;
        size_t len;
    } rows[] = {
        {0x20, 0x7e, 0, 0, 1},       {0xc2, 0xc2, 0xa0, 0xbf, 2}, {0xc3, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (p[0] < rows[i].from || p[0] > rows[i].to || rows[i].len > left) {
            continue;
        }
        bool good = rows[i].len == 1 || (p[1] >= rows[i].second_from && p[1] <= rows[i].second_to);
        for (size_t k = 2; k < rows[i].len; k++) {
            good = good && p[k] >= 0x80 && p[k] <= 0xbf;
        }
        return good ? rows[i].len : 0;
    }
    return 0;
}

static void try_printable(const uint8_t *data, size_t len)
{
    size_t at = 0;
    size_t n = 1;
    while (at < len && n > 0) {
        n = sequence_len(data + at, len - at);
        at += n;
    }
    bool printable = n > 0;
    CHECK(text_is_printable((const char *)data, len) == printable);
}

static void try_trim(char *text)
{
    static const char white[] = " \t\r\n";
    const char *trimmed = text_trim(text);
    size_t len = strlen(trimmed);
    CHECK(len == 0 || strchr(white, trimmed[0]) == NULL);
    CHECK(len == 0 || strchr(white, trimmed[len - 1]) == NULL);
}

static void try_time(int64_t wall_ms)
{
    char out[TEXT_TIME_SIZE];
    text_format_time(wall_ms, out);
    size_t len = strlen(out);
    CHECK(len > 5 && len < sizeof out && out[len - 1] == 'Z' && text_is_printable(out, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len}, time = in;
    uint8_t *copy = fuzz_copy(data, len);
    try_printable(copy, len);
    free(copy);
    char *text = input_text(&in);
    try_number(text);
    try_duration(text);
    try_address(text);
    try_trim(text);
    free(text);
    try_time((int64_t)input_u64(&time));
    return 0;
}
