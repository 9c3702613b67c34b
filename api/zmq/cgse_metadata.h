/* Metadata of any JSON type in a registry whose metadata are texts. A text is kept as it is, so
 * that all doors show the same. Any other value is kept as "json:" and its JSON text, and so is a
 * text that the registry would refuse (line breaks) or that begins with "json:" itself.
 *
 * Thread: any. */
#ifndef MUSTER_API_ZMQ_CGSE_METADATA_H
#define MUSTER_API_ZMQ_CGSE_METADATA_H

#include <jansson.h>

#include "api/core/json_out.h"
#include "server/base/compiler.h"
#include "server/registry/record.h"

/* The text to keep: borrowed from the value, or *ret_made, which the caller frees. False: it cannot
 * be written as JSON. */
MUST_USE bool cgse_metadata_pack(const json_t *value, struct slice *ret_text, char **ret_made);
/* The value of a kept text. What is "json:" and then no JSON is a text of another door. */
void cgse_metadata_render(struct json_out *json, const char *text);

#endif
