/* Checks a backup while its bytes arrive, in pieces of any size and from anywhere: every checksum,
 * the order and number of its blocks, and that it is complete with nothing after it. The meaning of
 * the state is not checked here, but by a restore.
 *
 * Thread: one owner. Owns: nothing; large, so not for the stack. */
#ifndef MUSTER_BASE_SNAPSHOT_SCAN_H
#define MUSTER_BASE_SNAPSHOT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/base/snapshot_block.h"

struct snapshot_scan {
    /* Gets the state's bytes, verified, in order. Returns NULL, or what is wrong with them. May be
     * NULL. */
    const char *(*state)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;
    /* Of the backup, once they have arrived. */
    struct snapshot_meta meta;
    struct snapshot_info info;
    uint64_t state_bytes;
    struct snapshot_chain chain; /* with its cluster */
    uint64_t at;                 /* offset of the present block, or of the wrong one */
    /* private */
    uint64_t chunks;
    bool has_header, has_info, ended;
    const char *wrong;
    enum snapshot_block kind; /* of the present block, once its header has arrived */
    size_t body;              /* its length without the header */
    size_t len;               /* how much of it has arrived */
    uint8_t block[SNAPSHOT_BLOCK_MAX];
};

void snapshot_scan_init(struct snapshot_scan *s);
/* Takes the next bytes. NULL, or what is wrong in a few static words, which is then final. */
MUST_USE const char *snapshot_scan_add(struct snapshot_scan *s, const void *data, size_t len);
/* The same at the end of the bytes: also checks that it is complete. */
MUST_USE const char *snapshot_scan_end(struct snapshot_scan *s);

#endif
