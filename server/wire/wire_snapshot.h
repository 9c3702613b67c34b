/* The whole registry as bytes, a piece at a time; the other way: wire_restore.h. Checksums are the
 * consensus layer's.
 *
 *   head; instances by id; services by name; events from the oldest on; tokens by id
 *
 * Each of these is an item: its length, u32 little endian, and its content. So a reader that is
 * given any part of the bytes knows when an item is whole.
 *
 * Thread: the one thread that may walk the snapshot. */
#ifndef MUSTER_WIRE_SNAPSHOT_H
#define MUSTER_WIRE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "server/registry/snapshot.h"

#define WIRE_SNAPSHOT_MAGIC   "MUSR"
#define WIRE_SNAPSHOT_VERSION 3
/* An item's length before it. */
#define WIRE_ITEM_HEAD_BYTES 4
/* No item is longer: an event with the largest record that this build has room for. */
#define WIRE_ITEM_BYTES_MAX (96u * 1024)
/* Pieces are about as long; longer by one item at most. */
#define WIRE_PIECE_BYTES (64u * 1024)

/* Gives all of it to `write`, in order. Takes memory for a piece. */
void wire_snapshot_encode(const struct registry_snapshot *snapshot,
                          void (*write)(void *sink, const void *data, size_t len), void *sink);

#endif
