#include "server/base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

bool text_parse_u64(const char *text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        if (digit > max || value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool text_parse_duration_ms(const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *suffix;
        uint64_t unit_ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char whole[16];
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n >= sizeof whole) {
        return false;
    }
    memcpy(whole, text, n);
    whole[n] = '\0';
    text += n;
    /* Thousandths; further digits would be below a millisecond in the smallest unit. */
    uint64_t thousandths = 0;
    if (*text == '.') {
        text++;
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 3) {
            return false;
        }
        for (size_t i = 0; i < 3; i++) {
            thousandths = thousandths * 10 + (i < digits ? (uint64_t)(text[i] - '0') : 0);
        }
        text += digits;
    }
    uint64_t value;
    if (!text_parse_u64(whole, UINT32_MAX, &value)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (strcmp(text, units[i].suffix) == 0) {
            uint64_t ms = value * units[i].unit_ms + thousandths * units[i].unit_ms / 1000;
            if (ms > UINT32_MAX) {
                return false;
            }
            /* For many durations 0 means 'for ever' or 'not at all', so a short one must not become
             * 0. */
            *ret_ms = ms == 0 && value + thousandths > 0 ? 1 : ms;
            return true;
        }
    }
    return false;
}

bool text_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes)
{
    static const struct {
        const char *suffix;
        unsigned shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    char digits[TEXT_U64_SIZE];
    size_t n = strspn(text, "0123456789");
    uint64_t number;
    if (n >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, n);
    digits[n] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (strcmp(text + n, units[i].suffix) == 0 &&
            text_parse_u64(digits, max >> units[i].shift, &number)) {
            *ret_bytes = number << units[i].shift;
            return true;
        }
    }
    return false;
}

bool text_parse_address(const char *text, char *host, size_t host_size, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || !text_parse_u64(colon + 1, UINT16_MAX, &port) || port == 0) {
        return false;
    }
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len) != NULL) {
        return false; /* an IPv6 address without brackets */
    }
    if (len >= host_size) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] == 0x7f || strchr("[]/,=@#", text[i]) != NULL) {
            return false;
        }
    }
    memcpy(host, text, len);
    host[len] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

bool text_is_any_host(const char *host)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;
    return host[0] == '\0' || (inet_pton(AF_INET, host, &ipv4) == 1 && ipv4.s_addr == INADDR_ANY) ||
           (inet_pton(AF_INET6, host, &ipv6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&ipv6));
}

size_t text_next(const char *text, size_t left, uint32_t *ret_code)
{
    const unsigned char *p = (const unsigned char *)text;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80    ? 1
                 : p[0] >= 0xf8 ? 0
                 : p[0] >= 0xf0 ? 4
                 : p[0] >= 0xe0 ? 3
                 : p[0] >= 0xc0 ? 2
                                : 0;
    if (len == 0 || len > left) {
        return 0;
    }
    uint32_t code = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return 0;
    }
    *ret_code = code;
    return len;
}

bool text_code_is_printable(uint32_t code)
{
    return code >= 0x20 && (code < 0x7f || code >= 0xa0);
}

bool text_is_printable(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        uint32_t code;
        size_t n = text_next(text + at, len - at, &code);
        if (n == 0 || !text_code_is_printable(code)) {
            return false;
        }
        at += n;
    }
    return true;
}

bool text_is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

int text_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char *text_trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL) {
        len--;
    }
    text[len] = '\0';
    return text;
}

const char *text_format_u64(uint64_t value, char out[TEXT_U64_SIZE])
{
    size_t at = TEXT_U64_SIZE - 1;
    out[at] = '\0';
    do {
        out[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return out + at;
}

void text_format_time(int64_t wall_ms, char out[TEXT_TIME_SIZE])
{
    int64_t ms = wall_ms % 1000;
    int64_t seconds = wall_ms / 1000;
    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL) {
        memset(&tm, 0, sizeof tm);
    }
    size_t n = strftime(out, TEXT_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + n, TEXT_TIME_SIZE - n, ".%03dZ", (int)ms);
}
