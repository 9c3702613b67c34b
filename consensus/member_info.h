/* The members of the current configuration, and what they report of themselves periodically: for
 * GET /cluster, so that a leader knows who has a full disk and which levels all support, and so
 * that a diverged state is found at once.
 *
 * Thread: loop. Owns: its table. */
#ifndef MUSTER_CONSENSUS_MEMBER_INFO_H
#define MUSTER_CONSENSUS_MEMBER_INFO_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/configuration.h"
#include "consensus/consensus.h"
#include "consensus/refusal.h"

struct engine;

struct member {
    struct consensus_member_info info;
    enum configuration_mark mark;
    uint64_t heard_ms;                     /* what it reports of itself; 0: never */
    uint64_t frame_ms;                     /* anything at all; 0: never */
    bool available, leaves;                /* see struct consensus_presence */
    uint64_t away_ms;                      /* leader: since when its link is down; 0: up */
    char advertised_address[ADDRESS_SIZE]; /* host:port that it announces; "": as configured */
    uint64_t sent_index;                   /* leader: last entry sent to it */
    uint64_t confirmed_ms; /* leader: last reply that confirmed all it ever confirmed */
    uint64_t confirmed_term;
    uint64_t unreadable_term; /* leader: term in which it could not read one of our entries */
    /* Leader: the snapshot that libraft is waiting for it to install; index 0: none. */
    uint64_t snapshot_index, snapshot_term;
    /* A state that it reported and we have not reached yet; index 0: none. */
    uint64_t told_index, told_hash;
    struct refusal_trust refusal_trust;
    bool hash_differs, hash_agrees; /* at the last index that could be compared */
};

struct member_table {
    struct member list[MEMBERS_MAX]; /* of the configuration, in its order */
    size_t count;
    uint64_t configured; /* number of times it has changed */
    /* Members of our cluster whose lives our configuration lacks, at most one per id: our log may
     * be behind, and one of them may lead, or need our vote (section 4.1 of the dissertation). */
    struct member guests[MEMBERS_MAX];
    size_t guests_count;
    uint64_t sent_ms; /* when ours was last sent */
};

/* Takes over a configuration; keeps what is known of members that stay. */
void member_info_configure(struct engine *e, const struct raft_configuration *conf);
/* The role of a life as it is committed: what others may be told. "" if its addition is not. */
const char *member_info_committed_role(const struct engine *e, uint64_t life);
/* The configured member with that id; of two, the later life. NULL: none. */
struct member *member_info_find(struct engine *e, uint64_t id);
/* A configured member or a guest. NULL: none. */
struct member *member_info_of_life(struct engine *e, uint64_t life);
bool member_info_is_configured(const struct engine *e, const struct member *m);
/* The sender of a frame from our cluster: a configured member, or a guest from now on. NULL:
 * neither is possible. */
struct member *member_info_sender(struct engine *e, uint64_t id, uint64_t life);
/* The address that a member announces; NULL: none. */
const char *member_info_advertised_address(struct engine *e, uint64_t id);
/* Its index in the configuration. */
size_t member_info_index(const struct engine *e, const struct member *m);
bool member_info_is_voter(const struct member *m);
/* The number of voters; and whether `count` of them are a majority. */
size_t member_info_voters(const struct engine *e);
bool member_info_is_majority(const struct engine *e, size_t voters);

void member_info_tick(struct engine *e);
/* This member is about to stop: tells the others now. */
void member_info_say_leaving(struct engine *e);
/* All configured members as heard from; room for MEMBERS_MAX. */
size_t member_info_presence(const struct engine *e, struct consensus_presence *ret_members);
/* Sends ours with the next tick, regardless of the interval. */
void member_info_hurry(struct engine *e);
void member_info_receive(struct engine *e, struct member *m, const uint8_t *data, size_t len);
/* Whether a majority of the voters has disk space, as far as known. */
bool member_info_majority_has_space(const struct engine *e);

#endif
