/* "<log index>.<position>": where an event stands in the history that all replicas share.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_EVENT_ID_H
#define MUSTER_API_EVENT_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"

struct event_id {
    uint64_t index;
    uint32_t position;
};

#define EVENT_ID_SIZE 32

MUST_USE bool event_id_parse(const char *text, struct event_id *ret_id);
void event_id_format(struct event_id id, char out[EVENT_ID_SIZE]);
/* Below, at or above 0 as a is before, at or behind b. */
int event_id_compare(struct event_id a, struct event_id b);

#endif
