/* The list of first members as users write it, and Raft's configuration. There, server ids are
 * lives, and addresses carry the member's id: "1@host:9100". A later life of a member appends its
 * own id, "1@host:9100#5f3c", as libraft wants unique addresses. A mark may follow:
 * "1@host:9100#5f3c-held". So the configuration alone says what is left to be done, and any leader
 * can continue.
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
/* The inverse. False if malformed. Needs room for MEMBERS_MAX. */
MUST_USE bool configuration_parse_members(const char *text, struct consensus_member *ret_members,
                                          size_t *ret_count);
/* NULL if the id is not in the list. */
const struct consensus_member *configuration_find_member(const struct consensus_member *members,
                                                         size_t count, uint64_t id);
/* Identifies a list. */
uint64_t configuration_members_hash(const char *members_text);

/* The address of a server in Raft's configuration, and the inverse. */
void configuration_server_address(const struct consensus_member *member,
                                  char out[CONFIGURATION_ADDRESS_SIZE]);
enum configuration_mark {
    MARK_NONE,
    MARK_HELD,     /* a standby demoted by hand: not promoted automatically */
    MARK_DUE,      /* a standby that replaces a life with a vote, and will get that vote */
    MARK_REPLACED, /* a voter that was away too long: a standby has a vote in its place */
};
/* The same address for that life with this mark in place of any other. */
void configuration_mark_address(const char *address, uint64_t life, enum configuration_mark mark,
                                char out[CONFIGURATION_ADDRESS_SIZE]);
enum configuration_mark configuration_mark_of(const char *address);
MUST_USE bool configuration_parse_server(const char *address, struct consensus_member *ret_member);

/* In the format of raft_configuration_encode(). */
void configuration_encode(const struct raft_configuration *conf, struct buffer *out);
/* Checks what libraft does not: lengths, ids, addresses, at most MEMBERS_MAX servers, no life
 * twice, no member more than twice. Close `ret_conf` afterwards; on false it is empty. */
MUST_USE bool configuration_decode(const uint8_t *data, size_t len,
                                   struct raft_configuration *ret_conf);

/* The member id of a server in a decoded configuration. */
uint64_t configuration_member_of(const struct raft_server *server);
/* How many of its servers belong to that member: 0, 1 or 2. */
unsigned configuration_lives(const struct raft_configuration *conf, uint64_t id);
/* NULL if it has no such life. */
const struct raft_server *configuration_find(const struct raft_configuration *conf, uint64_t life);
/* The number of servers with a vote. */
unsigned configuration_voters(const struct raft_configuration *conf);
/* Copies all servers but the life `without` (0: all), in order. Close the copy. */
void configuration_copy(const struct raft_configuration *conf, uint64_t without,
                        struct raft_configuration *ret_conf);
/* Sets the role of a server. */
void configuration_set(struct raft_configuration *conf, unsigned server_index, int role,
                       enum configuration_mark mark);
/* Sets the address, host:port, of a server. */
void configuration_move(struct raft_configuration *conf, unsigned server_index,
                        const char *address);
/* Appends a server; there must be room. */
void configuration_add(struct raft_configuration *conf, uint64_t life, const char *address,
                       int role);

#endif
