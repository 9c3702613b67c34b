/* "<log index>.<position>": where an event stands in the history that all replicas share.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_CORE_EVENT_ID_H
#define MUSTER_API_CORE_EVENT_ID_H

#include <stdbool.h>

#include "server/base/compiler.h"
#include "server/node/event_cursor.h"

#define EVENT_ID_SIZE 32

MUST_USE bool event_id_parse(const char *text, struct event_id *ret_id);
void event_id_format(struct event_id id, char out[EVENT_ID_SIZE]);

#endif
