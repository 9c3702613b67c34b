/* Builds a registry from a snapshot, off the loop, beside the one in use: head, every instance in
 * order of id, the index of every service in order of name, every event from the oldest on, every
 * token in order of id, every quota in order of namespace, every check and node in order of id,
 * end. Derived data (counts, tallies, trees, tables, the wheel) is computed here.
 *
 * An inconsistent state gives ST_CORRUPT; then only registry_destroy may follow. The order is
 * checked, because it makes this O(n) and reveals duplicates.
 *
 * Thread: one at a time. It need not be registered with liburcu: the registry has no readers before
 * it is complete and published to a view_source. */
#ifndef MUSTER_REGISTRY_RESTORE_H
#define MUSTER_REGISTRY_RESTORE_H

#include "server/base/compiler.h"
#include "server/base/status.h"
#include "server/registry/snapshot.h"

/* `registry` must be new. */
MUST_USE enum status registry_restore_head(struct registry *registry,
                                           const struct snapshot_head *head);
/* On ST_OK takes over the record's reference. */
MUST_USE enum status registry_restore_instance(struct registry *registry, struct record *record,
                                               uint64_t renewed_ms, uint64_t deadline_ms);
MUST_USE enum status registry_restore_service(struct registry *registry, const char *name,
                                              uint64_t index);
/* On ST_OK takes over the reference of the event's record. */
MUST_USE enum status registry_restore_event(struct registry *registry, const struct event *event);
/* On ST_OK takes over the token. */
MUST_USE enum status registry_restore_token(struct registry *registry, struct token *token);
MUST_USE enum status registry_restore_quota(struct registry *registry, const char *name,
                                            const struct namespace_quota *quota);
/* As registry_restore_instance(). */
MUST_USE enum status registry_restore_check(struct registry *registry, struct record *record,
                                            uint64_t renewed_ms, uint64_t deadline_ms);
/* Everything is there: publishes. ST_CORRUPT if the counts differ from the head's. */
MUST_USE enum status registry_restore_end(struct registry *registry);

#endif
