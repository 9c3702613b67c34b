/* The session table in a snapshot: decoding consumes exactly its bytes, encoding gives the same
 * ones, and counting continues from any content. The bytes after it are batches to apply. */
#include "consensus/sessions.h"
#include "tests/fuzz/fuzz.h"

#define BYTES_MAX 8192

static void check_bytes(const struct sessions *s, const uint8_t *data, size_t len)
{
    struct buffer out;
    buffer_init(&out, BYTES_MAX);
    sessions_encode(s, &out);
    CHECK(!out.overflowed && out.len == len && memcmp(out.data, data, len) == 0);
    buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct sessions s;
    struct input in = {.at = data, .left = len};
    if (sessions_decode(&s, &in.at, &in.left) != ST_OK) {
        CHECK(in.at == data && in.left == len);
        return 0;
    }
    CHECK(in.at + in.left == data + len);
    check_bytes(&s, data, len - in.left);
    while (in.left > 0) {
        uint64_t origin = input_u8(&in), boot = input_u8(&in), serial = input_u8(&in);
        bool had = sessions_has(&s, origin, boot, serial);
        CHECK(sessions_advance(&s, origin, boot, serial, input_u8(&in)) == !had);
        CHECK(sessions_has(&s, origin, boot, serial));
        CHECK(sessions_boot(&s, origin) >= boot && s.count <= SESSIONS_MAX);
    }
    return 0;
}
