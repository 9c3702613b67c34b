/* Bundles, which members send each other: what bundle_check() lets through can be walked to its
 * end and made again, byte for byte but for the four that mean nothing. */
#include "consensus/entry.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

#define ZERO_AT 28

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bundle_header header;
    struct buffer out;
    size_t at = 0;
    if (bundle_check(data, len, &header) != ST_OK) {
        return 0;
    }
    buffer_init(&out, BUNDLE_BYTES_MAX);
    const struct bundle_header blank = {.origin = header.origin};
    bundle_begin(&out, &blank);
    for (uint32_t i = 0; i < header.count; i++) {
        size_t op_len;
        const uint8_t *op = bundle_next(data, &at, &op_len);
        bundle_append(&out, op, op_len);
    }
    bundle_set_count(&out, header.count);
    bundle_set_number(&out, header.boot, header.sequence);
    CHECK(out.len == len);
    CHECK(memcmp(out.data, data, ZERO_AT) == 0);
    CHECK(memcmp(out.data + BUNDLE_HEADER_BYTES, data + BUNDLE_HEADER_BYTES,
                 len - BUNDLE_HEADER_BYTES) == 0);
    buffer_done(&out);
    return 0;
}
