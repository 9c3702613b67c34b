#include "server/base/naming.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include "server/base/limits.h"
#include "server/base/text.h"

struct range {
    uint32_t from, to;
};

/* Bidi_Control, and line terminators. */
static const struct range turning[] = {
    {0x061c, 0x061c}, {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};
/* Default_Ignorable_Code_Point (DerivedCoreProperties), and the interlinear annotations. */
static const struct range unseen[] = {
    {0x00ad, 0x00ad}, {0x034f, 0x034f}, {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},
    {0x200b, 0x200d}, {0x2060, 0x206f}, {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
    {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};
/* White_Space, and the empty pattern of Braille. */
static const struct range blank[] = {{0x20, 0x20},     {0xa0, 0xa0},     {0x1680, 0x1680},
                                     {0x2000, 0x200a}, {0x202f, 0x202f}, {0x205f, 0x205f},
                                     {0x2800, 0x2800}, {0x3000, 0x3000}};

static bool is_in(uint32_t code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].from && code <= ranges[i].to) {
            return true;
        }
    }
    return false;
}

bool naming_is_text(const char *text, size_t len)
{
    uint32_t code;
    size_t n;
    for (size_t at = 0; at < len; at += n) {
        n = text_next(text + at, len - at, &code);
        if (n == 0 || !text_code_is_printable(code) ||
            is_in(code, turning, ARRAY_LENGTH(turning))) {
            return false;
        }
    }
    return true;
}

bool naming_is_name(const char *text, size_t len)
{
    bool is_blank = true;
    uint32_t code;
    size_t n;
    for (size_t at = 0; at < len; at += n) {
        n = text_next(text + at, len - at, &code);
        if (n == 0 || !text_code_is_printable(code) ||
            is_in(code, turning, ARRAY_LENGTH(turning)) ||
            is_in(code, unseen, ARRAY_LENGTH(unseen))) {
            return false;
        }
        is_blank = is_blank && is_in(code, blank, ARRAY_LENGTH(blank));
    }
    return !is_blank;
}

static bool is_ipv6(const char *host)
{
    struct in6_addr address;
    static const uint8_t mapped_any[16] = {[10] = 0xff, [11] = 0xff};
    return inet_pton(AF_INET6, host, &address) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&address) &&
           memcmp(&address, mapped_any, sizeof address) != 0;
}

/* Letters, digits, '-' and '_' between single dots; a final dot may be the root's. */
static bool is_name(const char *host)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    for (;;) {
        size_t len = strspn(host, inner);
        if (len == 0 || *host == '-') {
            return false;
        }
        host += len;
        if (*host == '\0' || (*host == '.' && host[1] == '\0')) {
            return true;
        }
        if (*host++ != '.') {
            return false;
        }
    }
}

/* Texts that resolvers take for an IPv4 address, though not written as one: "0", "127.1",
 * "0x7f.0.0.1"; they cannot be names, as no top-level domain is a number. */
static bool looks_like_ipv4(const char *host)
{
    struct in_addr address;
    const char *dot = strrchr(host, '.');
    return inet_aton(host, &address) != 0 ||
           (dot != NULL && dot[1] != '\0' && strspn(dot + 1, "0123456789") == strlen(dot + 1));
}

bool naming_is_host(const char *text, size_t len)
{
    char host[HOST_BYTES_MAX + 1];
    struct in_addr ipv4;
    if (len == 0 || len > HOST_BYTES_MAX || memchr(text, '\0', len) != NULL) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    if (strchr(host, ':') != NULL) {
        return is_ipv6(host);
    }
    if (inet_pton(AF_INET, host, &ipv4) == 1) {
        return ipv4.s_addr != INADDR_ANY;
    }
    return is_name(host) && !looks_like_ipv4(host);
}

bool naming_is_namespace(const char *text, size_t len)
{
    if (len == 0 || len > NAMESPACE_BYTES_MAX || strchr("-_.", text[0]) != NULL) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool is_letter = text[i] >= 'a' && text[i] <= 'z';
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (!is_letter && !is_digit && (text[i] == '\0' || strchr("-_.", text[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

bool naming_is_certificate(const char *text, size_t len)
{
    if (len == 0 || len > CERTIFICATE_NAME_BYTES_MAX || text[0] == ' ' || text[len - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        bool quotes = text[i] == '*' || text[i] == '"' || text[i] == '\'' || text[i] == '\\';
        if (text[i] < ' ' || text[i] > '~' || quotes) {
            return false;
        }
    }
    return true;
}

bool naming_is_label(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_') {
            return false;
        }
    }
    return len > 0 && len <= LABEL_BYTES_MAX;
}

bool naming_is_domain(const char *text)
{
    do {
        size_t len = strcspn(text, ".");
        if (!naming_is_label(text, len)) {
            return false;
        }
        text += len;
        text += *text == '.';
    } while (*text != '\0');
    return true;
}
