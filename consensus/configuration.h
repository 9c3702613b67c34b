/* Who belongs to the cluster: the list of first members as users write it, and Raft's
 * configuration, whose server ids are lives and whose addresses carry the member's id:
 * "1@host:9100". That of a later life ends with it, "1@host:9100#5f3c": libraft wants no address
 * twice. A mark may follow: "1@host:9100#5f3c-held". So the configuration alone says what is still
 * to be done, and any leader goes on with it.
 *
 * Thread: any; pure. */
#ifndef MUSTER_CONSENSUS_CONFIGURATION_H
#define MUSTER_CONSENSUS_CONFIGURATION_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "server/base/buffer.h"
#include "server/base/compiler.h"

#define CONFIGURATION_ADDRESS_SIZE (HOST_BYTES_MAX + 56)

/* "1=host:9100,2=host:9100", in the order given. */
void configuration_members_text(const struct consensus_member *members, size_t count, char *out,
                                size_t size);
/* The other way. False when malformed. Room for MEMBERS_MAX. */
MUST_USE bool configuration_parse_members(const char *text, struct consensus_member *ret_members,
                                          size_t *ret_count);
/* NULL: the list has none of that id. */
const struct consensus_member *configuration_find_member(const struct consensus_member *members,
                                                         size_t count, uint64_t id);
/* Tells one list from another. */
uint64_t configuration_members_hash(const char *members_text);

/* The address of a server in Raft's configuration, and back. */
void configuration_server_address(const struct consensus_member *member,
                                  char out[CONFIGURATION_ADDRESS_SIZE]);
enum configuration_mark {
    MARK_NONE,
    MARK_HELD,     /* a standby that was demoted by hand: it gets no vote by itself */
    MARK_DUE,      /* a standby in place of a life that had a vote: it gets that */
    MARK_REPLACED, /* a voter that was away for too long; a standby has a vote in its place */
};
/* The same of that life, whatever was marked before. */
void configuration_mark_address(const char *address, uint64_t life, enum configuration_mark mark,
                                char out[CONFIGURATION_ADDRESS_SIZE]);
enum configuration_mark configuration_mark_of(const char *address);
MUST_USE bool configuration_parse_server(const char *address, struct consensus_member *ret_member);

/* As raft_configuration_encode writes it. */
void configuration_encode(const struct raft_configuration *conf, struct buffer *out);
/* Checks everything that libraft does not: lengths, ids, addresses, at most MEMBERS_MAX servers, no
 * life twice, no member more than twice. `ret_conf` is to be closed, also (empty) when this returns
 * false. */
MUST_USE bool configuration_decode(const uint8_t *data, size_t len,
                                   struct raft_configuration *ret_conf);

/* The id of the member whose life a server of a decoded configuration is. */
uint64_t configuration_member_of(const struct raft_server *server);
/* How many of its servers are lives of that member: 0, 1 or 2. */
unsigned configuration_lives(const struct raft_configuration *conf, uint64_t id);
/* NULL: no such life in it. */
const struct raft_server *configuration_find(const struct raft_configuration *conf, uint64_t life);
/* How many of its servers have a vote. */
unsigned configuration_voters(const struct raft_configuration *conf);
/* All servers but the life `without` (0: all), in their order. To be closed. */
void configuration_copy(const struct raft_configuration *conf, uint64_t without,
                        struct raft_configuration *ret_conf);
/* Another role for the server at that place. */
void configuration_set(struct raft_configuration *conf, unsigned server_index, int role,
                       enum configuration_mark mark);
/* Another address, host:port, for the server at that place. */
void configuration_move(struct raft_configuration *conf, unsigned server_index,
                        const char *address);
/* Behind the others; there must be room. */
void configuration_add(struct raft_configuration *conf, uint64_t life, const char *address,
                       int role);

#endif
