/* Encodes the whole registry, piece by piece; wire_restore.h is the inverse. The consensus layer
 * adds checksums.
 *
 *   head; instances by id; services by name; events from the oldest on; tokens by id
 *
 * Each of these is an item: its length, u32 little endian, and its content. So a reader of any part
 * of the bytes knows when an item is complete.
 *
 * Thread: the one thread that may walk the snapshot. */
#ifndef MUSTER_WIRE_SNAPSHOT_H
#define MUSTER_WIRE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "server/registry/snapshot.h"

#define WIRE_SNAPSHOT_MAGIC   "MUSR"
#define WIRE_SNAPSHOT_VERSION 3
/* The length before each item. */
#define WIRE_ITEM_HEAD_BYTES 4
/* Limit on an item: an event with the largest record that this build has room for. */
#define WIRE_ITEM_BYTES_MAX (96u * 1024)
/* Approximate size of pieces; exceeded by one item at most. */
#define WIRE_PIECE_BYTES (64u * 1024)

/* Passes everything to `write`, in order. Allocates memory for one piece. */
void wire_snapshot_encode(const struct registry_snapshot *snapshot,
                          void (*write)(void *sink, const void *data, size_t len), void *sink);

#endif
