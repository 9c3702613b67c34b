/* A streaming JSON writer on a buffer. Commas take care of themselves; nesting is the caller's.
 *
 *     struct json_out json = json_out_to(&buffer);
 *     json_out_begin(&json, '{');
 *     json_out_key(&json, "port");
 *     json_out_u64(&json, 8080);
 *     json_out_end(&json, '}');
 *
 * Thread: one owner at a time. Owns: nothing. */
#ifndef MUSTER_API_CORE_JSON_OUT_H
#define MUSTER_API_CORE_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "server/base/buffer.h"

struct json_out {
    struct buffer *out;
    bool comma; /* one is due before the next key or value */
};

struct json_out json_out_to(struct buffer *out);
/* '{' or '['. */
void json_out_begin(struct json_out *json, char bracket);
/* '}' or ']'. */
void json_out_end(struct json_out *json, char bracket);
/* The key is written as it is: only for names that need no escaping. Inline, as is what begins with
 * it: of a literal the compiler knows the length. */
void json_out_key_n(struct json_out *json, const char *key, size_t len);
static inline void json_out_key(struct json_out *json, const char *key)
{
    json_out_key_n(json, key, strlen(key));
}
void json_out_key_text(struct json_out *json, const char *key);
/* Valid UTF-8. */
void json_out_text(struct json_out *json, const char *text);
void json_out_text_n(struct json_out *json, const char *text, size_t len);
void json_out_u64(struct json_out *json, uint64_t value);
void json_out_bool(struct json_out *json, bool value);
void json_out_null(struct json_out *json);
/* A value that is JSON already. */
void json_out_raw(struct json_out *json, const char *value);
void json_out_raw_n(struct json_out *json, const char *value, size_t len);
/* Milliseconds as seconds: 30, 1.500. */
void json_out_seconds(struct json_out *json, uint64_t duration_ms);
/* Milliseconds since 1970 as RFC 3339. */
void json_out_time(struct json_out *json, int64_t wall_ms);
/* Sixteen hexadecimal digits, in quotes. */
void json_out_hex(struct json_out *json, uint64_t value);
/* A key (as json_out_key) and its value. */
static inline void json_out_member_text(struct json_out *json, const char *key, const char *text)
{
    json_out_key(json, key);
    json_out_text_n(json, text, strlen(text));
}
static inline void json_out_member_u64(struct json_out *json, const char *key, uint64_t value)
{
    json_out_key(json, key);
    json_out_u64(json, value);
}
static inline void json_out_member_bool(struct json_out *json, const char *key, bool value)
{
    json_out_key(json, key);
    json_out_bool(json, value);
}
static inline void json_out_member_seconds(struct json_out *json, const char *key,
                                           uint64_t duration_ms)
{
    json_out_key(json, key);
    json_out_seconds(json, duration_ms);
}

#endif
