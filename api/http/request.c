#include "api/http/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/base/mem.h"
#include "server/base/text.h"

void request_init(struct request *request)
{
    *request = (struct request){.method = METHOD_OTHER};
}

void request_done(struct request *request)
{
    free(request->path);
    free(request->query_text);
    free(request->query);
    buffer_done(&request->body);
    request_init(request);
}

enum method request_method(const char *text)
{
    static const struct {
        const char *text;
        enum method method;
    } methods[] = {{"GET", METHOD_GET}, {"HEAD", METHOD_HEAD},     {"POST", METHOD_POST},
                   {"PUT", METHOD_PUT}, {"DELETE", METHOD_DELETE}, {"OPTIONS", METHOD_OPTIONS}};
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if (strcmp(text, methods[i].text) == 0) {
            return methods[i].method;
        }
    }
    return METHOD_OTHER;
}

const char *request_header(const struct request *request, const char *name)
{
    return request->find_header != NULL ? request->find_header(request->transport, name) : NULL;
}

bool request_unescape(char *text, bool plus)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from == '%') {
            int high = text_hex_digit(from[1]);
            int low = high < 0 ? -1 : text_hex_digit(from[2]);
            if (low < 0 || (high == 0 && low == 0)) {
                return false;
            }
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = plus && *from == '+' ? ' ' : *from;
        }
    }
    *to = '\0';
    return text_is_printable(text, (size_t)(to - text));
}

static bool parse_pair(struct request *request, char *text, struct problem *problem)
{
    char *value = strchr(text, '=');
    if (value != NULL) {
        *value++ = '\0';
    } else {
        value = text + strlen(text);
    }
    if (!request_unescape(text, true)) {
        problem_set(problem, "",
                    "a query parameter's name is not printable UTF-8 in valid %%XX form");
        return false;
    }
    if (!request_unescape(value, true)) {
        problem_set_named(problem, text, "must be printable UTF-8 in valid %%XX form");
        return false;
    }
    if (request->query_count == QUERY_PAIRS_MAX) {
        problem_set(problem, "", "at most %d query parameters can be given", QUERY_PAIRS_MAX);
        return false;
    }
    request->query[request->query_count++] = (struct query_pair){text, value};
    return true;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

/* In place: one slash where there are several, none at the end; %XX of what needs no escape (RFC
 * 3986, section 6.2.2.2) is that. */
static void normalise_path(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++) {
        if (*from == '/' && to > path && to[-1] == '/') {
            continue;
        }
        int high = *from == '%' ? text_hex_digit(from[1]) : -1;
        int low = high < 0 ? -1 : text_hex_digit(from[2]);
        if (low >= 0 && is_unreserved((char)(high * 16 + low))) {
            *to++ = (char)(high * 16 + low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    if (to > path + 1 && to[-1] == '/') {
        to--;
    }
    *to = '\0';
}

bool request_parse_target(struct request *request, const char *target, struct problem *problem)
{
    size_t path_len = strcspn(target, "?");
    request->path = mem_strndup(target, path_len);
    normalise_path(request->path);
    if (target[path_len] == '\0') {
        return true;
    }
    request->query_text = mem_strdup(target + path_len + 1);
    request->query = mem_zalloc(QUERY_PAIRS_MAX, sizeof *request->query);
    char *rest = request->query_text;
    while (rest != NULL) {
        char *pair = strsep(&rest, "&");
        if (*pair != '\0' && !parse_pair(request, pair, problem)) {
            return false;
        }
    }
    return true;
}

const char *request_query(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, name) == 0) {
            return request->query[i].value;
        }
    }
    return NULL;
}

bool request_query_u64(const struct request *request, const char *name, uint64_t *ret_value,
                       struct problem *problem)
{
    const char *text = request_query(request, name);
    if (text != NULL && !text_parse_u64(text, UINT64_MAX, ret_value)) {
        problem_set(problem, name, "must be a whole number");
        return false;
    }
    return true;
}

bool request_query_bool(const struct request *request, const char *name, bool *ret_value,
                        struct problem *problem)
{
    const char *text = request_query(request, name);
    *ret_value = text != NULL && strcmp(text, "true") == 0;
    if (text != NULL && !*ret_value && strcmp(text, "false") != 0) {
        problem_set(problem, name, "must be true or false");
        return false;
    }
    return true;
}

bool request_has_no_body(const struct request *request)
{
    const struct buffer *body = &request->body;
    static const char *const empty[] = {"", "{}", "[]", "null", "\"\""};
    char text[8];
    size_t len = 0;
    for (size_t i = 0; i < body->len && len < sizeof text; i++) {
        if (body->data[i] == 0 || strchr(" \t\r\n", body->data[i]) == NULL) {
            text[len++] = (char)body->data[i];
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(empty); i++) {
        if (!body->overflowed && len == strlen(empty[i]) && memcmp(text, empty[i], len) == 0) {
            return true;
        }
    }
    return false;
}

bool request_has_json_type(const struct request *request)
{
    static const char *const types[] = {"application/json", "application/x-www-form-urlencoded"};
    const char *given = request_header(request, "Content-Type");
    if (given == NULL) {
        return true;
    }
    size_t len = strcspn(given, "; \t");
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        if (len == strlen(types[i]) && strncasecmp(given, types[i], len) == 0) {
            return true;
        }
    }
    return false;
}

bool request_wants_html(const struct request *request)
{
    const char *accept = request_header(request, "Accept");
    const char *html = accept == NULL ? NULL : strcasestr(accept, "text/html");
    const char *json = html == NULL ? NULL : strcasestr(accept, "application/json");
    return html != NULL && (json == NULL || html < json);
}

bool request_wants_stream(const struct request *request)
{
    const char *accept = request_header(request, "Accept");
    return accept != NULL && strcasestr(accept, "text/event-stream") != NULL;
}
