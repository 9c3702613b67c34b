/* Checks a backup while its bytes arrive, in pieces of any size and from anywhere: every checksum,
 * the order and number of its blocks, that it is whole and that nothing follows. What the state in
 * it means is not looked at here; a restore does that.
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
    /* Told the state's bytes, verified, in order. Returns NULL, or what is wrong with them. May be
     * NULL. */
    const char *(*state)(void *ctx, const uint8_t *data, size_t len);
    void *ctx;
    /* Of the backup, once they have come. */
    struct snapshot_meta meta;
    struct snapshot_info info;
    uint64_t state_bytes;
    struct snapshot_chain chain; /* with its cluster */
    uint64_t at;                 /* where the block begins that comes now, or that is wrong */
    /* private */
    uint64_t chunks;
    bool has_header, has_info, ended;
    const char *wrong;
    enum snapshot_block kind; /* of that block, once its header is there */
    size_t body;              /* its length without the header */
    size_t len;               /* how much of it has come */
    uint8_t block[SNAPSHOT_BLOCK_MAX];
};

void snapshot_scan_init(struct snapshot_scan *s);
/* Takes the next bytes. NULL, or what is wrong in a few words (static): then it stays so. */
MUST_USE const char *snapshot_scan_add(struct snapshot_scan *s, const void *data, size_t len);
/* The same when no more bytes come: also when it is not whole. */
MUST_USE const char *snapshot_scan_end(struct snapshot_scan *s);

#endif
