/* libraft's messages from another member: what can be decoded is encoded to the same bytes. */
#include "consensus/message.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct raft_message message;
    struct buffer out;
    if (message_decode(data, len, &message) != ST_OK) {
        return 0;
    }
    buffer_init(&out, PEER_FRAME_BYTES_MAX);
    message_encode(&message, &out);
    if (message.type == RAFT_INSTALL_SNAPSHOT) {
        buffer_append(&out, message.install_snapshot.data.base, message.install_snapshot.data.len);
    }
    CHECK(out.len == len && memcmp(out.data, data, len) == 0);
    buffer_done(&out);
    message_done(&message);
    return 0;
}
