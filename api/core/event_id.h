/* "<log index>.<position>": where an event stands in the history that all replicas share, and whose
 * history it is: a registry that begins anew counts from the start, and an id of the one before
 * must not pass for one of its own. So the position, which has 32 bits, has twenty bits of the
 * cluster above them: 2^52 at most, which every client can keep as a number. Without them an id is
 * taken at its word.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_CORE_EVENT_ID_H
#define MUSTER_API_CORE_EVENT_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/node/event_cursor.h"
#include "server/node/node.h"

#define EVENT_ID_SIZE 48

/* What ids name of this replica's cluster: 1 to 2^20 - 1; 0 while it is not known. */
uint32_t event_id_cluster(struct node *node);
/* *ret_cluster: 0 when the text names none. */
MUST_USE bool event_id_parse(const char *text, struct event_id *ret_id, uint32_t *ret_cluster);
/* 0: names none. */
void event_id_format(struct event_id id, uint32_t cluster, char out[EVENT_ID_SIZE]);

#endif
