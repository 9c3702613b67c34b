/* Building a registry from a snapshot, off the loop, beside the one that is in use: head, every
 * instance in order of id, the index of every service in order of name, every event from the oldest
 * on, every token in order of id, end. What follows from these (counts, tallies, trees, tables, the
 * wheel) is computed here.
 *
 * A state that contradicts itself gives ST_CORRUPT; then only registry_destroy may follow. The
 * order is checked, because it is what makes this O(n) and finds whatever is there twice.
 *
 * Thread: one at a time. It need not be registered with liburcu: the registry has no readers before
 * it is complete and published to a view_source. */
#ifndef MUSTER_REGISTRY_RESTORE_H
#define MUSTER_REGISTRY_RESTORE_H

#include "server/base/compiler.h"
#include "server/base/status.h"
#include "server/registry/snapshot.h"

/* `registry` was just created. */
MUST_USE enum status registry_restore_head(struct registry *registry,
                                           const struct snapshot_head *head);
/* Takes the record's one reference on ST_OK. */
MUST_USE enum status registry_restore_instance(struct registry *registry, struct record *record,
                                               uint64_t renewed_ms, uint64_t deadline_ms);
MUST_USE enum status registry_restore_service(struct registry *registry, const char *name,
                                              uint64_t index);
/* Takes the reference of the event's record on ST_OK. */
MUST_USE enum status registry_restore_event(struct registry *registry, const struct event *event);
/* Takes the token on ST_OK. */
MUST_USE enum status registry_restore_token(struct registry *registry, struct token *token);
/* All is there: publishes. ST_CORRUPT when the counts are not those of the head. */
MUST_USE enum status registry_restore_end(struct registry *registry);

#endif
