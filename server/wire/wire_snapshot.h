/* The whole registry as bytes, and back. Checksums are the consensus layer's.
 *
 *   magic "MUSR", version 2; head; instances by id; services by name; events from the oldest on
 *
 * Thread: encode: the one thread that may walk the snapshot; decode: loop. */
#ifndef MUSTER_WIRE_SNAPSHOT_H
#define MUSTER_WIRE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/status.h"
#include "server/registry/snapshot.h"

void wire_snapshot_encode(const struct registry_snapshot *snapshot, struct buffer *out);
/* Into a registry that was just created; destroy it on ST_CORRUPT. */
MUST_USE enum status wire_snapshot_decode(const uint8_t *data, size_t len,
                                          struct registry *registry);

#endif
