/* Reading JSON bodies strictly: one object, no duplicate or unknown fields, printable UTF-8, and
 * every limit checked. The first thing that is wrong is said in the problem.
 *
 * Thread: any. Owns: nothing; what is found is borrowed from the JSON value. */
#ifndef MUSTER_API_CORE_JSON_IN_H
#define MUSTER_API_CORE_JSON_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "server/base/problem.h"
#include "server/registry/record.h"

/* The body as an object with no other fields than `known` (NULL at its end); `known` NULL: with
 * any. NULL when it is not; else the caller's, for json_decref. */
json_t *json_in_object(const void *data, size_t len, const char *const *known,
                       struct problem *problem);
/* Whether the value of `field` ("": the one that is read) is an object with no other members than
 * `known`. */
MUST_USE bool json_in_members(const json_t *value, const char *field, const char *const *known,
                              struct problem *problem);

/* Whether a value is there. Serializers of typed languages write null for what is not set. */
static inline bool json_in_is_given(const json_t *value)
{
    return value != NULL && !json_is_null(value);
}

/* Each: true with *ret_present = false when the field is not there, or null; false when it is
 * wrong. A NULL `ret_present` means that the field must be there. */
/* Any string: whoever takes it checks it. */
MUST_USE bool json_in_string(const json_t *object, const char *field, struct slice *ret,
                             bool *ret_present, struct problem *problem);
/* 1 to `max` bytes, printable. */
MUST_USE bool json_in_text(const json_t *object, const char *field, size_t max, struct slice *ret,
                           bool *ret_present, struct problem *problem);
/* Like json_in_text, but may be empty. */
MUST_USE bool json_in_note(const json_t *object, const char *field, size_t max, struct slice *ret,
                           bool *ret_present, struct problem *problem);
MUST_USE bool json_in_integer(const json_t *object, const char *field, uint64_t min, uint64_t max,
                              uint64_t *ret, bool *ret_present, struct problem *problem);
MUST_USE bool json_in_bool(const json_t *object, const char *field, bool *ret, bool *ret_present,
                           struct problem *problem);
/* A number of seconds or a text such as "30s". The limits are exact, then it is rounded; what is
 * not 0 comes out as 1 ms at least. */
MUST_USE bool json_in_duration(const json_t *object, const char *field, uint32_t min_ms,
                               uint32_t max_ms, uint32_t *ret_ms, bool *ret_present,
                               struct problem *problem);
/* passing, warning or critical. */
MUST_USE bool json_in_health(const json_t *object, const char *field, enum health *ret,
                             bool *ret_present, struct problem *problem);
/* A text of 1 to `max` printable bytes within an array or object. */
MUST_USE bool json_in_item(const json_t *value, const char *field, size_t max, struct slice *ret,
                           struct problem *problem);

#endif
