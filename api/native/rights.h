/* What tokens and policies say, as JSON. What they have in common is rendered and answered here.
 *
 * Thread: an HTTP worker. */
#ifndef MUSTER_API_NATIVE_RIGHTS_H
#define MUSTER_API_NATIVE_RIGHTS_H

#include "api/core/json_out.h"
#include "api/http/exchange.h"
#include "server/registry/view.h"

/* What it says of one service, or of all whose names begin so. */
void rights_render_scope(struct json_out *json, const struct token_scope *scope);
/* The members of an object that has begun, all but what tells it from others. */
void rights_render(struct json_out *json, const struct view *view, const struct token *token);
/* In `finish` of a write that takes one away, whose path has it: `key` is the member that names it,
 * `missing` the sentence for one that is not there. */
enum next rights_respond_gone(struct exchange *x, enum status status, const char *key,
                              const char *missing);

#endif
