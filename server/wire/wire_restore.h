/* Decodes a snapshot into a registry, in pieces of any size, down to one byte. Holds at most one
 * incomplete item.
 *
 * Thread: one at a time, as server/registry/restore.h says. */
#ifndef MUSTER_WIRE_RESTORE_H
#define MUSTER_WIRE_RESTORE_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/status.h"
#include "server/registry/restore.h"

enum wire_restore_stage {
    WIRE_RESTORE_HEAD,
    WIRE_RESTORE_INSTANCES,
    WIRE_RESTORE_SERVICES,
    WIRE_RESTORE_EVENTS,
    WIRE_RESTORE_TOKENS,
    WIRE_RESTORE_QUOTAS,
    WIRE_RESTORE_CHECKS,
    WIRE_RESTORE_COMPLETE,
    WIRE_RESTORE_CORRUPT,
};

struct wire_restore {
    /* private */
    struct registry *registry; /* borrowed */
    enum wire_restore_stage stage;
    struct snapshot_head head;
    uint64_t done;       /* items of this stage */
    struct buffer whole; /* the received part of an incomplete item */
};

/* Into `registry`, which must be new, and is always destroyed by the caller. */
void wire_restore_init(struct wire_restore *w, struct registry *registry);
void wire_restore_done(struct wire_restore *w);
/* The next bytes. ST_CORRUPT if malformed, and from then on. */
MUST_USE enum status wire_restore_feed(struct wire_restore *w, const uint8_t *data, size_t len);
/* The end of the bytes. ST_CORRUPT if something is missing or inconsistent. */
MUST_USE enum status wire_restore_end(struct wire_restore *w);

#endif
