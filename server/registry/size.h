/* The exact number of bytes that each item takes in a snapshot (server/wire/README.md). Their sum
 * is the size of the state, which is bounded. The size decides which registrations are refused, so
 * it is part of the format and never changes once released. tests/unit/test_size.c compares it with
 * the encoder.
 *
 * Thread: any; pure. */
#ifndef MUSTER_REGISTRY_SIZE_H
#define MUSTER_REGISTRY_SIZE_H

#include <stdint.h>

#include "server/registry/command.h"
#include "server/registry/view.h"

/* An instance without its lease times, which change with each heartbeat. */
uint64_t size_instance(const struct record *record);
/* The lease times of an instance. */
uint64_t size_lease(uint64_t renewed_ms, uint64_t deadline_ms);
uint64_t size_service(const char *name, uint64_t index);
uint64_t size_event(const struct event *event);
uint64_t size_token(const struct token *token);
uint64_t size_sink(const struct sink_position *sink);
uint64_t size_quota(const char *name, const struct namespace_quota *quota);
/* The head, which comes before all items. */
uint64_t size_head(const struct view *view);
/* The most that a lease takes, and an event without its record. */
#define SIZE_LEASE_MAX 18
#define SIZE_EVENT_MAX 28

#endif
