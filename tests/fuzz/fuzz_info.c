/* Reports of members about themselves: whatever arrives, the table has terminated, printable texts,
 * and only the sender's row changes. A differing state is judged by the majority: one member alone
 * ends nobody.
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

static void no_end(void *ctx UNUSED, const char *sentence)
{
    check_failed(__FILE__, __LINE__, sentence);
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
    struct member_table *table = &engine.members;
    uint64_t from = 1 + input_u8(&in) % MEMBERS;
    memset(table, 0, sizeof *table);
    engine.env.now_ms = no_time;
    engine.env.fatal = no_end;
    engine.fsm.applied_index = 7;
    engine.fsm.hashes[7] = (struct state_hash){.index = 7, .hash = 5};
    table->count = MEMBERS;
    for (size_t i = 0; i < MEMBERS; i++) {
        table->list[i].info.id = i + 1;
    }
    uint8_t *message = fuzz_copy(in.at, in.left);
    member_info_receive(&engine, &table->list[from - 1], message, in.left);
    free(message);
    for (size_t i = 0; i < MEMBERS; i++) {
        const struct member *m = &table->list[i];
        const struct consensus_member_info *info = &m->info;
        CHECK(info->id == i + 1 && (m->heard_ms == 0 || info->id == from));
        CHECK(!m->hash_differs || info->id == from);
        CHECK(is_shown(info->name, sizeof info->name) &&
              is_shown(info->version, sizeof info->version));
        CHECK(is_shown(info->http_address, sizeof info->http_address));
    }
    return 0;
}
