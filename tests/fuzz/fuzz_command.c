/* Commands in a log entry: what can be decoded is encoded in its shortest form, which decodes and
 * encodes to the same bytes. */
#include "server/base/limits.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/fuzz.h"

static void try_stamp(const uint8_t *data, size_t len)
{
    struct stamp stamp;
    uint8_t out[WIRE_STAMP_BYTES];
    if (wire_stamp_decode(data, len, &stamp) == ST_OK) {
        wire_stamp_encode(&stamp, out);
        CHECK(memcmp(out, data, len) == 0);
    }
}

static void encode(const uint8_t *data, size_t len, struct buffer *out)
{
    struct wire_command command;
    uint8_t *copy = fuzz_copy(data, len);
    CHECK(wire_command_decode(copy, len, level_limits(LEVEL_MAX), &command) == ST_OK);
    buffer_init(out, OP_BYTES_MAX);
    wire_command_encode(&command.command, out);
    CHECK(!out->overflowed);
    wire_command_done(&command);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct wire_command command;
    struct buffer shortest, again;
    try_stamp(data, len);
    if (wire_command_decode(data, len, level_limits(LEVEL_MAX), &command) != ST_OK) {
        return 0;
    }
    wire_command_done(&command);
    CHECK(wire_command_understands(data, len, LEVEL_MAX));
    encode(data, len, &shortest);
    encode(shortest.data, shortest.len, &again);
    CHECK(shortest.len <= len && again.len == shortest.len);
    CHECK(memcmp(shortest.data, again.data, again.len) == 0);
    buffer_done(&shortest);
    buffer_done(&again);
    return 0;
}
