/* "<log index>.<position>.<cluster>": where an event stands in the history that all replicas share,
 * and whose history it is: a registry that begins anew counts from the start, and an id of the one
 * before must not pass for one of its own. The cluster is node_cluster_tag(), eight hexadecimal
 * digits; without it an id is taken at its word.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_CORE_EVENT_ID_H
#define MUSTER_API_CORE_EVENT_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/node/event_cursor.h"

#define EVENT_ID_SIZE 48

/* *ret_cluster: 0 when the text names none. */
MUST_USE bool event_id_parse(const char *text, struct event_id *ret_id, uint32_t *ret_cluster);
/* 0: names none. */
void event_id_format(struct event_id id, uint32_t cluster, char out[EVENT_ID_SIZE]);

#endif
