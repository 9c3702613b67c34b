/* Reads the members of an object that jansson wrote compactly, without a tree and without memory:
 * for what is looked at for each instance of a list. Keys and values are as they stand in the text,
 * so that they can be written again as they are.
 *
 * Thread: any; borrows from the text. */
#ifndef MUSTER_API_CORE_JSON_SCAN_H
#define MUSTER_API_CORE_JSON_SCAN_H

#include <stdbool.h>

#include "server/registry/record.h"

struct json_scan {
    const char *at; /* NULL: it is over */
};

/* Of a text that is empty, or no object, there are no members. */
struct json_scan json_scan_of(const char *text);
/* `key` has no quotes, `value` has. False at the end, and where the text is no longer JSON. */
bool json_scan_next(struct json_scan *scan, struct slice *ret_key, struct slice *ret_value);
/* Whether a key is that one. */
bool json_scan_is(struct slice key, const char *name);
/* The text of a value; "" when it is no string, or has not that much room. */
void json_scan_text(struct slice value, char *out, size_t size);

#endif
