/* The members of the current configuration, and what they tell each other about themselves now and
 * then: for GET /cluster, so that a leader knows whose disk is full and which levels all can speak,
 * and so that a state that differs is found at once.
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
    uint64_t heard_ms; /* 0: never */
    uint64_t away_ms;  /* leader: its link is down since then; 0: it is up */
    char
        advertised_address[ADDRESS_SIZE]; /* host:port where it can be dialled; "": as configured */
    uint64_t sent_index;                  /* leader: last entry that went to it */
    uint64_t confirmed_ms; /* leader: last answer that confirmed all that it ever confirmed */
    uint64_t confirmed_term;
    uint64_t unreadable_term; /* leader: it cannot read an entry that we sent in this term */
    /* Leader: the snapshot that libraft waits for it to have; index 0: none. */
    uint64_t snapshot_index, snapshot_term;
    /* A state that it told of and that we have not reached yet; index 0: none. */
    uint64_t told_index, told_hash;
    struct refusal_trust refusal_trust;
    bool hash_differs, hash_agrees; /* at the last index that could be compared */
};

struct member_table {
    struct member list[MEMBERS_MAX]; /* of the configuration, in its order */
    size_t count;
    uint64_t configured; /* how often that changed */
    /* Processes of our cluster whose lives the configuration here does not have, at most one of an
     * id: our log may be behind, and one of them may lead, or need our vote (section 4.1 of the
     * dissertation). */
    struct member guests[MEMBERS_MAX];
    size_t guests_count;
    uint64_t sent_ms; /* when ours was last sent */
};

/* Takes the members from a configuration; keeps what is known of those that stay. */
void member_info_configure(struct engine *e, const struct raft_configuration *conf);
/* Of the configuration, with that id: the later life when there are two. NULL: there is none. */
struct member *member_info_find(struct engine *e, uint64_t id);
/* Of the configuration, or a guest. NULL: there is none. */
struct member *member_info_of_life(struct engine *e, uint64_t life);
bool member_info_is_configured(const struct engine *e, const struct member *m);
/* A process of our cluster that says something: one of the configuration, or a guest from now on.
 * NULL: it cannot be. */
struct member *member_info_sender(struct engine *e, uint64_t id, uint64_t life);
/* What a member's process says of where it can be dialled; NULL: nothing. */
const char *member_info_advertised_address(struct engine *e, uint64_t id);
/* Its place in the configuration. */
size_t member_info_index(const struct engine *e, const struct member *m);
bool member_info_is_voter(const struct member *m);
/* How many voters there are, and whether so many of them are a majority. */
size_t member_info_voters(const struct engine *e);
bool member_info_is_majority(const struct engine *e, size_t voters);

void member_info_tick(struct engine *e);
/* Ours is sent with the next tick, whenever the last was. */
void member_info_hurry(struct engine *e);
void member_info_receive(struct engine *e, struct member *m, const uint8_t *data, size_t len);
/* Whether a majority of the voters has room on its disk, as far as known. */
bool member_info_majority_has_space(const struct engine *e);

#endif
