/* libraft's state machine: committed entries to operations, each bundle at most once; snapshots.
 *
 *   snapshot: magic u32, crc32c u32 (of all that follows), cluster u64, index u64, sessions, then
 *             the app's bytes
 *
 * Thread: loop, but for machine_snapshot_encode. */
#ifndef MUSTER_CONSENSUS_MACHINE_H
#define MUSTER_CONSENSUS_MACHINE_H

#include "server/base/buffer.h"

struct engine;
struct machine_snapshot;

/* Lets what was applied be read. Before anything is told or asked that rests on it. */
void machine_publish(struct engine *e);
struct machine_snapshot *machine_snapshot_take(struct engine *e);
/* On a pool thread. */
void machine_snapshot_encode(struct machine_snapshot *snapshot, struct buffer *out);
void machine_snapshot_release(struct engine *e, struct machine_snapshot *snapshot);

#endif
