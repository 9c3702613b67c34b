/* libraft's messages as bytes. Decoding takes nothing on trust: every length and count is checked
 * against what is there before memory is taken for it.
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_MESSAGE_H
#define MUSTER_CONSENSUS_MESSAGE_H

#include <raft.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/status.h"

/* Encodes all but the data of an InstallSnapshot, which goes behind it on the wire as it is
 * (message->install_snapshot.data, borrowed): its length is part of what is encoded. */
void message_encode(const struct raft_message *message, struct buffer *out);

/* Fills a message whose memory belongs to the caller in the way libraft wants it from raft_io's
 * recv callback: AppendEntries: one `entries` array and one `batch` that all buffers point into;
 * InstallSnapshot: configuration and data (copied). server_id and server_address are set by the
 * caller. ST_CORRUPT: malformed (nothing to free). */
MUST_USE enum status message_decode(const uint8_t *data, size_t len,
                                    struct raft_message *ret_message);
/* Frees what message_decode allocated, for a message that is not given to libraft. */
void message_done(struct raft_message *message);

#endif
