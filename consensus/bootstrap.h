/* The first start of a member: the list of first members, the id that follows from it, and the
 * first entry of the log.
 *
 * Thread: the one that starts. */
#ifndef MUSTER_CONSENSUS_BOOTSTRAP_H
#define MUSTER_CONSENSUS_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <raft/uv.h>

#include "consensus/consensus.h"
#include "consensus/storage.h"
#include "server/base/compiler.h"

/* "1=host:9100,2=host:9100", in the order given. */
void bootstrap_members_text(const struct consensus_member *members, size_t count, char *out,
                            size_t size);
/* The other way. False when malformed. Room for MEMBERS_MAX. */
MUST_USE bool bootstrap_parse_members(const char *text, struct consensus_member *ret_members,
                                      size_t *ret_count);
/* All first members derive the same one, and other clusters another. */
uint64_t bootstrap_cluster_id(const char *members_text);

/* Writes a log whose only entry is the configuration; atomic (storage_publish). */
MUST_USE bool bootstrap_log(struct storage *storage, uint64_t id,
                            const struct consensus_member *members, size_t count, char *error,
                            size_t error_size);

/* A transport that connects nothing: messages go over peer.h, libraft's backend only keeps files.
 */
void bootstrap_transport(struct raft_uv_transport *transport);

#endif
