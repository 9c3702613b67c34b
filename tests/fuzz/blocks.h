/* Correctly sealed blocks of a snapshot or a backup, of arbitrary kinds and contents. */
#ifndef MUSTER_FUZZ_BLOCKS_H
#define MUSTER_FUZZ_BLOCKS_H

#include "server/base/buffer.h"
#include "server/base/snapshot_block.h"
#include "tests/fuzz/fuzz.h"

/* Built from the input; free with buffer_done(). */
static inline void fuzz_blocks(struct buffer *file, const struct cluster_id *cluster,
                               const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    struct snapshot_chain chain = {.cluster = *cluster};
    buffer_init(file, 1u << 22);
    while (in.left > 0) {
        uint8_t kind = input_u8(&in);
        size_t body = input_u8(&in);
        body |= (size_t)input_u8(&in) << 8;
        if (!buffer_reserve(file, SNAPSHOT_BLOCK_HEADER + body)) {
            break;
        }
        uint8_t *block = file->data + file->len;
        input_bytes(&in, block + SNAPSHOT_BLOCK_HEADER, body);
        snapshot_block_seal(&chain, block, (enum snapshot_block)kind, body);
        file->len += SNAPSHOT_BLOCK_HEADER + body;
    }
}

#endif
