/* Log entries: what entry_check() accepts can be walked to its end and rebuilt. Every input is
 * tried as it is, and with magic number and checksum corrected. */
#include "consensus/entry.h"
#include "server/base/crc32c.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

#define MAGIC        "MSTE"
#define CRC_AT       4
#define CRC_FROM     8
#define REBUILD_SIZE (64u * 1024 * 1024)

/* Returns the number of operations. */
static uint32_t walk_batch(const uint8_t *data, size_t len)
{
    struct batch_header header;
    size_t at = 0;
    CHECK(batch_check(data, len, &header) == ST_OK);
    for (uint32_t i = 0; i < header.count; i++) {
        size_t op_len;
        const uint8_t *op = batch_next(data, &at, &op_len);
        CHECK(op_len <= OP_BYTES_MAX && op + op_len <= data + len);
    }
    return header.count;
}

static void try_entry(const uint8_t *data, size_t len)
{
    struct entry_header header, again;
    struct buffer out;
    size_t at = 0;
    uint32_t ops = 0;
    if (entry_check(data, len, &header) != ST_OK) {
        return;
    }
    buffer_init(&out, REBUILD_SIZE);
    entry_begin(&out, &header, entry_stamp(data));
    for (uint16_t i = 0; i < header.batches; i++) {
        size_t batch_len;
        const uint8_t *batch = entry_next_batch(data, &at, &batch_len);
        ops += walk_batch(batch, batch_len);
        entry_append_batch(&out, batch, batch_len);
    }
    CHECK(ops <= ENTRY_OPS_MAX);
    size_t used = out.len;
    entry_seal(&out, header.batches);
    CHECK(out.len == len && entry_check(out.data, out.len, &again) == ST_OK);
    CHECK(header.index == again.index && header.term == again.term);
    CHECK(cluster_id_equal(&header.cluster, &again.cluster));
    CHECK(header.proposer == again.proposer && header.level == again.level);
    CHECK(memcmp(out.data + ENTRY_HEADER_BYTES, data + ENTRY_HEADER_BYTES,
                 used - ENTRY_HEADER_BYTES) == 0);
    buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_entry(data, len);
    if (len >= CRC_FROM) {
        uint8_t *sealed = fuzz_copy(data, len);
        memcpy(sealed, MAGIC, strlen(MAGIC));
        store_u32(sealed + CRC_AT, crc32c(0, sealed + CRC_FROM, len - CRC_FROM));
        try_entry(sealed, len);
        free(sealed);
    }
    return 0;
}
