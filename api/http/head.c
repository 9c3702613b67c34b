#include "api/http/head.h"

#include <string.h>
#include <strings.h>

#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/text.h"

/* --- bytes --- */

/* Visible ASCII, and what is not ASCII. */
static bool is_visible(char c)
{
    unsigned char u = (unsigned char)c;
    return u > ' ' && u != 0x7f;
}

static bool is_host_byte(char c)
{
    return is_visible(c) && (unsigned char)c < 0x80 && strchr("/\\?#@,\"<>^`{|}", c) == NULL;
}

enum head_scan head_scan(const char *bytes, size_t len, size_t *at)
{
    size_t i = *at;
    for (; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= ' ' && c != 0x7f) {
            continue;
        }
        if (c == '\n') {
            if (i == 0 || bytes[i - 1] != '\r') {
                return HEAD_BAD;
            }
            if (i >= 3 && bytes[i - 2] == '\n') {
                *at = i + 1;
                return HEAD_COMPLETE;
            }
        } else if (c == '\r') {
            if (i + 1 < len && bytes[i + 1] != '\n') {
                return HEAD_BAD;
            }
            if (i + 1 == len) {
                break; /* looked at again with the next byte */
            }
        } else if (c != '\t') {
            return HEAD_BAD;
        }
    }
    *at = i;
    return HEAD_MORE;
}

/* --- refusals --- */

static bool refuse(struct head_refusal *refusal, int status, const char *code, const char *field,
                   const char *message)
{
    *refusal = (struct head_refusal){status, code, field, message};
    return false;
}

static bool malformed(struct head_refusal *refusal, const char *message)
{
    return refuse(refusal, 400, "malformed", "", message);
}

struct head_refusal head_bad(void)
{
    struct head_refusal refusal;
    (void)malformed(&refusal, "lines must end with CR LF, and there must be no control characters");
    return refusal;
}

/* --- request line --- */

/* Up to `end`, or to the first byte that is not wanted. */
static char *skip(char *at, const char *end, bool (*wanted)(char c))
{
    while (at < end && wanted(*at)) {
        at++;
    }
    return at;
}

static bool parse_version(struct head *head, const char *text, struct head_refusal *refusal)
{
    bool has_form = strlen(text) == 8 && strncmp(text, "HTTP/", 5) == 0 && text[5] >= '0' &&
                    text[5] <= '9' && text[6] == '.' && text[7] >= '0' && text[7] <= '9';
    if (!has_form) {
        return malformed(refusal, "the request line must be METHOD TARGET HTTP/1.1");
    }
    if (text[5] != '1') {
        return refuse(refusal, 505, "version_not_supported", "", "use HTTP/1.1");
    }
    head->is_http_1_0 = text[7] == '0';
    head->keep_alive = !head->is_http_1_0;
    return true;
}

/* http://host:port/path?query: what a proxy is told. The host counts, not the field Host. */
static bool parse_absolute(struct head *head, char *target, struct head_refusal *refusal)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(target, schemes[i], len) != 0) {
            continue;
        }
        char *host = target + len;
        size_t host_len = strcspn(host, "/?");
        if (host_len == 0) {
            return malformed(refusal, "the target names no host");
        }
        /* To the left: there is room for its NUL, and for a "/" before a query. */
        bool has_path = host[host_len] == '/';
        char *moved = host - 2;
        memmove(moved, host, host_len);
        moved[host_len] = '\0';
        head->host = moved;
        head->target = host + host_len;
        if (!has_path) {
            host[host_len - 1] = '/';
            head->target = host + host_len - 1;
        }
        return true;
    }
    return malformed(refusal, "the target must be a path, or begin with http://");
}

static bool parse_target(struct head *head, char *target, struct head_refusal *refusal)
{
    head->target = target;
    if (strcmp(head->method, "CONNECT") == 0) {
        return refuse(refusal, 501, "not_implemented", "", "this is not a proxy");
    }
    if (strchr(target, '#') != NULL) {
        return malformed(refusal, "the target must have no fragment");
    }
    if (strlen(target) > HTTP_TARGET_BYTES_MAX) {
        return refuse(refusal, 414, "target_too_long", "", "the target of the request is too long");
    }
    if (target[0] == '/' || (strcmp(target, "*") == 0 && strcmp(head->method, "OPTIONS") == 0)) {
        return true;
    }
    return parse_absolute(head, target, refusal);
}

/* `end` is that of the line, and becomes a NUL. */
static bool parse_request_line(struct head *head, char *line, char *end,
                               struct head_refusal *refusal)
{
    static const char form[] = "the request line must be METHOD TARGET HTTP/1.1";
    char *method_end = skip(line, end, text_is_token_byte);
    if (method_end == line || method_end == end || *method_end != ' ') {
        return malformed(refusal, form);
    }
    char *target = method_end + 1;
    char *target_end = skip(target, end, is_visible);
    *method_end = '\0';
    *end = '\0';
    head->method = line;
    if (target_end == target || target_end == end || *target_end != ' ') {
        return malformed(refusal, form);
    }
    *target_end = '\0';
    return parse_version(head, target_end + 1, refusal) && parse_target(head, target, refusal);
}

/* --- fields --- */

/* Moves one field to `to`, as name NUL value NUL; returns the place behind it. NULL: refused. */
static char *take_field(char *to, char *line, char *end, struct head_refusal *refusal)
{
    char *colon = skip(line, end, text_is_token_byte);
    if (colon == line || colon == end || *colon != ':') {
        (void)malformed(refusal, *line == ' ' || *line == '\t'
                                     ? "header fields must not be folded"
                                     : "a header field must be a name, a colon and a value");
        return NULL;
    }
    char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    size_t name_len = (size_t)(colon - line), value_len = (size_t)(end - value);
    memmove(to, line, name_len);
    to[name_len] = '\0';
    to += name_len + 1;
    memmove(to, value, value_len);
    to[value_len] = '\0';
    return to + value_len + 1;
}

static bool parse_fields(struct head *head, char *at, const char *end, struct head_refusal *refusal)
{
    char *to = at;
    head->fields = at;
    while (at < end) {
        char *line_end = memchr(at, '\r', (size_t)(end - at));
        if (line_end == at) {
            break; /* the empty line */
        }
        if (head->fields_count == HTTP_FIELDS_MAX) {
            return refuse(refusal, 431, "head_too_large", "", "the request has too many fields");
        }
        to = take_field(to, at, line_end, refusal);
        if (to == NULL) {
            return false;
        }
        head->fields_count++;
        at = line_end + 2;
    }
    return true;
}

static const char *next_field(const char *field)
{
    const char *value = field + strlen(field) + 1;
    return value + strlen(value) + 1;
}

static size_t count_fields(const struct head *head, const char *name, const char **ret_value)
{
    size_t count = 0;
    const char *field = head->fields;
    for (size_t i = 0; i < head->fields_count; i++, field = next_field(field)) {
        if (strcasecmp(field, name) == 0 && count++ == 0) {
            *ret_value = field + strlen(field) + 1;
        }
    }
    return count;
}

const char *head_find(const struct head *head, const char *name)
{
    const char *value = NULL;
    if (strcasecmp(name, "Host") == 0) {
        return head->host;
    }
    (void)count_fields(head, name, &value);
    return value;
}

/* --- what the fields mean --- */

static bool check_host(struct head *head, struct head_refusal *refusal)
{
    const char *host = NULL;
    size_t count = count_fields(head, "Host", &host);
    if (count > 1 || (count == 0 && !head->is_http_1_0)) {
        return refuse(refusal, 400, "malformed", "Host", "there must be one Host");
    }
    if (head->host == NULL) {
        head->host = host;
    }
    const char *const hosts[] = {host, head->host};
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
        for (const char *c = hosts[i]; c != NULL && *c != '\0'; c++) {
            if (!is_host_byte(*c)) {
                return refuse(refusal, 400, "malformed", "Host", "Host must be a host and a port");
            }
        }
    }
    return true;
}

static bool parse_framing(struct head *head, struct head_refusal *refusal)
{
    const char *encoding = NULL, *length = NULL;
    size_t encodings = count_fields(head, "Transfer-Encoding", &encoding);
    size_t lengths = count_fields(head, "Content-Length", &length);
    if (encodings > 1 || lengths > 1) {
        return malformed(refusal, "the length of the body must be given once");
    }
    if (encodings == 1 && strcasecmp(encoding, "chunked") != 0) {
        return refuse(refusal, 501, "not_implemented", "Transfer-Encoding",
                      "the only transfer encoding is chunked");
    }
    if (encodings == 1 && (lengths == 1 || head->is_http_1_0)) {
        return malformed(refusal, lengths == 1 ? "a body in chunks must have no Content-Length"
                                               : "HTTP/1.0 has no chunks");
    }
    head->chunked = encodings == 1;
    head->has_length = lengths == 1;
    if (head->has_length && !text_parse_u64(length, UINT64_MAX, &head->length)) {
        bool digits = *length != '\0' && length[strspn(length, "0123456789")] == '\0';
        return digits
                   ? refuse(refusal, 413, "too_large", "Content-Length", "the body is too large")
                   : refuse(refusal, 400, "malformed", "Content-Length", "must be a whole number");
    }
    return true;
}

static bool check_body(struct head *head, struct head_refusal *refusal)
{
    bool has_body = head->chunked || head->length > 0;
    const char *expect = head_find(head, "Expect"), *coding = head_find(head, "Content-Encoding");
    if (expect != NULL && !head->is_http_1_0) {
        if (strcasecmp(expect, "100-continue") != 0) {
            return refuse(refusal, 417, "expectation_failed", "Expect",
                          "the only expectation is 100-continue");
        }
        head->expects_continue = has_body;
    }
    if (has_body && coding != NULL && *coding != '\0' && strcasecmp(coding, "identity") != 0) {
        return refuse(refusal, 415, "unsupported_media_type", "Content-Encoding",
                      "the body must be sent as it is, not compressed");
    }
    return true;
}

/* Whether a list of words between commas has this one. */
static bool has_word(const char *list, const char *word)
{
    while (*list != '\0') {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        if (len == strlen(word) && strncasecmp(list, word, len) == 0) {
            return true;
        }
        list += len;
    }
    return false;
}

static void parse_connection(struct head *head)
{
    const char *field = head->fields;
    for (size_t i = 0; i < head->fields_count; i++, field = next_field(field)) {
        if (strcasecmp(field, "Connection") != 0) {
            continue;
        }
        const char *value = field + strlen(field) + 1;
        if (has_word(value, "close")) {
            head->keep_alive = false;
            return;
        }
        head->keep_alive = head->keep_alive || has_word(value, "keep-alive");
    }
}

bool head_parse(struct head *head, char *text, size_t len, struct head_refusal *refusal)
{
    *head = (struct head){.method = "", .target = "", .fields = ""};
    char *end = text + len;
    char *line_end = memchr(text, '\r', len);
    CHECK(line_end != NULL);
    if (!parse_request_line(head, text, line_end, refusal) ||
        !parse_fields(head, line_end + 2, end, refusal) || !check_host(head, refusal) ||
        !parse_framing(head, refusal) || !check_body(head, refusal)) {
        return false;
    }
    parse_connection(head);
    return true;
}

static bool check_authority(struct head *head, struct head_refusal *refusal)
{
    const char *host = NULL;
    size_t count = count_fields(head, "Host", &host);
    if (count > 1 || (count == 1 && head->host != NULL && strcmp(host, head->host) != 0) ||
        (count == 0 && head->host == NULL)) {
        return refuse(refusal, 400, "malformed", "Host", "there must be one Host");
    }
    head->host = head->host != NULL ? head->host : host;
    for (const char *c = head->host; *c != '\0'; c++) {
        if (!is_host_byte(*c)) {
            return refuse(refusal, 400, "malformed", "Host", "Host must be a host and a port");
        }
    }
    return true;
}

bool head_settle(struct head *head, char *target, struct head_refusal *refusal)
{
    bool has_body = head->chunked;
    if (target[0] == '\0' || target[strcspn(target, " \t\x7f")] != '\0') {
        return malformed(refusal, "the target must be a path");
    }
    if (!parse_target(head, target, refusal) || !check_authority(head, refusal) ||
        !parse_framing(head, refusal)) {
        return false;
    }
    head->chunked = has_body && !head->has_length;
    head->keep_alive = true;
    return check_body(head, refusal);
}
