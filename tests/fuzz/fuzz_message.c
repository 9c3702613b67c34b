/* libraft's messages from another member: what can be decoded encodes to the same bytes, with
 * entries from a log that has them. */
#include "consensus/message.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

/* Offset of the entries' checksums in an AppendEntries. */
#define ENTRIES_AT         42
#define ENTRY_HEADER_BYTES 17
#define CHECKSUM_AT        13

/* A log with the entries of the message after its previous index. Replaces the checksums in the
 * message by the log's: the sender's are not under test here. */
static void fill_log(struct log *log, const struct message *m, uint8_t *bytes)
{
    const struct raft_append_entries *args = &m->raft.append_entries;
    log_reset(log, args->prev_log_index, args->prev_log_term, m->parent);
    for (unsigned i = 0; i < args->n_entries; i++) {
        const struct raft_entry *entry = &args->entries[i];
        uint32_t checksum =
            log_append(log, entry->term, (uint8_t)entry->type,
                       entry->buf.base != NULL ? entry->buf.base : "", entry->buf.len);
        store_u32(bytes + ENTRIES_AT + i * ENTRY_HEADER_BYTES + CHECKSUM_AT, checksum);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct message message;
    struct log log;
    struct buffer out;
    uint8_t *bytes = fuzz_copy(data, len);
    if (message_decode(bytes, len, &message) != ST_OK) {
        free(bytes);
        return 0;
    }
    log_init(&log);
    if (message.raft.type == RAFT_APPEND_ENTRIES) {
        CHECK(message.raft.append_entries.n_entries <= APPEND_ENTRIES_MAX);
        fill_log(&log, &message, bytes);
    }
    buffer_init(&out, PEER_FRAME_BYTES_MAX);
    message_encode(&message.raft, &log, &out);
    CHECK(out.len == len && memcmp(out.data, bytes, len) == 0);
    buffer_done(&out);
    log_done(&log);
    free(bytes);
    return 0;
}
