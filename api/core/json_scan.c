#include "api/core/json_scan.h"

#include <string.h>

#include <jansson.h>

struct json_scan json_scan_of(const char *text)
{
    return (struct json_scan){text[0] == '{' ? text + 1 : NULL};
}

/* Behind the string that begins here; NULL: it does not end. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\') {
            at++;
        }
        if (*at == '\0') {
            return NULL;
        }
    }
    return at + 1;
}

static const char *skip_value(const char *at)
{
    unsigned depth = 0;
    for (;;) {
        if (*at == '"') {
            at = skip_string(at);
            if (at == NULL) {
                return NULL;
            }
            if (depth == 0) {
                return at;
            }
            continue;
        }
        if (*at == '\0' || (depth == 0 && (*at == ',' || *at == '}'))) {
            return *at != '\0' ? at : NULL;
        }
        depth += *at == '{' || *at == '[';
        if (*at == '}' || *at == ']') {
            if (depth == 0) {
                return NULL;
            }
            depth--;
            if (depth == 0) {
                return at + 1;
            }
        }
        at++;
    }
}

bool json_scan_next(struct json_scan *scan, struct slice *ret_key, struct slice *ret_value)
{
    const char *key = scan->at;
    scan->at = NULL;
    if (key == NULL || *key != '"') {
        return false;
    }
    const char *colon = skip_string(key);
    if (colon == NULL || *colon != ':') {
        return false;
    }
    const char *value = colon + 1;
    const char *end = skip_value(value);
    if (end == NULL || end == value || (*end != ',' && *end != '}')) {
        return false;
    }
    *ret_key = (struct slice){key + 1, (size_t)(colon - key) - 2};
    *ret_value = (struct slice){value, (size_t)(end - value)};
    scan->at = *end == ',' ? end + 1 : NULL;
    return true;
}

bool json_scan_is(struct slice key, const char *name)
{
    return key.len == strlen(name) && memcmp(key.data, name, key.len) == 0;
}

void json_scan_text(struct slice value, char *out, size_t size)
{
    out[0] = '\0';
    if (value.len < 2 || value.data[0] != '"') {
        return;
    }
    if (memchr(value.data, '\\', value.len) == NULL) {
        if (value.len - 2 < size) {
            memcpy(out, value.data + 1, value.len - 2);
            out[value.len - 2] = '\0';
        }
        return;
    }
    json_t *json = json_loadb(value.data, value.len, JSON_DECODE_ANY, NULL);
    size_t len = json_string_length(json);
    if (json_is_string(json) && len < size) {
        memcpy(out, json_string_value(json), len + 1);
    }
    json_decref(json);
}
