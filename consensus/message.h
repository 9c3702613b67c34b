/* Encoding of libraft's messages. Decoding trusts nothing: every length and count is checked
 * against the bytes received before memory is allocated. Entries carry their checksums (log.h) and
 * that of the entry before them, so a fork is detected on receipt. InstallSnapshot is not among
 * them: snapshots travel in pieces (snapshot_send.h).
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_MESSAGE_H
#define MUSTER_CONSENSUS_MESSAGE_H

#include <raft.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/disk/log.h"
#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/status.h"

struct message {
    struct raft_message raft; /* the caller sets server_id */
    /* AppendEntries: checksums of the entry at prev_log_index and of each that follows; 0 if there
     * are none. */
    uint32_t parent;
    uint32_t checksums[APPEND_ENTRIES_MAX];
    struct raft_entry entries[APPEND_ENTRIES_MAX]; /* raft.append_entries.entries; data borrowed */
};

/* The entries of an AppendEntries are the log's, which also holds the one before them. */
void message_encode(const struct raft_message *message, const struct log *log, struct buffer *out);

/* The entries' data is borrowed from `data`. ST_CORRUPT: malformed. */
MUST_USE enum status message_decode(const uint8_t *data, size_t len, struct message *ret_message);

#endif
