/* Batches sent by members: what batch_check() accepts can be walked to its end and rebuilt, byte
 * for byte except the four reserved ones. */
#include "consensus/entry.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

#define ZERO_AT 28

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct batch_header header;
    struct buffer out;
    size_t at = 0;
    if (batch_check(data, len, &header) != ST_OK) {
        return 0;
    }
    buffer_init(&out, BATCH_BYTES_MAX);
    const struct batch_header blank = {.origin = header.origin};
    batch_begin(&out, &blank);
    for (uint32_t i = 0; i < header.count; i++) {
        size_t op_len;
        const uint8_t *op = batch_next(data, &at, &op_len);
        batch_append(&out, op, op_len);
    }
    batch_set_count(&out, header.count);
    batch_set_number(&out, header.boot, header.serial);
    CHECK(out.len == len);
    CHECK(memcmp(out.data, data, ZERO_AT) == 0);
    CHECK(memcmp(out.data + BATCH_HEADER_BYTES, data + BATCH_HEADER_BYTES,
                 len - BATCH_HEADER_BYTES) == 0);
    buffer_done(&out);
    return 0;
}
