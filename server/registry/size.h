/* How many bytes things take in a snapshot, to the byte (server/wire/README.md): the size of the
 * state, which is bounded. It decides which registrations are refused, so it is part of the format,
 * and never changes for what was released. tests/unit/test_size.c holds it against the encoder.
 *
 * Thread: any; pure. */
#ifndef MUSTER_REGISTRY_SIZE_H
#define MUSTER_REGISTRY_SIZE_H

#include <stdint.h>

#include "server/registry/command.h"
#include "server/registry/view.h"

/* An instance without its times, which change with each heartbeat; and those. */
uint64_t size_instance(const struct record *record);
uint64_t size_lease(uint64_t renewed_ms, uint64_t deadline_ms);
uint64_t size_service(const char *name, uint64_t index);
uint64_t size_event(const struct event *event);
uint64_t size_token(const struct token *token);
/* All that comes before these. */
uint64_t size_head(const struct view *view);
/* No lease, and no event but for its record, takes more. */
#define SIZE_LEASE_MAX 18
#define SIZE_EVENT_MAX 28

#endif
