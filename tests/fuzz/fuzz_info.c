/* What members tell about themselves: whatever comes, the directory holds texts that end and can be
 * shown, and only the row of the sender changes.
 *
 * Input: a byte for the sender, then the message. */
#include "consensus/engine.h"
#include "server/base/text.h"
#include "tests/fuzz/fuzz.h"

#define MEMBERS 3

static uint64_t no_time(void *ctx UNUSED)
{
    return 1;
}

static bool is_shown(const char *text, size_t size)
{
    size_t len = strnlen(text, size);
    return len < size && text_is_printable(text, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct engine engine;
    struct input in = {.at = data, .left = len};
    uint64_t from = input_u8(&in) % (MEMBERS + 2);
    memset(engine.directory, 0, sizeof engine.directory);
    engine.env.now_ms = no_time;
    engine.members = MEMBERS;
    for (size_t i = 0; i < MEMBERS; i++) {
        engine.directory[i].info.id = i + 1;
    }
    uint8_t *message = fuzz_copy(in.at, in.left);
    directory_receive(&engine, from, message, in.left);
    free(message);
    for (size_t i = 0; i < MEMBERS; i++) {
        const struct directory_entry *entry = &engine.directory[i];
        const struct consensus_member_info *info = &entry->info;
        CHECK(info->id == i + 1 && (entry->heard_ms == 0 || info->id == from));
        CHECK(is_shown(info->name, sizeof info->name) &&
              is_shown(info->version, sizeof info->version));
        CHECK(is_shown(info->http_address, sizeof info->http_address));
    }
    return 0;
}
